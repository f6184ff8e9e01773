// The port of everything that is told of partitions: who reads the lake begins with what is whole.
// A notifier hears of each generation of a partition at least once, and always under the same id.

import type { ErrorRecord } from './base/errors.ts'

/** A partition that is whole: every row of it is visible, and none is expected any more. */
export interface PartitionReady {
  /** The same for every delivery of this generation of this partition, and for nothing else. */
  readonly id: string
  readonly pipeline: string
  /** Name in the lake. */
  readonly table: string
  /** The partition's field and its value as people read it: `ts_hour`, `2026-11-20-07`. */
  readonly field: string
  readonly value: string
  /** 1, and one more each time that rows of it came, changed or went afterwards. */
  readonly generation: number
  /** What the table's watermark was when it was found to be whole. */
  readonly watermarkUs: bigint
  /** Data files, rows and bytes that were added to it so far; 0: an empty partition. */
  readonly files: number
  readonly rows: number
  readonly bytes: number
  /** Of the rows: those that came after generation 1. */
  readonly lateRows: number
  /** With whose commit it was whole. */
  readonly epoch: number
  /** A snapshot of the lake table that shows it; `null`: the lake has no such table yet. */
  readonly snapshotId: bigint | null
  readonly decidedAtMs: number
  /** BEST_EFFORT: files that lay too far ahead of the watermark were not counted. */
  readonly completeness: 'EXACT' | 'BEST_EFFORT'
}

/** What became of one delivery. */
export type Delivery =
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'failed'
      readonly error: ErrorRecord
      /** When the receiver wants to be asked again; `null`: it does not say. */
      readonly retryAfterMs: number | null
    }

export interface Notifier {
  /** Stable name of the receiver: what it has heard is remembered under it. */
  readonly name: string
  /** `success_file`, `http`, ...: for metrics. */
  readonly kind: string
  /**
   * Makes the effect; delivered: it is durable. May be called again with what it has delivered.
   *
   * @param signal  ends the call; the outcome is unknown then, and it comes again
   */
  deliver(event: PartitionReady, signal: AbortSignal): Promise<Delivery>
  close(): Promise<void>
}
