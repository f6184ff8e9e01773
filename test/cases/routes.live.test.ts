// Tables under other names in the lake: every command finds them there.
import { existsSync } from 'node:fs'
import { expect } from 'vitest'
import { metadataLocations, readLake, readSource } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { differenceOf } from '../readers/canonical.ts'
import { onEach } from './each-server.ts'

onEach(
  'routed tables are written, verified and dropped under their names in the lake',
  async (at) => {
    const { pipeline, server, name, run } = at
    await run(`CREATE TABLE a (id int PRIMARY KEY, v varchar(20));
    CREATE TABLE b (id int PRIMARY KEY, v varchar(20));
    INSERT INTO a VALUES (1, 'one'), (2, 'two'); INSERT INTO b VALUES (1, 'b')`)
    const [namespace = ''] = name('a').split('.')
    await edit(pipeline, (file) => {
      const { source } = file
      if (source !== undefined) source['tables'] = [`${namespace}.*`]
      Object.assign(file, { route: [{ from: `${namespace}.a`, into: 'ods.the_a' }] })
    })
    await pipeline.once()
    await run(`UPDATE a SET v = 'uno' WHERE id = 1; DELETE FROM a WHERE id = 2;
    INSERT INTO a VALUES (3, 'three'); ALTER TABLE a ADD COLUMN w int; INSERT INTO b VALUES (2, 'c')`)
    await pipeline.once()
    for (const reader of ['duckdb', 'pyiceberg'] as const) {
      const lake = await readLake(pipeline, ['ods.the_a', name('b')], reader)
      const source = await readSource(server, [name('a'), name('b')])
      for (const [index, dump] of lake.entries()) {
        expect(differenceOf(source[index] ?? dump, dump, 5)).toMatchObject({
          missing: [],
          extra: [],
        })
        expect(dump.columns).toEqual(source[index]?.columns)
      }
    }
    expect((await pipeline.command(['verify', pipeline.file])).code).toBe(0)
    const one = ['resync', pipeline.file, '--table', name('a')]
    expect((await pipeline.command(one)).code).toBe(0)
    await pipeline.once()
    expect((await pipeline.command(['verify', pipeline.file])).code).toBe(0)
    expect(Object.keys(metadataLocations(pipeline)).sort()).toEqual(['ods.the_a', name('b')].sort())
    const places = Object.values(metadataLocations(pipeline)).map((uri) => new URL(uri).pathname)
    expect((await pipeline.command(['drop', pipeline.file, '--yes'])).code).toBe(0)
    expect(places.filter((place) => existsSync(place))).toEqual([])
  },
)

onEach('two tables that are routed to one are refused before a row is read', async (at) => {
  const { pipeline, name, run, postgres } = at
  await run('CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)')
  const [namespace = ''] = name('a').split('.')
  await edit(pipeline, (file) => {
    const { source } = file
    if (source !== undefined) source['tables'] = [`${namespace}.*`]
    Object.assign(file, { route: [{ from: `${namespace}.*`, into: 'ods.all' }] })
  })
  const refused = await pipeline.command(['run', pipeline.file, '--once'])
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('MR-4105')])
  const slots = 'SELECT count(*)::int AS slots FROM pg_replication_slots'
  if (postgres) expect(await run(slots)).toMatchObject([{ slots: 0 }])
})
