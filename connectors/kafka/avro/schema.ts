// Reads the text of an Avro schema into types. Names are resolved here, so that a type refers to
// the very object that defines it, recursive ones too; what the specification lets a reader ignore
// (an unknown logical type, or one on the wrong base) is ignored here, once.
// Source: Apache Avro specification 1.12, https://avro.apache.org/docs/1.12.0/specification/

export type Logical =
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | {
      readonly kind:
        | 'uuid'
        | 'date'
        | 'time-millis'
        | 'time-micros'
        | 'timestamp-millis'
        | 'timestamp-micros'
        | 'local-timestamp-millis'
        | 'local-timestamp-micros'
    }

export type PrimitiveName =
  | 'null'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'bytes'
  | 'string'

export interface AvroPrimitive {
  readonly kind: PrimitiveName
  readonly logical: Logical | null
}

export interface AvroFixed {
  readonly kind: 'fixed'
  readonly name: string
  readonly size: number
  readonly logical: Logical | null
}

export interface AvroEnum {
  readonly kind: 'enum'
  readonly name: string
  readonly symbols: readonly string[]
}

export interface AvroArray {
  readonly kind: 'array'
  readonly items: AvroType
}

export interface AvroMap {
  readonly kind: 'map'
  readonly values: AvroType
}

export interface AvroUnion {
  readonly kind: 'union'
  readonly branches: readonly AvroType[]
}

export interface AvroField {
  readonly name: string
  readonly aliases: readonly string[]
  readonly doc: string | null
  readonly type: AvroType
}

export interface AvroRecord {
  readonly kind: 'record'
  readonly name: string
  /** In the order of the bytes. */
  readonly fields: readonly AvroField[]
}

export type AvroType =
  | AvroPrimitive
  | AvroFixed
  | AvroEnum
  | AvroArray
  | AvroMap
  | AvroUnion
  | AvroRecord

/** The text is no Avro schema; the message says where it is not. */
export class AvroSchemaFault extends Error {
  override readonly name = 'AvroSchemaFault'
}

/** Definitions within definitions; deeper ones are an attack on the stack. */
const DEPTH_MAX = 200

const PRIMITIVES: ReadonlySet<string> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * @param references  texts of the schemas that `text` refers to, each behind those that it needs
 * @throws AvroSchemaFault
 */
export function parseAvroSchema(text: string, references: readonly string[] = []): AvroType {
  const parser = new SchemaParser()
  for (const reference of references) parser.read(reference)
  return parser.read(text)
}

type Json = Readonly<Record<string, unknown>>

class SchemaParser {
  /** By full name. */
  private readonly named = new Map<string, AvroType>()

  read(text: string): AvroType {
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      // The name of a primitive may stand without quotes.
      json = text.trim()
    }
    return this.parse(json, '', 0)
  }

  private parse(json: unknown, namespace: string, depth: number): AvroType {
    if (depth > DEPTH_MAX) throw new AvroSchemaFault(`its types are nested over ${DEPTH_MAX} deep`)
    if (typeof json === 'string') return this.find(json, namespace)
    if (Array.isArray(json)) return this.union(json, namespace, depth)
    if (typeof json !== 'object' || json === null) {
      throw new AvroSchemaFault(`${JSON.stringify(json)} stands where a type is expected`)
    }
    const definition = json as Json
    const { type } = definition
    switch (type) {
      case 'record':
      case 'error':
        return this.record(definition, namespace, depth)
      case 'enum':
        return this.enumeration(definition, namespace)
      case 'fixed':
        return this.fixed(definition, namespace)
      case 'array':
        return { kind: 'array', items: this.parse(definition['items'], namespace, depth + 1) }
      case 'map':
        return { kind: 'map', values: this.parse(definition['values'], namespace, depth + 1) }
      default:
        return withLogical(this.parse(type, namespace, depth + 1), definition)
    }
  }

  private find(name: string, namespace: string): AvroType {
    if (PRIMITIVES.has(name)) return { kind: name as PrimitiveName, logical: null }
    const own = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
    const found = this.named.get(own) ?? this.named.get(name)
    if (found === undefined) throw new AvroSchemaFault(`type "${name}" is not defined`)
    return found
  }

  private union(branches: readonly unknown[], namespace: string, depth: number): AvroUnion {
    const types = branches.map((branch) => this.parse(branch, namespace, depth + 1))
    if (types.some(({ kind }) => kind === 'union')) {
      throw new AvroSchemaFault('a union stands directly in a union')
    }
    if (types.filter(({ kind }) => kind === 'null').length > 1) {
      throw new AvroSchemaFault('a union has null twice')
    }
    return { kind: 'union', branches: types }
  }

  private record(json: Json, namespace: string, depth: number): AvroRecord {
    const name = fullName(json, namespace)
    const fields: AvroField[] = []
    const record: AvroRecord = { kind: 'record', name, fields }
    this.define(name, record)
    const inner = name.slice(0, Math.max(0, name.lastIndexOf('.')))
    const seen = new Set<string>()
    for (const entry of listOf(json['fields'], `the fields of "${name}"`)) {
      const field = (entry ?? {}) as Json
      const own = nameOf(field['name'], `a field of "${name}"`)
      if (seen.has(own)) throw new AvroSchemaFault(`"${name}" has the field "${own}" twice`)
      seen.add(own)
      fields.push({
        name: own,
        aliases: aliasesOf(field['aliases']),
        doc: typeof field['doc'] === 'string' ? field['doc'] : null,
        type: this.parse(field['type'], inner, depth + 1),
      })
    }
    return record
  }

  private enumeration(json: Json, namespace: string): AvroEnum {
    const name = fullName(json, namespace)
    const symbols = listOf(json['symbols'], `the symbols of "${name}"`).map((symbol) =>
      nameOf(symbol, `a symbol of "${name}"`),
    )
    const type: AvroEnum = { kind: 'enum', name, symbols }
    this.define(name, type)
    return type
  }

  private fixed(json: Json, namespace: string): AvroFixed {
    const name = fullName(json, namespace)
    const size = json['size']
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0) {
      throw new AvroSchemaFault(`the size of "${name}" is no whole number`)
    }
    const logical = logicalOf(json, 'fixed', size)
    const type: AvroFixed = { kind: 'fixed', name, size, logical }
    this.define(name, type)
    return type
  }

  private define(name: string, type: AvroType): void {
    if (this.named.has(name)) throw new AvroSchemaFault(`type "${name}" is defined twice`)
    this.named.set(name, type)
  }
}

function fullName(json: Json, enclosing: string): string {
  const name = json['name']
  if (typeof name !== 'string') throw new AvroSchemaFault('a type that needs a name has none')
  const parts = name.split('.')
  for (const part of parts) nameOf(part, `type "${name}"`)
  if (parts.length > 1) return name
  const written = json['namespace']
  const namespace = typeof written === 'string' ? written : enclosing
  return namespace === '' ? name : `${namespace}.${name}`
}

function nameOf(name: unknown, whose: string): string {
  if (typeof name === 'string' && NAME.test(name)) return name
  throw new AvroSchemaFault(`${whose} has the name ${JSON.stringify(name)}`)
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new AvroSchemaFault(`${what} are no list`)
}

function aliasesOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((alias) => typeof alias === 'string') : []
}

/** A logical type stands beside its base: `{ "type": "long", "logicalType": "timestamp-micros" }`. */
function withLogical(type: AvroType, json: Json): AvroType {
  if (!PRIMITIVES.has(type.kind) || (type as AvroPrimitive).logical !== null) return type
  const kind = type.kind as PrimitiveName
  const logical = logicalOf(json, kind, 0)
  return logical === null ? type : { kind, logical }
}

/** @param size  of a fixed, in bytes */
function logicalOf(json: Json, base: PrimitiveName | 'fixed', size: number): Logical | null {
  const kind = json['logicalType']
  switch (kind) {
    case 'decimal':
      return decimalOf(json, base, size)
    case 'uuid':
      return base === 'string' || (base === 'fixed' && size === 16) ? { kind } : null
    case 'date':
    case 'time-millis':
      return base === 'int' ? { kind } : null
    case 'time-micros':
    case 'timestamp-millis':
    case 'timestamp-micros':
    case 'local-timestamp-millis':
    case 'local-timestamp-micros':
      return base === 'long' ? { kind } : null
    default:
      return null
  }
}

function decimalOf(json: Json, base: PrimitiveName | 'fixed', size: number): Logical | null {
  const { precision, scale = 0 } = json
  if (base !== 'bytes' && base !== 'fixed') return null
  if (typeof precision !== 'number' || typeof scale !== 'number') return null
  if (!Number.isInteger(precision) || !Number.isInteger(scale)) return null
  if (precision < 1 || scale < 0 || scale > precision) return null
  // The largest number of digits that fits into `size` bytes with their sign.
  const digits = Math.floor(Math.log10(2) * (8 * size - 1))
  if (base === 'fixed' && precision > digits) return null
  return { kind: 'decimal', precision, scale }
}
