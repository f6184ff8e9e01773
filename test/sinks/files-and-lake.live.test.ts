// One reading of PostgreSQL into a lake and a directory, and into three sinks: SIGKILL before and
// after the commit of each. The oracle is what the workload did, and what the source has.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { brokenAt, changeUntilKilled, type CrashPoint } from '../acceptance/crash-point.ts'
import { metadataLocations } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { manifestsOf, expectClean } from '../directory/read.ts'
import { differenceOf, project, type TableDump } from '../readers/canonical.ts'
import { readIcebergWithDuckdb, readParquetWithDuckdb } from '../readers/duckdb.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { startKafka } from '../servers/kafka.ts'
import { Api, KafkaProxy } from '../servers/kafka-proxy.ts'
import { consoleRecords } from '../servers/kafka-console.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { drawSeed, Random } from '../workload/random.ts'

const has = async (...names: Parameters<typeof available>[0][]): Promise<boolean> =>
  !(await Promise.all(names.map(available))).includes(false)
const lakes = await has('postgres18', 'duckdb')
const all = lakes && (await has('kafka4'))

/** Java's consumer starts in seconds, where other tests have the machine. */
const SLOW = { idleMs: 15_000 }

const POINTS: readonly (Omit<CrashPoint, 'hit'> & { readonly name: string })[] = [
  { name: 'half a checkpoint', operation: 'place', path: '/checkpoints/.*-a$', when: 'after' },
  { name: 'in no sink', operation: 'place', path: '/checkpoints/.*-b$', when: 'after' },
  { name: 'no manifest', operation: 'place', path: '_millrace/manifest/', when: 'before' },
  { name: 'a manifest', operation: 'place', path: '_millrace/manifest/', when: 'after' },
  { name: 'no swap', operation: 'commit', path: 'catalog.db$', when: 'before' },
  { name: 'a swap', operation: 'commit', path: 'catalog.db$', when: 'after' },
  { name: 'noted', operation: 'commit', path: 'catalog.db$', when: 'after', delayMs: 30 },
]

/** Gives the pipeline file its sinks. */
async function writeSinks(
  pipeline: Pipeline,
  change: (lake: object) => Record<string, unknown>,
): Promise<void> {
  const { sink = {}, ...file } = parse(await readFile(pipeline.file, 'utf8')) as {
    sink?: object
  }
  await writeFile(pipeline.file, stringify({ ...file, ...change(sink) }))
}

/** Dies at one place after the other, while somebody writes. */
async function killAround(
  pipeline: Pipeline,
  random: Random,
  write: () => Promise<void>,
  between: () => Promise<void>,
): Promise<void> {
  for (const { name, ...place } of POINTS) {
    const child = pipeline.start(brokenAt({ ...place, hit: random.int(1, 2) }))
    await changeUntilKilled(child, name, write)
    await between()
  }
}

/** The server may forget nothing that is in no checkpoint. */
async function expectSlotBehind(pipeline: Pipeline, server: PostgresServer): Promise<void> {
  const [slot] = await queryPostgres(
    server.uri(),
    `SELECT (confirmed_flush_lsn - '0/0')::text AS lsn FROM pg_replication_slots`,
  )
  const order = (await pipeline.checkpoint())?.source.position.order
  if (slot === undefined || order === undefined) return
  expect(BigInt(String(slot['lsn']))).toBeLessThanOrEqual(order & 0xffff_ffff_ffff_ffffn)
}

async function lakeTable(pipeline: Pipeline, table: string): Promise<TableDump> {
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) throw new Error(`the lake has no table ${table}`)
  return readIcebergWithDuckdb(location, { table })
}

/** Each change once and in order, and each row of the first copy. */
function expectChanges(dump: TableDump, done: readonly string[]): void {
  const { rows } = project(dump, ['_op', 'id', 'n', '_pos'])
  const cells = rows.map((row) => JSON.parse(row) as string[])
  const first = cells.filter(([op]) => op === 'r').map(([, id, n]) => `${id} ${n}`)
  expect(first.sort()).toEqual(Array.from({ length: 50 }, (_, at) => `${at + 1} 0`).sort())
  const logged = cells.filter(([op]) => op !== 'r')
  logged.sort(([, , , left = ''], [, , , right = '']) => (left < right ? -1 : 1))
  expect(logged.map(([op, id, n]) => `${op} ${id} ${op === 'd' ? '' : n}`)).toEqual(done)
}

/** Inserts, updates and deletes, one a transaction; notes each in `done`. */
function changesOf(
  run: (sql: string) => Promise<unknown>,
  random: Random,
  done: string[],
): () => Promise<void> {
  const live = Array.from({ length: 50 }, (_, at) => at + 1)
  let next = 51
  return async () => {
    const n = done.length + 1
    const at = random.int(0, live.length - 1)
    const id = live[at] ?? 0
    if (live.length < 10 || random.chance(0.5)) {
      live.push(next)
      done.push(`c ${next} ${n}`)
      await run(`INSERT INTO orders VALUES (${next++}, ${n}, 'new')`)
    } else if (random.chance(0.6)) {
      done.push(`u ${id} ${n}`)
      await run(`UPDATE orders SET n = ${n} WHERE id = ${id}`)
    } else {
      live.splice(at, 1)
      done.push(`d ${id} `)
      await run(`DELETE FROM orders WHERE id = ${id}`)
    }
  }
}

test.skipIf(!lakes)(
  'a lake and a directory have each change once and in order, through kills around both commits',
  { timeout: 900_000 },
  async () => {
    const random = new Random(drawSeed('sinks of postgres'))
    const server = await startPostgres({ major: 18 })
    const run = async (sql: string): Promise<unknown> => queryPostgres(server.uri(), sql)
    await run(
      `CREATE TABLE orders (id bigint PRIMARY KEY, n int, note text);
       CREATE TABLE plain (id int PRIMARY KEY, v numeric(20,5));
       INSERT INTO orders SELECT id, 0, 'old' FROM generate_series(1, 50) id;
       INSERT INTO plain VALUES (1, NULL), (2, -0.00001), (3, 999999999999999.99999)`,
    )
    const pipeline = await Pipeline.create({
      server,
      parallelism: 2,
      interval: '200ms',
      mode: 'changelog',
    })
    const files = join(pipeline.folder, 'files')
    await writeSinks(pipeline, (lake) => ({
      sinks: { files: { type: 'parquet', path: files }, lake },
      route: [
        { from: 'public.plain', into: 'dw.plain', sink: 'files' },
        { from: 'public.orders', into: 'dw.all_orders', sink: 'lake' },
        { from: 'public.orders', into: 'dw.orders' },
      ],
    }))
    try {
      const done: string[] = []
      const write = changesOf(run, random, done)
      const first = pipeline.start()
      await pipeline.untilStreaming(first, 2)
      await first.kill()
      let kills = 0
      await killAround(pipeline, random, write, async () => {
        await expectSlotBehind(pipeline, server)
        if (++kills === 3) await run('ALTER TABLE orders ADD COLUMN extra int DEFAULT 7')
      })
      await pipeline.once()
      await expectClean(files)
      const inFiles = await readParquetWithDuckdb(`${files}/orders/**/*.parquet`)
      const inLake = await lakeTable(pipeline, 'dw.all_orders')
      expectChanges(inFiles, done)
      expectChanges(inLake, done)
      expect(Object.keys(metadataLocations(pipeline))).toEqual(['dw.all_orders'])
      const plain = await readParquetWithDuckdb(`${files}/plain/**/*.parquet`)
      expect(project(plain, ['_op', 'id', 'v']).rows).toEqual([
        '["r","1",null]',
        '["r","2","-0.00001"]',
        '["r","3","999999999999999.99999"]',
      ])
      const epochs = (await manifestsOf(files)).map(({ epoch }) => epoch)
      expect(epochs).toEqual([...new Set(epochs)])
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)

test.skipIf(!all)(
  'a lake that holds rows back, a directory and topics have each row once, through kills',
  { timeout: 900_000 },
  async () => {
    const random = new Random(drawSeed('three sinks'))
    const [server, kafka] = await Promise.all([startPostgres({ major: 18 }), startKafka()])
    const run = async (sql: string): Promise<Record<string, unknown>[]> =>
      queryPostgres(server.uri(), sql)
    await run(
      `CREATE TABLE clicks (id bigint PRIMARY KEY, n int, day date NOT NULL, note text);
       INSERT INTO clicks SELECT id, 0, '2026-01-01', 'old' FROM generate_series(1, 50) id`,
    )
    const pipeline = await Pipeline.create({ server, interval: '200ms', mode: 'append' })
    const files = join(pipeline.folder, 'files')
    await writeSinks(pipeline, (lake) => ({
      sinks: {
        events: { type: 'kafka', brokers: kafka.brokers, mode: 'append' },
        lake: { ...lake, max_freshness: '1s', partition_by: { 'public.clicks': ['day'] } },
        files: {
          type: 'parquet',
          path: files,
          change_format: 'append',
          layout: '{table}/dt={day(day)}/',
        },
      },
    }))
    try {
      let next = 51
      const write = async (): Promise<void> => {
        const day = `2026-01-0${random.int(1, 4)}`
        const n = random.int(-5, 5)
        await run(
          `INSERT INTO clicks SELECT id, ${n}, '${day}', E'"\\u00e9' || id
             FROM generate_series(${next}, ${next + 2}) id`,
        )
        next += 3
      }
      const first = pipeline.start()
      await pipeline.untilStreaming(first)
      await first.kill()
      await killAround(pipeline, random, write, async () => expectSlotBehind(pipeline, server))
      await pipeline.once()
      await expectClean(files)
      const columns = ['id', 'n', 'day', 'note']
      const source = await run(
        "SELECT id::text, n::text, (day - date '1970-01-01')::text AS day, note FROM clicks",
      )
      const wanted = source.map((row) => JSON.stringify(columns.map((name) => row[name]))).sort()
      const inFiles = project(await readParquetWithDuckdb(`${files}/clicks/**/*.parquet`), columns)
      const inLake = project(await lakeTable(pipeline, 'public.clicks'), columns)
      expect(inLake.rows).toEqual(wanted)
      expect(differenceOf(inLake, inFiles)).toEqual({ missing: [], extra: [] })
      const told = (await consoleRecords(kafka, 'public.clicks', SLOW)).map(({ value }) => {
        const row = JSON.parse(value ?? '{}') as Record<string, unknown>
        const days = String(Date.parse(String(row['day'])) / 86_400_000)
        return JSON.stringify([String(row['id']), String(row['n']), days, row['note']])
      })
      expect(told.sort()).toEqual(wanted)
    } finally {
      await pipeline.remove()
      await Promise.all([server.stop(), kafka.stop()])
    }
  },
)

test.skipIf(!all)(
  'rows that a lake holds back outlive an epoch that the cluster aborts behind a clean stop',
  { timeout: 600_000 },
  async () => {
    const proxy = await KafkaProxy.open()
    const settings = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' }
    const [server, kafka] = await Promise.all([
      startPostgres({ major: 18 }),
      startKafka({ settings, proxies: [proxy.port] }),
    ])
    proxy.leadTo(kafka.behindProxies[0] ?? 0)
    const run = async (sql: string): Promise<unknown> => queryPostgres(server.uri(), sql)
    await run('CREATE TABLE clicks (id bigint PRIMARY KEY, note text)')
    const pipeline = await Pipeline.create({ server, interval: '200ms', mode: 'append' })
    const topics = { mode: 'append', transaction_timeout: '2s' }
    await writeSinks(pipeline, (lake) => ({
      sinks: {
        lake: { ...lake, max_freshness: '1h' },
        events: { type: 'kafka', brokers: [proxy.broker], ...topics },
      },
    }))
    const inTopic = async (): Promise<string[]> => {
      const records = await consoleRecords(kafka, 'public.clicks', SLOW)
      return records.map(({ value }) => value ?? '').sort()
    }
    try {
      const first = pipeline.start()
      await pipeline.untilStreaming(first)
      // The first rows are shown at once, those of later epochs are held in an open file.
      for (let id = 1; id <= 3; id++) {
        await run(`INSERT INTO clicks VALUES (${id}, 'a')`)
        await sleep(1500)
      }
      await first.kill()
      expect(Object.values((await pipeline.checkpoint())?.held ?? {})).not.toEqual([])
      const cut = proxy.cut({ api: Api.endTxn, when: 'before' })
      const second = pipeline.start()
      await pipeline.untilUp(second)
      await run("INSERT INTO clicks VALUES (4, 'b')")
      await cut
      proxy.leadTo(1)
      // It is ended by force: topics that are not there keep it from an end in time.
      second.signal('SIGTERM')
      await second.exit
      await sleep(1000)
      proxy.leadTo(kafka.behindProxies[0] ?? 0)
      const last = await pipeline.once()
      expect(last.stdout + last.stderr).toMatch(/epoch \d+ was not committed and is read again/)
      const rows = [1, 2, 3, 4].map((id) => [String(id), id < 4 ? 'a' : 'b'])
      const inLake = project(await lakeTable(pipeline, 'public.clicks'), ['id', 'note'])
      expect(inLake.rows).toEqual(rows.map((row) => JSON.stringify(row)))
      expect(await inTopic()).toEqual(rows.map(([id, note]) => `{"id":${id},"note":"${note}"}`))
    } finally {
      await pipeline.remove()
      await proxy.close()
      await Promise.all([server.stop(), kafka.stop()])
    }
  },
)
