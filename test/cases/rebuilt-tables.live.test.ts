// Tables that come back as something else: with another key, or with the structure of an epoch
// that parked them.
import { expect } from 'vitest'
import { expectEqual, onEach, type Scene } from './each-server.ts'

async function resync({ pipeline, name }: Scene, table: string): Promise<void> {
  const exit = await pipeline.command(['resync', pipeline.file, '--table', name(table)])
  expect(exit.code, exit.stderr).toBe(0)
}

onEach('a table that is made anew with another key has that key', async (scene) => {
  const { pipeline, run } = scene
  await run('CREATE TABLE k (a int PRIMARY KEY, b varchar(20) NOT NULL)')
  await run(`INSERT INTO k VALUES (1, 'x'), (2, 'y')`)
  await pipeline.once()
  await run('DROP TABLE k')
  await run('CREATE TABLE k (a int NOT NULL, b varchar(20) NOT NULL PRIMARY KEY)')
  await run(`INSERT INTO k VALUES (7, 'one'), (7, 'two'), (7, 'three')`)
  await pipeline.once()
  await expectEqual(scene, 'k')
  await run(`UPDATE k SET a = 8 WHERE b = 'two'`)
  await run(`DELETE FROM k WHERE b = 'three'`)
  await pipeline.once()
  await expectEqual(scene, 'k')
})

onEach('a table whose key changed parks, and comes back by resync with the new one', async (at) => {
  const { pipeline, run, postgres } = at
  await run('CREATE TABLE k (a int, b int NOT NULL, c varchar(20), PRIMARY KEY (a))')
  await run(`INSERT INTO k VALUES (1, 10, 'x'), (2, 20, 'y')`)
  await pipeline.once()
  if (postgres) {
    await run('ALTER TABLE k DROP CONSTRAINT k_pkey')
    await run('ALTER TABLE k ADD PRIMARY KEY (b, a)')
  } else await run('ALTER TABLE k DROP PRIMARY KEY, ADD PRIMARY KEY (b, a)')
  await run(`INSERT INTO k VALUES (1, 11, 'one'), (1, 12, 'two')`)
  const parked = await pipeline.command(['run', pipeline.file, '--once'])
  expect(parked.code, parked.stdout).toBe(4)
  expect(parked.stderr).toContain('MR-3007')
  await resync(at, 'k')
  await pipeline.once()
  await expectEqual(at, 'k')
  await run(`UPDATE k SET c = 'later' WHERE a = 1`)
  await run(`DELETE FROM k WHERE b = 12`)
  await pipeline.once()
  await expectEqual(at, 'k')
})

onEach('a table that loses its key parks, and comes back by resync with another', async (scene) => {
  const { pipeline, run, postgres } = scene
  await run('CREATE TABLE k (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a))')
  await run('INSERT INTO k VALUES (1, 10), (2, 20)')
  await pipeline.once()
  await run(`ALTER TABLE k DROP ${postgres ? 'CONSTRAINT k_pkey' : 'PRIMARY KEY'}`)
  await run('INSERT INTO k VALUES (1, 30)')
  expect((await pipeline.command(['run', pipeline.file, '--once'])).code).toBe(4)
  await run('ALTER TABLE k ADD PRIMARY KEY (b)')
  await run('INSERT INTO k VALUES (1, 40)')
  expect((await pipeline.command(['run', pipeline.file, '--once'])).code).toBe(4)
  await resync(scene, 'k')
  await pipeline.once()
  await expectEqual(scene, 'k')
})

onEach('the structure of an epoch that parked its table is there after its repair', async (at) => {
  const { pipeline, run, postgres } = at
  const bad = postgres ? `'infinity'` : `'0000-00-00'`
  const lenient = postgres ? '' : `SET sql_mode = ''; `
  await run('CREATE TABLE good (id int PRIMARY KEY)')
  await run('CREATE TABLE first (id int PRIMARY KEY, d date)')
  await run('CREATE TABLE later (id int PRIMARY KEY)')
  await run(`${lenient}INSERT INTO first VALUES (1, ${bad})`)
  await run('INSERT INTO later VALUES (1)')
  const child = pipeline.start()
  await pipeline.untilUp(child)
  const phase = async (table: string): Promise<string | undefined> =>
    (await pipeline.checkpoint())?.source.tables.find(
      ({ schema }) => schema.table === at.name(table),
    )?.phase
  const until = async (table: string, wanted: string): Promise<void> =>
    pipeline.until(`${table} is ${wanted}`, async () => (await phase(table)) === wanted, { child })
  await until('first', 'parked')
  await until('later', 'streaming')
  // The column and the value that parks the table arrive in one epoch.
  await run(`${lenient}ALTER TABLE later ADD COLUMN d date; INSERT INTO later VALUES (2, ${bad})`)
  await until('later', 'parked')
  for (const table of ['first', 'later']) {
    await run(`${lenient}UPDATE ${table} SET d = '2024-02-29' WHERE d = ${bad}`)
    await resync(at, table)
    await until(table, 'streaming')
    await run(`INSERT INTO ${table} VALUES (9, '2024-03-01')`)
  }
  await child.stop()
  await pipeline.once()
  await expectEqual(at, 'good', 'first', 'later')
})

onEach('a resync of a table that is well keeps its fields and parks nothing', async (scene) => {
  const { pipeline, run } = scene
  await run('CREATE TABLE k (a int PRIMARY KEY, b varchar(20))')
  await run(`INSERT INTO k VALUES (1, 'x'), (2, 'y')`)
  await pipeline.once()
  const fields = async (): Promise<unknown> =>
    (await pipeline.checkpoint())?.source.tables.map(({ schema }) => schema.fields)
  const before = await fields()
  await resync(scene, 'k')
  const { stdout, stderr } = await pipeline.once()
  expect(stdout + stderr).not.toContain('can no longer be written')
  expect(await fields()).toEqual(before)
  await expectEqual(scene, 'k')
})
