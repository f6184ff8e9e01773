// What the reader of partitions hands to the source: records, or a problem that the source must
// judge. Everything that passes by itself (a broker that restarts, a leader that moves) is neither:
// it shows in the split's state, and delays that split alone.

import type { RecordSet } from '../records.ts'

/** Where reading of a partition goes on. */
export interface SplitPlace {
  readonly topic: string
  /** UUID in its text form. All zeros: the cluster has no topic ids. */
  readonly topicId: string
  readonly partition: number
  /** Of the next record to read. */
  readonly offset: number
  /** Of the leader that wrote the record before `offset`; -1: not known. */
  readonly leaderEpoch: number
}

/**
 * Records of one partition that one fetch brought. Its batches are decoded one by one, when they
 * are asked for, into memory that the next batch of any partition takes over.
 */
export interface Delivery {
  readonly kind: 'records'
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Behind the sets that were handed out. When `next` has given `null`: behind all. */
  readonly nextOffset: number
  /** Of the last batch passed, which belongs to the place of `nextOffset`. */
  readonly leaderEpoch: number
  /**
   * The committed records of the next batch that has any; the set before is no longer valid.
   *
   * @returns `null`: all is read, and the delivery is done
   * @throws PipelineError LOG_CORRUPT, LOG_UNKNOWN_EVENT with topic, partition and offset
   */
  next(): RecordSet | null
}

/** What is wrong with the place that a split is to be read from. */
export type Problem =
  /** Its record was removed, by retention or by somebody, or the log ends before it. */
  | {
      readonly problem: 'out-of-range'
      readonly logStartOffset: number
      readonly highWatermark: number
    }
  /** The log that was read is not the leader's: their histories part at `endOffset`. */
  | { readonly problem: 'truncated'; readonly endOffset: number; readonly endEpoch: number }
  /** The topic of that name is another one now. */
  | { readonly problem: 'recreated'; readonly newTopicId: string }
  /** The cluster says for a while that there is no such topic or partition. */
  | { readonly problem: 'missing' }
  /** READ on the topic is not granted. */
  | { readonly problem: 'unauthorized' }

/**
 * The source decides: none of these passes by itself. It comes once, behind the records that were
 * fetched before, and the split is not read on until it is assigned again.
 */
export type SplitProblem = Problem & {
  readonly kind: 'problem'
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The place that was asked for. */
  readonly offset: number
}

/** Why a split that is not paused has nothing to give. */
export type StallReason =
  | 'no-leader'
  | 'broker-unreachable'
  | 'open-transaction'
  | 'metadata'
  | 'broker-error'

export interface SplitState {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Behind the last set that was handed out. */
  readonly nextOffset: number
  readonly leaderEpoch: number
  /** As the last answer of the leader had them; -1: not known yet. */
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly paused: boolean
  /** All that may be read now has been handed out, and the leader was asked since. */
  readonly atEnd: boolean
  /** When the leader answered last, milliseconds since 1970; `null`: it has not. */
  readonly answeredMs: number | null
  readonly stalled: {
    readonly reason: StallReason
    readonly sinceMs: number
    readonly detail: string
  } | null
}

export interface ReadOptions {
  readonly isolation: 'read_committed' | 'read_uncommitted'
  /** Bytes of one partition in one answer; a batch that is larger comes whole. */
  readonly partitionBytes: number
  /** Bytes of one answer. */
  readonly fetchBytes: number
  /** Bytes of fetched and not yet read batches, of one partition and of all. */
  readonly partitionBufferBytes: number
  readonly bufferBytes: number
  /** How long a broker may wait for records before it answers that there are none. */
  readonly maxWaitMs: number
}

export const READ_OPTIONS: ReadOptions = {
  isolation: 'read_committed',
  partitionBytes: 2 << 20,
  fetchBytes: 16 << 20,
  partitionBufferBytes: 6 << 20,
  bufferBytes: 64 << 20,
  maxWaitMs: 250,
}

/** Reads many partitions from many brokers. Nothing here blocks: the source asks, or waits. */
export interface RecordReader {
  /** Begins to read at these places, or goes on there: what was fetched of the split is dropped. */
  assign(places: readonly SplitPlace[]): void
  remove(topicId: string, partition: number): void
  pause(topicId: string, partition: number): void
  resume(topicId: string, partition: number): void
  /**
   * What is there now of a split that is not paused, taking turns between the splits; a delivery
   * that the caller left before its end is offered again. `null`: nothing.
   */
  take(): Delivery | SplitProblem | null
  /**
   * Resolves once `take` has something, or after `ms`; rejects when the signal aborts. One caller
   * waits at a time.
   */
  wait(ms: number, signal: AbortSignal): Promise<void>
  states(): readonly SplitState[]
  close(): Promise<void>
}
