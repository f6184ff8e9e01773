// The lake read back by readers that are not ours, and compared with the source over all columns.
import { readFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { expect } from 'vitest'
import { differenceOf, project, type RowDifference, type TableDump } from '../readers/canonical.ts'
import { readIcebergWithDuckdb } from '../readers/duckdb.ts'
import { readIcebergWithJava } from '../readers/java.ts'
import { readIcebergWithPyiceberg } from '../readers/pyiceberg.ts'
import { readMysqlSource, readPostgresSource } from '../readers/source.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import type { PostgresServer } from '../servers/postgres.ts'
import type { Pipeline } from './pipeline.ts'

export type Reader = 'duckdb' | 'pyiceberg' | 'java'

export const ALL_READERS: readonly Reader[] = ['duckdb', 'pyiceberg', 'java']

/** Path of each table's current metadata file, by `namespace.name`; {} before the first commit. */
export function metadataLocations(pipeline: Pipeline): Record<string, string> {
  let database
  try {
    database = new DatabaseSync(pipeline.catalog, { readOnly: true, timeout: 5000 })
  } catch {
    return {}
  }
  try {
    const rows = database
      .prepare(
        'SELECT table_namespace AS n, table_name AS t, metadata_location AS l FROM iceberg_tables',
      )
      .all()
    return Object.fromEntries(rows.map((row) => [`${row['n']}.${row['t']}`, String(row['l'])]))
  } finally {
    database.close()
  }
}

/** Tables of the lake in their current state. */
export async function readLake(
  pipeline: Pipeline,
  tables: readonly string[],
  reader: Reader,
): Promise<TableDump[]> {
  const request = { catalog: pipeline.catalog, tables: tables.map((table) => ({ table })) }
  if (reader === 'pyiceberg') return readIcebergWithPyiceberg(request)
  if (reader === 'java') return readIcebergWithJava(request)
  const locations = metadataLocations(pipeline)
  const dumps: TableDump[] = []
  for (const table of tables) {
    const location = locations[table]
    if (location === undefined) throw new Error(`the lake has no table ${table}`)
    dumps.push(await readIcebergWithDuckdb(location, { table }))
  }
  return dumps
}

export async function readSource(
  server: PostgresServer | MysqlServer,
  tables: readonly string[],
): Promise<TableDump[]> {
  const dumps: TableDump[] = []
  for (const table of tables) {
    dumps.push(
      'major' in server
        ? await readPostgresSource(server.uri(), table)
        : await readMysqlSource(server.uri(), table),
    )
  }
  return dumps
}

/** Fails with the rows that differ: all columns, as multisets, by each of the readers. */
export async function expectLakeEqualsSource(
  pipeline: Pipeline,
  server: PostgresServer | MysqlServer,
  tables: readonly string[],
  readers: readonly Reader[] = ALL_READERS,
): Promise<void> {
  const source = await readSource(server, tables)
  for (const reader of readers) {
    const lake = await readLake(pipeline, tables, reader)
    const differences: Record<string, RowDifference | string> = {}
    for (const [index, table] of tables.entries()) {
      const difference = differenceOfTables(source[index], lake[index])
      if (difference !== null) differences[`${reader}: ${table}`] = difference
    }
    expect(differences).toEqual({})
  }
}

/** Columns may stand in another order: the lake adds at the end where MySQL was told FIRST. */
function differenceOfTables(
  source: TableDump | undefined,
  lake: TableDump | undefined,
): RowDifference | string | null {
  if (source === undefined || lake === undefined) return 'not read'
  const names = (dump: TableDump): string => [...dump.columns].sort().join()
  if (names(source) !== names(lake)) return `columns ${names(lake)} instead of ${names(source)}`
  const difference = differenceOf(source, project(lake, source.columns), 5)
  return difference.missing.length + difference.extra.length > 0 ? difference : null
}

export interface LakeSnapshot {
  /** Decimal text: ids exceed what a double holds. */
  id: string
  parent: string | null
  sequence: number
  summary: Record<string, string>
}

export interface LakeMetadata {
  uuid: string
  /** From the oldest that is kept to the head of main, along the parents. */
  main: LakeSnapshot[]
  properties: Record<string, string>
  location: string
}

/** The snapshots of main, oldest first, as the table's own metadata file tells. */
export async function readMetadata(location: string): Promise<LakeMetadata> {
  const path = location.replace(/^file:\/\//, '')
  const text = await readFile(path, 'utf8')
  // Ids become text before they could become doubles.
  const exact = text.replaceAll(/("(?:[a-z-]*snapshot-id)"\s*:\s*)(-?\d+)/g, '$1"$2"')
  const json = JSON.parse(exact) as {
    'table-uuid': string
    'current-snapshot-id'?: string | null
    properties?: Record<string, string>
    snapshots?: Record<string, unknown>[]
  }
  const byId = new Map(
    (json.snapshots ?? []).map((snapshot) => [snapshot['snapshot-id'], snapshot]),
  )
  const main: LakeSnapshot[] = []
  let at = byId.get(json['current-snapshot-id'] ?? '')
  while (at !== undefined) {
    const parent = (at['parent-snapshot-id'] ?? null) as string | null
    main.unshift({
      id: String(at['snapshot-id']),
      parent,
      sequence: Number(at['sequence-number']),
      summary: at['summary'] as Record<string, string>,
    })
    at = parent === null ? undefined : byId.get(parent)
  }
  return { uuid: json['table-uuid'], main, properties: json.properties ?? {}, location }
}
