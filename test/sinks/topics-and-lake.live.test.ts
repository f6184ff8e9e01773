// One reading of a MySQL table into a lake and into topics: SIGKILL before and after the commit of
// each sink, a transaction that runs out of time, and a catalog that is not there. Both sinks have
// every version of every row, and each once.

import { readFile, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { brokenAt, changeUntilKilled, type CrashPoint } from '../acceptance/crash-point.ts'
import { expectLakeEqualsSource, metadataLocations, readMetadata } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { expectRefusal } from '../acceptance/refusal.ts'
import { MysqlHistory, neutralOfJson, type NeutralRow } from '../kafka/mysql-history.ts'
import { available } from '../servers/available.ts'
import { type KafkaServer, startKafka } from '../servers/kafka.ts'
import { consoleRecords } from '../servers/kafka-console.ts'
import { Api, KafkaProxy } from '../servers/kafka-proxy.ts'
import { startMysql } from '../servers/mysql.ts'
import { drawSeed, Random } from '../workload/random.ts'

const needed = ['mysql', 'kafka4', 'duckdb'] as const
const missing = (await Promise.all(needed.map(available))).includes(false)

type Place = Omit<CrashPoint, 'hit'> & { readonly name: string }

/** The topics have the epoch first: `finished` says that it is in them. */
const POINTS: readonly Place[] = [
  { name: 'nothing prepared', operation: 'open', path: '/data/', when: 'before' },
  { name: 'half a checkpoint', operation: 'place', path: '/checkpoints/.*-a$', when: 'after' },
  { name: 'nothing committed', operation: 'place', path: '/checkpoints/.*-b$', when: 'after' },
  { name: 'in topics, not noted', operation: 'place', path: 'sink/finished$', when: 'before' },
  { name: 'in topics only', operation: 'place', path: 'sink/finished$', when: 'after' },
  { name: 'half of a lake', operation: 'place', path: '/metadata/.*json$', when: 'after' },
  { name: 'no swap', operation: 'commit', path: 'catalog.db$', when: 'before' },
  { name: 'in both', operation: 'commit', path: 'catalog.db$', when: 'after' },
  { name: 'noted', operation: 'commit', path: 'catalog.db$', when: 'after', delayMs: 30 },
]

interface Stand {
  readonly kafka: KafkaServer
  readonly proxy: KafkaProxy
  readonly pipeline: Pipeline
  readonly history: MysqlHistory
  readonly random: Random
  /** Of the pipeline file. */
  readonly document: Record<string, object>
  readonly expectBoth: () => Promise<void>
}

async function withStand(
  topics: Record<string, unknown>,
  settings: Record<string, string>,
  play: (stand: Stand) => Promise<void>,
): Promise<void> {
  const random = new Random(drawSeed('sinks of mysql'))
  const proxy = await KafkaProxy.open()
  const [kafka, database] = await Promise.all([
    startKafka({ settings, proxies: [proxy.port] }),
    startMysql(),
  ])
  proxy.leadTo(kafka.behindProxies[0] ?? 0)
  const pipeline = await Pipeline.create({ server: database, interval: '200ms' })
  const { sink, ...file } = parse(await readFile(pipeline.file, 'utf8')) as Record<string, object>
  const events = { type: 'kafka', brokers: [proxy.broker], ...topics }
  const document = { ...file, sinks: { lake: sink ?? {}, events } }
  await writeFile(pipeline.file, stringify(document))
  const history = new MysqlHistory(database, random)
  const expectBoth = async (): Promise<void> => {
    await history.expectWhole()
    await expectLakeEqualsSource(pipeline, database, ['shop.orders'], ['duckdb'])
    const told = new Map<string, (NeutralRow | null)[]>()
    for (const { key, value } of await consoleRecords(kafka, 'shop.orders', { idleMs: 15_000 })) {
      const id = neutralOfJson(key ?? '')['id'] ?? ''
      told.set(id, [...(told.get(id) ?? []), value === null ? null : neutralOfJson(value)])
    }
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(history.byKey))
    await expectEpochsOnce(pipeline)
  }
  try {
    await history.create(40)
    await play({ kafka, proxy, pipeline, history, random, document, expectBoth })
  } finally {
    await pipeline.remove()
    await proxy.close()
    await Promise.all([database.stop(), kafka.stop()])
  }
}

/** An epoch is in at most one snapshot of a table. */
async function expectEpochsOnce(pipeline: Pipeline): Promise<void> {
  for (const location of Object.values(metadataLocations(pipeline))) {
    const { main } = await readMetadata(location)
    const epochs = main.map(({ summary }) => Number(summary['millrace.epoch']))
    expect(epochs).toEqual([...new Set(epochs)].sort((left, right) => left - right))
  }
}

test.skipIf(missing)(
  'a lake and topics have each version once, through kills around both commits',
  { timeout: 900_000 },
  async () => {
    await withStand({}, {}, async ({ pipeline, history, random, document, expectBoth }) => {
      const first = pipeline.start()
      await pipeline.untilStreaming(first)
      await first.kill()
      for (const { name, ...place } of POINTS) {
        const child = pipeline.start(brokenAt({ ...place, hit: random.int(1, 2) }))
        await changeUntilKilled(child, name, async () => history.change())
        if (name === 'in topics only') await history.addColumn()
      }
      await pipeline.once()
      await expectBoth()
      const status = await pipeline.status()
      expect(status?.table_list[0]?.commit.sinks?.map(({ sink }) => sink)).toEqual([
        'lake',
        'events',
      ])
      // Another file is another pipeline: nothing is read, and what is there stays.
      const { sinks, ...rest } = document as { sinks: Record<string, object> }
      const { lake = {}, events = {} } = sinks
      for (const other of [
        { ...rest, sinks: { lake } },
        { ...rest, sinks: { lake, topics: events } },
        { ...rest, sink: lake },
      ]) {
        await writeFile(pipeline.file, stringify(other))
        const refused = await pipeline.command(['run', pipeline.file, '--once'])
        expectRefusal(refused, 'CONFIG_UNSUPPORTED')
        const plan = await pipeline.command(['plan', pipeline.file])
        expect(plan.stdout + plan.stderr).toContain('was begun with `sinks` events (kafka), lake')
      }
      await writeFile(pipeline.file, stringify(document))
      expectRefusal(
        await pipeline.command(['resync', pipeline.file, '--all']),
        'CONFIG_UNSUPPORTED',
      )
      const verify = await pipeline.command(['verify', pipeline.file])
      expect([verify.code, verify.stdout]).toEqual([0, expect.stringContaining('✔ shop.orders')])
      expect(verify.stderr).toContain('sink "events" is not compared')
      const check = await pipeline.command(['check', pipeline.file])
      expect(check.stdout).toContain('sinks.lake.warehouse')
      expect(check.stdout).toMatch(/✔ topic shop.orders/)
      const drop = await pipeline.command(['drop', pipeline.file])
      expect(drop.stdout).toContain('lake table shop.orders')
      expect(drop.stdout).toContain('topics {namespace}.{table}')
      expect(metadataLocations(pipeline)).toEqual({})
    })
  },
)

test.skipIf(missing)(
  'an epoch that the cluster has aborted is read again for both, and a lost catalog stops both',
  { timeout: 600_000 },
  async () => {
    const settings = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' }
    const topics = { transaction_timeout: '2s' }
    await withStand(topics, settings, async ({ kafka, proxy, pipeline, history, expectBoth }) => {
      const dying = pipeline.start()
      await pipeline.untilStreaming(dying)
      for (let count = 0; count < 20; count++) await history.change()
      await sleep(1000)
      // It dies when the next epoch is in a checkpoint, and in neither sink.
      const cut = proxy.cut({ api: Api.endTxn, when: 'before' })
      await history.change()
      await cut
      proxy.leadTo(1)
      await dying.kill()
      await sleep(3000)
      proxy.leadTo(kafka.behindProxies[0] ?? 0)
      const again = await pipeline.once()
      expect(again.stdout + again.stderr).toMatch(/epoch \d+ was not committed and is read again/)
      await expectBoth()
      // Topics have the epoch, and the lake waits: no further one begins.
      const waiting = pipeline.start()
      await pipeline.untilUp(waiting)
      const catalog = new DatabaseSync(pipeline.catalog)
      catalog.exec('BEGIN EXCLUSIVE')
      for (let count = 0; count < 10; count++) await history.change()
      const isRetried = async (): Promise<boolean> =>
        ((await pipeline.status())?.commit.retries ?? 0) > 0
      await pipeline.until('the commit is tried again', isRetried, { child: waiting })
      const { epoch } = (await pipeline.checkpoint()) ?? {}
      for (let count = 0; count < 10; count++) await history.change()
      await sleep(1000)
      const later = await pipeline.checkpoint()
      expect([later?.epoch, later?.intent?.epoch]).toEqual([epoch, epoch])
      await waiting.kill()
      expect(waiting.output()).toContain('sink \\"lake\\"')
      catalog.exec('ROLLBACK')
      catalog.close()
      await pipeline.once()
      await expectBoth()
    })
  },
)
