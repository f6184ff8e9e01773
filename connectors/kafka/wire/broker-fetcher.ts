// Fetches from one broker: one connection, one Fetch under way. The next one is sent as soon as an
// answer is there, for the splits that have room by then. A failure keeps back the splits of this
// broker only, for a moment that grows with each failure in a row.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Cluster } from './cluster.ts'
import type { BrokerConnection } from './connection.ts'
import type { ReadOptions } from './delivery.ts'
import { failureOf, KafkaCode } from './failure.ts'
import {
  FETCH_BY_ID,
  FETCH_BY_NAME,
  type FetchAnswer,
  fetchFrom,
  type FetchedPartition,
  type FetchPartition,
  topicKeyOf,
} from './fetch.ts'
import { NO_TOPIC_ID } from './metadata.ts'
import type { Split } from './split.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 2_000
/** Where a split had no room when the request was sent, it must not wait long for the next one. */
const SHORT_WAIT_MS = 20
/** An answer without progress that came at once is not asked for again at once. */
const IDLE_MS = 5

/** What the reader does for the fetchers of its brokers. */
export interface FetcherOwner {
  splitsOf(nodeId: number): Iterable<Split>
  /** Bytes that may still be buffered; not positive: none. */
  room(): number
  /**
   * @param alone  no other split has records in this answer
   * @returns true when it brings reading forward
   */
  accept(split: Split, fetched: FetchedPartition, alone: boolean): boolean
  /** The broker fails; its splits are to be looked for again. */
  failed(nodeId: number, error: PipelineError): void
  /** Reading cannot go on. */
  ended(error: PipelineError): void
}

export class BrokerFetcher {
  readonly #nodeId: number
  readonly #cluster: Cluster
  readonly #options: ReadOptions
  readonly #owner: FetcherOwner
  #connection: BrokerConnection | null = null
  #busy = false
  #scheduled = false
  #closed = false
  #failures = 0
  #notBeforeMs = 0
  #cancelWake: () => void = () => {}

  constructor(nodeId: number, cluster: Cluster, options: ReadOptions, owner: FetcherOwner) {
    this.#nodeId = nodeId
    this.#cluster = cluster
    this.#options = options
    this.#owner = owner
  }

  /** Looks a moment later whether there is something to ask for, once for all who called. */
  schedule(): void {
    if (this.#busy || this.#closed || this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#busy || this.#closed) return
    this.#cancelWake()
    const now = this.#cluster.options.clock.elapsedMs()
    if (now < this.#notBeforeMs) return this.#wakeAt(this.#notBeforeMs)
    const { asked, waitMs, wakeMs } = this.#choose(now)
    if (asked.length === 0) {
      if (wakeMs < Infinity) this.#wakeAt(wakeMs)
      return
    }
    this.#busy = true
    const work = this.#round(asked, waitMs)
    void work.finally(() => {
      this.#busy = false
      this.#pump()
    })
  }

  close(): void {
    this.#closed = true
    this.#cancelWake()
    this.#connection?.close()
    this.#connection = null
  }

  #wakeAt(timeMs: number): void {
    const { clock } = this.#cluster.options
    this.#cancelWake = clock.after(Math.max(1, timeMs - clock.elapsedMs()), () => this.#pump())
  }

  /**
   * @returns the splits to ask for, how long the broker may wait for their records, and when there
   *   will be something to ask for if there is nothing now
   */
  #choose(now: number): { asked: Split[]; waitMs: number; wakeMs: number } {
    const asked: Split[] = []
    let waiting = false
    let wakeMs = Infinity
    const room = this.#owner.room() > 0
    for (const split of this.#owner.splitsOf(this.#nodeId)) {
      if (split.paused || split.problem !== null) continue
      if (!room || split.bufferedBytes >= this.#options.partitionBufferBytes) waiting = true
      else if (split.retryAtMs > now) wakeMs = Math.min(wakeMs, split.retryAtMs)
      else asked.push(split)
    }
    // The broker fills its answer in this order: a batch that never fitted comes first at last.
    asked.sort((one, other) => one.filled - other.filled)
    const soon = waiting ? SHORT_WAIT_MS : Math.max(SHORT_WAIT_MS, wakeMs - now)
    return { asked, waitMs: Math.round(Math.min(this.#options.maxWaitMs, soon)), wakeMs }
  }

  async #round(asked: readonly Split[], waitMs: number): Promise<void> {
    const { clock } = this.#cluster.options
    const turns = asked.map(({ turn }) => turn)
    const startMs = clock.elapsedMs()
    try {
      const connection = await this.#connected()
      const ids = asked.every(({ topicId }) => topicId !== NO_TOPIC_ID)
      const apis = ids ? [FETCH_BY_ID, FETCH_BY_NAME] : [FETCH_BY_NAME]
      const byId = connection.choose(apis) === FETCH_BY_ID
      const answer = await fetchFrom(connection, this.#request(asked, waitMs), byId)
      if (answer.code !== KafkaCode.NONE) throw refused(answer.code)
      this.#failures = 0
      const progress = this.#spread(answer, asked, turns, byId)
      const pauseMs = progress || clock.elapsedMs() - startMs > IDLE_MS ? 0 : IDLE_MS
      this.#notBeforeMs = clock.elapsedMs() + Math.max(pauseMs, answer.throttleMs)
    } catch (error) {
      if (this.#closed) return
      this.#fail(failureOf(`cannot fetch from broker ${this.#nodeId}`, error))
    }
  }

  async #connected(): Promise<BrokerConnection> {
    if (this.#connection?.usable === true) return this.#connection
    this.#connection?.close()
    this.#connection = null
    const opened = await this.#cluster.connect(this.#nodeId)
    if (opened === null) {
      throw new PipelineError(
        'CONNECT_FAILED',
        `broker ${this.#nodeId} is not known to the cluster`,
      )
    }
    if (this.#closed) opened.close()
    this.#connection = opened
    return opened
  }

  #request(asked: readonly Split[], maxWaitMs: number): Parameters<typeof fetchFrom>[1] {
    const { fetchBytes, partitionBytes, isolation } = this.#options
    const partitions = asked.map((split): FetchPartition => ({
      topic: split.topic,
      topicId: split.topicId,
      partition: split.partition,
      offset: split.fetchOffset,
      currentLeaderEpoch: split.leaderEpoch,
      lastEpoch: split.fetchEpoch,
      bytesMax: Math.max(partitionBytes, split.bytesWanted),
    }))
    const wanted = Math.max(0, ...asked.map(({ bytesWanted }) => bytesWanted))
    const bytesMax = Math.max(fetchBytes, wanted)
    return { maxWaitMs, bytesMax, isolation, partitions }
  }

  #spread(
    answer: FetchAnswer,
    asked: readonly Split[],
    turns: readonly number[],
    byId: boolean,
  ): boolean {
    const byKey = new Map(asked.map((split, index) => [nameOf(split, byId), index]))
    const filled = answer.partitions.filter(({ records }) => records.length > 0).length
    let progress = false
    for (const fetched of answer.partitions) {
      const index = byKey.get(`${fetched.partition} ${fetched.topicKey}`)
      const split = index === undefined ? undefined : asked[index]
      // The split was moved or removed while the broker was asked.
      if (split === undefined || index === undefined || split.turn !== turns[index]) continue
      if (this.#owner.accept(split, fetched, filled === 1)) progress = true
    }
    return progress
  }

  #fail(error: PipelineError): void {
    this.#connection?.close()
    this.#connection = null
    if (error.spec.action !== 'retry') return this.#owner.ended(error)
    const { clock } = this.#cluster.options
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures)
    this.#failures += 1
    this.#notBeforeMs = clock.elapsedMs() + waitMs
    this.#owner.failed(this.#nodeId, error)
  }
}

function nameOf(split: Split, byId: boolean): string {
  return `${split.partition} ${topicKeyOf(split, byId)}`
}

function refused(code: number): PipelineError {
  return new PipelineError('CONNECT_FAILED', `it answers with error ${code}`)
}
