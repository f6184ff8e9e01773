// Tables that come and go while nobody looks: what is there is in the lake.
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
