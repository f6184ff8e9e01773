// How large a table is, and where to cut it, by the server's statistics and a sample of its pages.

import type { Ask } from './catalog.ts'
import { columnOf, tableSql, textSql } from './chunk-sql.ts'
import { quoteName } from './connect.ts'
import { leavesSql } from './leaves.ts'
import type { TableShape } from './shape.ts'
import type { TypeLookup } from './types.ts'

/** Rows a piece that make cutting worth a sample. */
const PIECE_ROWS_MIN = 10_000
/** Rows of the sample for each piece; more would only make pieces more equal. */
const SAMPLE_ROWS = 100

const LEAF_ROWS = 'sum(CASE WHEN l.reltuples >= 0 THEN l.reltuples END)'

const ESTIMATE_SQL = `
SELECT c.oid::text AS oid, coalesce(CASE c.relkind WHEN 'p' THEN ${leavesSql(LEAF_ROWS)}
  ELSE c.reltuples END, -1)::float8 AS rows
FROM pg_class c WHERE c.oid = ANY($1::oid[])`

/** @returns rows by oid, of those tables that have been analyzed */
export async function estimateTables(
  ask: Ask,
  oids: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const rows = await ask(ESTIMATE_SQL, [oids])
  const known = rows.filter((row) => Number(row['rows']) >= 0)
  return new Map(known.map((row) => [Number(row['oid']), Math.round(Number(row['rows']))]))
}

/** @returns rows by the server's statistics; `null` before the first ANALYZE */
export async function estimateRows(ask: Ask, { oid }: TableShape): Promise<number | null> {
  return (await estimateTables(ask, [oid])).get(oid) ?? null
}

/** @returns keys as JSON arrays of texts, ascending in the order of the index */
export async function splitKeys(
  ask: Ask,
  shape: TableShape,
  lookup: TypeLookup,
  count: number,
): Promise<readonly string[]> {
  const rows = await estimateRows(ask, shape)
  const pieces = Math.min(count, Math.floor((rows ?? 0) / PIECE_ROWS_MIN))
  if (rows === null || pieces < 2 || shape.source.key === null) return []
  const columns = shape.source.key.map((attnum) => columnOf(shape, Number(attnum)))
  const names = columns.map(({ name }) => quoteName(name)).join(', ')
  const texts = columns.map((column, index) => `${textSql(column, lookup)} AS k${index}`)
  const percent = Math.min(100, (100 * pieces * SAMPLE_ROWS) / rows)
  const sampled = await ask(
    `SELECT ${texts.join(', ')} FROM (
       SELECT ${names}, row_number() OVER (ORDER BY ${names}) AS place, count(*) OVER () AS total
       FROM ${tableSql(shape)} TABLESAMPLE SYSTEM (${percent}) REPEATABLE (1)) s
     WHERE place % greatest(1, total / ${pieces}) = 0 ORDER BY ${names} LIMIT ${pieces - 1}`,
  )
  return sampled.map((row) => JSON.stringify(columns.map((_, index) => String(row[`k${index}`]))))
}
