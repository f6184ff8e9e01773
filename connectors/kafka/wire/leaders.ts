// Who leads a partition. Asked only while a split has no leader, of the topics that are concerned;
// what brokers say while a change spreads among them is not believed before it has been so for a
// while.

import type { PipelineError } from '../../../runtime/base/errors.ts'
import type { Cluster } from './cluster.ts'
import { failureOf } from './failure.ts'
import { type ClusterMetadata, NO_TOPIC_ID } from './metadata.ts'
import type { Split } from './split.ts'

const LOOK_MIN_MS = 50
const LOOK_MAX_MS = 1_000
/** A topic is missing, or another one, when brokers say so for that long. */
const DOUBT_MS = 3_000

export interface LeadersOwner {
  splits(): Iterable<Split>
  /** The split has this leader now, maybe the same as before. */
  led(split: Split, leader: number, leaderEpoch: number): void
  /** A split has got a problem. */
  judged(): void
  /** Reading cannot go on. */
  ended(error: PipelineError): void
}

export class Leaders {
  readonly #cluster: Cluster
  readonly #owner: LeadersOwner
  #looking = false
  #closed = false
  #vain = 0
  #cancel: () => void = () => {}

  constructor(cluster: Cluster, owner: LeadersOwner) {
    this.#cluster = cluster
    this.#owner = owner
  }

  /** Looks until every split has a leader or a problem. */
  look(): void {
    if (this.#looking || this.#closed) return
    this.#looking = true
    // A moment later: whoever assigns many splits is to be answered by one request.
    queueMicrotask(() => void this.#work())
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  async #work(): Promise<void> {
    const sought = this.#sought()
    let error: unknown = null
    try {
      const topics = [...new Set(sought.map(({ topic }) => topic))]
      if (topics.length > 0) {
        const metadata = await this.#cluster.metadata(topics)
        for (const split of this.#sought()) this.#judge(split, metadata)
      }
    } catch (failure) {
      error = failure
    }
    this.#looking = false
    if (this.#closed) return
    if (error !== null) this.#failed(failureOf('cannot ask for the leaders', error))
    if (this.#sought().length === 0) this.#vain = 0
    else this.#again()
  }

  #sought(): Split[] {
    return [...this.#owner.splits()].filter(({ leader, problem }) => leader < 0 && problem === null)
  }

  #again(): void {
    const waitMs = Math.min(LOOK_MAX_MS, LOOK_MIN_MS * 2 ** this.#vain)
    this.#vain += 1
    this.#cancel()
    this.#cancel = this.#cluster.options.clock.after(waitMs, () => this.look())
  }

  #failed(failure: PipelineError): void {
    if (failure.spec.action !== 'retry') return this.#owner.ended(failure)
    const now = this.#cluster.options.clock.nowMs()
    for (const split of this.#sought()) split.stall('broker-unreachable', failure.message, now)
  }

  #judge(split: Split, { topics }: ClusterMetadata): void {
    const topic = topics.get(split.topic)
    if (topic === undefined) return
    if (topic.problem === 'unauthorized') {
      split.fail({ problem: 'unauthorized' })
      return this.#owner.judged()
    }
    const known = topic.partitions.find(({ partition }) => partition === split.partition)
    const another = topic.topicId !== split.topicId && topic.topicId !== NO_TOPIC_ID
    if (topic.problem === 'missing') this.#doubt(split, 'missing')
    else if (another && split.topicId !== NO_TOPIC_ID) this.#doubt(split, topic.topicId)
    else if (topic.problem !== null) this.#stall(split, 'the cluster does not tell about its topic')
    else if (known === undefined) this.#doubt(split, 'missing')
    else if (known.leader < 0) {
      const now = this.#cluster.options.clock.nowMs()
      split.stall('no-leader', 'no replica of it can lead', now)
      split.doubt = null
    } else {
      // A broker that has not heard of the newest leader yet is asked again later.
      if (known.leaderEpoch < split.leaderEpoch) return
      this.#owner.led(split, known.leader, known.leaderEpoch)
    }
  }

  /** @param kind  `missing`, or the id that the topic has instead */
  #doubt(split: Split, kind: string): void {
    const now = this.#cluster.options.clock.elapsedMs()
    if (split.doubt?.kind !== kind) split.doubt = { kind, sinceMs: now }
    const missing = kind === 'missing'
    const detail = missing ? 'the cluster has no such topic' : 'its topic has another id'
    this.#stall(split, detail)
    if (now - split.doubt.sinceMs < DOUBT_MS) return
    if (missing) split.fail({ problem: 'missing' })
    else split.fail({ problem: 'recreated', newTopicId: kind })
    this.#owner.judged()
  }

  #stall(split: Split, detail: string): void {
    split.stall('metadata', detail, this.#cluster.options.clock.nowMs())
  }
}
