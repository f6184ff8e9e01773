// One lake with everything that a committer can write, read by Iceberg's Java library, pyiceberg
// and DuckDB: each must give the rows of the model, at the head and at every snapshot that has a
// cut.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { readIcebergWithDuckdb, withDuckdb } from '../readers/duckdb.ts'
import type { LakeDump } from '../readers/dump-file.ts'
import { readIcebergWithJava } from '../readers/java.ts'
import { readIcebergWithPyiceberg } from '../readers/pyiceberg.ts'
import { buildReaderLake, type Expectation } from './reader-lake.ts'
import { Lake, schemaOf, targetOf } from './lake.ts'

let lake: Lake
let expected: readonly Expectation[]

beforeAll(async () => {
  lake = await Lake.open()
  expected = await buildReaderLake(lake)
})

afterAll(async () => {
  await lake.close()
})

const requests = (): { catalog: string; catalogName: string; tables: object[] } => ({
  catalog: lake.catalogPath,
  catalogName: 'lake',
  tables: expected.map(({ table, snapshotId }) => ({ table, snapshot: snapshotId })),
})

function compare(dumps: readonly LakeDump[]): void {
  expect(dumps).toHaveLength(expected.length)
  for (const [index, { columns, rows, what }] of expected.entries()) {
    const dump = dumps[index]!
    expect({ what, columns: dump.columns, rows: dump.rows }).toEqual({ what, columns, rows })
  }
}

test('Iceberg Java reads every snapshot as the model has it', async () => {
  compare(await readIcebergWithJava(requests() as Parameters<typeof readIcebergWithJava>[0]))
})

test('pyiceberg reads every snapshot as the model has it', async () => {
  compare(
    await readIcebergWithPyiceberg(requests() as Parameters<typeof readIcebergWithPyiceberg>[0]),
  )
})

test('DuckDB reads every snapshot as the model has it', async () => {
  const dumps: LakeDump[] = []
  for (const { table, snapshotId } of expected) {
    const location = await lake.catalog.load(targetOf(table))
    const dump = await readIcebergWithDuckdb(location!, { snapshotId, table })
    dumps.push({ ...dump, snapshot: String(snapshotId) })
  }
  compare(dumps)
})

test('DuckDB, whose NaN is larger than every number, finds rows with it by predicates', async () => {
  const table = 'public.measures'
  const double = { kind: 'double' } as const
  const schema = schemaOf(table, [
    ['id!', { kind: 'long' }],
    ['value', double],
  ])
  const rows = [1.5, Number.NaN, -2].map((value, id) => ({ id, value }))
  const files = [await lake.file(schema, rows)]
  await lake.commit(lake.committer(), { table, schemas: [schema], files })
  const path = (await lake.catalog.load(targetOf(table)))!.replace('file://', '')
  const found = await withDuckdb(async (connection) => {
    const count = async (where: string): Promise<unknown> => {
      const sql = `SELECT count(*)::INT FROM iceberg_scan('${path}') WHERE ${where}`
      return (await connection.runAndReadAll(sql)).getRows()[0]?.[0]
    }
    const wheres = ["value = 'NaN'", "value >= 'NaN'", 'value > 1000', 'value < -1.5']
    return Promise.all(wheres.map(count))
  })
  expect(found).toEqual([1, 1, 1, 1])
})
