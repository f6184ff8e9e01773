// A topic under test: two partitions of Protobuf messages on one broker, which readers take as
// often as they like. What must be in the lake is counted while the messages are sent.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type KafkaServer, startKafka } from '../test/servers/kafka.ts'
import { createTopic, withAdmin, withProducer } from '../test/servers/kafka-client.ts'
import type { Engine, Reference } from './engine.ts'
import type { SourceAddress } from './pipeline.ts'
import {
  play,
  PLAY,
  PLAY_FINGERPRINT,
  PLAY_SCHEMA,
  PlayTotals,
  playType,
  TRANSFORM,
} from './plays.ts'

const TOPIC = 'plays'
const PARTITIONS = 2
/** A batch of each partition stays below the broker's limit of a megabyte. */
const SEND_MESSAGES = 5000
/** The npm readers are slow; a part of the topic shows their rates. */
const COUNTING_ROWS_MAX = 500_000
const PARQUET_ROWS_MAX = 100_000
const PEER = fileURLToPath(new URL('peers/kafkajs.ts', import.meta.url))
/** A broker as one would run it, not one for a test of some seconds. */
const JVM = ['-Xmx1g', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']

export class KafkaEngine implements Engine {
  readonly kind = 'kafka'
  readonly source: SourceAddress
  readonly fingerprintColumns = PLAY_FINGERPRINT
  private readonly server: KafkaServer
  private readonly folder: string
  private readonly totals = new PlayTotals()
  private marked: readonly string[] = []
  /** Of all messages, and of those before the mark. */
  private bytes = 0
  private markedBytes = 0

  private constructor(server: KafkaServer, folder: string) {
    this.server = server
    this.folder = folder
    this.source = {
      type: 'kafka',
      brokers: server.brokers,
      password: '',
      table: `kafka.${TOPIC}`,
      topic: TOPIC,
      protoFile: this.protoFile,
      message: PLAY,
      transform: TRANSFORM,
    }
  }

  static async start(): Promise<KafkaEngine> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
    const engine = new KafkaEngine(await startKafka({ jvm: JVM }), folder)
    writeFileSync(engine.protoFile, PLAY_SCHEMA)
    return engine
  }

  pid(): number {
    const [node] = this.server.nodes
    if (node === undefined) throw new Error('the cluster has no node')
    return node.pid()
  }

  async version(): Promise<string> {
    return `Kafka ${this.server.version}`
  }

  /** With a first message: a topic without any has no table in the lake. */
  async createTable(): Promise<void> {
    await createTopic(this.server, TOPIC, { partitions: PARTITIONS })
    await this.load(1, 1)
  }

  async load(first: number, rows: number): Promise<void> {
    const type = playType()
    await withProducer(this.server, {}, async (producer) => {
      for (let at = 0; at < rows; at += SEND_MESSAGES) {
        const count = Math.min(SEND_MESSAGES, rows - at)
        const messages = Array.from({ length: count }, (_, index) => {
          const n = first + at + index
          const value = Buffer.from(type.encode(type.fromObject(play(n))).finish())
          this.bytes += value.length
          return { value, partition: index % PARTITIONS }
        })
        await producer.send({ topic: TOPIC, messages })
      }
    })
    this.totals.add(first, rows)
  }

  withWriter(): Promise<never> {
    return Promise.reject(new Error('a topic has no transactions here'))
  }

  update(): Promise<void> {
    return Promise.reject(new Error('a topic has no updates'))
  }

  async mark(): Promise<void> {
    this.markedBytes = this.bytes
    this.marked = await withAdmin(this.server, async (admin) => {
      const offsets = await admin.fetchTopicOffsets(TOPIC)
      return offsets
        .toSorted((left, right) => left.partition - right.partition)
        .map(({ offset }) => offset)
    })
  }

  async settle(): Promise<void> {}

  /** The topic is a set of files that readers do not change. */
  async rewind(): Promise<void> {}

  /** The brokers know nothing of readers without a group. */
  async forget(): Promise<void> {}

  /** Of the messages alone, without what Kafka stores around them. */
  async logBytes(): Promise<number> {
    return this.bytes - this.markedBytes
  }

  async tableBytes(): Promise<number> {
    throw new Error('a topic is no table')
  }

  async logReferences(rows: number): Promise<readonly Reference[]> {
    const servers = this.server.brokers.join(',')
    const options = ['--bootstrap-server', servers, '--topic', TOPIC, '--messages', String(rows)]
    const drain = await this.server.toolCommand('org.apache.kafka.tools.ConsumerPerformance', [
      ...options,
      '--timeout',
      '30000',
    ])
    return [
      {
        name: 'kafka-consumer-perf-test',
        kind: 'denominator',
        commands: [{ ...drain, stdout: 'nowhere' }],
      },
      this.peer('kafkajs + protobufjs, counting', 'count', Math.min(rows, COUNTING_ROWS_MAX)),
      this.peer(
        'kafkajs + protobufjs + parquetjs-lite',
        'parquet',
        Math.min(rows, PARQUET_ROWS_MAX),
      ),
    ]
  }

  async logPeers(): Promise<readonly Reference[]> {
    return []
  }

  tableReferences(): readonly Reference[] {
    return []
  }

  async fingerprint(): Promise<string> {
    return this.totals.fingerprint
  }

  async stop(): Promise<void> {
    await this.server.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private get protoFile(): string {
    return join(this.folder, 'play.proto')
  }

  private peer(name: string, job: 'count' | 'parquet', rows: number): Reference {
    const { brokers } = this.server
    const output = join(this.folder, 'plays.parquet')
    const plan = { job, brokers, topic: TOPIC, offsets: this.marked, rows, output }
    const args = [PEER, JSON.stringify(plan)]
    const command = { program: process.execPath, args, stdout: 'keep' } as const
    return { name, kind: 'alternative', commands: [command], rows, reportsItself: true }
  }
}
