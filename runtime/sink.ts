// The port of everything that is written: writers prepare files that nobody can see, one committer
// makes them visible. Committing an intent again changes nothing.

import type { ErrorRecord } from './base/errors.ts'
import type { ChangeBatch } from './data/batch.ts'
import type { Control, Shown, TablePartition } from './data/element.ts'
import type { PartitionTuple } from './data/partition/value.ts'
import type { Position } from './data/position.ts'
import type { TableSchema } from './data/schema.ts'

declare const receiptBrand: unique symbol

/**
 * Proof that the checkpoint of an epoch is durable, so the source may forget what is before its
 * position. Only runtime/checkpoint/commit.ts makes one.
 */
export interface CommitReceipt {
  readonly [receiptBrand]: true
  readonly epoch: number
  readonly position: Position
}

/** Rows of one table in one epoch, by what became of them (`rules`, trace). */
export interface RowCounts {
  /** Rows that entered the writer. */
  read: number
  /** Rows written, and deletes of a row that was there. */
  written: number
  /** Losers of the version comparison, and rows below the floor. */
  stale: number
  /** Folded away in the epoch, and deletes of a key that was not there. */
  absorbed: number
  /** Rows of a parked table. */
  parked: number
  /**
   * Rows that wait at the end of the epoch: partial ones for their backfill row (H9), and those of
   * files that a sink keeps open.
   */
  held: number
}

export interface TableCounts extends RowCounts {
  readonly table: string
  /** Of `read`: by Op. */
  readonly ops: { insert: number; update: number; delete: number; read: number }
}

/** What one writer made in one epoch; plain data, goes into the checkpoint as it is. */
export interface PreparedEpoch<Committable> {
  readonly epoch: number
  readonly committables: readonly Committable[]
  /** What the writer needs to go on from here after a restart; names immutable files by path. */
  readonly state: WriterState
  readonly counts: readonly TableCounts[]
  /** Tables that this writer can no longer write; the runtime parks them in this epoch. */
  readonly parked: readonly { readonly table: string; readonly reason: ErrorRecord }[]
  /** Partitions with rows that are durable and in no committable yet. None: there are none. */
  readonly openPartitions?: readonly TablePartition[]
}

/** JSON data of the sink's own making, and the state files that it names. */
export interface WriterState {
  readonly data: unknown
  /** Paths relative to the state folder. They live until no kept checkpoint names them. */
  readonly files: readonly string[]
  /** No data file of this writer has this id or a higher one. */
  readonly nextFileId: number
}

export interface SinkWriter<Committable> {
  /**
   * Takes one element of the corridor. Batches are only read and may be kept until the returned
   * promise settles, or the call returns where there is none.
   */
  write(element: ChangeBatch | Control): Promise<void> | undefined
  /**
   * True when log rows of the table wait for the values of their backfill rows: `fill` has a use.
   */
  holds(table: string): boolean
  /**
   * Takes backfill rows that lost against the log. Those of keys whose log rows lack values
   * complete them (H9): what the log said lies over the values of the chunk. All others are counted
   * `stale`.
   */
  fill(batch: ChangeBatch): Promise<void> | undefined
  /**
   * Ends the epoch: all rows and the state are durable (fsynced) when it resolves.
   *
   * @param shows  the others may be left out of the committables, to be in those of a later epoch:
   *               they count as `held`. Missing: all
   */
  prepare(epoch: number, shows?: Shown): Promise<PreparedEpoch<Committable>>
  /**
   * Of several sinks as one: under which names counts and committables have a table of the source,
   * one for each of them. Missing: under its own.
   */
  namesOf?(table: string): readonly string[]
  close(): Promise<void>
}

/** All that is needed to make one epoch visible, from the checkpoint. */
export interface Intent<Committable> {
  readonly pipeline: string
  readonly timeline: number
  readonly epoch: number
  readonly fence: string
  readonly position: Position
  readonly sourceTimeUs: bigint
  readonly tables: readonly TableIntent<Committable>[]
}

export interface TableIntent<Committable> {
  readonly table: string
  /** Pre-generated id of the snapshot that main will point to; it names the intent (C1). */
  readonly snapshotId: bigint
  /**
   * Versions that this epoch adds to the lake, in order; the first epoch of a table has its first.
   */
  readonly schemas: readonly TableSchema[]
  /** The table's identity in the catalog; `null`: the committer creates it. */
  readonly tableUuid: string | null
  /** Snapshot id that our last commit to this table left; `null`: none. */
  readonly lastIntent: bigint | null
  /**
   * Ids of the table's intents that wait behind those of this call, in order. A former process may
   * have committed them: then this one is done as well. None: there are none.
   */
  readonly behind?: readonly bigint[]
  /** Event time up to which all rows of the table are in the lake with this commit, if known. */
  readonly watermarkUs?: bigint | null
  /** Rows of the table that wait for a later epoch: its commit is no cut. None: there are none. */
  readonly held?: number
  /** One or more, a writer each. */
  readonly committables: readonly Committable[]
}

/** What became of one table of an intent. */
export interface TableCommit {
  readonly table: string
  readonly outcome: 'committed' | 'already-committed' | 'unchanged' | 'diverged'
  readonly tableUuid: string | null
  readonly snapshotId: bigint | null
  readonly metadataLocation: string | null
  /** Partitions whose rows it has changed, as far as the sink knows. */
  readonly partitions?: readonly PartitionTuple[]
  /** For `diverged`: the table must be parked; nothing of it was committed. */
  readonly reason: ErrorRecord | null
}

export interface Committer<Committable> {
  /**
   * Makes the intents visible, all tables of an epoch together (C2). Intents are in epoch order;
   * several may be squashed (C5). Idempotent: an outcome that is unknown is looked up first.
   *
   * @param signal  ends the retries of this call; an attempt that is under way is finished
   * @throws PipelineError CATALOG_UNAVAILABLE (retry) · TIMELINE_AHEAD, FENCED,
   *         TABLE_IDENTITY_CHANGED (stop)
   */
  commit(
    intents: readonly Intent<Committable>[],
    signal?: AbortSignal,
  ): Promise<readonly TableCommit[]>
  /**
   * Takes the lake table as it is now for ours, by a marker of its own: for a table that is about
   * to be written anew from the source. Never while `commit` runs.
   *
   * @returns `null` when there is no such table
   */
  adopt(table: string, claim: TableClaim): Promise<AdoptedTable | null>
  /**
   * Changes properties of a lake table that is ours, by a swap of its own. Never while `commit` runs.
   *
   * @returns false when there is no such table
   * @throws PipelineError CATALOG_UNAVAILABLE, CATALOG_CONFLICT (retry)
   */
  changeProperties(table: string, change: PropertyChange): Promise<boolean>
  /**
   * Removes files that a crash left in the folders of `tables`. Only while no writer runs.
   *
   * @param keep  files of intents that are not committed yet, as committables name them, and those
   *              that are not finished and yet named by the checkpoint
   * @returns files found
   */
  sweep(tables: readonly string[], keep: ReadonlySet<string>): Promise<number>
  close(): Promise<void>
}

/**
 * What is to be changed in a table's properties, given those that it has; `null`: removed. May be
 * asked again, with others.
 */
export type PropertyChange = (
  properties: Readonly<Record<string, string>>,
) => Readonly<Record<string, string | null>>

/** Who adopts a table, and at which epoch. */
export interface TableClaim {
  readonly timeline: number
  readonly epoch: number
  readonly fence: string
}

/** A table that the next commit may go on from. */
export interface AdoptedTable {
  readonly commit: TableCommit
  /** Schema versions and field ids of later epochs must lie above these (C3). */
  readonly lastSchemaId: number
  readonly lastColumnId: number
  /** The intent that our marker named before; `null`: it had none of ours. */
  readonly before: bigint | null
}
