// Counts what became of the rows of one table in one epoch, so that
//   read = written + stale + absorbed + parked + held(now) - held(at the last barrier)
// holds at every barrier, whatever happened in between.
//
// `written`: rows that were put into a data file, also those that a later row of the same epoch
// replaces, and deletes of a row that was there. `absorbed`: rows that a later one of the same
// batch replaces before it is written, deletes of a key that was not there, rows that a TRUNCATE
// removes again, operations that `append` does not carry, and partial rows that have been merged
// into another. `held`: partial rows that wait, and rows of files that stay open over the barrier;
// these become `written` in the epoch that ends their file.

import { Op } from '../../../runtime/data/batch.ts'
import type { TableCounts } from '../../../runtime/sink.ts'

export class EpochCounts {
  read = 0
  written = 0
  stale = 0
  absorbed = 0
  parked = 0
  /** Deletes of which the index does not know yet whether their key is there. */
  unresolved = 0
  private readonly heldBefore: number
  /** Of these, rows of open files that have not been taken back. */
  private openBefore: number
  private readonly byOp = new Float64Array(4)

  /**
   * @param held  partial rows at the last barrier
   * @param open  rows of files that were open over it
   */
  constructor(held: number, open = 0) {
    this.heldBefore = held + open
    this.openBefore = open
  }

  add(ops: Uint8Array, rows: number): void {
    this.read += rows
    // Most batches are runs of one operation.
    for (let row = 0; row < rows;) {
      const op = ops[row] as Op
      const start = row++
      while (row < rows && ops[row] === op) row++
      this.byOp[op] = (this.byOp[op] as number) + row - start
    }
  }

  resolve(found: number, absent: number): void {
    this.unresolved -= found + absent
    this.written += found
    this.absorbed += absent
  }

  /** What the epoch has done so far is undone, and `held` partial rows are dropped. */
  cancel(held: number): void {
    this.absorbed += this.written + this.unresolved + held + this.openBefore
    this.written = 0
    this.unresolved = 0
    this.openBefore = 0
  }

  /** All rows of the epoch, and those that were held before it, are now rows of a parked table. */
  park(): void {
    this.parked = this.read + this.heldBefore
    this.written = 0
    this.absorbed = 0
    this.stale = 0
    this.unresolved = 0
    this.openBefore = 0
  }

  /** True when there is nothing to report. */
  isEmpty(held: number): boolean {
    return this.read === 0 && held === 0 && this.heldBefore === 0 && this.parked === 0
  }

  /** @param open  rows of files that stay open */
  report(table: string, held: number, open: number): TableCounts {
    const { read, stale, absorbed, parked, byOp } = this
    const written = this.written + this.openBefore - open
    const of = (op: Op): number => byOp[op] as number
    const ops = {
      insert: of(Op.insert),
      update: of(Op.update),
      delete: of(Op.delete),
      read: of(Op.read),
    }
    return { table, read, written, stale, absorbed, parked, held: held + open, ops }
  }
}
