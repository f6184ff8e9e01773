// The unit of the data path: rows of one table under one schema version, in commit order.

import type { Column } from './column/column.ts'
import type { Order } from './position.ts'

/** What happened to a row. A key change is a delete of the old key and an insert of the new one. */
export const Op = {
  insert: 0,
  /** The row after the update; its key is the one it had. */
  update: 1,
  /** Only the key columns need to have values. */
  delete: 2,
  /** A row of a backfill chunk. */
  read: 3,
  /**
   * What the row of the update in front of it was, with that one's number. Only tables have these
   * whose operator reads them (`SourceContext.oldRows`), and it takes them out.
   */
  before: 4,
} as const
export type Op = (typeof Op)[keyof typeof Op]

/** Letters of `_op` in `changelog` mode, by Op: as Debezium writes them. */
export const OP_LETTERS = 'cudr'

/** The source transactions of a batch, as columns; a chunk is one transaction. */
export interface Transactions {
  readonly count: number
  /** Upper 64 bits of every order here: batches are cut where it changes. */
  readonly orderHigh: bigint
  /** Lower 64 bits of the order (see position.ts). A chunk's order is its LOW. */
  readonly orderLow: BigUint64Array
  /** Commit time as the source stamped it, microseconds since 1970. */
  readonly timeUs: BigInt64Array
  /**
   * Running maximum of the commit times, since those go back against the order of the log, and of
   * the clock of its heartbeats. Missing in rows of topics, whose log has no commits.
   */
  readonly latestUs?: BigInt64Array
  /** Transaction ids (xid, GTID) as UTF-8: id i is idBytes[idOffsets[i], idOffsets[i + 1]). */
  readonly idOffsets: Int32Array
  readonly idBytes: Uint8Array
}

export interface ChangeBatch {
  readonly kind: 'changes'
  readonly table: string
  /** The table of the source that the rows are of, where several are one in the lake. */
  readonly origin?: string
  readonly schemaVersion: number
  /** 1...BATCH_ROWS_MAX. */
  readonly rows: number
  /** Op by row. */
  readonly ops: Uint8Array
  /** One a field of the schema version, in its order, each `rows` long. */
  readonly columns: readonly Column[]
  readonly transactions: Transactions
  /** By row: index into `transactions`. */
  readonly transaction: Uint32Array
  /** By row: its number in its transaction, over all tables, from 0. */
  readonly sequence: Uint32Array
  /** Hashes of the key (key-hash.ts), HASH_WORDS words a row; `null`: not computed yet. */
  readonly keyHash: Int32Array | null
}

/** A batch closes at this many rows, these bytes, or this age, whichever comes first. */
export const BATCH_ROWS_MAX = 16 * 1024
export const BATCH_BYTES_MAX = 4 * 1024 * 1024
export const BATCH_AGE_MS_MAX = 50

/** @returns the whole order of transaction `index` */
export function transactionOrder(transactions: Transactions, index: number): Order {
  return (transactions.orderHigh << 64n) | (transactions.orderLow[index] ?? 0n)
}
