// What a message gives, by protobufjs: the columns and values of FORMATS.md, worked out from its
// decoded objects, without a line of ours.

import protobuf from 'protobufjs'
import protojson from 'protobufjs/ext/protojson.js'

export interface OracleOptions {
  readonly nullDefaults: boolean
}

/** A value of a column; `skip`: the oracle itself cannot say it. */
export const SKIP = Symbol('skip')

export type OracleRow = Record<string, unknown>

/** @throws Error when protobufjs does not take the message */
export function oracleRow(
  type: protobuf.Type,
  bytes: Uint8Array,
  options: OracleOptions,
): OracleRow {
  const message = type.decode(bytes)
  const row: OracleRow = {}
  flatten(type, message, '', [], options, row)
  return row
}

type Decoded = protobuf.Message & Record<string, unknown>

function flatten(
  type: protobuf.Type,
  message: protobuf.Message | null,
  prefix: string,
  around: readonly protobuf.Type[],
  options: OracleOptions,
  row: OracleRow,
): void {
  for (const field of type.fieldsArray) {
    const name = prefix + field.name
    const inner = field.resolvedType
    const here = message as Decoded | null
    const own = here !== null && Object.hasOwn(here, field.name) ? here[field.name] : undefined
    if (inner instanceof protobuf.Type && isFlat(field, inner, [...around, type])) {
      flatten(inner, (own as protobuf.Message) ?? null, `${name}.`, [...around, type], options, row)
      continue
    }
    row[name] = message === null ? null : columnValue(type, field, own, options)
  }
}

function isFlat(field: protobuf.Field, inner: protobuf.Type, around: protobuf.Type[]): boolean {
  if (field.map || field.repeated || field.delimited) return false
  if (inner.fullName.startsWith('.google.protobuf.')) return false
  return inner.fieldsArray.length > 0 && around.length <= 8 && !around.includes(inner)
}

function columnValue(
  parent: protobuf.Type,
  field: protobuf.Field,
  own: unknown,
  { nullDefaults }: OracleOptions,
): unknown {
  const inner = field.resolvedType
  const none = (field.map || field.repeated) && Object.keys(own ?? {}).length === 0
  const absent = own === undefined || none
  if (inner instanceof protobuf.Type || field.map) {
    const name = inner?.fullName.replace('.google.protobuf.', '') ?? ''
    const many = field.map || field.repeated
    if (absent && (!many || nullDefaults)) return null
    if (absent) return field.map ? {} : []
    if (!many) {
      if (name === 'Timestamp' || name === 'Duration') return micros(own as Time)
      const wrapped = inner instanceof protobuf.Type && /^\w+Value$/.test(name)
      if (wrapped && name !== 'ListValue') {
        const value = inner.fields['value']!.resolve()
        return scalar(value, (own as Decoded)['value'] ?? value.defaultValue)
      }
    }
    return json(parent, field, own)
  }
  if (field.repeated) {
    if (absent) return nullDefaults ? null : []
    return (own as unknown[]).map((one) => scalar(field, one))
  }
  if (!absent) return scalar(field, own)
  return field.hasPresence || nullDefaults ? null : scalar(field, field.defaultValue)
}

interface Time {
  readonly seconds?: unknown
  readonly nanos?: number
}

function micros({ seconds = 0, nanos = 0 }: Time): bigint {
  // BigInt division cuts towards zero, as durations are cut; timestamps have no negative part.
  return BigInt(String(seconds)) * 1_000_000n + BigInt(nanos) / 1000n
}

function scalar(field: protobuf.Field, value: unknown): unknown {
  if (field.resolvedType instanceof protobuf.Enum) {
    return field.resolvedType.valuesById[value as number] ?? String(value)
  }
  switch (field.type) {
    case 'int64':
    case 'sint64':
    case 'sfixed64':
    case 'uint64':
    case 'fixed64':
    case 'uint32':
    case 'fixed32':
      return BigInt(String(value))
    case 'bytes':
      return `0x${Buffer.from((value as Uint8Array | []) ?? []).toString('hex')}`
    default:
      return value
  }
}

/** What protobufjs calls 0 among keys of 64 bits. */
const HASH_OF_0 = '\0'.repeat(8)

/**
 * protobufjs keeps an entry that has no key under '0', beside one whose key was written as 0. Of
 * two entries with one key the last is the value, and which was last it does not know then.
 */
function hasTwoZeros(own: unknown): boolean {
  if (typeof own !== 'object' || own === null || own instanceof Uint8Array) return false
  if (Object.hasOwn(own, '0') && Object.hasOwn(own, HASH_OF_0)) return true
  return Object.values(own).some(hasTwoZeros)
}

/** The field's own JSON. */
function json(parent: protobuf.Type, field: protobuf.Field, own: unknown): unknown {
  if (hasTwoZeros(own)) return SKIP
  try {
    const alone = parent.create({ [field.name]: own })
    const all = protojson.toJson(parent, alone) as Record<string, unknown>
    return all[field.jsonName]
  } catch {
    // A Value that is NaN, a FieldMask that does not come back: Protobuf has no JSON for it.
    return SKIP
  }
}

/** As `Object.is`, but floats in JSON have as many digits as they need, and -0 may be left out. */
export function sameJson(ours: unknown, theirs: unknown): boolean {
  if (typeof ours === 'number' && (typeof theirs === 'number' || theirs === undefined)) {
    const other = theirs ?? 0
    return ours === other || Math.fround(ours) === Math.fround(other) || ours - other === 0
  }
  if (Array.isArray(ours)) {
    if (!Array.isArray(theirs) || ours.length !== theirs.length) return false
    return ours.every((one, index) => sameJson(one, theirs[index]))
  }
  if (typeof ours === 'object' && ours !== null) {
    if (typeof theirs !== 'object' || theirs === null || Array.isArray(theirs)) return false
    const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)])
    const [left, right] = [ours as OracleRow, theirs as OracleRow]
    return [...keys].every((key) => sameJson(left[key], right[key]))
  }
  return Object.is(ours, theirs)
}
