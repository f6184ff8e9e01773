// The SQL of chunks. Keys go back to the server as the text that it printed, cast to the column's
// own type, and are compared only there: no collation is ever imitated here.

import { PipelineError } from '../../runtime/base/errors.ts'
import { quoteName, quoteText } from './connect.ts'
import { qualified } from './publication.ts'
import type { ShapeColumn, TableShape } from './shape.ts'
import { baseOf, type TypeLookup } from './types.ts'

export interface SelectParts {
  readonly shape: TableShape
  readonly lookup: TypeLookup
  /** Columns of the shape to select, in order. */
  readonly places: readonly number[]
  /** Attnums of the key, in index order; []: no order, no bounds. */
  readonly key: readonly number[]
  /** JSON array of key texts, exclusive; `null`: open. */
  readonly after: string | null
  /** JSON array of key texts, inclusive; `null`: open. */
  readonly until: string | null
  readonly limit: number | null
}

/** @returns a SELECT of the fields' columns in key order */
export function selectSql(parts: SelectParts): string {
  const { shape, lookup, places, key, after, until, limit } = parts
  const items = places.map((place) => selectItem(shape, place, lookup))
  const columns = key.map((attnum) => columnOf(shape, attnum))
  const names = columns.map(({ name }) => quoteName(name)).join(', ')
  const bounds = [
    ...(after === null ? [] : [`(${names}) > (${keyLiteral(columns, after, lookup)})`]),
    ...(until === null ? [] : [`(${names}) <= (${keyLiteral(columns, until, lookup)})`]),
  ]
  return [
    `SELECT ${items.join(', ')}`,
    `FROM ${tableSql(shape)}`,
    ...(bounds.length === 0 ? [] : [`WHERE ${bounds.join(' AND ')}`]),
    ...(key.length === 0 ? [] : [`ORDER BY ${names}`]),
    ...(limit === null ? [] : [`LIMIT ${limit}`]),
  ].join(' ')
}

/** Tables that inherit from this one are tables of their own in the log; partitions are not. */
export function tableSql({ kind, source }: TableShape): string {
  return kind === 'r' ? `ONLY ${qualified(source)}` : qualified(source)
}

function selectItem(shape: TableShape, place: number, lookup: TypeLookup): string {
  const column = shape.columns[place]
  if (column === undefined) throw new PipelineError('INTERNAL', `no column at ${place}`)
  const asText = shape.wires.get(column.attnum)?.asText === true
  return asText ? textSql(column, lookup) : quoteName(column.name)
}

/** The text that the log has for a value: of its type's own output function, not of a cast. */
export function textSql({ name, type }: ShapeColumn, lookup: TypeLookup): string {
  const output = lookup(type)?.output
  if (output === undefined) throw new PipelineError('SCHEMA_MOVED', `column "${name}" has no type`)
  return `textin(${output}(${quoteName(name)}))`
}

export function columnOf(shape: TableShape, attnum: number): ShapeColumn {
  const column = shape.columns.find((candidate) => candidate.attnum === attnum)
  if (column === undefined) throw new PipelineError('SCHEMA_MOVED', 'a key column is gone')
  return column
}

/**
 * The values of a key, as SQL. A domain's are of its base type: it may not allow values any more
 * that rows have, and may have a collation that differs from the column's.
 */
export function keyLiteral(
  columns: readonly ShapeColumn[],
  key: string,
  lookup: TypeLookup,
): string {
  const texts = JSON.parse(key) as readonly string[]
  return columns
    .map(({ type }, index) => {
      const base = baseOf(type, -1, lookup).type
      const { namespace, name } = base ?? { namespace: 'pg_catalog', name: 'text' }
      return `${quoteText(texts[index] ?? '')}::${qualified({ namespace, name })}`
    })
    .join(', ')
}
