// Which columns an Avro type gives. Records within records become `a.b`; what has no column type of
// its own (maps, lists of records, unions of several types, recursion) becomes JSON text, whole.

import type { ColumnType, PrimitiveType } from '../../../runtime/data/type.ts'
import { AvroSchemaFault, type AvroField, type AvroFixed } from './schema.ts'
import type { AvroPrimitive, AvroRecord, AvroType } from './schema.ts'

/** Names in a path; what lies deeper is JSON. */
export const PATH_LENGTH_MAX = 8

/** Paths under which one column may be known; a schema with more aliases is a mistake. */
const ALIASES_MAX = 64

/** A type that is used again and again within others multiplies its columns. */
const COLUMNS_MAX = 10_000

/** Digits that the lake's decimals have; longer ones are text. */
export const PRECISION_MAX = 38

/** A column as one schema has it. */
export interface Leaf {
  /** `a.b`: names joined by dots, of which an Avro name has none. */
  readonly path: string
  /** Paths that the schema says it had before. */
  readonly aliases: readonly string[]
  readonly type: ColumnType
  readonly nullable: boolean
  readonly sourceType: string
  readonly doc: string | null
}

/** A type without the null that may stand beside it in a union. */
export interface Unwrapped {
  readonly type: AvroType
  /** Branches of the union; 0: it is none. */
  readonly branches: number
  /** Index of null among them; -1: none. */
  readonly nullBranch: number
}

/** A union of null and one type is that type; one of several types stays a union. */
export function unwrap(type: AvroType): Unwrapped {
  if (type.kind !== 'union') return { type, branches: 0, nullBranch: -1 }
  const nullBranch = type.branches.findIndex(({ kind }) => kind === 'null')
  const [only, ...others] = type.branches.filter(({ kind }) => kind !== 'null')
  const branches = type.branches.length
  if (only === undefined) return { type: { kind: 'null', logical: null }, branches, nullBranch }
  return others.length > 0
    ? { type, branches: 0, nullBranch }
    : { type: only, branches, nullBranch }
}

/** What a decoder reads, in the order of the bytes. */
export type Node =
  | (Unwrapped & { readonly kind: 'leaf'; readonly leaf: number })
  | (Unwrapped & { readonly kind: 'record'; readonly nodes: readonly Node[] })
  /** No bytes but those of the union that it may stand in. */
  | (Unwrapped & { readonly kind: 'null' })

export interface Shape {
  readonly root: Node
  readonly leaves: readonly Leaf[]
}

interface Place {
  readonly path: string
  readonly aliases: readonly string[]
  /** Names in `path`. */
  readonly length: number
  readonly nullable: boolean
  readonly doc: string | null
}

/**
 * @param name  of the only column of a schema that is no record
 * @throws AvroSchemaFault
 */
export function shapeOf(schema: AvroType, name: string): Shape {
  const leaves: Leaf[] = []
  const visit = (written: AvroType, place: Place): Node => {
    const unwrapped = unwrap(written)
    const { type, nullBranch } = unwrapped
    if (type.kind === 'null') return { kind: 'null', ...unwrapped }
    const nullable = place.nullable || nullBranch >= 0
    if (type.kind === 'record' && isFlattened(type, place)) {
      const inner = { ...place, nullable }
      const nodes = type.fields.map((field) => visit(field.type, fieldPlace(field, inner)))
      return { kind: 'record', ...unwrapped, nodes }
    }
    if (leaves.length === COLUMNS_MAX) {
      throw new AvroSchemaFault(`it gives over ${COLUMNS_MAX} columns`)
    }
    const { path, aliases, doc } = place
    const sourceType = sourceTypeOf(type)
    leaves.push({ path, aliases, type: columnTypeOf(type), nullable, sourceType, doc })
    return { kind: 'leaf', ...unwrapped, leaf: leaves.length - 1 }
  }
  const { kind } = unwrap(schema).type
  const top = { aliases: [], nullable: false, doc: null }
  const place = kind === 'record' ? { path: '', length: 0 } : { path: name, length: 1 }
  return { root: visit(schema, { ...top, ...place }), leaves }
}

/** Whether the record's fields are columns of their own. */
function isFlattened(record: AvroRecord, { length }: Place): boolean {
  return length === 0 || (length < PATH_LENGTH_MAX && !isRecursive(record))
}

function fieldPlace(field: AvroField, { path, aliases, length, nullable }: Place): Place {
  const names = [field.name, ...field.aliases]
  const parents = length === 0 ? [''] : [path, ...aliases].map((parent) => `${parent}.`)
  const [own = '', ...others] = parents.flatMap((parent) => names.map((name) => parent + name))
  const known = { path: own, aliases: others.slice(0, ALIASES_MAX), doc: field.doc }
  return { ...known, length: length + 1, nullable }
}

const JSON_TEXT: ColumnType = { kind: 'string', json: true }

/** @param type  unwrapped, and no record whose fields are columns */
export function columnTypeOf(type: AvroType): ColumnType {
  if (type.kind !== 'array') return primitiveOf(type) ?? JSON_TEXT
  const element = primitiveOf(unwrap(type.items).type)
  return element === null ? JSON_TEXT : { kind: 'list', element }
}

function primitiveOf(type: AvroType): PrimitiveType | null {
  switch (type.kind) {
    case 'enum':
      return { kind: 'string' }
    case 'fixed':
      // Without bytes, any number of them fits into any record.
      return type.size === 0 ? null : scalarOf(type)
    case 'null':
    case 'array':
    case 'map':
    case 'union':
    case 'record':
      return null
    default:
      return scalarOf(type)
  }
}

function scalarOf({ kind, logical }: AvroPrimitive | AvroFixed): PrimitiveType | null {
  switch (logical?.kind) {
    case 'decimal': {
      const { precision, scale } = logical
      return precision > PRECISION_MAX ? { kind: 'string' } : { kind: 'decimal', precision, scale }
    }
    case 'uuid':
    case 'date':
      return { kind: logical.kind }
    case 'time-millis':
    case 'time-micros':
      return { kind: 'time' }
    case 'timestamp-millis':
    case 'timestamp-micros':
      return { kind: 'timestamptz' }
    case 'local-timestamp-millis':
    case 'local-timestamp-micros':
      return { kind: 'timestamp' }
    case undefined:
      break
  }
  switch (kind) {
    case 'bytes':
    case 'fixed':
      return { kind: 'binary' }
    case 'null':
      return null
    default:
      return { kind }
  }
}

/** The type in Avro's words, for messages and `discover`. */
function sourceTypeOf(type: AvroType): string {
  switch (type.kind) {
    case 'union':
      return `[${type.branches.map(sourceTypeOf).join(', ')}]`
    case 'array':
      return `array<${sourceTypeOf(type.items)}>`
    case 'map':
      return `map<${sourceTypeOf(type.values)}>`
    case 'record':
    case 'enum':
      return `${type.kind} ${type.name}`
    case 'fixed':
      return logicalText(`fixed(${type.size})`, type)
    default:
      return logicalText(type.kind, type)
  }
}

function logicalText(base: string, { logical }: AvroPrimitive | AvroFixed): string {
  if (logical === null) return base
  if (logical.kind !== 'decimal') return `${base} (${logical.kind})`
  return `${base} (decimal(${logical.precision}, ${logical.scale}))`
}

const recursive = new WeakMap<AvroRecord, boolean>()

/** Whether a record holds itself, at any depth. */
function isRecursive(record: AvroRecord): boolean {
  const known = recursive.get(record)
  if (known !== undefined) return known
  const seen = new Set<AvroType>()
  const reaches = (type: AvroType): boolean => {
    if (type === record) return true
    if (seen.has(type)) return false
    seen.add(type)
    return partsOf(type).some(reaches)
  }
  const found = partsOf(record).some(reaches)
  recursive.set(record, found)
  return found
}

function partsOf(type: AvroType): readonly AvroType[] {
  switch (type.kind) {
    case 'record':
      return type.fields.map((field) => field.type)
    case 'union':
      return type.branches
    case 'array':
      return [type.items]
    case 'map':
      return [type.values]
    default:
      return []
  }
}
