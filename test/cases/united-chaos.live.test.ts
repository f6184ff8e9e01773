// Tables that are one in the lake, copied while they change, by processes that are killed.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { Random } from '../workload/random.ts'
import { readLake } from '../acceptance/lake.ts'
import { onEach, type Scene } from './each-server.ts'
import { expectUnited, UNION, unite } from './united.ts'

const TABLES = ['o_0', 'o_1', 'o_2']
const ROWS = 400

async function fill({ run, postgres }: Scene): Promise<void> {
  for (const table of TABLES) {
    await run(`CREATE TABLE ${table} (id int PRIMARY KEY, v varchar(30), n int)`)
    const rows = Array.from({ length: ROWS }, (_, id) => `(${id}, '${table} ${id}', ${id % 7})`)
    await run(`INSERT INTO ${table} VALUES ${rows.join(', ')}`)
    if (postgres) await run(`ANALYZE ${table}`)
  }
}

onEach(
  'an ALTER of one table amid the copy, and kills, neither lose nor double a row',
  async (at) => {
    const { pipeline, run } = at
    await unite(at)
    await fill(at)
    const random = new Random(7)
    const stop = new AbortController()
    const write = async (): Promise<void> => {
      for (let step = 0; !stop.signal.aborted; step++) {
        const table = TABLES[step % TABLES.length] ?? 'o_0'
        const id = random.int(0, ROWS * 2)
        await run(`DELETE FROM ${table} WHERE id = ${id}`)
        if (random.chance(0.7)) {
          await run(`INSERT INTO ${table} (id, v, n) VALUES (${id}, 'step ${step}', ${step})`)
        }
        await run(`UPDATE ${table} SET n = n + 1 WHERE id BETWEEN ${id} AND ${id + 3}`)
      }
    }
    const first = pipeline.start()
    const writing = write()
    try {
      const begun = async (): Promise<boolean> => (await pipeline.backfilledRows()) > 0
      await pipeline.until('the copy has begun', begun, { child: first })
      await run('ALTER TABLE o_1 ADD COLUMN late int NOT NULL DEFAULT 3')
      await run(`UPDATE o_1 SET late = 4 WHERE id < 20`)
      await pipeline.killAtRandom(first, random, 300)
      for (let round = 0; round < 4; round++) {
        const child = pipeline.start()
        if (round === 1) await run('ALTER TABLE o_0 ADD COLUMN late bigint NOT NULL DEFAULT 3')
        await pipeline.killAtRandom(child, random, 900)
      }
    } finally {
      stop.abort()
      await writing
    }
    await pipeline.once()
    await expectUnited(at, TABLES, { late: '3' })
    const verdict = await pipeline.command(['verify', pipeline.file])
    expect(verdict.code, verdict.stdout + verdict.stderr).toBe(0)
  },
)

onEach('a repair of all that is killed midway replaces all, once', async (at) => {
  const { pipeline, run, name } = at
  await unite(at)
  await fill(at)
  await pipeline.once()
  await run('TRUNCATE TABLE o_2')
  await run(`INSERT INTO o_2 VALUES (1, 'new', 1), (2, 'new', 2)`)
  expect((await pipeline.command(['run', pipeline.file, '--once'])).code).toBe(4)
  const asked = await pipeline.command(['resync', pipeline.file, '--table', name('o_0')])
  expect(asked.code, asked.stderr).toBe(0)
  const before = await readLake(pipeline, [UNION], 'duckdb')
  const random = new Random(11)
  const child = pipeline.start()
  const begun = async (): Promise<boolean> => (await pipeline.backfilledRows()) > 20
  await pipeline.until('the repair has begun', begun, { child })
  await pipeline.killAtRandom(child, random, 100)
  // Readers keep what they had until all of it is there.
  const amid = await readLake(pipeline, [UNION], 'duckdb')
  const isDone = (await pipeline.checkpoint())?.source.tables.every(
    ({ phase }) => phase === 'streaming',
  )
  if (isDone !== true) expect(amid).toEqual(before)
  await run(`UPDATE o_0 SET v = 'amid' WHERE id < 30; DELETE FROM o_1 WHERE id > 390`)
  const again = pipeline.start()
  await sleep(500)
  await again.kill()
  await pipeline.once()
  await expectUnited(at, TABLES)
})

onEach(
  'a changelog has every change of every table once, over a kill',
  async (at) => {
    const { pipeline, run } = at
    await unite(at)
    await fill(at)
    await pipeline.once()
    await run(`UPDATE o_0 SET n = 100 WHERE id = 1; DELETE FROM o_1 WHERE id = 1;
      ALTER TABLE o_2 ADD COLUMN more int; INSERT INTO o_2 VALUES (5000, 'x', 1, 9);
      INSERT INTO o_0 VALUES (5000, 'y', 1)`)
    const child = pipeline.start()
    await pipeline.killAtRandom(child, new Random(3), 300)
    await pipeline.once()
    const [lake] = await readLake(pipeline, [UNION], 'duckdb')
    const place = (column: string): number => lake?.columns.indexOf(column) ?? -1
    const rows = (lake?.rows ?? []).map((row) => JSON.parse(row) as (string | null)[])
    const columns = ['_op', 'shard', 'id', 'more'].map(place)
    expect(columns.every((index) => index >= 0)).toBe(true)
    const told = rows.map((row) => columns.map((index) => row[index]).join(' '))
    const reads = TABLES.flatMap((table) =>
      Array.from({ length: ROWS }, (_, id) => `r ${table} ${id} `),
    )
    expect(told.sort()).toEqual(
      [...reads, 'u o_0 1 ', 'd o_1 1 ', 'c o_2 5000 9', 'c o_0 5000 '].sort(),
    )
  },
  { pipeline: { mode: 'changelog' } },
)
