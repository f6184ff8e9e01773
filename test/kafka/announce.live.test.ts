// Announcements as records of a topic, read by Kafka's own consumer: in order, under one id, once
// where an answer is lost, and again only after a crash. A cluster that is away delays nobody.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { kafkaNotifier } from '../../connectors/kafka/notifier.ts'
import { cloudEventRecord } from '../../connectors/notify/cloud-event.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import type { Notifier } from '../../runtime/notifier.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { edit } from '../acceptance/refusal.ts'
import { EVENT } from '../notify/played-event.ts'
import { available } from '../servers/available.ts'
import { queryPostgres } from '../servers/clients.ts'
import { type KafkaServer, startKafka } from '../servers/kafka.ts'
import { createTopic } from '../servers/kafka-client.ts'
import { consoleRecords } from '../servers/kafka-console.ts'
import { Api, KafkaProxy } from '../servers/kafka-proxy.ts'
import { type PostgresServer, startPostgres } from '../servers/postgres.ts'
import { clusterOptions } from './reading.ts'

const kafka = await available('kafka4')
const never = new AbortController().signal

function notifierTo(brokers: readonly string[], topic: string, timeoutMs = 15_000): Notifier {
  return kafkaNotifier({
    name: 'k',
    cluster: clusterOptions(brokers),
    topic,
    timeoutMs,
    recordOf: cloudEventRecord,
    clock: systemClock,
  })
}

async function untilDelivered(notifier: Notifier, event: typeof EVENT): Promise<void> {
  while ((await notifier.deliver(event, never)).kind !== 'delivered') await sleep(100)
}

async function withProxied(
  play: (server: KafkaServer, proxy: KafkaProxy) => Promise<void>,
): Promise<void> {
  const proxy = await KafkaProxy.open()
  const server = await startKafka({ proxies: [proxy.port] })
  proxy.leadTo(server.behindProxies[0] ?? 0)
  try {
    await play(server, proxy)
  } finally {
    await proxy.close()
    await server.stop()
  }
}

test.skipIf(!kafka)(
  'an announcement whose answer is lost is in the topic once, and nothing is told out of order',
  { timeout: 60_000 },
  async () => {
    await withProxied(async (server, proxy) => {
      const notifier = notifierTo([proxy.broker], 'ready')
      const missing = await notifier.deliver(EVENT, never)
      expect(missing).toMatchObject({
        error: { message: 'topic "ready" was not told: the cluster has no such topic' },
      })
      await createTopic(server, 'ready', { partitions: 5 })
      const event = (generation: number): typeof EVENT => {
        return { ...EVENT, id: `id-${generation}`, generation }
      }
      // A broker that has just begun gives no ids yet.
      await untilDelivered(notifier, event(1))
      for (let generation = 2; generation <= 6; generation++) {
        const when = (['before', 'after'] as const)[generation % 3]
        const cutting = when && proxy.cut({ api: Api.produce, when })
        const first = await notifier.deliver(event(generation), never)
        expect(first.kind).toBe(when === undefined ? 'delivered' : 'failed')
        await cutting
        if (when !== undefined) {
          expect(await notifier.deliver(event(generation), never)).toEqual({ kind: 'delivered' })
        }
      }
      await server.nodes[0]?.kill()
      expect(await notifier.deliver(event(7), never)).toMatchObject({
        kind: 'failed',
        error: { error: 'NOTIFICATION_FAILED' },
      })
      await server.nodes[0]?.start()
      await untilDelivered(notifier, event(7))
      await notifier.close()
      const records = await consoleRecords(server, 'ready')
      expect(new Set(records.map(({ partition }) => partition)).size).toBe(1)
      expect(records.map(({ key }) => key)).toEqual(
        records.map(() => 'lake.clicks/ts_hour=2026-11-20-07'),
      )
      expect(records.map(({ headers }) => headers)).toEqual(
        records.map(() => 'content-type:application/cloudevents+json; charset=utf-8'),
      )
      expect(records.map(({ value }) => JSON.parse(value ?? '') as object)).toMatchObject(
        [1, 2, 3, 4, 5, 6, 7].map((generation) => ({ id: `id-${generation}` })),
      )
      expect(JSON.parse(records[0]?.value ?? '')).toMatchObject({
        specversion: '1.0',
        type: 'millrace.partition.ready.v1',
        source: '/pipelines/clicks',
        subject: 'lake.clicks/ts_hour=2026-11-20-07',
        data: { rows: 1_843_223, snapshot_id: '9007199254740993' },
      })
    })
  },
)

interface Told {
  readonly id: string
  readonly subject: string
  readonly data: { readonly generation: number; readonly rows: number }
}

/** A pipeline that announces hours of clicks to a topic first, and then by `_SUCCESS`. */
async function telling(database: PostgresServer, { brokers }: KafkaServer): Promise<Pipeline> {
  const pipeline = await Pipeline.create({
    server: database,
    mode: 'append',
    interval: '200ms',
    source: { heartbeat: '1s', event_time: { column: 'ts' } },
  })
  await edit(pipeline, (file) => {
    const topic = { type: 'kafka', brokers: [...brokers], topic: 'ready', timeout: '5s' }
    const actions = [topic, { type: 'success_file' }]
    Object.assign(file['sink'] ?? {}, { partition_by: { 'public.clicks': ['hour(ts)'] } })
    const rule = { partition: 'hour(ts)', actions }
    Object.assign(file, { partition_ready: { 'public.clicks': rule } })
  })
  return pipeline
}

test.skipIf(!kafka || !(await available('postgres18')))(
  'partitions are told to a topic through kills, and nobody waits for a cluster that is away',
  { timeout: 120_000 },
  async () => {
    const server = await startKafka()
    const database = await startPostgres({ major: 18 })
    const run = async (sql: string): Promise<unknown> => queryPostgres(database.uri(), sql)
    await run('CREATE TABLE clicks (id int PRIMARY KEY, ts timestamp)')
    await createTopic(server, 'ready', { partitions: 3 })
    const pipeline = await telling(database, server)
    const success = (hour: number): boolean =>
      existsSync(
        join(pipeline.warehouse, `public/clicks/data/ts_hour=2026-01-05-0${hour}/_SUCCESS`),
      )
    const insert = async (id: number, hour: number): Promise<unknown> =>
      run(`INSERT INTO clicks VALUES (${id}, '2026-01-05 0${hour}:10')`)
    try {
      let child = pipeline.start()
      await pipeline.untilStreaming(child)
      for (let hour = 0; hour < 4; hour++) {
        await insert(hour, hour)
        if (hour === 0) continue
        if (hour === 2) await server.nodes[0]?.kill()
        // Who stands behind the topic is told although the cluster is away.
        await pipeline.until(`hour ${hour - 1}`, () => success(hour - 1), { child })
        await child.kill()
        if (hour === 3) await server.nodes[0]?.start()
        child = pipeline.start()
      }
      const delivered = async (): Promise<boolean> => {
        const [table] = (await pipeline.status())?.table_list ?? []
        return table?.partitions?.notifiers[0]?.backlog === 0
      }
      await pipeline.untilUp(child)
      await insert(10, 1)
      await pipeline.until('the late row is told', delivered, { child, timeoutMs: 90_000 })
      await child.stop()
      const records = await consoleRecords(server, 'ready')
      const told = records.map(({ value }) => JSON.parse(value ?? '') as Told)
      // At least once, under one id, in the order in which they were decided.
      const first = told.filter(({ id }, at) => told.findIndex((one) => one.id === id) === at)
      const partition = (hour: number): string => `ts_hour=2026-01-05-0${hour}`
      const expected = [
        [0, 1],
        [1, 1],
        [2, 1],
        [1, 2],
      ].map(([hour = 0, generation = 0]) => {
        const text = `shop|public.clicks|${partition(hour)}|${generation}`
        return createHash('sha256').update(text).digest('hex')
      })
      expect(first.map(({ id }) => id).toSorted()).toEqual(expected.toSorted())
      const second = first
        .filter(({ subject }) => subject.endsWith(partition(1)))
        .map(({ data }) => [data.generation, data.rows])
      expect(second).toEqual([
        [1, 1],
        [2, 2],
      ])
    } finally {
      await pipeline.remove()
      await Promise.all([database.stop(), server.stop()])
    }
  },
)
