// Cuts a table into pieces of about equal size for readers that work side by side. The bounds are
// rows that the server named; a bad cut costs balance, never a row.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { WireClient } from '../wire/client.ts'
import { literalOf, quoteName, type KeyPart } from './key.ts'
import { hopSelect, type ChunkTable } from './select.ts'

/** Smaller tables are one piece: a chunk is faster than a cut. */
const ROWS_MIN = 20_000

/** Planning stops here; what is not cut by then is the last piece. */
const PLAN_MS_MAX = 5_000

/** A key column that holds this share of the numbers in its range is cut by value. */
const DENSITY_MIN = 0.3

type KeyedTable = ChunkTable & { readonly key: readonly KeyPart[] }

/**
 * @param rows   in the table, by the server's statistics
 * @param count  pieces wanted, at least 2
 * @returns upper bounds of all pieces but the last, in index order
 */
export async function splitTable(
  client: WireClient,
  table: KeyedTable,
  rows: number,
  count: number,
): Promise<readonly string[]> {
  if (rows < ROWS_MIN) return []
  const [first, ...others] = table.key
  if (first !== undefined && others.length === 0 && first.type.base.endsWith('int')) {
    const bounds = await splitByValue(client, table, first, rows, count)
    if (bounds !== null) return bounds
  }
  return splitByHops(client, table, rows, count)
}

/** For keys that count up: no row is looked at but the first and the last. */
async function splitByValue(
  client: WireClient,
  table: KeyedTable,
  { name }: KeyPart,
  rows: number,
  count: number,
): Promise<readonly string[] | null> {
  const column = quoteName(name)
  const from = `${quoteName(table.database)}.${quoteName(table.name)}`
  const [row] = await client.query(`SELECT MIN(${column}), MAX(${column}) FROM ${from}`)
  if (row?.[0] === null || row?.[0] === undefined || row[1] === null) return []
  const low = BigInt(row[0])
  const span = BigInt(row[1] ?? row[0]) - low
  if (Number(span) * DENSITY_MIN > rows) return null
  const bounds = Array.from({ length: count - 1 }, (_, at) =>
    JSON.stringify([String(low + (span * BigInt(at + 1)) / BigInt(count))]),
  )
  return [...new Set(bounds)]
}

/** Walks the index by `rows / count` entries at a time: right for any type, order and skew. */
async function splitByHops(
  client: WireClient,
  table: KeyedTable,
  rows: number,
  count: number,
): Promise<readonly string[]> {
  const step = Math.floor(rows / count)
  const columns = table.key.map(boundExpression)
  const bounds: string[] = []
  await client.query(limitSql(client, PLAN_MS_MAX))
  try {
    while (bounds.length < count - 1) {
      const range = { after: bounds.at(-1) ?? null, until: null }
      const [row] = await client.query(hopSelect(table, columns, range, step))
      if (row === undefined) break
      bounds.push(boundText(row, table.key))
    }
  } catch (error) {
    if (!isTimeout(error)) throw error
  } finally {
    await client.query(limitSql(client, 0))
  }
  return bounds
}

/** Both servers know their own name for it only. */
function limitSql({ mariadb }: WireClient, ms: number): string {
  return mariadb
    ? `SET SESSION max_statement_time = ${ms / 1000}`
    : `SET SESSION max_execution_time = ${ms}`
}

/** ER_STATEMENT_TIMEOUT of MariaDB, ER_QUERY_TIMEOUT of MySQL. */
function isTimeout(error: unknown): boolean {
  const cause = error instanceof PipelineError ? error.cause : error
  const { errno } = (cause ?? {}) as { errno?: number }
  return errno === 1969 || errno === 3024
}

/** The key column as the text that `literalOf` takes back. */
function boundExpression({ name, type }: KeyPart): string {
  const column = quoteName(name)
  switch (type.base) {
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
    case 'decimal':
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'year':
      return column
    case 'enum':
    case 'set':
    case 'bit':
      return `${column} + 0`
    // Shortest text that reads back as the same double, also for FLOAT.
    case 'float':
    case 'double':
      return `CAST(${column} AS DOUBLE)`
    case 'uuid':
      return `REPLACE(${column}, '-', '')`
    default:
      return type.charset === null ? `HEX(${column})` : `HEX(CONVERT(${column} USING utf8mb4))`
  }
}

function boundText(row: readonly (string | null)[], key: readonly KeyPart[]): string {
  const values = key.map((part, at) => {
    const value = (row[at] ?? '').toLowerCase()
    // A bound that cannot be written as a literal must not be planned with.
    literalOf(value, part)
    return value
  })
  return JSON.stringify(values)
}
