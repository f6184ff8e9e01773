// The mapping of PostgreSQL's types to the types of the lake; TYPES.md is the same as a table. Log
// and backfill both read it, so that one value never has two forms.

import type { ColumnType, PrimitiveType } from '../../runtime/data/type.ts'

/** A row of pg_type, as far as the mapping asks. */
export interface PgType {
  readonly oid: number
  readonly namespace: string
  readonly name: string
  /** b base, d domain, e enum, c composite, r range, m multirange, p pseudo. */
  readonly typtype: string
  /** Domain: the type that it restricts, and its modifier. 0 otherwise. */
  readonly base: number
  readonly baseModifier: number
  /**
   * True arrays: the element type. 0 otherwise, also of int2vector and oidvector, which the server
   * counts among the arrays although their text is no array's.
   */
  readonly element: number
  /** Output function, quoted and qualified: the text form of any value. */
  readonly output: string
}

/** How a value lies in the wire's bytes; kernels are chosen by it and by the lake type. */
export type WireKind =
  | 'bool'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'oid'
  | 'float4'
  | 'float8'
  | 'numeric'
  | 'text'
  | 'jsonb'
  | 'bytea'
  | 'uuid'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'

export interface WireType {
  readonly kind: WireKind
  /** The value is an array of `kind`. */
  readonly list: boolean
  /** Backfill asks for the output function's text, because the binary form differs from it. */
  readonly asText: boolean
}

export type TypeMapping =
  | { readonly type: ColumnType; readonly wire: WireType; readonly note: string | null }
  | { readonly type: null; readonly note: string }

/** Looks a type up; `null`: the server has none with this oid (any more). */
export type TypeLookup = (oid: number) => PgType | null

const DECIMAL_DIGITS_MAX = 38

interface Scalar {
  readonly type: PrimitiveType
  readonly kind: WireKind
  readonly asText?: true
  readonly note?: string
}

const json = { kind: 'string', json: true } as const

/** Types of pg_catalog by name; numeric depends on its modifier. */
const scalars: Readonly<Record<string, Scalar>> = {
  bool: { type: { kind: 'boolean' }, kind: 'bool' },
  int2: { type: { kind: 'int' }, kind: 'int2' },
  int4: { type: { kind: 'int' }, kind: 'int4' },
  int8: { type: { kind: 'long' }, kind: 'int8' },
  oid: { type: { kind: 'long' }, kind: 'oid' },
  float4: { type: { kind: 'float' }, kind: 'float4' },
  float8: { type: { kind: 'double' }, kind: 'float8' },
  text: { type: { kind: 'string' }, kind: 'text' },
  varchar: { type: { kind: 'string' }, kind: 'text' },
  bpchar: { type: { kind: 'string' }, kind: 'text', note: 'padded with blanks to its length' },
  name: { type: { kind: 'string' }, kind: 'text' },
  xml: { type: { kind: 'string' }, kind: 'text', asText: true },
  json: { type: json, kind: 'text' },
  jsonb: { type: json, kind: 'jsonb', note: "the server's canonical text" },
  bytea: { type: { kind: 'binary' }, kind: 'bytea' },
  bit: { type: { kind: 'string' }, kind: 'text', asText: true, note: 'a string of 0 and 1' },
  varbit: { type: { kind: 'string' }, kind: 'text', asText: true, note: 'a string of 0 and 1' },
  uuid: { type: { kind: 'uuid' }, kind: 'uuid' },
  date: { type: { kind: 'date' }, kind: 'date' },
  time: { type: { kind: 'time' }, kind: 'time' },
  timestamp: { type: { kind: 'timestamp' }, kind: 'timestamp' },
  timestamptz: { type: { kind: 'timestamptz' }, kind: 'timestamptz' },
}

/** The canonical text of the server for a column that the user wants as text. */
const AS_TEXT: TypeMapping = {
  type: { kind: 'string' },
  wire: { kind: 'text', list: false, asText: true },
  note: "the server's text, as the configuration asks",
}

/**
 * @param modifier  atttypmod, -1 when there is none
 * @param asText  the user wants the text form, whatever the type is
 */
export function mapType(
  oid: number,
  modifier: number,
  lookup: TypeLookup,
  asText: boolean,
): TypeMapping {
  if (asText) return AS_TEXT
  const { type, modifier: ownModifier } = baseOf(oid, modifier, lookup)
  if (type === null) return { type: null, note: 'the server no longer knows this type' }
  if (type.element !== 0) return mapArray(type, ownModifier, lookup)
  return mapScalar(type, ownModifier)
}

/** Follows domains down to the type that they restrict. */
export function baseOf(
  oid: number,
  modifier: number,
  lookup: TypeLookup,
): { type: PgType | null; modifier: number } {
  let type = lookup(oid)
  let own = modifier
  while (type !== null && type.typtype === 'd') {
    if (own === -1) own = type.baseModifier
    type = lookup(type.base)
  }
  return { type, modifier: own }
}

function mapArray(array: PgType, modifier: number, lookup: TypeLookup): TypeMapping {
  // An array of a domain has its own element modifier; a plain array carries the element's.
  const element = baseOf(array.element, modifier, lookup)
  if (element.type === null || element.type.element !== 0) {
    return { type: null, note: `no list can hold ${array.name}` }
  }
  const mapped = mapScalar(element.type, element.modifier)
  if (mapped.type === null) return mapped
  return {
    type: { kind: 'list', element: mapped.type as PrimitiveType },
    wire: { kind: mapped.wire.kind, list: true, asText: true },
    note: 'one dimension, first index 1',
  }
}

function mapScalar(type: PgType, modifier: number): TypeMapping {
  if (type.typtype === 'e') {
    return { type: { kind: 'string' }, wire: wireOf('text', false), note: 'the label' }
  }
  if (type.namespace === 'pg_catalog' && type.name === 'numeric') return mapNumeric(modifier)
  const scalar = type.namespace === 'pg_catalog' ? scalars[type.name] : undefined
  if (scalar !== undefined) {
    const wire = wireOf(scalar.kind, scalar.asText ?? false)
    return { type: scalar.type, wire, note: scalar.note ?? null }
  }
  // An extension may live in any schema; its base type is told by name.
  if (type.name === 'citext' && type.typtype === 'b') {
    return { type: { kind: 'string' }, wire: wireOf('text', false), note: null }
  }
  return { type: null, note: `no type of the lake can hold ${type.name}` }
}

function wireOf(kind: WireKind, asText: boolean): WireType {
  return { kind, list: false, asText }
}

/** numeric's modifier: precision in the upper half, scale in the lower 11 bits, plus 4. */
function mapNumeric(modifier: number): TypeMapping {
  const text = { type: { kind: 'string' }, wire: wireOf('text', true) } as const
  if (modifier < 4) return { ...text, note: 'numeric without a precision: canonical text' }
  const precision = ((modifier - 4) >> 16) & 0xffff
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024
  // A negative scale rounds to tens: all digits are before the point. One above the precision
  // means leading zeros behind the point, which count as digits in the lake.
  const digits = scale < 0 ? precision - scale : Math.max(precision, scale)
  if (digits > DECIMAL_DIGITS_MAX) return { ...text, note: 'more than 38 digits: canonical text' }
  return {
    type: { kind: 'decimal', precision: digits, scale: Math.max(0, scale) },
    wire: wireOf('numeric', false),
    note: null,
  }
}

/** @returns the type as the user declared it, for messages */
export function typeName(oid: number, modifier: number, lookup: TypeLookup): string {
  const type = lookup(oid)
  if (type === null) return `type ${oid}`
  const suffix = type.element === 0 ? '' : '[]'
  const base = type.element === 0 ? type : (lookup(type.element) ?? type)
  const qualified = base.namespace === 'pg_catalog' ? base.name : `${base.namespace}.${base.name}`
  if (base.name === 'numeric' && modifier >= 4) {
    const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024
    return `numeric(${((modifier - 4) >> 16) & 0xffff},${scale})${suffix}`
  }
  const length = modifier >= 4 && ['varchar', 'bpchar'].includes(base.name) ? modifier - 4 : null
  return length === null ? `${qualified}${suffix}` : `${qualified}(${length})${suffix}`
}
