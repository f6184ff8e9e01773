// The independent readers themselves: all of them must state one table in the same words.
import { readFile, rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { available } from '../servers/available.ts'
import { serverFolder } from '../servers/process.ts'
import { type Cell, differenceOf, project, tableDump } from './canonical.ts'
import { SERVICES } from './ask.ts'
import { readIcebergWithDuckdb, readParquetWithDuckdb, withDuckdb } from './duckdb.ts'
import { readIcebergWithJava } from './java.ts'
import { readParquetWithPyarrow } from './pyarrow.ts'
import { readIcebergWithPyiceberg } from './pyiceberg.ts'
import { filesBelow, runReaderScript } from './python.ts'

const TIMEOUT_MS = 600_000
const SAME = { missing: [], extra: [] }
const hasPython = await available('python')
const hasDuckdb = hasPython && (await available('duckdb'))
const hasJava = hasPython && (await available('java'))

// Column by column what every_type.py writes: the cells of its rows 1, 2 and 3.
const EXPECTED: Record<string, [Cell, Cell, Cell]> = {
  id: ['1', '2', '3'],
  flag: ['true', 'false', null],
  small: ['-2147483648', '2147483647', null],
  large: ['-9223372036854775808', '9223372036854775807', null],
  single: ['3dcccccd', '80000000', 'NaN'],
  number: ['3fb999999999999a', 'fff0000000000000', 'NaN'],
  price: ['1.50', '-0.07', null],
  huge: ['99999999999999999999999999999999999999', '0', null],
  tiny: ['0.0000000001', '0.0000000000', null],
  day: ['-1', '2932896', null],
  clock: ['1', '86399999999', null],
  local: ['-1', '-62135596800000000', null],
  instant: ['5', '253402214400000000', null],
  text: ['ü "quoted"\n\u2028', '', null],
  key: ['00000000-0000-0000-0000-0000000000ff', 'ffffffff-ffff-ffff-ffff-ffffffffffff', null],
  bytes: ['00ff', '', null],
  mark: ['010203', '000000', null],
  numbers: [['1', null, '3'], [], null],
  words: [['a', null], [''], null],
  moments: [['86400000000'], [null], null],
  singles: [['3fc00000', null], [], null],
}

const columns = Object.keys(EXPECTED)
const rowOf = (index: number): Cell[] => columns.map((name) => EXPECTED[name]?.[index] ?? null)
const expected = tableDump('lake.every_type', columns, [rowOf(0), rowOf(1), rowOf(2)])

let folder = ''
let catalog = ''

beforeAll(async () => {
  if (!hasPython) return
  folder = await serverFolder('readers')
  catalog = join(folder, 'catalog.db')
  await runReaderScript('every_type.py', [folder])
}, TIMEOUT_MS)

afterAll(async () => rm(folder, { recursive: true, force: true }))

test.skipIf(!hasPython)(
  'pyiceberg states every type canonically',
  { timeout: TIMEOUT_MS },
  async () => {
    const [table, empty] = await readIcebergWithPyiceberg({ catalog })
    expect(table).toMatchObject({ table: 'lake.every_type', columns, rows: expected.rows })
    expect(empty).toEqual({
      table: 'lake.never_written',
      snapshot: null,
      columns: ['id'],
      rows: [],
    })
  },
)

test.skipIf(!hasJava)(
  'Iceberg Java states every type canonically',
  { timeout: TIMEOUT_MS },
  async () => {
    const [table, empty] = await readIcebergWithJava({ catalog })
    expect(table).toMatchObject({ table: 'lake.every_type', columns, rows: expected.rows })
    expect(empty).toEqual({
      table: 'lake.never_written',
      snapshot: null,
      columns: ['id'],
      rows: [],
    })
  },
)

test.skipIf(!hasDuckdb)(
  'DuckDB states every type canonically',
  { timeout: TIMEOUT_MS },
  async () => {
    const table = await readIcebergWithDuckdb(metadataOf('every_type'), {
      table: 'lake.every_type',
    })
    expect(table).toEqual(expected)
  },
)

test.skipIf(!hasJava || !hasDuckdb)(
  'all readers agree on an older snapshot',
  { timeout: TIMEOUT_MS },
  async () => {
    const snapshot = await firstSnapshot()
    const request = { catalog, tables: [{ table: 'lake.every_type', snapshot }] }
    const first = tableDump('first', columns, [rowOf(0)])
    const [python] = await readIcebergWithPyiceberg(request)
    const [java] = await readIcebergWithJava(request)
    const duckdb = await readIcebergWithDuckdb(metadataOf('every_type'), { snapshotId: snapshot })
    expect(python?.snapshot).toBe(snapshot)
    expect(java?.snapshot).toBe(snapshot)
    for (const read of [python, java, duckdb]) expect(differenceOf(first, read!)).toEqual(SAME)
  },
)

test.skipIf(!hasDuckdb)(
  'DuckDB and pyarrow read the same rows from Parquet files',
  { timeout: TIMEOUT_MS },
  async () => {
    const files = await filesBelow(join(folder, 'lake'), '.parquet')
    const arrow = await readParquetWithPyarrow(files)
    const duckdb = await Promise.all(files.map((file) => readParquetWithDuckdb(file)))
    const union = tableDump(
      'union',
      columns,
      arrow.flatMap(({ rows }) => rows.map((row) => JSON.parse(row) as Cell[])),
    )
    // A fixed or uuid column of a bare file is bytes for one reader and typed for the other.
    const plain = columns.filter((name) => name !== 'key')
    expect(differenceOf(project(expected, plain), project(union, plain))).toEqual(SAME)
    for (const [index, dump] of duckdb.entries()) {
      const same = differenceOf(project(arrow[index]!, plain), project(dump, plain))
      expect(same).toEqual(SAME)
    }
  },
)

test.skipIf(!hasDuckdb)('a read with DuckDB leaves nothing to the next one', async () => {
  const state = async (): Promise<unknown> =>
    withDuckdb(async (connection) => {
      const tables = 'FROM duckdb_tables() WHERE database_name = current_database()'
      const sql = `SELECT current_setting('TimeZone') AS zone,
        current_setting('enable_external_file_cache') AS cache,
        (SELECT count(*) ${tables}) AS tables`
      const before = (await connection.runAndReadAll(sql)).getRowObjectsJS()
      await connection.run("SET TimeZone = 'Asia/Tokyo'; CREATE TABLE lake AS SELECT 1 AS id")
      return before
    })
  const first = await state()
  expect(first).toMatchObject([{ tables: 0n, cache: false }])
  const together = await Promise.all([state(), state()])
  expect(together).toEqual([first, first])
})

test.skipIf(!hasJava)(
  'a reader says why it fails, whether it stays or not, and reads the next table',
  { timeout: TIMEOUT_MS },
  async () => {
    const wrong = { catalog, tables: [{ table: 'lake.nowhere' }] }
    const right = { catalog, tables: [{ table: 'lake.every_type' }] }
    for (const stays of [true, false]) {
      for (const name of Object.values(SERVICES)) {
        if (stays) expect(process.env[name]).toBeDefined()
        else vi.stubEnv(name, undefined)
      }
      for (const read of [readIcebergWithPyiceberg, readIcebergWithJava]) {
        await expect(read(wrong)).rejects.toThrow(/ended with 1\n[^]*NoSuchTable/)
        const [dump] = await read(right)
        expect(differenceOf(expected, dump!)).toEqual(SAME)
      }
    }
    vi.unstubAllEnvs()
  },
)

function metadataOf(table: string): string {
  const database = new DatabaseSync(catalog, { readOnly: true })
  const sql = 'SELECT metadata_location AS at FROM iceberg_tables WHERE table_name = ?'
  const row = database.prepare(sql).get(table)
  database.close()
  return String(row?.['at'])
}

/** By its text in the metadata, for a double does not hold the id. */
async function firstSnapshot(): Promise<string> {
  const text = await readFile(metadataOf('every_type').replace('file://', ''), 'utf8')
  const log = text.slice(text.indexOf('"snapshot-log"'))
  return /"snapshot-id":\s*(\d+)/.exec(log)?.[1] ?? ''
}
