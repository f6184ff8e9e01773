// The lake that the readers' test reads: appends, deletion vectors replaced several times (a large
// blob before a small one), a file that loses its last row, DDL inside an epoch with defaults,
// widening, truncate, expiry, changelog.

import type { TableSchema } from '../../runtime/data/schema.ts'
import type { Cell } from '../readers/canonical.ts'
import { tableDump } from '../readers/canonical.ts'
import type { Lake, RowValues } from './lake.ts'
import { ORDERS, schemaOf } from './lake.ts'

/** What a reader must see in one snapshot. */
export interface Expectation {
  readonly what: string
  readonly table: string
  readonly snapshotId: bigint
  readonly columns: readonly string[]
  readonly rows: readonly string[]
}

const TEXT = { kind: 'string' } as const
const INT = { kind: 'int' } as const
const LONG = { kind: 'long' } as const

export async function buildReaderLake(lake: Lake): Promise<Expectation[]> {
  return [...(await upserts(lake)), ...(await evolution(lake)), ...(await changelog(lake))]
}

/** Rows of a table by file id, as the model; a deleted row is null. */
class Model {
  readonly expectations: Expectation[] = []
  readonly files = new Map<number, (RowValues | null)[]>()
  readonly #table: string

  constructor(table: string) {
    this.#table = table
  }

  delete(deletes: ReadonlyMap<number, readonly number[]>): void {
    for (const [fileId, positions] of deletes) {
      for (const position of positions) this.files.get(fileId)![position] = null
    }
  }

  expect(what: string, snapshotId: bigint | null, columns: readonly string[]): void {
    const rows = [...this.files.values()].flat().filter((row) => row !== null)
    const cells = rows.map((row) =>
      columns.map((name): Cell => {
        const value = row[name] ?? null
        return value === null ? null : String(value)
      }),
    )
    const dump = tableDump(this.#table, [...columns], cells)
    this.expectations.push({
      what,
      table: this.#table,
      snapshotId: snapshotId!,
      columns,
      rows: dump.rows,
    })
  }
}

async function upserts(lake: Lake): Promise<Expectation[]> {
  const { table } = ORDERS
  const model = new Model(table)
  const columns = ['id', 'name']
  const committer = lake.committer()
  const large = Array.from({ length: 3000 }, (_, id) => ({ id, name: `row ${id}` }))
  const small = Array.from({ length: 5 }, (_, id) => ({ id: 5000 + id, name: null }))
  const files = [await lake.file(ORDERS, large), await lake.file(ORDERS, small)]
  model.files.set(files[0]!.fileId, large)
  model.files.set(files[1]!.fileId, small)
  let [commit] = await lake.commit(committer, { table, schemas: [ORDERS], files })
  model.expect('first append', commit!.snapshotId, columns)

  const every = (step: number, start: number): number[] =>
    Array.from({ length: Math.ceil((3000 - start) / step) }, (_, index) => start + step * index)
  for (const [step, start] of [
    [2, 0],
    [3, 0],
    [5, 1],
    [7, 2],
  ] as const) {
    const deletes = new Map([
      [files[0]!.fileId, every(step, start)],
      [files[1]!.fileId, [start]],
    ])
    const rows = [
      { id: 10_000 + step, name: 'again' },
      { id: 20_000 + step, name: 'dead' },
    ]
    const more = await lake.file(ORDERS, rows)
    model.files.set(more.fileId, rows)
    // A row that dies in the epoch that wrote it: its file and its vector are of one commit.
    deletes.set(more.fileId, [1])
    ;[commit] = await lake.commit(committer, { table, files: [more], deletes: [deletes] })
    model.delete(deletes)
    model.expect(`vectors replaced, step ${step}`, commit!.snapshotId, columns)
  }
  const last = new Map([
    [files[1]!.fileId, [3, 4]],
    [files[0]!.fileId, [1]],
  ])
  ;[commit] = await lake.commit(committer, { table, deletes: [last] })
  model.delete(last)
  model.expect('a file without rows left', commit!.snapshotId, columns)
  const scanned = await lake.scan(table)
  if (scanned.files.some(({ fileId }) => fileId === files[1]!.fileId)) {
    throw new Error('the file without rows is still there')
  }
  ;[commit] = await lake.commit(committer, { table, truncated: true })
  model.files.clear()
  model.expect('truncate', commit!.snapshotId, columns)

  const after = [{ id: 1, name: 'after' }]
  const file = await lake.file(ORDERS, after)
  model.files.set(file.fileId, after)
  ;[commit] = await lake.commit(committer, { table, files: [file] })
  model.expect('rows after the truncate', commit!.snapshotId, columns)
  return model.expectations
}

/** add c default 5, rename c to d, drop d, add c text, widen id: field 3 lives and dies. */
function evolvingVersions(table: string): TableSchema[] {
  const id = ['id!', INT] as const
  const a = ['a', TEXT, 2] as const
  const c = ['c', TEXT, 4] as const
  const added = schemaOf(table, [id, a, ['c', INT, 3]], 1)
  const fields = added.fields.map((field) =>
    field.id === 3 ? { ...field, initialDefault: 5n } : field,
  )
  return [
    schemaOf(table, [id, a]),
    { ...added, fields },
    schemaOf(table, [id, a, ['d', INT, 3]], 2),
    { ...schemaOf(table, [id, a], 3), lastFieldId: 3 },
    schemaOf(table, [id, c, a], 4),
    schemaOf(table, [['id!', LONG], c, a], 5),
  ]
}

async function evolution(lake: Lake): Promise<Expectation[]> {
  const table = 'public.evolving'
  const model = new Model(table)
  const committer = lake.committer()
  const [v0, v1, ...later] = evolvingVersions(table) as [TableSchema, TableSchema, TableSchema]
  const v5 = later.at(-1)!
  const first = [
    { id: 1, a: 'one', c: null },
    { id: 2, a: 'two', c: null },
  ]
  const file0 = await lake.file(v0, first)
  model.files.set(file0.fileId, first)
  let [commit] = await lake.commit(committer, { table, schemas: [v0], files: [file0] })
  model.expect('version 0', commit!.snapshotId, ['id', 'a'])

  const byV0 = [{ id: 3, a: 'three' }]
  const byV1 = [
    { id: 4, a: 'four', c: 44 },
    { id: 5, a: 'fifth', c: 55 },
  ]
  const byV5 = [{ id: 9_000_000_000, c: 'text', a: 'five' }]
  const files = [await lake.file(v0, byV0), await lake.file(v1, byV1), await lake.file(v5, byV5)]
  const deletes = new Map([
    [file0.fileId, [1]],
    [files[1]!.fileId, [0]],
  ])
  ;[commit] = await lake.commit(committer, {
    table,
    schemas: [v1, ...later],
    files,
    deletes: [deletes],
  })
  const { metadata } = await lake.scan(table)
  const bySchema = new Map(
    metadata.snapshots.map(({ schemaId, snapshotId }) => [schemaId, snapshotId]),
  )
  model.files.set(files[0]!.fileId, byV0)
  model.files.set(files[1]!.fileId, byV1)
  // Intermediate snapshots hold what was written so far; the default shows in rows from before.
  for (const rows of [first, byV0]) for (const row of rows) Object.assign(row, { c: 5 })
  model.expect('version 1, with default', bySchema.get(1)!, ['id', 'a', 'c'])
  for (const rows of [first, byV0, byV1]) for (const row of rows) Object.assign(row, { c: null })
  model.delete(deletes)
  model.files.set(files[2]!.fileId, byV5)
  model.expect('version 5, a new column of an old name', commit!.snapshotId, ['id', 'c', 'a'])
  return model.expectations
}

async function changelog(lake: Lake): Promise<Expectation[]> {
  lake.mode = 'changelog'
  const table = 'public.changes'
  const schema = schemaOf(table, [['id!', LONG]], 0, 5)
  const model = new Model(table)
  const rows = [
    { id: 1, _op: 'c', _pos: '00', _ts: 1_700_000_000_000_000n, _tx: '7' },
    { id: 1, _op: 'd', _pos: '01', _ts: 1_700_000_000_000_001n, _tx: null },
  ]
  const file = await lake.file(schema, rows)
  model.files.set(file.fileId, rows)
  const [commit] = await lake.commit(lake.committer(), { table, schemas: [schema], files: [file] })
  model.expect('changelog', commit!.snapshotId, ['id', '_op', '_pos', '_ts', '_tx'])
  lake.mode = 'upsert'
  return model.expectations
}
