// Where the newest transactions of the log end: what MariaDB calls its last commit is true only
// where a transaction ends, and only the reader of the log knows that (see chunk/snapshot.ts).

import { splitOrder, type Order } from '../../../runtime/data/position.ts'

/** Enough for the commits of the moment between a question to the server and its answer. */
const KEPT = 8192

export class TransactionEnds {
  private readonly files = new Float64Array(KEPT)
  private readonly offsets = new Float64Array(KEPT)
  private next = 0

  /** @param file  number of the log file */
  add(file: number, offset: number): void {
    this.files[this.next] = file
    this.offsets[this.next] = offset
    this.next = (this.next + 1) % KEPT
  }

  /** @param place  in the running source epoch */
  has(place: Order): boolean {
    const { high, low } = splitOrder(place)
    const file = Number(high & 0xffff_ffffn)
    const offset = Number(low)
    // No transaction ends at offset 0, so what was never set matches nothing.
    return offset > 0 && this.offsets.some((end, at) => end === offset && this.files[at] === file)
  }
}
