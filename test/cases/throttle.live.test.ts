// Limits of a source that runs: what is held stays at the source while checkpoints go on, and comes
// when the limit is lifted, each row once. No time is measured: at a row a second nothing more
// comes while the test looks.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { expectLakeEqualsSource } from '../acceptance/lake.ts'
import { Pipeline, type Child } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { startKafka } from '../servers/kafka.ts'
import { createTopic, withProducer } from '../servers/kafka-client.ts'
import { expectRows } from '../kafka/committed.ts'
import { onEach } from './each-server.ts'

/** Waits for some checkpoints more, which a limit of chunks must not hold up. */
async function checkpoints(pipeline: Pipeline, child: Child, count: number): Promise<void> {
  const first = (await pipeline.checkpoint())?.epoch ?? 0
  await pipeline.until(
    `${count} checkpoints while the source is held`,
    async () => ((await pipeline.checkpoint())?.epoch ?? 0) >= first + count,
    { child },
  )
}

async function throttle(pipeline: Pipeline, ...args: string[]): Promise<void> {
  const { code, stderr } = await pipeline.command(['throttle', pipeline.file, ...args])
  expect([code, stderr]).toEqual([0, ''])
}

async function untilHeld(pipeline: Pipeline, child: Child, held: boolean): Promise<void> {
  const isHeld = async (): Promise<boolean> =>
    ((await pipeline.status())?.limits?.held ?? false) === held
  await pipeline.until(`limits hold: ${held}`, isHeld, { child })
}

onEach(
  'first copy and log are held by their limits, and not one row is lost when they are lifted',
  async ({ pipeline, server, name, run, postgres }) => {
    await run('CREATE TABLE items (id int PRIMARY KEY, v varchar(9))')
    const rows = Array.from({ length: 400 }, (_, id) => `(${id}, 'x')`)
    await run(`INSERT INTO items VALUES ${rows.join(', ')}`)
    await run('CREATE TABLE others (id int PRIMARY KEY)')
    const child = pipeline.start()
    await pipeline.untilUp(child)
    await untilHeld(pipeline, child, true)
    await checkpoints(pipeline, child, 3)
    // 7 rows of the first chunk are taken, and wait for their seconds.
    expect(await pipeline.backfilledRows()).toBeLessThan(100)
    await throttle(pipeline, '--rows-per-second', 'none')
    await pipeline.untilStreaming(child)

    await throttle(pipeline, '--rows-per-second', '1', '--table', name('it*'))
    await pipeline.until(
      'the limit of the table is known',
      async () => (await pipeline.status())?.limits?.tables === 1,
      { child },
    )
    // Batches of two tables in one transaction: a barrier can pass behind the second alone. What is
    // read is paid for in 399 seconds.
    await run(`BEGIN; UPDATE items SET v = 'y'; INSERT INTO others VALUES (1), (2); COMMIT`)
    const written = async (table: string): Promise<number> => {
      const tables = (await pipeline.status())?.table_list ?? []
      return tables.find((one) => one.table === name(table))?.rows.written ?? 0
    }
    const isThere = async (): Promise<boolean> =>
      (await written('items')) === 800 && (await written('others')) === 2
    await pipeline.until('what was read is committed while its limit holds', isThere, { child })
    await run(`UPDATE items SET v = 'z' WHERE id < 10; DELETE FROM items WHERE id = 11`)
    await sleep(1500)
    const status = await pipeline.status()
    expect([status?.state, status?.limits?.held]).toEqual(['RUNNING', true])
    expect(await written('items')).toBe(800)
    if (postgres) {
      // A stop is not held up either, and the limit is still there afterwards.
      await child.stop()
      const shown = await pipeline.command(['throttle', pipeline.file, '--json'])
      expect(JSON.parse(shown.stdout)).toMatchObject({ from: 'throttle', running: false })
    } else await child.kill()
    await throttle(pipeline, '--reset')
    await throttle(pipeline, '--rows-per-second', 'none')
    await pipeline.once()
    await expectLakeEqualsSource(pipeline, server, [name('items'), name('others')], ['duckdb'])
  },
  { pipeline: { source: { limits: { rows_per_second: 1 } } } },
)

const servers = (await available('duckdb')) && (await available('kafka4'))

test.skipIf(!servers)(
  'a topic over its limit waits, and the others go on',
  { timeout: 90_000 },
  async () => {
    const server = await startKafka({ line: 'kafka4' })
    const source = {
      topics: ['slow', 'fast'],
      value: { format: 'json', schema: { id: 'long' } },
      limits: { tables: { 'kafka.slow': { rows_per_second: 1 } } },
    }
    const options = { server, mode: 'append', interval: '200ms', source } as const
    const pipeline = await Pipeline.create(options)
    const send = async (topic: string, from: number, to: number): Promise<void> =>
      withProducer(server, {}, async (producer) => {
        const ids = Array.from({ length: to - from }, (_, at) => from + at)
        const messages = ids.map((id) => ({ key: null, value: `{"id":${id}}` }))
        await producer.send({ topic, messages })
      })
    const committed = async (table: string): Promise<number> => {
      const tables = (await pipeline.status())?.table_list ?? []
      return tables.find((one) => one.table === table)?.rows.written ?? 0
    }
    try {
      await createTopic(server, 'slow', { partitions: 2 })
      await createTopic(server, 'fast', { partitions: 2 })
      await send('slow', 0, 300)
      const child = pipeline.start()
      await untilHeld(pipeline, child, true)
      await send('slow', 300, 350)
      await send('fast', 0, 500)
      const arrived = async (): Promise<boolean> => (await committed('kafka.fast')) === 500
      await pipeline.until('the other topic is there', arrived, { child })
      expect(await committed('kafka.slow')).toBeLessThan(350)
      await throttle(pipeline, '--rows-per-second', 'none', '--table', 'kafka.slow')
      const all = async (): Promise<boolean> => (await committed('kafka.slow')) === 350
      await pipeline.until('the topic goes on', all, { child })
      await child.stop()
      const ids = (count: number): string[][] =>
        Array.from({ length: count }, (_, id) => [String(id)])
      await expectRows(pipeline, 'kafka.slow', ['id'], ids(350))
      await expectRows(pipeline, 'kafka.fast', ['id'], ids(500))
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
