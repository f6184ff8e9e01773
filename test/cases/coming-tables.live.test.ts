// Tables that come and go while nobody looks, or that nobody can take in: what is there is in the
// lake, and what is not is said.
import { expect } from 'vitest'
import { expectEqual, onEach } from './each-server.ts'

onEach('a table that was gone comes back, whether anybody looked or not', async (scene) => {
  const { pipeline, run } = scene
  await run('CREATE TABLE stays (id int PRIMARY KEY)')
  for (const table of ['seen', 'unseen']) {
    await run(`CREATE TABLE ${table} (id int PRIMARY KEY, v varchar(20))`)
    await run(`INSERT INTO ${table} VALUES (1, 'old'), (2, 'old')`)
  }
  await pipeline.once()
  await run('DROP TABLE seen')
  const child = pipeline.start()
  await pipeline.until(
    'the table is gone',
    async () =>
      ((await pipeline.checkpoint())?.source.tables ?? []).some(({ phase }) => phase === 'dropped'),
    { child },
  )
  await child.stop()
  await run('DROP TABLE unseen')
  for (const table of ['seen', 'unseen']) {
    await run(`CREATE TABLE ${table} (id int PRIMARY KEY, v varchar(20))`)
    await run(`INSERT INTO ${table} VALUES (2, 'new'), (3, 'new')`)
  }
  await pipeline.once()
  await run(`UPDATE seen SET v = 'newer' WHERE id = 3`)
  await pipeline.once()
  await expectEqual(scene, 'stays', 'seen', 'unseen')
})

onEach('a new table that cannot be taken in is named, and counts at the end', async (scene) => {
  const { pipeline, run, name } = scene
  await run('CREATE TABLE stays (id int PRIMARY KEY)')
  await run('CREATE TABLE goes (id int PRIMARY KEY)')
  const child = pipeline.start()
  await pipeline.untilStreaming(child)
  await run('CREATE TABLE keyless (v varchar(20))')
  await run(`INSERT INTO keyless VALUES ('a row')`)
  await pipeline.until('it is named', () => child.output().includes(name('keyless')), { child })
  expect(child.output()).toContain('MR-2008')
  await child.stop()
  const once = await pipeline.command(['run', pipeline.file, '--once'])
  expect(once.code, once.stdout).toBe(4)
  expect(once.stderr).toContain(name('keyless'))
  await run('DROP TABLE keyless')
  await pipeline.once()
  await expectEqual(scene, 'stays')
  // Neither does one that has gone answer for another of its name.
  await run('DROP TABLE goes')
  await pipeline.once()
  await run('CREATE TABLE goes (v varchar(20))')
  const again = await pipeline.command(['run', pipeline.file, '--once'])
  expect(again.code, again.stdout).toBe(4)
  expect(again.stderr).toContain(name('goes'))
})

onEach(
  '--once brings a table that was made before it and has no rows in the log',
  async (scene) => {
    const { pipeline, run } = scene
    await run('CREATE TABLE first (id int PRIMARY KEY)')
    await pipeline.once()
    for (let round = 0; round < 4; round++) {
      await run(`CREATE TABLE empty_${round} (id int PRIMARY KEY, v varchar(20))`)
      await run('ALTER TABLE first ADD COLUMN c' + round + ' int')
      await pipeline.once()
      const tables = (await pipeline.checkpoint())?.source.tables ?? []
      const there = tables.map(({ schema }) => schema)
      const [first] = there.filter(({ table }) => table.endsWith('.first'))
      expect(there.map(({ table }) => table)).toContain(scene.name(`empty_${round}`))
      expect(first?.fields.map(({ name }) => name)).toContain(`c${round}`)
    }
  },
)
