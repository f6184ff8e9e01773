// What the scenarios need of a database server under test. Implementations differ in SQL and tools
// only; how things are measured is the same for all.

import type { Command } from './measure.ts'
import type { SourceAddress } from './pipeline.ts'

/**
 * denominator: does nothing but receive · alternative: what npm offers for the same job · peer:
 * what is taken for it elsewhere.
 */
export type ReferenceKind = 'denominator' | 'alternative' | 'peer'

/** Something that reads the same log or table as we do, to measure ourselves by. */
export interface Reference {
  /** As it stands in the report. */
  readonly name: string
  readonly kind: ReferenceKind
  /** Started together. */
  readonly commands: readonly Command[]
  /** Rows that one run reads, if it reads less than all. */
  readonly rows?: number
  /** The programs print `{"rows":N,"seconds":S}` of their steady part. */
  readonly reportsItself?: boolean
}

/** How rows stand in the log. */
export interface LogShape {
  readonly transactionRows: number
  /** Of one statement; MySQL's log has one event for all of them. */
  readonly statementRows: number
}

/** Inserts rows `first`...`first + rows - 1` in one transaction; resolves when it is committed. */
export type TransactionWriter = (first: number, rows: number) => Promise<void>

export interface Engine {
  readonly kind: 'postgres' | 'mysql' | 'mariadb' | 'kafka'
  readonly source: SourceAddress
  /** Aggregates over the lake's table that say whether all has arrived. */
  readonly fingerprintColumns: readonly string[]
  /** Root of the server's process tree. */
  pid(): number
  /** Name and version for the report. */
  version(): Promise<string>
  createTable(): Promise<void>
  /** Inserts rows `first`...`first + rows - 1`. */
  load(first: number, rows: number, log: LogShape): Promise<void>
  /** Transactions on one connection that stays open. */
  withWriter<T>(work: (write: TransactionWriter) => Promise<T>): Promise<T>
  /** Updates `rows` times one of the `total` rows, scattered, each as often as the others. */
  update(rows: number, total: number, rowsPerTransaction: number): Promise<void>
  /** Remembers the log's end: `rewind` and `logReferences` begin there. */
  mark(): Promise<void>
  /** Lets the server finish what it does behind the scenes after a load. */
  settle(): Promise<void>
  /** Before each run from the mark: the server must give the log from there again. */
  rewind(): Promise<void>
  /** Before each first run: no trace of the pipeline is on the server. */
  forget(): Promise<void>
  /** Of the log between the mark and now, as it lies on the server's disk. */
  logBytes(): Promise<number>
  /** Of the table, as it lies there. */
  tableBytes(): Promise<number>
  /** Readers of the log between the mark and now, each to be run after a `rewind`. */
  logReferences(rows: number): Promise<readonly Reference[]>
  /** Readers of the same log from elsewhere, which first have to be fetched. */
  logPeers(rows: number): Promise<readonly Reference[]>
  /** Readers of the whole table, each a part of it. */
  tableReferences(rows: number, connections: number): readonly Reference[]
  /** What `fingerprintColumns` must be, as `lakeFingerprint` gives them. */
  fingerprint(): Promise<string>
  stop(): Promise<void>
}

export function countConnections(connections: number): string {
  return connections === 1 ? '1 connection' : `${connections} connections`
}
