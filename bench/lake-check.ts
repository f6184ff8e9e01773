// Whether the lake has what the source has: a rate of rows that did not arrive is worth nothing.
// DuckDB reads the lake; both sides answer in text, so no conversion can hide a difference.

import { withDuckdb } from '../test/readers/duckdb.ts'

/** Counts and exact sums over the whole table, the same in both dialects. */
export const FINGERPRINT_COLUMNS = [
  'count(*)',
  'coalesce(sum(id), 0)',
  'coalesce(sum(customer), 0)',
  'coalesce(sum(amount), 0.00)',
  'count(note)',
  'count(updated)',
  'count(DISTINCT id)',
] as const

/**
 * @param metadataLocation  path of a metadata.json
 * @param wanted  aggregates as DuckDB writes them
 */
export async function lakeFingerprint(
  metadataLocation: string,
  wanted: readonly string[],
): Promise<string> {
  return withDuckdb(async (connection) => {
    const columns = wanted.map((column) => `(${column})::VARCHAR`)
    const text = columns.join(` || ' ' || `)
    const path = metadataLocation.replaceAll("'", "''")
    const result = await connection.runAndReadAll(`SELECT ${text} FROM iceberg_scan('${path}')`)
    const [row] = result.getRowsJS() as string[][]
    return row?.[0] ?? ''
  })
}

/** @throws Error naming both sides */
export function assertEqual(source: string, lake: string, wanted: readonly string[]): void {
  if (source === lake) return
  throw new Error(
    `the lake differs from the source (${wanted.join(', ')}):\n` +
      `source ${source}\nlake   ${lake}`,
  )
}
