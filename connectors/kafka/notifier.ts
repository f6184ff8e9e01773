// Announcements as records of a topic: one record each, by an idempotent producer, written to all
// replicas in sync. The partition is that of the key, so all generations of a lake partition are in
// one, in order. At least once: after a crash a record may come again, with the same id.
//
// While the outcome of a record is not known it is sent again as the same batch, which a broker
// takes once. A broker that is away ends the attempt, and the lane that waits for it, only.

import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import type { Delivery, Notifier, PartitionReady } from '../../runtime/notifier.ts'
import { partitionOf } from './encode/murmur2.ts'
import { bytesOf, encodeHeaders, RecordBatchBuilder, nextSequence } from './encode/record-batch.ts'
import type { RecordHeader } from './encode/record-batch.ts'
import { Cluster } from './wire/cluster.ts'
import { KafkaCode } from './wire/failure.ts'
import type { ClusterOptions } from './wire/options.ts'
import { produceTo } from './wire/produce.ts'
import { initProducerId, type ProducerId } from './wire/producer-id.ts'

/** What an announcement looks like as a record. */
export interface AnnouncedRecord {
  readonly key: string
  readonly value: string
  readonly headers: readonly RecordHeader[]
}

export interface KafkaNotifierOptions {
  readonly name: string
  readonly cluster: ClusterOptions
  readonly topic: string
  /** Of one attempt. */
  readonly timeoutMs: number
  readonly recordOf: (event: PartitionReady) => AnnouncedRecord
  readonly clock: Clock
}

export function kafkaNotifier(options: KafkaNotifierOptions): Notifier {
  return new KafkaNotifier(options)
}

/** A record that was sent, and may have been written. */
interface Sent {
  readonly eventId: string
  readonly partition: number
  readonly batch: Buffer
}

class KafkaNotifier implements Notifier {
  readonly name: string
  readonly kind = 'kafka'
  readonly #options: KafkaNotifierOptions
  #cluster: Cluster | null = null
  #producer: ProducerId | null = null
  /** By partition: of the next batch. */
  readonly #sequences = new Map<number, number>()
  #sent: Sent | null = null
  /** Settles at the end of the last attempt. */
  #last: Promise<void> = Promise.resolve()

  constructor(options: KafkaNotifierOptions) {
    this.name = options.name
    this.#options = options
  }

  async deliver(event: PartitionReady, signal: AbortSignal): Promise<Delivery> {
    const { clock, timeoutMs } = this.#options
    const ended = Promise.withResolvers<never>()
    const onAbort = (): void => ended.reject(failure(this.#options, 'the pipeline is stopping'))
    const cancel = clock.after(timeoutMs, () => {
      ended.reject(failure(this.#options, `no answer within ${timeoutMs} ms`))
    })
    signal.addEventListener('abort', onAbort, { once: true })
    // An attempt that was given up may still be about to connect: two must not meet.
    const writing = this.#last.then(() => this.#write(event))
    this.#last = writing.catch(() => undefined)
    try {
      await Promise.race([ended.promise, writing])
      return { kind: 'delivered' }
    } catch (error) {
      await this.#hangUp()
      return { kind: 'failed', error: recordOf(this.#failureOf(error)), retryAfterMs: null }
    } finally {
      cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }

  async close(): Promise<void> {
    await this.#hangUp()
  }

  async #hangUp(): Promise<void> {
    const cluster = this.#cluster
    this.#cluster = null
    await cluster?.close()
  }

  async #write(event: PartitionReady): Promise<void> {
    const { topic, timeoutMs } = this.#options
    this.#cluster ??= await Cluster.open(this.#options.cluster)
    const cluster = this.#cluster
    const { topics } = await cluster.metadata([topic])
    const { partitions = [], problem = 'missing' } = topics.get(topic) ?? {}
    if (problem !== null) throw failure(this.#options, PROBLEMS[problem])
    const sent = await this.#prepared(cluster, event, partitions.length)
    const leader = partitions.find(({ partition }) => partition === sent.partition)?.leader ?? -1
    if (leader < 0) throw failure(this.#options, `partition ${sent.partition} has no leader`)
    const batch = { topic, partition: sent.partition, records: sent.batch }
    const request = { transactionalId: null, timeoutMs, batches: [batch] }
    const [answer] = await produceTo(await cluster.control(leader), request)
    this.#judge(sent, answer?.code ?? KafkaCode.REQUEST_TIMED_OUT, answer?.message ?? null)
  }

  /** The batch of this announcement: the same one as long as its outcome is not known. */
  async #prepared(cluster: Cluster, event: PartitionReady, partitions: number): Promise<Sent> {
    if (this.#sent?.eventId === event.id) return this.#sent
    this.#producer ??= await this.#newProducer(cluster)
    const { key, value, headers } = this.#options.recordOf(event)
    const keyBytes = bytesOf(key)
    const partition = partitionOf(keyBytes.bytes, keyBytes.start, keyBytes.end, partitions)
    const builder = new RecordBatchBuilder()
    builder.append(keyBytes, bytesOf(value), encodeHeaders(headers))
    const sequence = this.#sequences.get(partition) ?? 0
    const batch = builder.seal('none', this.#options.clock.nowMs(), {
      ...this.#producer,
      sequence,
      transactional: false,
    })
    this.#sent = { eventId: event.id, partition, batch }
    return this.#sent
  }

  async #newProducer(cluster: Cluster): Promise<ProducerId> {
    const { id, epoch, code } = await initProducerId(await cluster.any(), null)
    if (code !== KafkaCode.NONE) throw failure(this.#options, this.#reason(code, null))
    this.#sequences.clear()
    return { id, epoch }
  }

  #judge({ partition }: Sent, code: number, message: string | null): void {
    switch (code) {
      case KafkaCode.NONE:
      case KafkaCode.DUPLICATE_SEQUENCE_NUMBER:
        this.#sequences.set(partition, nextSequence(this.#sequences.get(partition) ?? 0, 1))
        this.#sent = null
        return
      case KafkaCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
      case KafkaCode.UNKNOWN_PRODUCER_ID:
      case KafkaCode.INVALID_PRODUCER_EPOCH:
        // The broker has forgotten this producer: its next attempt is another one's.
        this.#producer = null
        this.#sent = null
        break
    }
    throw failure(this.#options, this.#reason(code, message))
  }

  #reason(code: number, message: string | null): string {
    switch (code) {
      case KafkaCode.TOPIC_AUTHORIZATION_FAILED:
        return 'this user may not write to it (WRITE)'
      case KafkaCode.CLUSTER_AUTHORIZATION_FAILED:
        return 'this user may not write with an id (IDEMPOTENT_WRITE on the cluster)'
      case KafkaCode.NOT_ENOUGH_REPLICAS:
      case KafkaCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
        return 'not enough replicas are in sync'
      default:
        return `the broker answers with error ${code}${message === null ? '' : `, ${message}`}`
    }
  }

  #failureOf(error: unknown): unknown {
    if (!(error instanceof PipelineError) || error.error === 'NOTIFICATION_FAILED') return error
    return failure(this.#options, error.message, error)
  }
}

const PROBLEMS = {
  missing: 'the cluster has no such topic',
  unauthorized: 'this user may not see it (DESCRIBE)',
  unavailable: 'the cluster does not tell about it now',
} as const

function failure({ topic }: KafkaNotifierOptions, why: string, cause?: unknown): PipelineError {
  const message = `topic "${topic}" was not told: ${why}`
  return new PipelineError('NOTIFICATION_FAILED', message, { cause })
}
