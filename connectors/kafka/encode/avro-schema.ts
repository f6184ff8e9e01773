// What a table is called and looks like in Avro, such that each version of its structure can read
// the records of the ones before: a column that was not there before is null in them, or its
// default.
// Source: Apache Avro specification 1.12, https://avro.apache.org/docs/1.12.0/specification/

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Literal } from '../../../runtime/data/literal.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import type { ColumnType, PrimitiveType } from '../../../runtime/data/type.ts'
import { unscaledBytes } from './byte-output.ts'

export interface AvroField {
  /** Index into the fields of the table. */
  readonly index: number
  /** Whether the type is a union, of null and the column's type. */
  readonly isUnion: boolean
  /** Where it is a union: the branch of null, 0 or 1. */
  readonly nullBranch: 0 | 1
}

export interface AvroTable {
  readonly text: string
  readonly fields: readonly AvroField[]
}

export interface AvroNames {
  readonly namespace: string
  readonly table: string
}

/**
 * @param latest  text of the schema that was registered last; `null`: there is none
 * @throws PipelineError DDL_UNMAPPABLE: two columns would have one name
 */
export function avroOfRow(schema: TableSchema, names: AvroNames, latest: string | null): AvroTable {
  const unions = latest === null ? null : unionsOf(latest)
  const fields = schema.fields.map((field, index): AvroField => {
    const { initialDefault, nullable } = field
    const before = unions?.get(avroName(field.name))
    // What the schema before did not have, its records cannot give.
    const isNew = unions !== null && before === undefined && defaultOf(field) === null
    const isUnion = nullable || isNew || before === true
    return { index, isUnion, nullBranch: initialDefault !== null && hasDefault(field) ? 1 : 0 }
  })
  return { text: textOf(schema, fields, 'Value', names), fields }
}

/** @throws PipelineError DDL_UNMAPPABLE: two columns would have one name */
export function avroOfKey(schema: TableSchema, names: AvroNames): AvroTable {
  const fields = (schema.key ?? []).map((index): AvroField => {
    return { index, isUnion: false, nullBranch: 0 }
  })
  return { text: textOf(schema, fields, 'Key', names), fields }
}

/** @returns a name that Avro takes: letters of ASCII, digits and `_`, no digit first */
export function avroName(name: string): string {
  const taken = name.replaceAll(/[^A-Za-z0-9_]/g, '_')
  return /^[A-Za-z_]/.test(taken) ? taken : `_${taken}`
}

/** By field of a record's schema: whether its type is a union. */
function unionsOf(text: string): Map<string, boolean> {
  try {
    const { fields = [] } = JSON.parse(text) as { fields?: { name: string; type: unknown }[] }
    return new Map(fields.map(({ name, type }) => [name, Array.isArray(type)]))
  } catch {
    return new Map()
  }
}

function textOf(
  { table: key, fields }: TableSchema,
  chosen: readonly AvroField[],
  name: 'Key' | 'Value',
  { namespace, table }: AvroNames,
): string {
  const taken = new Map<string, string>()
  const parts = chosen.map(({ index, isUnion, nullBranch }) => {
    const field = fields[index]
    if (field === undefined) throw new RangeError(`a table has no column ${index}`)
    const told = avroName(field.name)
    const other = taken.get(told)
    if (other !== undefined) throw sameName(key, other, field.name, told)
    taken.set(told, field.name)
    const type = typeText(field.type)
    const union = nullBranch === 0 ? `["null",${type}]` : `[${type},"null"]`
    const value = name === 'Key' ? null : defaultOf(field)
    const byDefault = value ?? (isUnion ? 'null' : null)
    const doc = told === field.name ? '' : `,"doc":${JSON.stringify(field.name)}`
    const tail = byDefault === null ? '' : `,"default":${byDefault}`
    return `{"name":"${told}","type":${isUnion ? union : type}${doc}${tail}}`
  })
  const within = `${avroName(namespace)}.${avroName(table)}`
  return `{"type":"record","name":"${name}","namespace":"${within}","fields":[${parts.join()}]}`
}

function sameName(table: string, left: string, right: string, told: string): PipelineError {
  const message = `table "${table}": columns "${left}" and "${right}" would both be "${told}"`
  return new PipelineError('DDL_UNMAPPABLE', message, {
    detail: 'Names of Avro and Protobuf have letters of ASCII, digits and `_`.',
    hint: 'Give one of them another name by `transform`.',
  })
}

function typeText(type: ColumnType): string {
  if (type.kind === 'list') return `{"type":"array","items":["null",${typeText(type.element)}]}`
  return primitiveText(type)
}

function primitiveText(type: PrimitiveType): string {
  switch (type.kind) {
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'string':
      return `"${type.kind}"`
    case 'binary':
      return '"bytes"'
    case 'decimal': {
      const { precision, scale } = type
      const digits = `"precision":${precision},"scale":${scale}`
      return `{"type":"bytes","logicalType":"decimal",${digits}}`
    }
    case 'date':
      return '{"type":"int","logicalType":"date"}'
    case 'time':
      return '{"type":"long","logicalType":"time-micros"}'
    case 'timestamp':
      return '{"type":"long","logicalType":"local-timestamp-micros"}'
    case 'timestamptz':
      return '{"type":"long","logicalType":"timestamp-micros"}'
    case 'uuid':
      return '{"type":"string","logicalType":"uuid"}'
  }
}

function hasDefault(field: Field): boolean {
  return defaultOf(field) !== null
}

/** @returns what rows of before the column hold, as JSON; `null`: null, or Avro has no text of it */
function defaultOf({ type, initialDefault: value }: Field): string | null {
  if (value === null) return null
  switch (type.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : null
    case 'int':
    case 'long':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return typeof value === 'bigint' || typeof value === 'number' ? String(value) : null
    case 'float':
    case 'double':
      return typeof value === 'number' && Number.isFinite(value) ? numberText(value) : null
    case 'string':
      return typeof value === 'string' ? JSON.stringify(value) : null
    case 'decimal':
      return typeof value === 'bigint' ? decimalText(value) : null
    case 'binary':
      return binaryText(value)
    default:
      return null
  }
}

function numberText(value: number): string {
  return Object.is(value, -0) ? '-0.0' : String(value)
}

function binaryText(value: Literal): string | null {
  return value instanceof Uint8Array ? latin1(value) : null
}

function decimalText(value: bigint): string {
  const { bytes, start, end } = unscaledBytes(BigInt.asIntN(64, value), value >> 64n)
  return latin1(bytes.subarray(start, end))
}

/** Bytes of a default are the code points from 0 to 255. */
function latin1(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString('latin1'))
}
