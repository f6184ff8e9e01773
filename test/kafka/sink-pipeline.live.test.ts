// Tables of a database as topics, as its user has them: processes that are killed at any moment, a
// transaction that runs out of time while nobody runs, and Kafka's own consumer, which must find the
// rows of the source, each change of a key in order and none twice.

import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { Pipeline } from '../acceptance/pipeline.ts'
import { expectRefusal } from '../acceptance/refusal.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { type KafkaServer, startKafka } from '../servers/kafka.ts'
import { type ConsoleRecord, consoleRecords } from '../servers/kafka-console.ts'
import { Api, KafkaProxy } from '../servers/kafka-proxy.ts'
import { startPostgres } from '../servers/postgres.ts'
import { drawSeed, Random } from '../workload/random.ts'

const servers = (await available('postgres18')) && (await available('kafka4'))

interface Stand {
  readonly server: KafkaServer
  readonly proxy: KafkaProxy
  readonly pipeline: Pipeline
  readonly run: (sql: string) => Promise<Record<string, unknown>[]>
  readonly random: Random
}

async function withStand(
  sink: Record<string, unknown>,
  settings: Record<string, string>,
  play: (stand: Stand) => Promise<void>,
): Promise<void> {
  const random = new Random(drawSeed('topics'))
  const proxy = await KafkaProxy.open()
  const server = await startKafka({ settings, proxies: [proxy.port] })
  proxy.leadTo(server.behindProxies[0] ?? 0)
  const database = await startPostgres({ major: 18 })
  const run: Stand['run'] = async (sql) => queryPostgres(database.uri(), sql)
  const pipeline = await Pipeline.create({ server: database, interval: '200ms' })
  const file = parse(await readFile(pipeline.file, 'utf8')) as Record<string, unknown>
  file['sink'] = { type: 'kafka', brokers: [proxy.broker], ...sink }
  await writeFile(pipeline.file, stringify(file))
  try {
    await play({ server, proxy, pipeline, run, random })
  } finally {
    await pipeline.remove()
    await proxy.close()
    await Promise.all([database.stop(), server.stop()])
  }
}

/** The values of each key, in the order of its partition, which must be one. */
function byKey(records: readonly ConsoleRecord[]): Map<string, (string | null)[]> {
  const values = new Map<string, (string | null)[]>()
  const places = new Map<string, number>()
  for (const { key, value, partition } of records) {
    const name = key ?? ''
    expect(places.get(name) ?? partition).toBe(partition)
    places.set(name, partition)
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return values
}

interface Change {
  readonly op: string
  readonly before: Record<string, unknown> | null
  readonly after: Record<string, unknown> | null
}

/** Inserts, updates and deletes; @returns by id what was committed, in order; `d` is a delete. */
async function write(
  { run, random }: Stand,
  signal: AbortSignal,
): Promise<Map<string, (number | 'd')[]>> {
  const history = new Map<string, (number | 'd')[]>()
  for (let n = 1; !signal.aborted; n++) {
    const id = `90071992547${random.int(40993, 41052)}`
    const known = history.get(id) ?? []
    if (random.chance(0.15)) {
      const gone = await run(`DELETE FROM orders WHERE id = ${id} RETURNING id`)
      if (gone.length > 0) history.set(id, [...known, 'd'])
      continue
    }
    await run(
      `INSERT INTO orders VALUES (${id}, ${n}, ${n}.25, '2026-01-31T12:00:00Z', E'"n\\n\u00e9')
       ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n, price = EXCLUDED.price`,
    )
    history.set(id, [...known, n])
  }
  return history
}

/** Each change of the log once and in order; a delete has a tombstone behind it. */
function expectHistory(
  values: readonly (string | null)[],
  history: readonly (number | 'd')[],
  isLeft: boolean,
): void {
  const told: (number | 'd')[] = []
  for (const [at, value] of values.entries()) {
    if (value === null) {
      expect(values[at - 1]).toContain('"op":"d"')
      continue
    }
    const { op, after, before } = JSON.parse(value) as Change
    // A row of the first copy may be newer than changes of the log behind it.
    if (op === 'r') expect(at).toBe(0)
    else if (op === 'd') {
      expect(after).toBeNull()
      expect(Object.entries(before ?? {}).filter(([, cell]) => cell !== null)).toHaveLength(1)
      told.push('d')
    } else told.push(after?.['n'] as number)
  }
  expect(told).toEqual(history.slice(history.length - told.length))
  if (history.length > 0) expect(told.length).toBeGreaterThan(0)
  expect(values.at(-1) === null).toBe(!isLeft)
}

test.skipIf(!servers)(
  'the topic of a table has each change of each key once and in order, through kills',
  { timeout: 180_000 },
  async () => {
    const create = { partitions: 4, config: { 'cleanup.policy': 'compact' } }
    const sink = { create_topics: create, envelope: 'debezium' }
    await withStand(sink, {}, async (stand) => {
      const { server, pipeline, run, random } = stand
      await run(
        'CREATE TABLE orders ' +
          '(id bigint PRIMARY KEY, n int, price numeric(30,4), at timestamptz, note text)',
      )
      await run(
        "INSERT INTO orders SELECT i, 0, 0.5, '2026-01-31T12:00:00.25Z', 'first' " +
          'FROM generate_series(9007199254740993, 9007199254741052) i',
      )
      const first = pipeline.start()
      await pipeline.untilStreaming(first)
      const writing = new AbortController()
      const written = write(stand, writing.signal)
      await pipeline.killAtRandom(first, random, 500)
      for (let kill = 0; kill < 4; kill++) {
        await pipeline.killAtRandom(pipeline.start(), random, 1500)
      }
      writing.abort()
      const history = await written
      await pipeline.once()
      const values = byKey(await consoleRecords(server, 'public.orders'))
      const rows = await run('SELECT id::text, n, price::text FROM orders')
      const left = new Map(rows.map((row) => [`{"id":${String(row['id'])}}`, row]))
      expect(values.size).toBe(60)
      for (const [key, all] of values) {
        const row = left.get(key)
        expectHistory(all, history.get(/\d+/.exec(key)?.[0] ?? '') ?? [], row !== undefined)
        // As text: a parser of doubles would round the id.
        if (row === undefined) continue
        const shown = `"after":${key.slice(0, -1)},"n":${row['n']},"price":"${row['price']}","at":`
        expect(all.at(-1)).toContain(shown)
      }
      const copies = [...values.values()].map(([value]) => value)
      for (const value of copies) {
        expect(value).toContain(
          '"n":0,"price":"0.5000","at":"2026-01-31T12:00:00.25Z","note":"first"}',
        )
      }
    })
  },
)

test.skipIf(!servers)(
  'an epoch that the cluster has aborted while nobody ran is read again',
  { timeout: 120_000 },
  async () => {
    const settings = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' }
    const sink = { transaction_timeout: '2s', topic: '{table}' }
    await withStand(sink, settings, async ({ server, proxy, pipeline, run }) => {
      await run('CREATE TABLE items (id int PRIMARY KEY, v text)')
      await run("INSERT INTO items VALUES (1, 'a'), (2, 'b')")
      const dying = pipeline.start()
      await pipeline.untilStreaming(dying)
      await run("UPDATE items SET v = 'c' WHERE id = 1")
      await sleep(1000)
      // It dies when the next epoch is in a checkpoint and not committed.
      const cut = proxy.cut({ api: Api.endTxn, when: 'before' })
      await run('DELETE FROM items WHERE id = 2')
      await cut
      proxy.leadTo(1)
      await dying.kill()
      await sleep(3000)
      proxy.leadTo(server.behindProxies[0] ?? 0)
      await run("INSERT INTO items VALUES (3, 'd')")
      const last = await pipeline.once()
      expect(last.stdout + last.stderr).toMatch(/epoch \d+ was not committed and is read again/)
      expect(Object.fromEntries(byKey(await consoleRecords(server, 'items')))).toEqual({
        '{"id":1}': ['{"id":1,"v":"a"}', '{"id":1,"v":"c"}'],
        '{"id":2}': ['{"id":2,"v":"b"}', null],
        '{"id":3}': ['{"id":3,"v":"d"}'],
      })
      const text = await readFile(pipeline.file, 'utf8')
      const lake = `{ type: parquet, path: ${pipeline.warehouse} }`
      await writeFile(pipeline.file, stringify({ ...parse(text), sink: parse(lake) as object }))
      expectRefusal(await pipeline.command(['run', pipeline.file]), 'CONFIG_UNSUPPORTED')
      await writeFile(pipeline.file, text)
      // What it cannot do is refused, and what stays is said.
      expectRefusal(await pipeline.command(['verify', pipeline.file]), 'CONFIG_UNSUPPORTED')
      const resync = await pipeline.command(['resync', pipeline.file, '--all'])
      expectRefusal(resync, 'CONFIG_UNSUPPORTED')
      const check = await pipeline.command(['check', pipeline.file])
      expect(check.stdout).toMatch(/✔ topic items +\d+ partitions/)
      const drop = await pipeline.command(['drop', pipeline.file])
      expect(drop.stdout).toContain('topics {table}')
    })
  },
)
