// Partition transforms by name: what a pipeline file says, what the lake's metadata says, which
// types each takes and gives. `day` and its kin count in UTC, whatever zone a value was written in.
// Source: Apache Iceberg specification, "Partition Transforms".

import type { ColumnType, PrimitiveType } from '../type.ts'

export type Transform =
  | { readonly kind: 'identity' | 'void' | TimeUnit }
  /** Hash of the value modulo `buckets`, 1 or more. */
  | { readonly kind: 'bucket'; readonly buckets: number }
  /** Numbers down to a multiple of `width`, 1 or more; text and bytes to their first `width`. */
  | { readonly kind: 'truncate'; readonly width: number }

export type TimeUnit = 'year' | 'month' | 'day' | 'hour'

/** A field of a partitioning as somebody writes it, such as `bucket[16](id)`. */
export interface PartitionField {
  readonly column: string
  readonly transform: Transform
}

/** What is wrong with a field, as the end of a sentence that begins with its text. */
export class TransformFault {
  readonly message: string
  /** A name that may have been meant wrongly, for whoever knows how to find the nearest one. */
  readonly unknown: string | null

  constructor(message: string, unknown: string | null = null) {
    this.message = message
    this.unknown = unknown
  }
}

/** Of Iceberg and of Spark's SQL. */
const NAMES: Readonly<Record<string, Transform['kind']>> = {
  identity: 'identity',
  bucket: 'bucket',
  truncate: 'truncate',
  year: 'year',
  years: 'year',
  month: 'month',
  months: 'month',
  day: 'day',
  days: 'day',
  date: 'day',
  hour: 'hour',
  hours: 'hour',
  date_hour: 'hour',
  void: 'void',
}
export const TRANSFORM_NAMES: readonly string[] = [
  'day',
  'hour',
  'month',
  'year',
  'bucket',
  'truncate',
  'identity',
  'void',
]

const PARAMETER_MAX = 0x7fff_ffff
const PARAMETER = /^\d{1,10}$/
const CALL = /^(\w+)\s*(?:\[\s*(\d+)\s*\])?\s*\((.*)\)$/s
const BARE = /^[^()[\]]+$/

/**
 * Reads `day(ts)`, `bucket[16](id)`, `bucket(16, id)`, `id`; a column name in double quotes may
 * hold anything.
 */
export function parsePartitionField(text: string): PartitionField | TransformFault {
  const written = text.trim()
  const quoted = unquoted(written)
  if (quoted !== null) return { column: quoted, transform: { kind: 'identity' } }
  const call = CALL.exec(written)
  if (call === null) {
    if (BARE.test(written)) return { column: written, transform: { kind: 'identity' } }
    return new TransformFault('is neither a column nor a transform such as day(ts)')
  }
  const [, name = '', bracket, inside = ''] = call
  const kind = NAMES[name.toLowerCase()]
  if (kind === undefined) return new TransformFault(`has no transform "${name}"`, name)
  return withArguments(kind, bracket ?? null, inside)
}

function withArguments(
  kind: Transform['kind'],
  bracket: string | null,
  inside: string,
): PartitionField | TransformFault {
  const takesNumber = kind === 'bucket' || kind === 'truncate'
  const { number, rest } = takesNumber && bracket === null ? splitNumber(inside) : NO_NUMBER(inside)
  const column = unquoted(rest.trim()) ?? rest.trim()
  if (column === '') return new TransformFault('names no column')
  if (!takesNumber) {
    if (bracket === null) return { column, transform: { kind } }
    return new TransformFault(`gives ${kind} a number, which it does not take`)
  }
  const parameter = Number(bracket ?? number ?? 0)
  if (parameter < 1 || parameter > PARAMETER_MAX) {
    const wanted = `needs a whole number from 1 on, as in ${kind}[16](${column})`
    return new TransformFault(wanted)
  }
  const transform: Transform =
    kind === 'bucket' ? { kind, buckets: parameter } : { kind, width: parameter }
  return { column, transform }
}

const NO_NUMBER = (inside: string): { number: string | null; rest: string } => ({
  number: null,
  rest: inside,
})

/** Spark has the number first, others behind the column. */
function splitNumber(inside: string): { number: string | null; rest: string } {
  const comma = inside.indexOf(',')
  const first = inside.slice(0, Math.max(0, comma)).trim()
  if (PARAMETER.test(first)) return { number: first, rest: inside.slice(comma + 1) }
  const lastComma = inside.lastIndexOf(',')
  const last = inside.slice(lastComma + 1).trim()
  if (lastComma < 0 || !PARAMETER.test(last)) return NO_NUMBER(inside)
  return { number: last, rest: inside.slice(0, lastComma) }
}

/** @returns the name in double quotes, `""` for a quote in it; `null`: there are none */
function unquoted(text: string): string | null {
  const match = /^"((?:[^"]|"")+)"$/.exec(text)
  return match?.[1]?.replaceAll('""', '"') ?? null
}

/** @returns the name in the lake's metadata: `bucket[16]`, `day` */
export function formatTransform(transform: Transform): string {
  switch (transform.kind) {
    case 'bucket':
      return `bucket[${transform.buckets}]`
    case 'truncate':
      return `truncate[${transform.width}]`
    default:
      return transform.kind
  }
}

/** @returns the transform of a name in the lake's metadata; `null`: not one of these */
export function parseTransform(name: string): Transform | null {
  const parsed = parsePartitionField(`${name}(c)`)
  if (parsed instanceof TransformFault) return null
  return formatTransform(parsed.transform) === name ? parsed.transform : null
}

/**
 * @param type  of the source column
 * @returns why it cannot be partitioned so, as the end of "column x of type t ..."; `null`: it can
 */
export function transformFault(transform: Transform, type: ColumnType): string | null {
  switch (transform.kind) {
    case 'void':
      return type.kind === 'list' ? 'holds lists, which no partition can be made of' : null
    case 'identity':
      // Readers disagree on the order of UUIDs and on what NaN and -0 equal: one would skip files
      // that hold its rows.
      if (type.kind === 'list') return 'holds lists, which no partition can be made of'
      if (type.kind === 'float' || type.kind === 'double') return 'has no exact values to part by'
      return type.kind === 'uuid' ? 'is as good as unique: take bucket[16] of it' : null
    case 'bucket':
      return BUCKET_KINDS.has(type.kind) ? null : 'cannot be put into buckets'
    case 'truncate':
      return TRUNCATE_KINDS.has(type.kind) ? null : 'cannot be truncated'
    case 'hour':
      return isTimestamp(type) ? null : 'has no hours'
    default:
      return isTimestamp(type) || type.kind === 'date' ? null : `has no ${transform.kind}s`
  }
}

const BUCKET_KINDS: ReadonlySet<ColumnType['kind']> = new Set([
  'int',
  'long',
  'decimal',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
  'uuid',
  'binary',
])
const TRUNCATE_KINDS: ReadonlySet<ColumnType['kind']> = new Set([
  'int',
  'long',
  'decimal',
  'string',
  'binary',
])

function isTimestamp({ kind }: ColumnType): boolean {
  return kind === 'timestamp' || kind === 'timestamptz'
}

/** @returns the type of the partition values that `transform` makes of values of `source` */
export function resultTypeOf(transform: Transform, source: PrimitiveType): PrimitiveType {
  switch (transform.kind) {
    case 'bucket':
    case 'year':
    case 'month':
    case 'hour':
      return { kind: 'int' }
    case 'day':
      return { kind: 'date' }
    case 'identity':
    case 'truncate':
    case 'void':
      return source
  }
}
