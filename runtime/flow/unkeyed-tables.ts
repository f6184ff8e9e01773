// What the log brings of a table without a key while the table is copied. Nothing tells its rows
// apart, so a row that its chunk shows must not come by the log as well, and no key says which one
// that is: it is decided by transaction. Until the chunk is there nobody can decide, so rows of the
// log wait here. Their memory is bounded: where it does not suffice they are forgotten, and only a
// chunk that certainly shows all of them will do.

import { transactionOrder, type ChangeBatch } from '../data/batch.ts'
import { batchBytes } from '../data/pack.ts'
import type { Order } from '../data/position.ts'
import type { ChunkVisibility } from '../source.ts'
import { gatherRows } from './exchange.ts'

const BATCH_OVERHEAD_BYTES = 2048

interface UnkeyedTable {
  /** In the order of the log; not decided yet. */
  waiting: ChangeBatch[]
  /** A chunk of use has a LOW that is not before it. */
  from: Order
  /** Of the chunk that was accepted; `null`: none was. */
  visibility: ChunkVisibility | null
  /** Order of the last transaction that came by the log; -1n: none. */
  seen: Order
}

export class UnkeyedTables {
  private readonly tables = new Map<string, UnkeyedTable>()
  private readonly bytesMax: number
  private waitingBytes = 0

  /** @param bytesMax  of rows that wait, of all tables together */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /**
   * A backfill of the table begins (anew).
   *
   * @param from  what came by the log before it is gone: its chunk must show all of that
   */
  begin(table: string, from: Order): void {
    const seen = this.tables.get(table)?.seen ?? -1n
    this.end(table)
    const behind = seen >= from ? seen + 1n : from
    this.tables.set(table, { waiting: [], from: behind, visibility: null, seen })
  }

  /** Log and chunk are together now, or the table takes no rows any more. */
  end(table: string): void {
    const known = this.tables.get(table)
    if (known === undefined) return
    this.release(known)
    this.tables.delete(table)
  }

  /** True between `begin` and `end`. */
  has(table: string): boolean {
    return this.tables.has(table)
  }

  isAccepted(table: string): boolean {
    return (this.tables.get(table)?.visibility ?? null) !== null
  }

  /**
   * Takes rows of the log.
   *
   * @returns those that go on now, `null`: none. 'undecided': nobody can tell whether the chunk,
   *   which was accepted, shows some of them; the backfill must begin anew
   */
  take(batch: ChangeBatch): ChangeBatch | 'undecided' | null {
    const known = this.tables.get(batch.table)
    if (known === undefined) return batch
    known.seen = lastOrder(batch)
    if (known.visibility !== null) return hidden(batch, known.visibility)
    known.waiting.push(batch)
    this.waitingBytes += bytesOf(batch)
    if (this.waitingBytes > this.bytesMax) this.forgetWaiting()
    return null
  }

  /**
   * Decides about the rows that wait: the log has been read up to `visibility.certainFrom`.
   *
   * @param low  of the chunk
   * @param schemaVersion  that the table has now
   * @returns rows that go on now, in order; `null`: the chunk is of no use
   */
  accept(
    table: string,
    low: Order,
    visibility: ChunkVisibility,
    schemaVersion: number,
  ): ChangeBatch[] | null {
    const known = this.tables.get(table)
    if (known === undefined || low < known.from) return null
    const passed: ChangeBatch[] = []
    for (const batch of known.waiting) {
      const left = hidden(batch, visibility)
      if (left === 'undecided') return null
      if (left === null) continue
      // Nobody takes rows of an older structure any more. A later chunk shows them.
      if (left.schemaVersion !== schemaVersion) {
        this.forget(known)
        return null
      }
      passed.push(left)
    }
    this.release(known)
    known.visibility = visibility
    return passed
  }

  private forgetWaiting(): void {
    for (const known of this.tables.values()) if (known.waiting.length > 0) this.forget(known)
  }

  private forget(known: UnkeyedTable): void {
    this.release(known)
    if (known.seen >= known.from) known.from = known.seen + 1n
  }

  /** Gives up the batches that wait, and their share of the memory. */
  private release(known: UnkeyedTable): void {
    for (const batch of known.waiting) this.waitingBytes -= bytesOf(batch)
    known.waiting = []
  }
}

function lastOrder({ transactions }: ChangeBatch): Order {
  return transactionOrder(transactions, transactions.count - 1)
}

/** @returns the rows of transactions that the chunk does not show */
function hidden(batch: ChangeBatch, visibility: ChunkVisibility): ChangeBatch | 'undecided' | null {
  const { rows, transaction, transactions } = batch
  const shown = new Uint8Array(transactions.count)
  for (let index = 0; index < transactions.count; index++) {
    const shows = visibility.shows(transactions, index)
    if (shows === null) return 'undecided'
    if (shows) shown[index] = 1
  }
  const selection = new Int32Array(rows)
  let kept = 0
  for (let row = 0; row < rows; row++) {
    if (shown[transaction[row] ?? 0] === 0) selection[kept++] = row
  }
  if (kept === rows) return batch
  return kept === 0 ? null : gatherRows(batch, selection.subarray(0, kept))
}

/** A batch may be of one row: what belongs to it counts too. */
function bytesOf(batch: ChangeBatch): number {
  return batchBytes(batch) + BATCH_OVERHEAD_BYTES
}
