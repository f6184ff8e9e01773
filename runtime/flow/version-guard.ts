// Decides between a backfill row and the log while a table is handed over: a row that a chunk read
// loses against any change of its key that the chunk may not have seen. The log always arrives in
// order and a chunk's rows arrive after every change that they contain, so a chunk row is the only
// one that can be too old; what must be remembered is the order of each key's last change, and only
// as far back as a chunk that is still open, or still to come, may reach.

import { assert, present } from '../base/assert.ts'
import { Op, transactionOrder, type ChangeBatch } from '../data/batch.ts'
import type { Order } from '../data/position.ts'
import { KeyOrders } from './key-orders.ts'

interface GuardedTable {
  readonly orders: KeyOrders
  /** Chunk rows that are not newer than this are gone: TRUNCATE has no tombstones. */
  floor: Order | null
}

export interface GuardVerdict {
  /** Rows that go on, in order; `null`: all of them. */
  readonly selection: Int32Array | null
  /** Rows that lost, in order. */
  readonly stale: Int32Array
}

const ALL: GuardVerdict = { selection: null, stale: new Int32Array(0) }

/** One a writer: it sees all changes of its keys. Lives in memory; a restart reads chunks again. */
export class VersionGuard {
  private readonly tables = new Map<string, GuardedTable>()
  private readonly appends: boolean

  /**
   * @param appends  the sink keeps every row that it is given (mode `append`): a row that the log
   *   has
   *        inserted since the backfill began must not come with a chunk too. Then inserts alone are
   *        remembered, all of them: an update that the sink does not carry must not cost the row.
   */
  constructor(appends = false) {
    this.appends = appends
  }

  /**
   * From here on the last change of each key of `table` is remembered. What is remembered already
   * stays: a chunk may lack what the log has brought since the last Progress. The floor does not:
   * it may be of a table that had the name before, and take rows away that no log brings.
   */
  start(table: string, floor: Order | null): void {
    const orders = this.tables.get(table)?.orders ?? new KeyOrders()
    this.tables.set(table, { orders, floor })
  }

  /** No chunk to come reaches behind `order`. `done`: none will come at all. */
  settle(table: string, order: Order, done: boolean): void {
    if (done) this.tables.delete(table)
    else if (!this.appends) this.tables.get(table)?.orders.forgetBefore(order)
  }

  truncate(table: string, order: Order): void {
    const guarded = this.tables.get(table)
    if (guarded === undefined) return
    guarded.orders.clear()
    if (guarded.floor === null || order > guarded.floor) guarded.floor = order
  }

  forget(table: string): void {
    this.tables.delete(table)
  }

  /** True when `judge` needs the key hashes of this table's batches. */
  guards(table: string): boolean {
    return this.tables.has(table)
  }

  /**
   * @param batch  rows of a log, or of one chunk; with key hashes when its table is guarded and has
   *        a key
   */
  judge(batch: ChangeBatch): GuardVerdict {
    const guarded = this.tables.get(batch.origin ?? batch.table)
    if (guarded === undefined) return ALL
    if (batch.ops[0] === Op.read) return this.judgeChunk(batch, guarded)
    if (batch.keyHash !== null) remember(batch, guarded.orders, this.appends)
    return ALL
  }

  private judgeChunk(batch: ChangeBatch, { orders, floor }: GuardedTable): GuardVerdict {
    assert(batch.transactions.count === 1, 'the rows of a chunk have one order, its LOW')
    const low = transactionOrder(batch.transactions, 0)
    // A chunk whose LOW does not cover the TRUNCATE may hold rows that it removed.
    if (floor !== null && low <= floor) {
      const stale = Int32Array.from({ length: batch.rows }, (_, row) => row)
      return { selection: new Int32Array(0), stale }
    }
    if (batch.keyHash === null || orders.count === 0) return ALL
    const words = batch.keyHash.length / batch.rows
    const since = this.appends ? 0n : low
    const selection = new Int32Array(batch.rows)
    const stale = new Int32Array(batch.rows)
    let kept = 0
    for (let row = 0; row < batch.rows; row++) {
      if (orders.changedSince(batch.keyHash, row * words, words, since)) stale[row - kept] = row
      else selection[kept++] = row
    }
    if (kept === batch.rows) return ALL
    return { selection: selection.subarray(0, kept), stale: stale.subarray(0, batch.rows - kept) }
  }
}

function remember(batch: ChangeBatch, orders: KeyOrders, insertsOnly: boolean): void {
  const hashes = present(batch.keyHash, 'the caller hashes the keys of guarded tables')
  const words = hashes.length / batch.rows
  const { ops, transaction, transactions } = batch
  let index = -1
  let order = 0n
  for (let row = 0; row < batch.rows; row++) {
    const next = transaction[row] ?? 0
    if (next !== index) {
      index = next
      order = transactionOrder(transactions, index)
    }
    if (insertsOnly && ops[row] !== Op.insert) continue
    orders.put(hashes, row * words, words, order)
  }
}
