// Tables without a key, whose rows nothing tells apart: what is inserted while such a table is
// copied stands in the lake once, whether the chunk or the log brings it.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { readLake, readSource } from '../acceptance/lake.ts'
import { ALL_SERVERS, expectEqual, onEach, type Scene } from './each-server.ts'

const OLD_ROWS = 5000
const WRITERS = 4

/** Rows of 200 bytes, so that the copy takes a while; some stand there more than once. */
async function createVisits({ run, postgres }: Scene): Promise<void> {
  await run('CREATE TABLE visits (page int, note varchar(250))')
  if (postgres) await run('ALTER TABLE visits REPLICA IDENTITY FULL')
  for (let first = 0; first < OLD_ROWS; first += 1000) {
    const rows = Array.from(
      { length: 1000 },
      (_, at) => `(${(first + at) % 700}, REPEAT('o', 200))`,
    )
    await run(`INSERT INTO visits VALUES ${rows.join()}`)
  }
}

/** Inserts from several connections, with now and then one that is rolled back. */
function visiting({ open }: Scene): { end: () => Promise<void> } {
  const ending = new AbortController()
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    const session = await open()
    for (let round = 0; !ending.signal.aborted; round++) {
      const page = writer * 1_000_000 + round
      await session.execute('BEGIN')
      await session.execute(`INSERT INTO visits VALUES (${page}, 'new'), (${page}, 'new')`)
      await session.execute(round % 7 === 0 ? 'ROLLBACK' : 'COMMIT')
      await sleep(round % 5)
    }
    await session.close()
  })
  return {
    end: async () => {
      ending.abort()
      await Promise.all(writers)
    },
  }
}

onEach(
  'rows without a key that come while they are copied are appended once',
  async (scene) => {
    const { pipeline, name } = scene
    await createVisits(scene)
    let writers = visiting(scene)
    let child = pipeline.start()
    await pipeline.untilUp(child)
    await sleep(700)
    await child.kill()
    child = pipeline.start()
    await pipeline.untilStreaming(child)
    await writers.end()
    await child.stop()
    await pipeline.once()
    await expectEqual(scene, 'visits')
    writers = visiting(scene)
    child = pipeline.start()
    await pipeline.untilStreaming(child)
    const resync = ['resync', pipeline.file, '--table', name('visits')]
    const answer = await pipeline.command(resync)
    expect(answer.code, answer.stderr).toBe(0)
    await sleep(300)
    await pipeline.untilStreaming(child)
    await writers.end()
    await child.stop()
    await pipeline.once()
    await expectEqual(scene, 'visits')
  },
  { servers: ALL_SERVERS, pipeline: { mode: 'append' } },
)

function changeOne({ postgres }: Scene): string {
  return postgres
    ? `UPDATE visits SET note = 'changed' WHERE ctid = (SELECT max(ctid) FROM visits
        WHERE page = 300)`
    : `SET SESSION binlog_row_image = 'MINIMAL';
       UPDATE visits SET note = 'changed' WHERE page = 300 LIMIT 1`
}

onEach(
  'a changelog of a table without a key tells of each row once',
  async (scene) => {
    const { pipeline, server, run, name } = scene
    await createVisits(scene)
    const writers = visiting(scene)
    const child = pipeline.start()
    await pipeline.untilUp(child)
    for (let page = 0; page < 60; page++) {
      await run(`DELETE FROM visits WHERE page = ${page}`)
      await run(`UPDATE visits SET page = page + 100 WHERE page = ${page + 60}`)
      await sleep(10)
    }
    await pipeline.untilStreaming(child)
    // One of several rows that are the same.
    await run(changeOne(scene))
    await writers.end()
    await child.stop()
    await pipeline.once()
    const [source] = await readSource(server, [name('visits')])
    const [lake] = await readLake(pipeline, [name('visits')], 'duckdb')
    expect(remaining(lake?.columns ?? [], lake?.rows ?? [])).toEqual(
      [...(source?.rows ?? [])].sort(),
    )
  },
  { servers: ['postgres18', 'mariadb'], pipeline: { mode: 'changelog' } },
)

onEach(
  'a table that gets a key, or loses it, while it waits for its copy loses no row',
  async (scene) => {
    const { pipeline, server, run, open, name } = scene
    await run('CREATE TABLE other (id int PRIMARY KEY)')
    const child = pipeline.start()
    await pipeline.untilStreaming(child)
    // Tables that join now wait for it.
    const long = await open()
    await long.execute('BEGIN')
    await long.execute('INSERT INTO other VALUES (1)')
    await run(`CREATE TABLE gets (id int NOT NULL); ALTER TABLE gets REPLICA IDENTITY FULL;
      CREATE TABLE loses (id int PRIMARY KEY); ALTER TABLE loses REPLICA IDENTITY FULL`)
    const both = async (id: number): Promise<unknown> =>
      run(`INSERT INTO gets VALUES (${id}); INSERT INTO loses VALUES (${id})`)
    const known = async (count: number): Promise<boolean> =>
      ((await pipeline.checkpoint())?.source.tables ?? []).length === count
    await pipeline.until('the tables are known', async () => known(3), { child })
    let id = 0
    while (id < 20) await both(id++)
    await run('ALTER TABLE gets ADD PRIMARY KEY (id); ALTER TABLE loses DROP CONSTRAINT loses_pkey')
    while (id < 40) await both(id++)
    await long.execute('COMMIT')
    await long.close()
    const handedOver = async (): Promise<boolean> => {
      await both(id++)
      const tables = (await pipeline.checkpoint())?.source.tables ?? []
      return tables.every(({ phase }) => phase === 'streaming')
    }
    await pipeline.until('the tables are handed over', handedOver, { child })
    await child.stop()
    await pipeline.once()
    for (const table of ['gets', 'loses']) {
      const [source] = await readSource(server, [name(table)])
      const [lake] = await readLake(pipeline, [name(table)], 'duckdb')
      const at = lake?.columns.indexOf('id') ?? -1
      const ids = (lake?.rows ?? []).map((text) => JSON.stringify([(JSON.parse(text) as [])[at]]))
      expect([...new Set(ids)].sort()).toEqual([...(source?.rows ?? [])].sort())
    }
  },
  { servers: ['postgres18'], pipeline: { mode: 'changelog' } },
)

/** @returns what a reader has who adds the rows that came and takes away those that went, sorted */
function remaining(columns: readonly string[], rows: readonly string[]): string[] {
  const [op, page, note] = ['_op', 'page', 'note'].map((name) => columns.indexOf(name))
  const counts = new Map<string, number>()
  for (const text of rows) {
    const row = JSON.parse(text) as unknown[]
    const values = JSON.stringify([row[page ?? -1], row[note ?? -1]])
    const change = row[op ?? -1] === 'd' ? -1 : 1
    counts.set(values, (counts.get(values) ?? 0) + change)
  }
  return [...counts]
    .flatMap(([values, count]) => Array.from({ length: count }, () => values))
    .sort()
}
