// The transactions of the sink against real brokers, through a proxy that loses requests and
// answers: whatever is cut, and wherever the process dies, readers of committed records (Kafka's own
// consumer) find each row once and those of a key in order.

import { expect, test } from 'vitest'
import { createKafkaCommitter } from '../../connectors/kafka/sink/committer.ts'
import type { KafkaCommittable } from '../../connectors/kafka/sink/committable.ts'
import { createKafkaWriter } from '../../connectors/kafka/sink/writer.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { Committer, Intent, SinkWriter, WriterState } from '../../runtime/sink.ts'
import { memoryStore } from '../index/memory-store.ts'
import { available } from '../servers/available.ts'
import { KAFKA_VERSIONS, type KafkaServer, startKafka } from '../servers/kafka.ts'
import { createTopic } from '../servers/kafka-client.ts'
import { consoleRecords } from '../servers/kafka-console.ts'
import { Api, KafkaProxy } from '../servers/kafka-proxy.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { batchOf, field, schemaOf } from '../writer/batches.ts'
import { intentOf, writerOptions } from './played-sink.ts'
import { clusterOptions } from './reading.ts'

const SCHEMA = schemaOf('shop.orders', 0, [
  field(1, 'id', { kind: 'long' }),
  field(2, 'n', { kind: 'long' }),
])
const TOPIC = 'shop.orders'

interface Row {
  readonly id: number
  readonly n: number
  readonly deleted: boolean
}

/** What a checkpoint keeps of the sink. */
interface Kept {
  readonly states: readonly WriterState[]
  readonly intents: readonly Intent<KafkaCommittable>[]
}

/** A process with its writer and its committer, and the state folder that outlives it. */
class Player {
  readonly proxy: KafkaProxy
  readonly state = memoryStore()
  kept: Kept = { states: [], intents: [] }
  epoch = 0
  writer: SinkWriter<KafkaCommittable> | null = null
  committer: Committer<KafkaCommittable> | null = null

  constructor(proxy: KafkaProxy) {
    this.proxy = proxy
  }

  /** As the runtime does it: first what the checkpoint has prepared, then a writer. */
  async start(): Promise<'whole' | 'lost'> {
    const cluster = clusterOptions([this.proxy.broker])
    this.committer = createKafkaCommitter({ cluster, state: this.state })
    try {
      await this.committer.commit(this.kept.intents)
    } catch (error) {
      await this.committer.close()
      if ((error as { error?: string }).error === 'TRANSACTION_ABORTED') return 'lost'
      throw error
    }
    this.kept = { ...this.kept, intents: [] }
    this.writer = await this.open()
    await this.writer.write({ kind: 'schema', schema: SCHEMA })
    return 'whole'
  }

  async open(timeoutMs = 60_000): Promise<SinkWriter<KafkaCommittable>> {
    const { states } = this.kept
    return createKafkaWriter(writerOptions([this.proxy.broker], { timeoutMs, states }))
  }

  async write(rows: readonly Row[]): Promise<void> {
    const all = rows.map(({ id, n, deleted }) => {
      return { op: deleted ? Op.delete : Op.update, values: { id, n } }
    })
    await this.writer?.write(batchOf(SCHEMA, all, BigInt(this.epoch + 1)))
  }

  /** Writes the checkpoint. */
  async prepare(): Promise<void> {
    const prepared = await this.writer?.prepare(++this.epoch)
    if (prepared === undefined) return
    const { committables, state } = prepared
    const intents = committables.length === 0 ? [] : [intentOf(this.epoch, committables)]
    this.kept = { states: [state], intents }
  }

  async commit(signal?: AbortSignal): Promise<void> {
    await this.committer?.commit(this.kept.intents, signal)
    this.kept = { ...this.kept, intents: [] }
  }

  /** Nothing of the process is left; what it has sent is. */
  async die(): Promise<void> {
    await this.writer?.close()
    await this.committer?.close()
  }
}

async function expectRows(server: KafkaServer, rows: readonly Row[]): Promise<void> {
  const records = await consoleRecords(server, TOPIC, { idleMs: 2500 })
  const byKey = (all: readonly (readonly [string | null, string | null])[]): object => {
    const groups = new Map<string | null, (string | null)[]>()
    for (const [key, value] of all) groups.set(key, [...(groups.get(key) ?? []), value])
    return Object.fromEntries([...groups].map(([key, values]) => [String(key), values]))
  }
  const expected = rows.map(({ id, n, deleted }) => {
    return [`{"id":${id}}`, deleted ? null : `{"id":${id},"n":${n}}`] as const
  })
  expect(byKey(records.map(({ key, value }) => [key, value]))).toEqual(byKey(expected))
  const places = new Map<string | null, number>()
  for (const { key, partition } of records) {
    expect(places.get(key) ?? partition).toBe(partition)
    places.set(key, partition)
  }
}

/** One epoch with whatever goes wrong in it. @returns true when its rows are to be seen */
async function epoch(player: Player, random: Random, rows: readonly Row[]): Promise<boolean> {
  const cuts = [Api.produce, Api.endTxn, Api.addPartitions, Api.initProducerId] as const
  if (random.chance(0.7)) {
    const when = random.pick(['before', 'after'] as const)
    void player.proxy.cut({ api: random.pick(cuts), when })
  }
  const half = random.int(0, rows.length)
  await player.write(rows.slice(0, half))
  if (random.chance(0.15)) {
    await player.die()
    await player.start()
    return false
  }
  await player.write(rows.slice(half))
  if (random.chance(0.15)) {
    // Prepared, and the checkpoint never written.
    await player.writer?.prepare(player.epoch + 1)
    await player.die()
    await player.start()
    return false
  }
  await player.prepare()
  if (random.chance(0.3)) {
    const stopped = new AbortController()
    const committing = player.commit(stopped.signal).catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, random.int(0, 30)))
    stopped.abort()
    await player.die()
    await committing
    expect(await player.start()).toBe('whole')
    return true
  }
  await player.commit()
  return true
}

for (const line of ['kafka4', 'kafka3'] as const) {
  test.skipIf(!(await available(line)))(
    `each row is seen once, whatever is cut and wherever it dies, on ${KAFKA_VERSIONS[line]}`,
    { timeout: 120_000 },
    async () => {
      const random = new Random(drawSeed(`sink ${line}`))
      const proxy = await KafkaProxy.open()
      const server = await startKafka({ line, proxies: [proxy.port] })
      proxy.leadTo(server.behindProxies[0] ?? 0)
      const player = new Player(proxy)
      const seen: Row[] = []
      try {
        await createTopic(server, TOPIC, { partitions: 3 })
        await player.start()
        let n = 0
        for (let number = 0; number < 25; number++) {
          const rows = Array.from({ length: random.int(1, 400) }, () => {
            return { id: random.int(1, 40), n: n++, deleted: random.chance(0.1) }
          })
          // What was not seen comes again from the source.
          while (!(await epoch(player, random, rows)));
          seen.push(...rows)
        }
        await player.die()
        await expectRows(server, seen)
      } finally {
        await player.die()
        await proxy.close()
        await server.stop()
      }
    },
  )
}

test.skipIf(!(await available('kafka4')))(
  'an older instance is fenced, and an epoch whose transaction ran out of time is known to be lost',
  { timeout: 120_000 },
  async () => {
    const proxy = await KafkaProxy.open()
    const settings = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' }
    const server = await startKafka({ proxies: [proxy.port], settings })
    proxy.leadTo(server.behindProxies[0] ?? 0)
    const player = new Player(proxy)
    const row = (n: number): Row => ({ id: 1, n, deleted: false })
    try {
      await createTopic(server, TOPIC, { partitions: 3 })
      await player.start()
      await player.write([row(1)])
      await player.prepare()
      await player.commit()
      // The zombie has written and not prepared when the next instance starts.
      const zombie = player.writer
      await player.write([row(2)])
      await player.start()
      await zombie?.write(batchOf(SCHEMA, [{ op: Op.update, values: { id: 1, n: 3 } }], 9n))
      await expect(zombie?.prepare(9)).rejects.toMatchObject({ error: 'TRANSACTION_ABORTED' })
      await zombie?.close()
      await player.write([row(4)])
      await player.prepare()
      await player.commit()
      // Prepared, and then nobody is there for longer than the transaction may take.
      await player.writer?.close()
      player.writer = await player.open(1000)
      await player.writer.write({ kind: 'schema', schema: SCHEMA })
      const before = player.kept
      await player.write([row(5)])
      await player.prepare()
      await player.die()
      await new Promise((resolve) => setTimeout(resolve, 2500))
      expect(await player.start()).toBe('lost')
      player.kept = before
      expect(await player.start()).toBe('whole')
      await player.write([row(5)])
      await player.prepare()
      await player.commit()
      await expectRows(server, [row(1), row(4), row(5)])
    } finally {
      await player.die()
      await proxy.close()
      await server.stop()
    }
  },
)
