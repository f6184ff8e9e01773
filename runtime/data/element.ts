// What travels through the corridor, in one order: rows, changes of structure, and the controls of
// hand-over and checkpoint. A source emits SourceElements; the exchange carries Elements.

import type { ErrorRecord } from '../base/errors.ts'
import type { ChangeBatch } from './batch.ts'
import type { PartitionTuple } from './partition/value.ts'
import type { Order, Position } from './position.ts'
import type { TableSchema } from './schema.ts'

/**
 * The source has read its log up to `position`, which lies between two transactions, and has
 * emitted every row before it. Barriers go only here.
 */
export interface Progress {
  readonly kind: 'progress'
  readonly position: Position
  /** Commit time of the last transaction, or the server's clock on an idle log; us since 1970. */
  readonly sourceTimeUs: bigint
}

/** The rows that follow have this structure. Also the first word about a table. */
export interface SchemaChange {
  readonly kind: 'schema'
  readonly schema: TableSchema
}

// `origin`: it is about the rows of that table of the source alone, which share `table` with others.
// Only the guard of the hand-over looks at them one by one.

/** All rows with an older order are gone: TRUNCATE, or a new incarnation (`rules`, H2). */
export interface Truncate {
  readonly kind: 'truncate'
  readonly table: string
  readonly origin?: string
  readonly order: Order
}

/** The table takes no rows until it is resynced; the others go on. */
export interface Park {
  readonly kind: 'park'
  readonly table: string
  readonly reason: ErrorRecord
}

/**
 * Hand-over: no chunk that is still to come has a LOW before `order`, so what is remembered of
 * log rows before it may be forgotten. `done`: all chunks are merged, forget everything.
 */
export interface Settled {
  readonly kind: 'settled'
  readonly table: string
  readonly origin?: string
  readonly order: Order
  readonly done: boolean
}

/**
 * The table is (again) being backfilled: from here on remember the order of each key's last change.
 */
export interface BackfillStart {
  readonly kind: 'backfill'
  readonly table: string
  readonly origin?: string
  /** H8: rows that neither a chunk nor the log confirms are deleted at its end. */
  readonly repair: boolean
  /** Order of the last TRUNCATE before a restart: chunk rows that are not newer are gone (H2). */
  readonly floor: Order | null
}

/** The cut between epoch `epoch` and the next. */
export interface Barrier {
  readonly kind: 'barrier'
  readonly epoch: number
  /** Missing: all. */
  readonly shows?: Shown
}

/** A partition of a table in the lake. */
export interface TablePartition {
  readonly table: string
  readonly partition: PartitionTuple
}

/**
 * Rows that an epoch makes visible at least: all so far, or those of the partitions. A sink may
 * hold the others back.
 */
export type Shown = 'all' | readonly TablePartition[]

export type Control = SchemaChange | Truncate | Park | Settled | BackfillStart
export type Element = ChangeBatch | Control | Barrier

/** What `Source.read` yields. Changes of structure go through SourceContext, in the same order. */
export type SourceElement = ChangeBatch | Progress
