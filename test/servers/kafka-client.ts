// What tests do to a Kafka cluster: topics, records of every form, transactions. By kafkajs, which
// is quick to write with; what must come from Kafka's own client goes through `KafkaServer.tool`.
import { randomUUID } from 'node:crypto'
import { compressionsAlgorithms } from '@platformatic/kafka'
import kafkajs, { type Admin, type Kafka, type Message, type Producer } from 'kafkajs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaServer } from './kafka.ts'

const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs

export type Codec = keyof typeof CODECS

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
} as const

export const codecs = Object.keys(CODECS) as readonly Codec[]

// kafkajs leaves all codecs but gzip to its user.
for (const name of ['snappy', 'lz4', 'zstd'] as const) {
  const { compressSync, decompressSync } = compressionsAlgorithms[name]
  CompressionCodecs[CODECS[name]] = () => ({
    compress: async ({ buffer }: { buffer: Buffer }) => compressSync(buffer),
    decompress: async (buffer: Buffer) => decompressSync(buffer),
  })
}

export function kafkaClient({ brokers }: KafkaServer): Kafka {
  return new kafkajs.Kafka({
    clientId: 'millrace-test',
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, retries: 20, maxRetryTime: 1000 },
  })
}

/** Connects an admin client, and disconnects it whatever `work` does. */
export async function withAdmin<T>(
  server: KafkaServer,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = kafkaClient(server).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** kafkajs's own wait ends in an error where the broker has not heard of the topic yet. */
async function hasLeaders(admin: Admin, topic: string, partitions: number): Promise<void> {
  for (;;) {
    const found = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => null)
    const all = found?.topics[0]?.partitions ?? []
    if (all.length === partitions && all.every(({ leader }) => leader >= 0)) return
    await sleep(50)
  }
}

export interface TopicPlan {
  partitions?: number
  replicas?: number
  config?: Record<string, string>
}

/** Returns once every partition has a leader. */
export async function createTopic(
  server: KafkaServer,
  topic: string,
  { partitions = 1, replicas = 1, config = {} }: TopicPlan = {},
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await withAdmin(server, async (admin) => {
    const plan = { topic, numPartitions: partitions, replicationFactor: replicas, configEntries }
    await admin.createTopics({ topics: [plan], waitForLeaders: false })
    await hasLeaders(admin, topic, partitions)
  })
}

/** A record as kafkajs takes it, its values as text or bytes, with its partition. */
export type TestRecord = Message & { readonly value: Buffer | string | null }

/** Sends all records of one call as one batch a partition, the partition being 0 if not given. */
export async function produce(
  server: KafkaServer,
  topic: string,
  records: readonly TestRecord[],
  codec: Codec = 'none',
): Promise<void> {
  await withProducer(server, {}, async (producer) => {
    const messages = records.map((record) => ({ partition: 0, ...record }))
    await producer.send({ topic, messages, compression: CODECS[codec], acks: -1 })
  })
}

/**
 * With a transactional id, transactions are begun by `producer.transaction()`. Without one it is
 * idempotent all the same: where a broker has heard of one partition of a new topic and not yet of
 * another, kafkajs sends to both again, and the record would be there twice.
 */
export async function withProducer<T>(
  server: KafkaServer,
  { transactionalId }: { transactionalId?: string },
  work: (producer: Producer) => Promise<T>,
): Promise<T> {
  const named = transactionalId === undefined ? {} : { transactionalId }
  const once = { idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false }
  const producer = kafkaClient(server).producer({ ...named, ...once })
  await producer.connect()
  try {
    return await work(producer)
  } finally {
    await producer.disconnect()
  }
}

export interface ReadRecord {
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/**
 * All committed records of a topic, in the order of each partition: as soon as there are `count`,
 * and what comes within `idleMs` behind them, which should be nothing.
 */
export async function committedRecords(
  server: KafkaServer,
  topic: string,
  count: number,
  idleMs = 2000,
): Promise<ReadRecord[]> {
  const consumer = kafkaClient(server).consumer({ groupId: `reader-${randomUUID()}` })
  const records: ReadRecord[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message: { key, value } }) => {
        records.push({ partition, key, value })
      },
    })
    for (let waits = 0; records.length < count; waits++) {
      if (waits > 600) throw new Error(`${topic} has ${records.length} records of ${count}`)
      await sleep(100)
    }
    await sleep(idleMs)
  } finally {
    await consumer.disconnect()
  }
  return records
}
