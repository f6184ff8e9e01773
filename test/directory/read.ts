// A directory as its readers see it: DuckDB by folders, and by the manifests, which must agree once
// the pipeline rests.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Manifest } from '../../connectors/parquet/directory/manifest.ts'
import { withDuckdb } from '../readers/duckdb.ts'

export type Row = Record<string, string | null>

/** @param folder  of one table @returns all rows, every value as DuckDB's text */
export async function readFolder(folder: string): Promise<Row[]> {
  return query(`'${folder}/**/*.parquet'`)
}

async function query(files: string): Promise<Row[]> {
  return withDuckdb(async (connection) => {
    await connection.run("SET TimeZone = 'UTC'")
    const options = 'hive_partitioning = true, hive_types_autocast = false, union_by_name = true'
    const sql = `SELECT COLUMNS(*)::VARCHAR FROM read_parquet(${files}, ${options})`
    const result = await connection.runAndReadAll(sql)
    return result.getRowObjectsJS() as Row[]
  })
}

export async function manifestsOf(lake: string): Promise<Manifest[]> {
  const folder = join(lake, '_millrace/manifest')
  const manifests: Manifest[] = []
  for (const name of await readdir(folder)) {
    manifests.push(JSON.parse(await readFile(join(folder, name), 'utf8')) as Manifest)
  }
  return manifests.sort((left, right) => left.epoch - right.epoch)
}

/** Files that the manifests name and files that lie there are the same, and no other is left. */
export async function expectClean(lake: string): Promise<void> {
  const view = new Map<string, string[]>()
  let previous: number | null = null
  for (const manifest of await manifestsOf(lake)) {
    expect(manifest.previous).toBe(previous)
    previous = manifest.epoch
    for (const [table, { truncated, files }] of Object.entries(manifest.changes)) {
      const before = truncated ? [] : (view.get(table) ?? [])
      view.set(table, [...before, ...files.map(({ path }) => path)])
    }
  }
  const entries = await readdir(lake, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(lake.length + 1))
  const data = files.filter((path) => !path.startsWith('_millrace/') && !path.endsWith('_SUCCESS'))
  expect(data.sort()).toEqual([...view.values()].flat().sort())
  expect(files.filter((path) => /^_millrace\/(?:staged|publishing)/.test(path))).toEqual([])
}
