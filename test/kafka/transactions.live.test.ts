// Whether read_committed is exact on real brokers: what the producers know of their transactions
// against what is read, at all sizes of fetches. Two clients were seen to fail this on both lines,
// in fetches of 1 MiB: of 117 aborted records kafkajs 2.2.4 hands out 47, since it takes the
// broker's list of aborted transactions for sorted, and platformatic 2.12.1 hands out 87, since it
// keeps one range for each producer; in fetches of 150 bytes platformatic hands out all, since the
// marker comes in another answer.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Transaction } from 'kafkajs'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { kafkaClient, createTopic, produce, withProducer } from '../servers/kafka-client.ts'
import { KAFKA_VERSIONS, type KafkaLine, type KafkaServer, startKafka } from '../servers/kafka.ts'
import { placesOf, Reading, withCluster } from './reading.ts'

const SIZES = [150, 1000, 5000, 64 << 10, 1 << 20, 32 << 20]

/** The same numbers for every run. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state / 0x8000_0000
  }
}

interface Written {
  readonly value: string
  committed: boolean
  offset: number
}

/** Several producers at once: transactions of several sends, a third aborted; some plain ones. */
async function writeTransactions(server: KafkaServer, topic: string): Promise<Written[]> {
  const random = randomFrom(7)
  const written: Written[] = []
  const send = async (to: Pick<Transaction, 'send'>, committed: boolean): Promise<Written[]> => {
    const count = 1 + Math.floor(random() * 4)
    const batch = Array.from({ length: count }, (_, index) => ({
      value: `${written.length + index} ${'x'.repeat(Math.floor(random() * 60))}`,
      committed,
      offset: -1,
    }))
    const messages = batch.map(({ value }) => ({
      key: `k${Math.floor(random() * 12)}`,
      value,
      partition: 0,
    }))
    written.push(...batch)
    const [{ baseOffset = '' } = {}] = await to.send({ topic, messages, acks: -1 })
    for (const [index, one] of batch.entries()) one.offset = Number(baseOffset) + index
    return batch
  }
  const client = kafkaClient(server)
  const producers = await Promise.all(
    [1, 2, 3, 4].map(async (number) => {
      const own = {
        transactionalId: `${topic}-${number}`,
        maxInFlightRequests: 1,
        idempotent: true,
      }
      const producer = client.producer(own)
      await producer.connect()
      return producer
    }),
  )
  const open = new Map<number, { transaction: Transaction; batches: Written[] }>()
  for (let step = 0; step < 160; step++) {
    const index = Math.floor(random() * producers.length)
    const known = open.get(index)
    if (known === undefined) {
      const transaction = await producers[index]!.transaction()
      open.set(index, { transaction, batches: await send(transaction, false) })
    } else if (random() < 0.5) known.batches.push(...(await send(known.transaction, false)))
    else await finish(index, known, random() < 0.6)
    if (random() < 0.1) {
      const value = `plain ${step}`
      await produce(server, topic, [{ key: 'plain', value }])
      written.push({ value, committed: true, offset: -1 })
    }
  }
  for (const [index, known] of open) await finish(index, known, index % 2 === 0)
  await Promise.all(producers.map(async (producer) => producer.disconnect()))
  return written

  async function finish(
    index: number,
    { transaction, batches }: { transaction: Transaction; batches: Written[] },
    commits: boolean,
  ): Promise<void> {
    open.delete(index)
    if (commits) await transaction.commit()
    else await transaction.abort()
    for (const one of batches) one.committed = commits
  }
}

/** Everything before the first record of an open transaction, from partition 0. */
async function readAll(server: KafkaServer, topic: string, size: number): Promise<string[]> {
  return withCluster(server, async (cluster) => {
    const reading = new Reading(cluster, { partitionBytes: size, fetchBytes: size })
    reading.reader.assign(await placesOf(cluster, topic))
    await reading.toTheEnd()
    await reading.reader.close()
    expect(reading.problems).toEqual([])
    const offsets = reading.of(0).map(({ offset }) => offset)
    expect(offsets).toEqual([...offsets].sort((one, other) => one - other))
    return reading.values(0)
  })
}

for (const line of Object.keys(KAFKA_VERSIONS) as KafkaLine[]) {
  test.skipIf(!(await available(line)))(
    `read_committed gives exactly the committed records, in order (Kafka ${KAFKA_VERSIONS[line]})`,
    async () => {
      const settings = {
        'log.cleaner.backoff.ms': '200',
        'log.cleaner.min.cleanable.ratio': '0.01',
      }
      const server = await startKafka({ line, settings })
      try {
        await createTopic(server, 'plain')
        const written = await writeTransactions(server, 'plain')
        const committed = written.filter((one) => one.committed).map(({ value }) => value)
        expect(committed.length).toBeLessThan(written.length)
        for (const size of SIZES) {
          expect(await readAll(server, 'plain', size), `${size}`).toEqual(committed)
        }
        await openTransactionHidesWhatFollows(server, 'plain', committed)
        await compacted(server)
      } finally {
        await server.stop()
      }
    },
  )
}

async function openTransactionHidesWhatFollows(
  server: KafkaServer,
  topic: string,
  committed: readonly string[],
): Promise<void> {
  await withProducer(server, { transactionalId: 'late' }, async (producer) => {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value: 'open', partition: 0 }] })
    await produce(server, topic, [{ value: 'behind' }])
    await withCluster(server, async (cluster) => {
      const reading = new Reading(cluster)
      reading.reader.assign(await placesOf(cluster, topic))
      await reading.toTheEnd()
      expect(reading.values(0)).toEqual(committed)
      const state = reading.state({ topic, partition: 0 })
      expect(state.stalled?.reason).toBe('open-transaction')
      expect(state.highWatermark).toBe(state.lastStableOffset + 2)
      await transaction.commit()
      await reading.until(
        'the committed record',
        () => reading.of(0).length === committed.length + 2,
      )
      expect(reading.values(0).slice(-2)).toEqual(['open', 'behind'])
      await reading.toTheEnd()
      expect(reading.state({ topic, partition: 0 }).stalled).toBeNull()
      await reading.reader.close()
    })
  })
}

/** The cleaner works on all but the last segment; markers and emptied batches are left of some. */
async function compacted(server: KafkaServer): Promise<void> {
  const topic = 'compacted'
  const config = { 'cleanup.policy': 'compact', 'segment.ms': '500' }
  await createTopic(server, topic, { config: { ...config, 'delete.retention.ms': '100' } })
  const written = await writeTransactions(server, topic)
  const before = await readAll(server, topic, 1 << 20)
  const committed = written.filter((one) => one.committed).map(({ value }) => value)
  let cleaned = before
  for (let turn = 0; turn < 60 && cleaned.length > committed.length / 2; turn++) {
    // A segment is closed, and so cleaned, when something is written behind it.
    await sleep(300)
    await produce(server, topic, [{ key: 'plain', value: `later ${turn}` }])
    cleaned = await readAll(server, topic, 1 << 20)
  }
  expect(cleaned.length).toBeLessThan(committed.length)
  // Nothing that was aborted, nothing out of order, and the newest record of each key.
  for (const size of SIZES) {
    const values = (await readAll(server, topic, size)).filter(
      (value) => !value.startsWith('later'),
    )
    const places = values.map((value) => committed.indexOf(value))
    expect(places, `${size}`).toEqual([...places].sort((one, other) => one - other))
    expect(places).not.toContain(-1)
  }
}
