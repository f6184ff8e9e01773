// Reads many partitions from many brokers, each for itself: a partition without a leader, a paused
// one and one that waits for a transaction delay nobody else. What is fetched ahead is bounded for
// each partition and for all. Leaders that move, brokers that restart and answers that are lost are
// dealt with here; what needs a decision is handed to the source as a SplitProblem.

import type { Clock } from '../../../runtime/base/clock.ts'
import type { PipelineError } from '../../../runtime/base/errors.ts'
import { extentOf } from '../decode/batch-header.ts'
import { FetchedBatches } from '../decode/fetched.ts'
import { RecordWalk } from '../decode/record-walk.ts'
import { BrokerFetcher, type FetcherOwner } from './broker-fetcher.ts'
import type { Cluster } from './cluster.ts'
import {
  type Delivery,
  READ_OPTIONS,
  type ReadOptions,
  type RecordReader,
  type SplitPlace,
  type SplitProblem,
  type SplitState,
  type StallReason,
} from './delivery.ts'
import { failureOf, KafkaCode } from './failure.ts'
import type { FetchedPartition } from './fetch.ts'
import { Leaders, type LeadersOwner } from './leaders.ts'
import { Split, type SplitOwner } from './split.ts'

const LOG_BYTES_MAX = 0x7fff_ffff
/** A place that is out of range twice in a row is so; once, a new leader may not be ready. */
const OUT_OF_RANGE_TIMES = 2

export function openReader(cluster: Cluster, options: Partial<ReadOptions> = {}): RecordReader {
  return new ClusterReader(cluster, { ...READ_OPTIONS, ...options })
}

class ClusterReader implements RecordReader, FetcherOwner, LeadersOwner, SplitOwner {
  readonly #cluster: Cluster
  readonly #options: ReadOptions
  readonly #clock: Clock
  readonly #splits = new Map<string, Split>()
  readonly #byLeader = new Map<number, Set<Split>>()
  readonly #fetchers = new Map<number, BrokerFetcher>()
  readonly #leaders: Leaders
  /** One for all: a set is valid until the next one, of any split. */
  readonly #walk = new RecordWalk()
  /** Splits in the order in which they are offered. */
  #turns: Split[] = []
  #bufferedBytes = 0
  #fills = 0
  #closed = false
  #error: PipelineError | null = null
  #wake: () => void = () => {}

  constructor(cluster: Cluster, options: ReadOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#clock = cluster.options.clock
    this.#leaders = new Leaders(cluster, this)
  }

  assign(places: readonly SplitPlace[]): void {
    for (const place of places) {
      const key = keyOf(place.topicId, place.partition)
      let split = this.#splits.get(key)
      if (split === undefined) {
        split = new Split(place, this)
        this.#splits.set(key, split)
        this.#turns.push(split)
      }
      split.moveTo(place)
      if (split.leader < 0) this.#leaders.look()
      else this.#fetcherOf(split.leader).schedule()
    }
  }

  remove(topicId: string, partition: number): void {
    const key = keyOf(topicId, partition)
    const split = this.#splits.get(key)
    if (split === undefined) return
    split.dropBuffer()
    this.#splits.delete(key)
    this.#byLeader.get(split.leader)?.delete(split)
    this.#turns = this.#turns.filter((one) => one !== split)
  }

  pause(topicId: string, partition: number): void {
    const split = this.#splits.get(keyOf(topicId, partition))
    if (split !== undefined) split.paused = true
  }

  resume(topicId: string, partition: number): void {
    const split = this.#splits.get(keyOf(topicId, partition))
    if (split === undefined || !split.paused) return
    split.paused = false
    if (split.ready) this.#wake()
    this.#fetchers.get(split.leader)?.schedule()
  }

  take(): Delivery | SplitProblem | null {
    if (this.#error !== null) throw this.#error
    const index = this.#turns.findIndex(({ ready }) => ready)
    const split = this.#turns[index]
    if (split === undefined) return null
    this.#turns.splice(index, 1)
    this.#turns.push(split)
    const delivery = split.delivery()
    if (delivery !== null) return delivery
    split.told = true
    return split.problem
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const there = this.#error !== null || this.#turns.some(({ ready }) => ready)
    if (there || this.#closed) return
    await new Promise<void>((resolve, reject) => {
      const done = (end: () => void): void => {
        cancel()
        signal.removeEventListener('abort', abort)
        this.#wake = () => {}
        end()
      }
      const abort = (): void => done(() => reject(signal.reason))
      const cancel = this.#clock.after(ms, () => done(resolve))
      signal.addEventListener('abort', abort)
      this.#wake = () => done(resolve)
    })
  }

  states(): readonly SplitState[] {
    return [...this.#splits.values()].map((split) => split.state(this.#options.isolation))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#leaders.close()
    for (const fetcher of this.#fetchers.values()) fetcher.close()
    for (const { topicId, partition } of this.#turns) this.remove(topicId, partition)
    this.#wake()
  }

  // What fetchers ask and tell

  splitsOf(nodeId: number): Iterable<Split> {
    return this.#byLeader.get(nodeId) ?? []
  }

  room(): number {
    for (const split of this.#splits.values()) {
      if (this.#bufferedBytes < this.#options.bufferBytes) break
      // It may be paused for hours, and the others need the room.
      if (split.paused) split.dropBuffer()
    }
    return this.#options.bufferBytes - this.#bufferedBytes
  }

  accept(split: Split, fetched: FetchedPartition, alone: boolean): boolean {
    switch (fetched.code) {
      case KafkaCode.NONE:
        return this.#records(split, fetched, alone)
      case KafkaCode.OFFSET_OUT_OF_RANGE:
        void this.#judgeRange(split)
        return false
      case KafkaCode.TOPIC_AUTHORIZATION_FAILED:
        split.fail({ problem: 'unauthorized' })
        this.#wake()
        return false
      case KafkaCode.UNKNOWN_TOPIC_OR_PARTITION:
      case KafkaCode.UNKNOWN_TOPIC_ID:
      case KafkaCode.INCONSISTENT_TOPIC_ID:
        this.#relocate(split, 'metadata', 'its leader does not know it')
        return false
      case KafkaCode.LEADER_NOT_AVAILABLE:
      case KafkaCode.NOT_LEADER_OR_FOLLOWER:
      case KafkaCode.REPLICA_NOT_AVAILABLE:
      case KafkaCode.KAFKA_STORAGE_ERROR:
      case KafkaCode.FENCED_LEADER_EPOCH:
      case KafkaCode.UNKNOWN_LEADER_EPOCH:
        this.#relocate(split, 'no-leader', 'its leader is changing')
        return false
      default:
        split.stall('broker-error', `its leader answers with error ${fetched.code}`, this.#nowMs)
        split.backOff(this.#clock.elapsedMs())
        return false
    }
  }

  failed(nodeId: number, error: PipelineError): void {
    for (const split of this.#byLeader.get(nodeId) ?? []) {
      split.stall('broker-unreachable', error.message, this.#nowMs)
      // Its leader may be another one by now.
      split.leader = -1
    }
    this.#byLeader.delete(nodeId)
    this.#leaders.look()
  }

  ended(error: PipelineError): void {
    this.#error ??= error
    this.#wake()
  }

  // What the search for leaders asks and tells

  splits(): Iterable<Split> {
    return this.#splits.values()
  }

  led(split: Split, leader: number, leaderEpoch: number): void {
    this.#byLeader.get(split.leader)?.delete(split)
    split.leader = leader
    split.leaderEpoch = leaderEpoch
    const splits = this.#byLeader.get(leader) ?? new Set()
    this.#byLeader.set(leader, splits.add(split))
    this.#fetcherOf(leader).schedule()
  }

  judged(): void {
    this.#wake()
  }

  // What splits tell

  released(split: Split, bytes: number): void {
    this.#bufferedBytes -= bytes
    // Where all room was taken, the other brokers wait for it, too.
    if (this.#bufferedBytes + bytes < this.#options.bufferBytes) {
      this.#fetchers.get(split.leader)?.schedule()
    } else for (const fetcher of this.#fetchers.values()) fetcher.schedule()
  }

  get #nowMs(): number {
    return this.#clock.nowMs()
  }

  #fetcherOf(nodeId: number): BrokerFetcher {
    const known = this.#fetchers.get(nodeId)
    if (known !== undefined) return known
    const fetcher = new BrokerFetcher(nodeId, this.#cluster, this.#options, this)
    this.#fetchers.set(nodeId, fetcher)
    return fetcher
  }

  /** @returns true when it brings reading forward */
  #records(split: Split, fetched: FetchedPartition, alone: boolean): boolean {
    const { records, diverging, aborted } = fetched
    split.logStartOffset = fetched.logStartOffset
    split.highWatermark = fetched.highWatermark
    split.lastStableOffset = fetched.lastStableOffset
    if (diverging !== null) {
      const { epoch: endEpoch, endOffset } = diverging
      split.fail({ problem: 'truncated', endOffset, endEpoch })
      this.#wake()
      return true
    }
    const extent = extentOf(records, split.fetchOffset)
    const whole = extent.damaged ? records.length : extent.bytes
    const grows = records.length > 0 && whole === 0
    if (grows) {
      const wanted = Math.max(extent.cutBytes, 2 * Math.max(records.length, split.bytesWanted))
      split.bytesWanted = Math.min(LOG_BYTES_MAX, wanted)
    } else split.bytesWanted = 0
    const forward = extent.nextOffset > split.fetchOffset || extent.damaged
    if (forward) {
      const { topic, partition, fetchOffset: offset } = split
      // One split's records must not hold the answer of all others in memory.
      const bytes = alone ? records.subarray(0, whole) : Buffer.from(records.subarray(0, whole))
      split.add(bytes, new FetchedBatches({ topic, partition, offset, bytes, aborted }, this.#walk))
      this.#bufferedBytes += bytes.length
      split.fetchOffset = extent.nextOffset
      if (extent.leaderEpoch >= 0) split.fetchEpoch = extent.leaderEpoch
      split.filled = ++this.#fills
      if (split.ready) this.#wake()
    }
    split.answered(this.#options.isolation, this.#nowMs)
    // Whoever reads will meet the damage; until then there is nothing to ask for.
    if (extent.damaged) split.backOff(this.#clock.elapsedMs())
    return forward || grows
  }

  #relocate(split: Split, reason: StallReason, detail: string): void {
    this.#byLeader.get(split.leader)?.delete(split)
    split.leader = -1
    split.stall(reason, detail, this.#nowMs)
    split.backOff(this.#clock.elapsedMs())
    this.#leaders.look()
  }

  async #judgeRange(split: Split): Promise<void> {
    const { turn, fetchOffset } = split
    split.retryAtMs = Infinity
    try {
      const [first] = await this.#cluster.offsets([split], 'earliest', 'read_uncommitted')
      const [last] = await this.#cluster.offsets([split], 'latest', 'read_uncommitted')
      if (split.turn !== turn) return
      const [logStartOffset, highWatermark] = [first?.offset ?? null, last?.offset ?? null]
      split.backOff(this.#clock.elapsedMs())
      if (logStartOffset === null || highWatermark === null) {
        split.stall('broker-error', 'its leader does not say where its log begins', this.#nowMs)
      } else if (fetchOffset < logStartOffset || fetchOffset > highWatermark) {
        split.outOfRange += 1
        if (split.outOfRange < OUT_OF_RANGE_TIMES) return
        split.fail({ problem: 'out-of-range', logStartOffset, highWatermark })
        this.#wake()
      }
    } catch (error) {
      this.ended(failureOf('cannot ask for the range of a partition', error))
    } finally {
      this.#fetchers.get(split.leader)?.schedule()
    }
  }
}

function keyOf(topicId: string, partition: number): string {
  return `${partition} ${topicId}`
}
