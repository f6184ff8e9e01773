// Rows of a time range as DuckDB reads them from the Parquet files that a table's metadata names:
// nothing of Millrace takes part.

import { DuckDBInstance } from '@duckdb/node-api'
import { fileURLToPath } from 'node:url'
import { readLakeTable } from './deletion-vectors.ts'

/**
 * @param location  of the table's metadata
 * @param fromMs  times in [fromMs, toMs)
 * @returns rows as `id|who|page|microseconds`, sorted
 */
export async function lakeRows(location: string, fromMs: number, toMs: number): Promise<string[]> {
  const { files } = await readLakeTable(location)
  if (files.length === 0) return []
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    const list = files.map(({ path }) => quoted(fileURLToPath(path))).join(', ')
    const text = `id || '|' || who || '|' || page || '|' || epoch_us(clicked_at)`
    const range = `epoch_ms(clicked_at) >= ${fromMs} AND epoch_ms(clicked_at) < ${toMs}`
    const sql = `SELECT ${text} FROM read_parquet([${list}], hive_partitioning = false) WHERE ${range}`
    const result = await connection.runAndReadAll(sql)
    return (result.getRowsJS() as string[][]).map(([row]) => row ?? '').toSorted()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
