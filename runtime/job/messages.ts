// What the main thread and its workers tell each other. Rows never pass here: they go from the
// source thread to the writer threads by channels of their own.

import type { MessagePort } from 'node:worker_threads'
import type { ErrorRecord } from '../base/errors.ts'
import type { Adoption } from '../checkpoint/commit.ts'
import type { SourceCheckpoint } from '../checkpoint/manifest.ts'
import type { SourceCounts } from '../checkpoint/trace.ts'
import type { Shown } from '../data/element.ts'
import type { TableSchema } from '../data/schema.ts'
import type { TimeSpread } from '../flow/watermark.ts'
import type { CommitReceipt, PreparedEpoch } from '../sink.ts'
import type { Limits } from './limits.ts'
import type { LogState } from './log-watch.ts'
import type { EventTimeOptions } from './table-times.ts'
import type { ThrottleState } from './throttle.ts'

export interface SourceStart {
  readonly kind: 'start'
  readonly checkpoint: SourceCheckpoint | null
  /** Tables to read again (H8). */
  readonly repairs: Repairs
  /** Tables that turned out not to be ours any more before the threads ran. */
  readonly parked: readonly { readonly table: string; readonly reason: ErrorRecord }[]
  /** One a writer, in order. */
  readonly channels: readonly MessagePort[]
  readonly options: SourceTaskOptions
}

/** A table that is to be read again and written anew. */
export interface Repair {
  readonly table: string
  /** `null`: the lake table is as we left it. */
  readonly adoption: Adoption | null
}

export interface Repairs {
  /** Every table, from a new log position: the old one is lost. */
  readonly all: boolean
  readonly tables: readonly Repair[]
}

export interface SourceTaskOptions {
  /** Tables get a first copy of their rows; else they begin with what the log brings. */
  readonly backfills: boolean
  /** A parked table can be read again; else a row that cannot be carried on ends the reading. */
  readonly rereads: boolean
  /** Stop at the log end of the start, once all tables are handed over. */
  readonly once: boolean
  readonly backfillParallelism: number
  readonly chunkRows: number
  /** The sink tells rows apart by key. */
  readonly keyed: boolean
  /** The sink keeps every row that it is given, so none may come twice. */
  readonly appends: boolean
  /** What event time is, and when it has passed. */
  readonly eventTime: EventTimeOptions
  readonly limits: Limits
  readonly firstFieldId: number
  /** Names that no column of the source may have. */
  readonly reservedNames: readonly string[]
}

/** To the source thread. */
export type SourceCommand =
  | SourceStart
  /** Put a barrier at the next transaction end. */
  | { readonly kind: 'barrier'; readonly epoch: number; readonly shows: Shown }
  | { readonly kind: 'acknowledge'; readonly receipt: CommitReceipt }
  | { readonly kind: 'park'; readonly table: string; readonly reason: ErrorRecord }
  | { readonly kind: 'repair'; readonly repair: Repair }
  | { readonly kind: 'stop' }

/** What the source thread held when it passed a barrier. */
export interface SourceBarrier {
  readonly kind: 'barrier'
  readonly epoch: number
  readonly checkpoint: SourceCheckpoint
  /** Schema versions that came since the last barrier, in order. */
  readonly schemas: readonly TableSchema[]
  readonly counts: readonly SourceCounts[]
  readonly refused: readonly RefusedTable[]
}

/** A table that matches the selector and could not be taken in. */
export interface RefusedTable {
  readonly table: string
  readonly reason: ErrorRecord
}

export interface SourceProgress {
  readonly kind: 'progress'
  readonly rowsSent: number
  /** Share of the fullest channel's credit in use. */
  readonly queueFill: number
  readonly headOrder: bigint | null
  readonly processedOrder: bigint
  readonly sourceTimeUs: bigint
  readonly log: LogState
  /** How fast the source may be read; `null`: as fast as it goes. */
  readonly throttle: ThrottleState | null
  readonly tables: readonly TableProgress[]
}

export interface TableProgress {
  readonly table: string
  readonly phase: string
  readonly reason: ErrorRecord | null
  readonly waitsFor: string | null
  /** It is being read again, to be compared with what the lake has (H8: rows that vanished go). */
  readonly repair: boolean
  readonly rowsDone: number | null
  readonly rowsEstimated: number | null
  /** No row with an earlier event time is to come; `null`: nothing can be promised yet. */
  readonly watermarkUs: bigint | null
  /** How far apart in event time its splits are; `null`: nothing is known of it. */
  readonly times: TimeSpread | null
}

/** From the source thread. */
export type SourceReport =
  | { readonly kind: 'opened'; readonly tables: readonly string[] }
  | SourceBarrier
  | SourceProgress
  /** `once`: the head of the start is reached and every table is handed over. */
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly error: ErrorRecord }
  | { readonly kind: 'stopped' }

/** To a writer thread. */
export type WriterCommand =
  | { readonly kind: 'start'; readonly channel: MessagePort }
  | { readonly kind: 'stop' }

/** From a writer thread. */
export type WriterReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'prepared'; readonly prepared: PreparedEpoch<unknown> }
  | { readonly kind: 'failed'; readonly error: ErrorRecord }
  | { readonly kind: 'stopped' }
