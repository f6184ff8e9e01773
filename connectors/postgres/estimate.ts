// How large a table is, and where to cut it, by the server's statistics and a sample of its pages.

import type { Ask } from './catalog.ts'
import { columnOf, tableSql, textSql } from './chunk-sql.ts'
import { quoteName } from './connect.ts'
import { leavesSql } from './leaves.ts'
import type { TableShape } from './shape.ts'
import type { TypeLookup } from './types.ts'

/** Rows a piece that make cutting worth a sample. */
const PIECE_ROWS_MIN = 10_000
/** Pages of the sample: halves differ by a few percent. */
const SAMPLE_PAGES = 256

/** What ANALYZE has found, or more that has come since; no lock of the table is waited for. */
const rowsOf = (table: string): string =>
  `greatest(${table}.reltuples, nullif(pg_stat_get_live_tuples(${table}.oid), 0))`

const LEAF_ROWS = `sum(CASE WHEN ${rowsOf('l')} >= 0 THEN ${rowsOf('l')} END)`

const ESTIMATE_SQL = `
SELECT c.oid::text AS oid, coalesce(CASE c.relkind WHEN 'p' THEN ${leavesSql(LEAF_ROWS)}
  ELSE ${rowsOf('c')} END, -1)::float8 AS rows
FROM pg_class c WHERE c.oid = ANY($1::oid[])`

/** @returns rows by oid, of those tables that the server has statistics of */
export async function estimateTables(
  ask: Ask,
  oids: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const rows = await ask(ESTIMATE_SQL, [oids])
  const known = rows.filter((row) => Number(row['rows']) >= 0)
  return new Map(known.map((row) => [Number(row['oid']), Math.round(Number(row['rows']))]))
}

/** @returns rows by the server's statistics; `null`: there are none */
export async function estimateRows(ask: Ask, { oid }: TableShape): Promise<number | null> {
  return (await estimateTables(ask, [oid])).get(oid) ?? null
}

const PAGES_SQL = `
SELECT (coalesce(CASE c.relkind WHEN 'p' THEN ${leavesSql('sum(pg_relation_size(l.oid))')}
  ELSE pg_relation_size(c.oid) END, 0) / current_setting('block_size')::int8)::float8 AS pages
FROM pg_class c WHERE c.oid = $1`

async function countPages(ask: Ask, { oid }: TableShape): Promise<number> {
  const [row] = await ask(PAGES_SQL, [oid])
  return Number(row?.['pages'] ?? 0)
}

/** Statistics may be old or missing; how many pages there are now the planner looks up itself. */
async function plannedRows(ask: Ask, shape: TableShape): Promise<number> {
  const [row] = await ask(`EXPLAIN (FORMAT JSON) SELECT FROM ${tableSql(shape)}`)
  const [explained] = (row?.['QUERY PLAN'] ?? []) as { Plan: { 'Plan Rows': number } }[]
  return explained?.Plan['Plan Rows'] ?? 0
}

/**
 * Waits for the table's lock as a SELECT does.
 *
 * @returns keys as JSON arrays of texts, ascending in the order of the index; fewer, or none, where
 *        the table is small
 */
export async function splitKeys(
  ask: Ask,
  shape: TableShape,
  lookup: TypeLookup,
  count: number,
): Promise<readonly string[]> {
  const pieces = Math.min(count, Math.floor((await plannedRows(ask, shape)) / PIECE_ROWS_MIN))
  if (pieces < 2 || shape.source.key === null) return []
  const columns = shape.source.key.map((attnum) => columnOf(shape, Number(attnum)))
  const names = columns.map(({ name }) => quoteName(name)).join(', ')
  const texts = columns.map((column, index) => `${textSql(column, lookup)} AS k${index}`)
  const percent = Math.min(100, (100 * SAMPLE_PAGES) / Math.max(1, await countPages(ask, shape)))
  const sampled = await ask(
    `SELECT ${texts.join(', ')} FROM (
       SELECT ${names}, row_number() OVER (ORDER BY ${names}) AS place, count(*) OVER () AS total
       FROM ${tableSql(shape)} TABLESAMPLE SYSTEM (${percent}) REPEATABLE (1)) s
     WHERE place % greatest(1, total / ${pieces}) = 0 ORDER BY ${names} LIMIT ${pieces - 1}`,
  )
  return sampled.map((row) => JSON.stringify(columns.map((_, index) => String(row[`k${index}`]))))
}
