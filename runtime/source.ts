// The port of everything that is read. A connector knows its server's SQL, bytes and privileges;
// the runtime knows tables, chunks in flight, barriers and checkpoints.

import type { PipelineError } from './base/errors.ts'
import type { ChangeBatch, Transactions } from './data/batch.ts'
import type { SourceElement } from './data/element.ts'
import type { EventTimes } from './data/event-times.ts'
import type { Order, Position } from './data/position.ts'
import type { SourceTable, TableSchema } from './data/schema.ts'
import type { CommitReceipt } from './sink.ts'

/**
 * What a source may ask and tell while it reads; calls take effect in the order of its elements.
 */
export interface SourceContext {
  /** The structure that following rows of the table must have; `null`: skip and count its rows. */
  schemaOf(table: string): TableSchema | null
  /**
   * Each update of the table is to be followed, in its batch, by the row that it replaced
   * (`Op.before`), if the log has the whole of it. Told anew with each structure.
   */
  oldRows(table: string): boolean
  /**
   * The log shows `table` in another shape, or for the first time. All rows in the old shape must
   * have been yielded before.
   *
   * @param order  of the transaction (or place) that shows it
   * @returns the schema for the rows that follow; `null` when the table is parked by this change
   */
  tableChanged(table: SourceTable, order: Order): TableSchema | null
  /** All rows of the table before `order` are gone (TRUNCATE). */
  tableTruncated(table: string, order: Order): void
  /** The table is gone from the source; the lake table is kept. */
  tableDropped(table: string, order: Order): void
  /** Rows of this table cannot be carried on; later ones are skipped and counted. */
  park(table: string, error: PipelineError): void
  /** Rows of a parked table that were skipped. */
  countParked(table: string, rows: number): void
  /**
   * What the rows of one split say about event time: told behind the rows and before the next
   * Progress, by a source that has `splits`; `scanEventTimes` makes the figures. Of databases the
   * runtime looks at commit times, or at the rows itself.
   */
  timesRead(times: EventTimes): void
  /**
   * Rows of the table that happened before are of partitions that were announced as whole, and must
   * not be written: microseconds since 1970 on the clock of the table's time column. Moves at a
   * Progress only; `null`: every row is to be written.
   */
  lateBefore(table: string): bigint | null
}

/** The connection that the log comes by, as its reader sees it. */
export interface LogLink {
  /** The server has begun to send. */
  readonly open: boolean
  /**
   * Milliseconds since the server's last sign of life, a heartbeat as much as a row; 0 while it is
   * we who do not read.
   */
  readonly silentMs: number
  /** A living server is not silent for longer: three of its heartbeats. */
  readonly silentMsMax: number
  /** Why it was lost, while it is being opened again; `null` otherwise. */
  readonly lost: PipelineError | null
}

/**
 * reading: rows of it are on their way · at-end: the last look found nothing behind the rows that
 * were yielded · blocked: it is not being read, by whatever cause (paused, ahead of the others,
 * throttled, no leader, connection lost, waiting for a schema) · finished: nothing will ever come.
 */
export type SplitState = 'reading' | 'at-end' | 'blocked' | 'finished'

/** One split, as far as event time is concerned. */
export interface SplitTimes {
  readonly split: string
  /** Tables that its rows go to: their watermarks wait for it. */
  readonly tables: readonly string[]
  readonly state: SplitState
  /** The clock of the split's server, microseconds since 1970; `null`: it is not known. */
  readonly clockUs: bigint | null
}

/** Where reading begins, decided by the source and the checkpoint together. */
export interface SourceOpening {
  /** Log position to read from. */
  readonly position: Position
  /** Every table that the selector matches now. */
  readonly tables: readonly SourceTable[]
  /** More match, of which only their rows will tell the columns. */
  readonly more?: boolean
}

/** A piece of a table that one reader copies: keys in (after, until] in the order of the index. */
export interface Chunk {
  readonly table: string
  /** Exclusive lower bound; `null`: from the start. Opaque text of the source. */
  readonly after: string | null
  /** Inclusive upper bound; `null`: to the end. */
  readonly until: string | null
}

/** Rows of a chunk in key order, and the key behind which a resumed chunk goes on. */
export interface ChunkPart {
  readonly batch: ChangeBatch
  /** Key of the last row of `batch`, as `Chunk.after` takes it. */
  readonly lastKey: string
}

/**
 * An open read of one chunk (or of its first `limit` rows). The transaction is open from
 * `openChunk` to the end of `parts`.
 */
export interface ChunkRead {
  /**
   * Every transaction with an order before `low` is in the rows; all others come by the log. Rows
   * carry it as their order. The runtime emits no row before the log has been read up to `low`.
   */
  readonly low: Order
  /** Batches of Op.read rows. Consumed once, to its end or to an error. */
  readonly parts: AsyncIterable<ChunkPart>
  /**
   * After `parts` ended: the log end of the server that the stream reads, read after the SELECT.
   * Once the log has been read up to it, every row of the chunk is as the source committed it.
   */
  high(): Promise<Order>
  /** True when `parts` ended because the chunk is exhausted, not because of the row limit. */
  exhausted(): boolean
  /** `null`: the table has a key, which tells its rows apart. */
  readonly visibility: ChunkVisibility | null
}

/** Which transactions of the log a chunk shows: exact, where LOW and HIGH are bounds. */
export interface ChunkVisibility {
  /** Before the log has been read up to here, transactions may come that cannot be told. */
  readonly certainFrom: Order
  /**
   * @param index  of a transaction that came by the log, committed
   * @returns `null`: it cannot be told
   */
  shows(transactions: Transactions, index: number): boolean | null
}

export interface Source {
  /**
   * Connects, checks the server's identity and settings against `saved`, creates what is missing
   * (publication, slot) and returns where to read from.
   *
   * @param saved  what `save` returned at the checkpoint; `null` at the very first start
   * @param after  position of the checkpoint; `null` at the very first start
   * @param renew  with `null` for `saved`: the log of before cannot be gone on with, so what the
   *   server keeps for it (a slot) is replaced by a new one. It may be the log of another server,
   *   but its orders must lie above `after`: floors and versions of before are compared with them
   * @throws PipelineError LOG_GAP, SOURCE_CHANGED, SLOT_MISSING, ... when rows would be missed
   */
  open(saved: Uint8Array | null, after: Position | null, renew: boolean): Promise<SourceOpening>
  /**
   * Reads the log strictly after `after`, until the signal aborts. Batches of several tables may
   * be open at once; all are yielded before each Progress. Ends only by abort or error.
   */
  read(after: Position, context: SourceContext, signal: AbortSignal): AsyncIterable<SourceElement>
  /**
   * Asks for a Progress at the next transaction end (at once on an idle log). Cheap; idempotent.
   */
  requestProgress(): void
  /** Cheap; asked a few times a second. `null` while the log is not being read. */
  link(): LogLink | null
  /**
   * What a part of the log waits for while the others go on, as the end of "the table waits for
   * ..."; `null`: nothing. Asked a few times a second; without it a log has no parts.
   */
  waitsFor?(table: string): string | null
  /**
   * Of a source with several splits: all of them, those that have not had a row too, from the end
   * of `open` on. Asked at every Progress and a few times a second, so that only what has been
   * yielded may count as read. A split that is missing counts as blocked. Without it the source has
   * one split, its log, which orders rows by commit time.
   */
  splits?(): readonly SplitTimes[]
  /**
   * These splits, and no others, are to stop fetching until the next call: they are too far ahead
   * of the others in event time. Connections and heartbeats stay.
   */
  pauseSplits?(splits: ReadonlySet<string>): void
  /**
   * The log of these tables, and of no others, is not to be fetched until the next call: they are
   * over their limits. Without it the log is one, and waits as a whole.
   *
   * @param tables  `tableKey`
   */
  pauseTables?(tables: ReadonlySet<string>): void
  /**
   * Looks for changes of structure that the log does not carry. `confirmed` says, after the next
   * Progress, whether all that were made before this call have been told.
   */
  confirm(): void
  confirmed(): boolean
  /**
   * The log end of the server now: `--once` reads up to here, `status` computes the lag from it.
   * Asked only of an open source.
   */
  head(): Promise<Position>
  /**
   * Whether a log that has been read up to `position` has brought all that lies before `target`.
   * Orders alone do not tell it of a log of several parts, each of which has an end of its own.
   */
  reaches(position: Position, target: Position): boolean
  /** Rows in the table by the server's statistics; `null` when unknown. */
  estimateRows(table: string): Promise<number | null>
  /**
   * Upper bounds that cut the table into `count` pieces of about equal size, in index order;
   * fewer when the table is small. [] means one piece.
   */
  splitKeys(schema: TableSchema, count: number): Promise<readonly string[]>
  /**
   * Opens a chunk under the schema that the log has now.
   *
   * @param processed  position that the log has been read to (see `ChunkRead.low`)
   * @throws PipelineError SCHEMA_MOVED when the table no longer has this shape
   */
  openChunk(
    chunk: Chunk,
    limit: number,
    schema: TableSchema,
    processed: Position,
    signal: AbortSignal,
  ): Promise<ChunkRead>
  /**
   * A table that has just joined: resolves when its chunks may open (H4), or says what they wait
   * for (`status` shows it).
   */
  mayBackfill(table: string): Promise<{ ready: true } | { ready: false; waitsFor: string }>
  /** Smallest LOW that a chunk opened from now on could have (H1); never falls. */
  lowBound(processed: Position): Order
  /** What must survive a restart besides the position (H1, H3, H12); taken at a Progress. */
  save(): Uint8Array
  /** The source may forget its log before the receipt's position. */
  acknowledge(receipt: CommitReceipt): Promise<void>
  close(): Promise<void>
}

/** One finding of `millrace check`. */
export interface Finding {
  readonly name: string
  readonly ok: boolean
  /** Not ok, but Millrace runs nevertheless. */
  readonly warning: boolean
  readonly message: string
  /** SQL that repairs it, one statement a line. */
  readonly fix: string | null
}

/** A table as `discover` and `check` print it: columns that cannot be mapped included. */
export interface DiscoveredTable {
  readonly namespace: string
  readonly name: string
  readonly estimatedRows: number | null
  readonly key: readonly string[] | null
  readonly columns: readonly {
    readonly name: string
    readonly sourceType: string
    readonly nullable: boolean
    /** Type in the lake as Iceberg spells it; `null`: unsupported. */
    readonly lakeType: string | null
    /** Why it is unsupported, or what is worth knowing about the mapping. */
    readonly note: string | null
  }[]
}

/** One thing that `millrace drop` was to remove. */
export interface Removal {
  /** `replication slot "millrace_shop"`. */
  readonly what: string
  /** Why it stays, and how to remove it; `null`: it is gone. */
  readonly kept: string | null
}

/** All rows of a table as one snapshot of the server has them, for a comparison with the lake. */
export interface TableScan {
  /** The structure that the rows have. */
  readonly table: SourceTable
  /**
   * Op.read batches with the columns of `table`, in its order and in no order of rows. Consumed
   * once.
   */
  readonly batches: AsyncIterable<ChangeBatch>
  /**
   * After `batches` ended: the log end, read after the rows. Whoever has followed the log up to it
   * has seen every change that the rows show.
   */
  high(): Promise<Order>
}

/** What the command line asks of a source without reading its log. */
export interface SourceInspector {
  check(): Promise<readonly Finding[]>
  discover(): Promise<readonly DiscoveredTable[]>
  /**
   * Opens a read of a whole table, beside a running pipeline or without one. Takes no lock that
   * keeps others from reading or writing, and leaves nothing on the server.
   *
   * @param table  `tableKey`
   * @param near   some position of the pipeline: the log end is told in its terms
   * @returns `null` when the source has no such table, or the pipeline does not select it
   * @throws PipelineError; `batches` throws SCHEMA_MOVED when the structure changes meanwhile
   */
  scan(table: string, near: Position, signal: AbortSignal): Promise<TableScan | null>
  /**
   * Reads rows of one table for people to look at: of a database those that come first by its key,
   * of a topic the records that it has kept longest, dead letters among them. Tells the structure
   * to `context` before the rows that have it. Leaves nothing on the server, and reads no log of
   * a database.
   *
   * @param table    `tableKey`, one of `discover`
   * @param rowsMax  a database gives no more; a topic ends where it ended at the start. 0: the
   *   structure alone, where it is known without a record
   * @throws PipelineError TABLE_MISSING, TYPE_UNSUPPORTED, CONNECT_FAILED, ...
   */
  sample(
    table: string,
    rowsMax: number,
    context: SourceContext,
    signal: AbortSignal,
  ): AsyncIterable<ChangeBatch>
  /**
   * Removes what `open` created on the server (slot, publication).
   *
   * @throws PipelineError PRIVILEGE_MISSING when something is left that must not stay
   */
  drop(): Promise<readonly Removal[]>
  close(): Promise<void>
}
