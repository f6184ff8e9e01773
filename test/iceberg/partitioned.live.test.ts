// Partitioned tables of every mode and transform, read by Iceberg's Java library, pyiceberg and
// DuckDB: each gives the rows that were written, and skips the partitions that a filter excludes.

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { tableDump, type Cell } from '../readers/canonical.ts'
import { readIcebergWithDuckdb } from '../readers/duckdb.ts'
import type { LakeDump } from '../readers/dump-file.ts'
import { readIcebergWithJava } from '../readers/java.ts'
import { planWithJava, planWithPyiceberg, type FilterRequest } from '../readers/plan-files.ts'
import { readIcebergWithPyiceberg } from '../readers/pyiceberg.ts'
import { field, schemaOf, type RowValues } from '../writer/batches.ts'
import { checkInvariants } from './invariants.ts'
import { javaCommit } from './java-engine.ts'
import { Lake, targetOf } from './lake.ts'
import { PartitionedTable } from './partitioned-table.ts'

const HOUR_US = 3_600_000_000n
const DAY_US = 24n * HOUR_US
/** What a path, a URI or a parser could take for something else. */
const TEXTS = ['a', '', 'a/b', '..', '%2F', 'x=1', 'ü 漢', ' lead', 'null', "it's", '+&?#', '😀y']

const columns = ['id', 'ts', 'dt', 's', 'd', 'n', 'flag', 'tm']
function schema(table: string, wide = false): TableSchema {
  return schemaOf(table, wide ? 1 : 0, [
    field(5, 'id', { kind: 'long' }, { nullable: false }),
    field(6, 'ts', { kind: 'timestamptz' }),
    field(7, 'dt', { kind: 'date' }),
    field(8, 's', { kind: 'string' }),
    field(9, 'd', { kind: 'decimal', precision: wide ? 20 : 9, scale: 2 }),
    field(10, 'n', { kind: wide ? 'long' : 'int' }),
    field(11, 'flag', { kind: 'boolean' }),
    field(12, 'tm', { kind: 'time' }),
  ])
}

/** Every seventh value is null; times lie on both sides of 1970. */
function rowsOf(from: number, count: number, wide = false): RowValues[] {
  return Array.from({ length: count }, (_, at): RowValues => {
    const id = from + at
    const some = <T>(value: T, step: number): T | undefined =>
      (id + step) % 7 === 0 ? undefined : value
    return {
      id: BigInt(id),
      ts: some(BigInt(id - 20) * 7n * HOUR_US - 1n, 1),
      dt: some((id - 20) * 40, 2),
      s: some(TEXTS[id % TEXTS.length], 3),
      d: some(BigInt(id - 20) * 333n, 4),
      n: some(wide ? BigInt(id - 20) * 1_000_000_000_000n : (id - 20) * 3, 5),
      flag: some(id % 2 === 0, 6),
      tm: some(BigInt(id) * 61_000_001n, 0),
    }
  })
}

function cellOf(name: string, value: RowValues[string]): Cell {
  if (value === undefined) return null
  if (name !== 'd') return String(value)
  const digits = String((value as bigint) < 0n ? -(value as bigint) : value).padStart(3, '0')
  return `${(value as bigint) < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`
}

interface Case {
  readonly fields: readonly string[]
  readonly filters: readonly Omit<FilterRequest, 'table'>[]
  /** Rows that the first filter, and so on, selects. */
  readonly selects: readonly ((row: RowValues) => boolean)[]
}

const equal = (column: string, value: string): Omit<FilterRequest, 'table'> => {
  return { column, operation: '=', value }
}
const isNull = (column: string): Omit<FilterRequest, 'table'> => {
  return { column, operation: 'null', value: '' }
}

const CASES: readonly Case[] = [
  {
    fields: ['day(ts)', 's'],
    filters: [
      { column: 'ts', operation: '>=', value: '1970-01-03T00:00:00+00:00' },
      { column: 'ts', operation: '<', value: '1969-12-31T00:00:00+00:00' },
      equal('s', 'a/b'),
      equal('s', ''),
      isNull('s'),
      isNull('ts'),
    ],
    selects: [
      ({ ts }) => ts !== undefined && (ts as bigint) >= 2n * DAY_US,
      ({ ts }) => ts !== undefined && (ts as bigint) < -DAY_US,
      ({ s }) => s === 'a/b',
      ({ s }) => s === '',
      ({ s }) => s === undefined,
      ({ ts }) => ts === undefined,
    ],
  },
  {
    fields: ['hour(ts)'],
    filters: [{ column: 'ts', operation: '<', value: '1970-01-01T00:00:00+00:00' }],
    selects: [({ ts }) => ts !== undefined && (ts as bigint) < 0n],
  },
  {
    fields: ['month(dt)', 'flag'],
    filters: [{ column: 'dt', operation: '>=', value: '1971-01-01' }, equal('flag', 'true')],
    selects: [({ dt }) => dt !== undefined && (dt as number) >= 365, ({ flag }) => flag === true],
  },
  {
    fields: ['year(ts)', 'bucket[8](id)', 'truncate[2](s)'],
    filters: [equal('id', '5'), equal('s', 'ü 漢')],
    selects: [({ id }) => id === 5n, ({ s }) => s === 'ü 漢'],
  },
  {
    fields: ['d', 'truncate[10](n)'],
    filters: [equal('d', '-3.33'), { column: 'n', operation: '<', value: '-20' }],
    selects: [({ d }) => d === -333n, ({ n }) => n !== undefined && Number(n) < -20],
  },
  { fields: ['dt', 'void(s)'], filters: [isNull('dt')], selects: [({ dt }) => dt === undefined] },
  { fields: ['tm', 'bucket[4](d)', 'truncate[100](d)'], filters: [], selects: [] },
]

let lake: Lake
const tables: PartitionedTable[] = []
const append = CASES.map((_, index) => `part.append_${index}`)

beforeAll(async () => {
  lake = await Lake.open()
  for (const [index, { fields }] of CASES.entries()) {
    const table = await PartitionedTable.open(lake, 'append', schema(append[index]!), fields)
    tables.push(table)
    table.hidesMetrics = true
    await table.put(rowsOf(0, 25))
    await table.commit()
    await table.put(rowsOf(25, 15))
    await table.commit()
  }
  await upserts()
  await changelog()
  await rewrittenByJava()
}, 240_000)

/** Another engine writes the manifests anew, in its own spelling; ours go on from there. */
async function rewrittenByJava(): Promise<void> {
  for (const table of tables) {
    if (table.table !== 'part.upsert' && table.table !== append[0] && table.table !== append[6])
      continue
    await javaCommit(lake, table.table, 'rewrite-manifests')
    await table.put(rowsOf(35, 8, table.table === 'part.upsert'))
    expect((await table.commit()).outcome).toBe('committed')
  }
}

/** Rows change partitions, die, and come again; structures grow; manifests are joined. */
async function upserts(): Promise<void> {
  const name = 'part.upsert'
  const fields = ['day(ts)', 'truncate[10](n)', 'd']
  const table = await PartitionedTable.open(lake, 'upsert', schema(name), fields)
  tables.push(table)
  await table.put(rowsOf(0, 40))
  await table.commit()
  const moved = rowsOf(0, 40).map((row) => ({ ...row, ts: 5n * DAY_US }))
  await table.put(moved.filter((_, at) => at % 3 === 0))
  await table.remove([1n, 2n, 4n])
  await table.commit()
  // Two changes of one key in a batch, to different partitions.
  await table.put([{ ...moved[7]!, ts: 0n }, { ...moved[7]!, ts: -1n }, moved[8]!])
  await table.commit()
  await table.evolve(schema(name, true))
  await table.put(rowsOf(30, 20, true))
  await table.commit()
  for (let round = 0; round < 20; round++) {
    await table.put(rowsOf(60 + round, 1, true))
    await table.put([{ ...rowsOf(30, 1, true)[0]!, ts: BigInt(round) * DAY_US }])
    await table.commit()
  }
  expect(await checkInvariants(lake, name)).toMatchObject({
    defaultSpecId: 0,
    lastPartitionId: 1002,
  })
}

async function changelog(): Promise<void> {
  const table = await PartitionedTable.open(lake, 'changelog', schema('part.changes'), [
    '_op',
    'dt',
  ])
  tables.push(table)
  await table.put(rowsOf(0, 20))
  await table.commit()
}

afterAll(async () => {
  for (const table of tables) await table.close()
  await lake.close()
})

function expectedOf(table: PartitionedTable): readonly string[] {
  const rows = table.rows.map((row) => columns.map((name) => cellOf(name, row[name])))
  return tableDump('', [...columns], rows).rows
}

function compare(dumps: readonly LakeDump[]): void {
  expect(dumps).toHaveLength(tables.length)
  for (const [index, table] of tables.entries()) {
    const { rows, columns: found } = dumps[index]!
    const own = rows.map((row) =>
      JSON.stringify((JSON.parse(row) as Cell[]).slice(0, columns.length)),
    )
    expect(found.slice(0, columns.length)).toEqual(columns)
    expect({ table: table.table, rows: own.toSorted() }).toEqual({
      table: table.table,
      rows: expectedOf(table),
    })
  }
}

const request = (): Parameters<typeof readIcebergWithJava>[0] => ({
  catalog: lake.catalogPath,
  catalogName: 'lake',
  tables: tables.map(({ table }) => ({ table })),
})

test('Iceberg Java reads every row of partitioned tables', { timeout: 120_000 }, async () => {
  compare(await readIcebergWithJava(request()))
})

test('pyiceberg reads every row of partitioned tables', { timeout: 120_000 }, async () => {
  compare(await readIcebergWithPyiceberg(request()))
})

test('DuckDB reads every row of partitioned tables', { timeout: 120_000 }, async () => {
  const dumps: LakeDump[] = []
  for (const { table } of tables) {
    const location = await lake.catalog.load(targetOf(table))
    dumps.push({ ...(await readIcebergWithDuckdb(location!, { table })), snapshot: null })
  }
  compare(dumps)
})

const filters = CASES.flatMap(({ filters, selects }, index) =>
  filters.map((filter, at) => ({
    request: { table: append[index]!, ...filter },
    selects: selects[at]!,
  })),
)

/** Files that may hold a match are read, and many others are not. */
async function comparePlans(plans: readonly string[][]): Promise<void> {
  expect(plans).toHaveLength(filters.length)
  for (const [index, { request, selects }] of filters.entries()) {
    const { files } = await lake.scan(request.table)
    const matching = tables
      .find(({ table }) => table === request.table)!
      .rows.filter(selects).length
    const planned = plans[index]!
    const rows = files
      .filter(({ uri }) => planned.includes(uri))
      .reduce((sum, f) => sum + f.rows, 0)
    const what = JSON.stringify(request)
    expect(matching, what).toBeGreaterThan(0)
    expect(rows, what).toBeGreaterThanOrEqual(matching)
    expect(planned.length, what).toBeLessThan(files.length * 0.7)
  }
}

test('Iceberg Java skips the partitions that a filter excludes', { timeout: 120_000 }, async () => {
  await comparePlans(
    await planWithJava(
      lake.catalogPath,
      filters.map(({ request }) => request),
    ),
  )
})

test('pyiceberg skips the partitions that a filter excludes', { timeout: 120_000 }, async () => {
  await comparePlans(
    await planWithPyiceberg(
      lake.catalogPath,
      filters.map(({ request }) => request),
    ),
  )
})
