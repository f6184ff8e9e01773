// Writes the records of one epoch into their partitions, in one transaction. Batches of a partition
// go one after the other, and one whose answer is lost is sent again as it was: so nothing comes
// twice or out of order, whatever happens to a connection. Records wait in memory, up to a limit.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Codec } from '../decode/decompress.ts'
import { nextSequence, RecordBatchBuilder, type Bytes } from '../encode/record-batch.ts'
import type { Cluster, PartitionName } from '../wire/cluster.ts'
import { failureOf, KafkaCode } from '../wire/failure.ts'
import { type ProducedAnswer, produceTo } from '../wire/produce.ts'
import type { Transaction, Transactions } from '../wire/transactions.ts'
import type { TouchedPartition } from './committable.ts'

/** Brokers take about a mebibyte unless they are told otherwise, uncompressed records included. */
const BATCH_BYTES = 512 * 1024
/** Of all partitions: then what there is goes out, also as small batches. */
const BUFFER_BYTES = 8 * 1024 * 1024
/** Sealed and not yet answered: then writing waits. */
const QUEUE_BYTES_MAX = 16 * 1024 * 1024
const TIMEOUT_MS = 30_000
const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 1000

/** Another answer may come: the leader moves, or replicas are missing. */
const AGAIN: ReadonlySet<number> = new Set([
  KafkaCode.UNKNOWN_TOPIC_OR_PARTITION,
  KafkaCode.LEADER_NOT_AVAILABLE,
  KafkaCode.NOT_LEADER_OR_FOLLOWER,
  KafkaCode.REQUEST_TIMED_OUT,
  KafkaCode.COORDINATOR_LOAD_IN_PROGRESS,
  KafkaCode.COORDINATOR_NOT_AVAILABLE,
  KafkaCode.NOT_COORDINATOR,
  KafkaCode.NOT_ENOUGH_REPLICAS,
  KafkaCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  KafkaCode.CONCURRENT_TRANSACTIONS,
  KafkaCode.KAFKA_STORAGE_ERROR,
  KafkaCode.UNKNOWN_TOPIC_ID,
])

interface Sealed {
  readonly batch: Buffer
  readonly records: number
}

/** What waits for one partition. */
class Lane implements PartitionName {
  readonly topic: string
  readonly partition: number
  readonly builder = new RecordBatchBuilder()
  readonly queue: Sealed[] = []
  sequence = 0
  lastOffset = -1
  isAdded = false

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }
}

export interface EpochProducerOptions {
  readonly cluster: Cluster
  readonly transactions: Transactions
  readonly codec: Codec
  readonly headers: Uint8Array
  readonly signal: AbortSignal
}

export class EpochProducer {
  readonly transaction: Transaction
  readonly #options: EpochProducerOptions
  readonly #lanes = new Map<string, (Lane | undefined)[]>()
  #buffered = 0
  #queued = 0
  #pumping: Promise<void> | null = null
  #failure: PipelineError | null = null

  constructor(transaction: Transaction, options: EpochProducerOptions) {
    this.transaction = transaction
    this.#options = options
  }

  /** Takes a copy of a record. */
  append(topic: string, partition: number, key: Bytes, value: Bytes): void {
    const lane = this.#lane(topic, partition)
    const before = lane.builder.size
    lane.builder.append(key, value, this.#options.headers)
    this.#buffered += lane.builder.size - before
    if (lane.builder.size >= BATCH_BYTES) this.#seal(lane)
    if (this.#buffered >= BUFFER_BYTES) this.#sealAll()
  }

  /**
   * @returns a promise where there is no room for more now
   * @throws PipelineError what ended the transaction
   */
  room(): Promise<void> | undefined {
    this.#throwFailure()
    return this.#queued > QUEUE_BYTES_MAX ? this.#waitForRoom() : undefined
  }

  /**
   * Waits until every record is in the log of its partition.
   *
   * @returns where the last of them stands
   * @throws PipelineError TRANSACTION_ABORTED, RECORD_REFUSED, PRIVILEGE_MISSING
   */
  async flush(): Promise<TouchedPartition[]> {
    this.#sealAll()
    while (this.#pumping !== null) await this.#pumping
    this.#throwFailure()
    return this.#all().map(({ topic, partition, lastOffset }) => ({ topic, partition, lastOffset }))
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure
  }

  async #waitForRoom(): Promise<void> {
    // Half of it, so that not every batch waits for a round of requests.
    while (this.#queued > QUEUE_BYTES_MAX / 2 && this.#pumping !== null) await this.#pumping
    this.#throwFailure()
  }

  #lane(topic: string, partition: number): Lane {
    let lanes = this.#lanes.get(topic)
    if (lanes === undefined) {
      lanes = []
      this.#lanes.set(topic, lanes)
    }
    lanes[partition] ??= new Lane(topic, partition)
    return lanes[partition]
  }

  #all(): Lane[] {
    return [...this.#lanes.values()].flat().filter((lane) => lane !== undefined)
  }

  #sealAll(): void {
    for (const lane of this.#all()) if (lane.builder.count > 0) this.#seal(lane)
  }

  #seal(lane: Lane): void {
    const { codec, cluster } = this.#options
    const { builder, sequence } = lane
    const { producerId: id, epoch } = this.transaction
    const records = builder.count
    this.#buffered -= builder.size
    const producer = { id, epoch, sequence, transactional: true }
    const batch = builder.seal(codec, cluster.options.clock.nowMs(), producer)
    this.#buffered += builder.size
    lane.sequence = nextSequence(sequence, records)
    lane.queue.push({ batch, records })
    this.#queued += batch.length
    this.#pumping ??= this.#pump()
  }

  async #pump(): Promise<void> {
    try {
      for (let vain = 0; ;) {
        const lanes = this.#all().filter(({ queue }) => queue.length > 0)
        if (lanes.length === 0) return
        const byLeader = await this.#leadersOf(lanes)
        // A partition that is gone is never added; the coordinator would be asked for ever.
        const led = [...byLeader.values()].flat()
        await this.#add(led.filter(({ isAdded }) => !isAdded))
        const progress = await this.#round(byLeader)
        vain = progress ? 0 : vain + 1
        if (!progress) await this.#pause(vain)
      }
    } catch (error) {
      this.#failure ??= failureOf('cannot write to the cluster', error)
    } finally {
      // In the turn in which it has found nothing: what is sealed in the next one begins anew.
      this.#pumping = null
    }
  }

  async #add(lanes: readonly Lane[]): Promise<void> {
    if (lanes.length === 0) return
    await this.#options.transactions.add(this.transaction, lanes)
    for (const lane of lanes) lane.isAdded = true
  }

  /** One batch of each lane, all leaders at once. @returns true when any was written */
  async #round(byLeader: ReadonlyMap<number, Lane[]>): Promise<boolean> {
    const written = await Promise.all(
      [...byLeader].map(async ([leader, led]) => this.#produce(leader, led)),
    )
    return written.some(Boolean)
  }

  /** Lanes without a leader are left out. */
  async #leadersOf(lanes: readonly Lane[]): Promise<ReadonlyMap<number, Lane[]>> {
    const byLeader = new Map<number, Lane[]>()
    const { cluster } = this.#options
    try {
      const { topics } = await cluster.metadata([...new Set(lanes.map(({ topic }) => topic))])
      for (const lane of lanes) {
        const { problem, partitions = [] } = topics.get(lane.topic) ?? {}
        if (problem === 'missing') {
          throw new PipelineError('TOPIC_MISSING', `topic "${lane.topic}" is gone`)
        }
        const found = partitions.find(({ partition }) => partition === lane.partition)
        if (found === undefined || found.leader < 0) continue
        byLeader.set(found.leader, [...(byLeader.get(found.leader) ?? []), lane])
      }
    } catch (error) {
      const failure = failureOf('cannot ask for the leaders', error)
      if (failure.error !== 'CONNECT_FAILED') throw failure
    }
    return byLeader
  }

  async #produce(leader: number, lanes: readonly Lane[]): Promise<boolean> {
    const batches = lanes.flatMap(({ topic, partition, queue }) => {
      const [first] = queue
      return first === undefined ? [] : [{ topic, partition, records: first.batch }]
    })
    const request = { transactionalId: this.transaction.id, timeoutMs: TIMEOUT_MS, batches }
    let answers: readonly ProducedAnswer[]
    try {
      answers = await produceTo(await this.#options.cluster.control(leader), request)
    } catch (error) {
      const failure = failureOf(`cannot write to broker ${leader}`, error)
      if (failure.error !== 'CONNECT_FAILED') throw failure
      return false
    }
    let progress = false
    for (const answer of answers) {
      const { topic, partition } = answer
      const lane = lanes.find((one) => one.topic === topic && one.partition === partition)
      if (lane !== undefined && this.#accept(lane, answer)) progress = true
    }
    return progress
  }

  /** @returns true when the lane's first batch is in the log */
  #accept(lane: Lane, { code, baseOffset, message }: ProducedAnswer): boolean {
    if (code !== KafkaCode.NONE) {
      if (AGAIN.has(code)) return false
      throw refusal(lane, code, message)
    }
    const first = lane.queue.shift()
    if (first === undefined) return false
    this.#queued -= first.batch.length
    lane.lastOffset = Number(baseOffset) + first.records - 1
    return true
  }

  async #pause(vain: number): Promise<void> {
    const { cluster, signal } = this.#options
    const ms = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(vain, 10))
    try {
      await cluster.options.clock.sleep(ms, signal)
    } catch {
      throw new PipelineError('CONNECT_FAILED', 'the brokers were not waited for any longer')
    }
  }
}

function refusal(
  { topic, partition }: PartitionName,
  code: number,
  message: string | null,
): PipelineError {
  const place = `${topic}-${partition}`
  const said = message === null ? `error ${code}` : `error ${code}, ${message}`
  switch (code) {
    case KafkaCode.MESSAGE_TOO_LARGE:
    case KafkaCode.RECORD_LIST_TOO_LARGE:
    case KafkaCode.INVALID_RECORD:
      return new PipelineError('RECORD_REFUSED', `${place} refuses a record: ${said}`)
    case KafkaCode.TOPIC_AUTHORIZATION_FAILED:
      return new PipelineError('PRIVILEGE_MISSING', `topic "${topic}" may not be written`, {
        hint: 'Grant WRITE, READ and DESCRIBE on it; `millrace check FILE` prints the command.',
      })
    default:
      // Fenced, timed out, or forgotten: whoever goes on begins a transaction anew.
      return new PipelineError('TRANSACTION_ABORTED', `${place} refuses the transaction: ${said}`)
  }
}
