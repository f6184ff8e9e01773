// The SQL of a backfill: one page of a table in the order of its key's index, written so that the
// index is walked from the bound on. `(a, b) > (1, 2)` as a row comparison would scan the table.

import { present } from '../../../runtime/base/assert.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import { literalOf, parseBound, quoteName, type KeyPart } from './key.ts'

/** What the SQL needs to know about a table. */
export interface ChunkTable {
  readonly database: string
  readonly name: string
  /** In the order of the index; `null`: no key, so the table is one chunk. */
  readonly key: readonly KeyPart[] | null
  /** Name of the index of the key. */
  readonly index: string | null
}

export interface ChunkBounds {
  readonly after: string | null
  readonly until: string | null
}

/** @returns SELECT of the schema's columns of at most `limit` rows in (after, until] */
export function chunkSelect(
  table: ChunkTable,
  schema: TableSchema,
  bounds: ChunkBounds,
  limit: number,
): string {
  const columns = schema.fields.map(({ name }) => quoteName(name)).join(', ')
  return `SELECT ${columns} FROM ${pageSource(table, bounds)} LIMIT ${limit}`
}

/** @returns SELECT of the key of the row that is `offset` rows behind the bound */
export function hopSelect(
  table: ChunkTable,
  columns: readonly string[],
  bounds: ChunkBounds,
  offset: number,
): string {
  return `SELECT ${columns.join(', ')} FROM ${pageSource(table, bounds)} LIMIT 1 OFFSET ${offset}`
}

function pageSource(table: ChunkTable, bounds: ChunkBounds): string {
  const from = `${quoteName(table.database)}.${quoteName(table.name)}`
  if (table.key === null || table.index === null) return from
  const { key, index } = table
  const conditions = [
    ...(bounds.after === null ? [] : [behind(key, parseBound(bounds.after, key))]),
    ...(bounds.until === null ? [] : [upTo(key, parseBound(bounds.until, key))]),
  ]
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  const order = key.map(({ name }) => quoteName(name)).join(', ')
  return `${from} FORCE INDEX (${quoteName(index)})${where} ORDER BY ${order}`
}

/** (k1, k2) > (v1, v2). */
function behind(key: readonly KeyPart[], values: readonly string[]): string {
  return compare(key, values, '>', '>')
}

/** (k1, k2) <= (v1, v2). */
function upTo(key: readonly KeyPart[], values: readonly string[]): string {
  return compare(key, values, '<', '<=')
}

/**
 * `(k1 > v1) OR (k1 = v1 AND k2 > v2)`: each alternative is a range of the index. The shorter
 * `k1 >= v1 AND (k1 > v1 OR k2 > v2)` uses the first column only, and then every page of a table
 * with one frequent first value begins at that value's first row: 30,870 rows read for 1,000 here.
 */
function compare(
  key: readonly KeyPart[],
  values: readonly string[],
  strict: '<' | '>',
  last: '<=' | '>',
): string {
  const literals = key.map((part, at) =>
    literalOf(present(values[at], 'a bound has a value a key column'), part),
  )
  const names = key.map(({ name }) => quoteName(name))
  const alternatives = names.map((name, at) => {
    const operator = at === key.length - 1 ? last : strict
    const equal = names.slice(0, at).map((before, column) => `${before} = ${literals[column]}`)
    return `(${[...equal, `${name} ${operator} ${literals[at]}`].join(' AND ')})`
  })
  return `(${alternatives.join(' OR ')})`
}
