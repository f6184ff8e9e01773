// `plan` against what the run then does: the tables that it adds, keeps, parks and leaves are those
// that were named, with the changes of structure that were named.
import { existsSync } from 'node:fs'
import { expect } from 'vitest'
import { readLake } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { onEach, type Scene } from './each-server.ts'

interface Plan {
  readonly code: number | null
  readonly changes: boolean
  readonly epoch: number | null
  readonly refused: readonly { readonly code: string }[]
  readonly tables: readonly {
    readonly table: string
    readonly action: string
    readonly backfill: boolean
    readonly estimated_rows: number | null
    readonly notes: readonly { readonly message: string; readonly destructive: boolean }[]
  }[]
}

async function planned({ pipeline }: Scene): Promise<Plan> {
  const { code, stdout, stderr } = await pipeline.command(['plan', pipeline.file, '--json'])
  expect(stderr).toBe('')
  return { code, ...(JSON.parse(stdout) as Omit<Plan, 'code'>) }
}

function lines({ tables }: Plan): string[] {
  return tables.map(({ table, action, notes }) =>
    [table, action, ...notes.map((one) => `${one.destructive ? '!' : ''}${one.message}`)].join(
      ' | ',
    ),
  )
}

onEach('a plan names what the run then does', async (at) => {
  const { pipeline, name, run, postgres } = at
  for (const table of ['kept', 'altered', 'shaped', 'leaving']) {
    await run(`CREATE TABLE ${table} (id int PRIMARY KEY, a varchar(9), b int)`)
    await run(`INSERT INTO ${table} VALUES (1, 'x', 1), (2, 'y', 2)`)
  }
  const first = await planned(at)
  expect([first.code, first.epoch]).toEqual([10, null])
  expect(lines(first)).toEqual(
    ['altered', 'kept', 'leaving', 'shaped'].map((table) => `${name(table)} | ADD`),
  )
  expect(first.tables.every(({ backfill }) => backfill)).toBe(true)
  expect(existsSync(pipeline.state)).toBe(false)
  await pipeline.once()
  const nothing = await planned(at)
  expect([nothing.code, nothing.changes, nothing.refused]).toEqual([0, false, []])

  await run(`ALTER TABLE altered ADD COLUMN c int`)
  await run(`ALTER TABLE altered DROP COLUMN b`)
  await run(`CREATE TABLE fresh (id int PRIMARY KEY)`)
  await run(`INSERT INTO fresh VALUES (7)`)
  await edit(pipeline, (file) => {
    const transform = { from: name('shaped'), projection: 'id, upper(a) AS loud' }
    Object.assign(file, { transform: [transform] })
    Object.assign(file['source'] ?? {}, { tables_exclude: [name('leaving')] })
  })
  const second = await planned(at)
  expect(second.code).toBe(10)
  expect(lines(second)).toEqual([
    `${name('altered')} | KEEP | add column c | !drop column b`,
    `${name('fresh')} | ADD`,
    `${name('kept')} | KEEP`,
    `${name('leaving')} | REMOVE`,
    expect.stringMatching(
      RegExp(`^${name('shaped')} \\| KEEP \\| changed: the table parks until it is resynced`),
    ),
  ])
  await run(`INSERT INTO leaving VALUES (3, 'z', 3)`)
  const ran = await pipeline.command(['run', pipeline.file, '--once'])
  expect([ran.code, ran.stderr]).toEqual([4, expect.stringContaining(name('shaped'))])
  const tables = ['altered', 'fresh', 'kept', 'leaving'].map(name)
  const lake = await readLake(pipeline, tables, 'duckdb')
  expect(lake.map(({ columns, rows }) => [columns, rows.length])).toEqual([
    [['id', 'a', 'c'], 2],
    [['id'], 1],
    [['id', 'a', 'b'], 2],
    [['id', 'a', 'b'], 2],
  ])
  await pipeline.command(['resync', pipeline.file, '--table', name('shaped')])
  const third = await planned(at)
  expect(third.tables.find(({ table }) => table === name('shaped'))?.action).toBe('REBACKFILL')
  // What a changed file does beyond this has nothing to do with the server.
  if (!postgres) return
  await pipeline.once()
  expect((await planned(at)).changes).toBe(false)
  await edit(pipeline, (file) => {
    Object.assign(file, { route: [{ from: name('kept'), into: 'lake.kept' }] })
    Object.assign(file['sink'] ?? {}, { partition_by: { [name('altered')]: ['id'] } })
  })
  const refused = await planned(at)
  expect(refused.refused).toHaveLength(1)
  expect(lines(refused)[2]).toContain('| KEEP | changed: lake.kept is not the lake table so far')
  expect((await pipeline.command(['run', pipeline.file, '--once'])).code).not.toBe(0)
  await edit(pipeline, (file) => {
    Object.assign(file['sink'] ?? {}, { partition_by: {} })
  })
  await run(`INSERT INTO kept VALUES (5, 'z', 3)`)
  const parked = await pipeline.command(['run', pipeline.file, '--once'])
  expect([parked.code, parked.stderr]).toEqual([4, expect.stringContaining('lake.kept')])
})
