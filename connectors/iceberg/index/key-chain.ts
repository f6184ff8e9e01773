// Which rows of a batch have the same key: for each row the one before it with its key. A table of
// slots marked with the number of the batch, so that nothing is cleared between batches.

import { BATCH_ROWS_MAX } from '../../../runtime/data/batch.ts'
import type { HashWords } from '../../../runtime/data/key-hash.ts'

export class KeyChain {
  /** By row: the last row before it with the same key; -1: none. Valid until the next `link`. */
  previous = new Int32Array(BATCH_ROWS_MAX)
  private generations = new Int32Array(BATCH_ROWS_MAX * 2)
  private rows = new Int32Array(BATCH_ROWS_MAX * 2)
  private generation = 0

  /**
   * Fills `previous` for a batch.
   *
   * @returns rows that have a row with the same key before them
   * Cost: about 10 ns a row.
   */
  link(hashes: Int32Array, words: HashWords, rows: number): number {
    if (rows > this.previous.length) this.resize(rows)
    this.generation++
    return words === 2 ? this.link2(hashes, rows) : this.link4(hashes, rows)
  }

  private resize(rows: number): void {
    let slots = this.generations.length
    while (slots < rows * 2) slots *= 2
    this.previous = new Int32Array(slots >> 1)
    this.generations = new Int32Array(slots)
    this.rows = new Int32Array(slots)
    this.generation = 0
  }

  private link2(hashes: Int32Array, count: number): number {
    const { previous, generations, generation, rows } = this
    const mask = generations.length - 1
    let repeats = 0
    for (let row = 0; row < count; row++) {
      const h0 = hashes[2 * row]!
      const h1 = hashes[2 * row + 1]!
      let slot = h1 & mask
      previous[row] = -1
      while (generations[slot] === generation) {
        const other = rows[slot]!
        if (hashes[2 * other] === h0 && hashes[2 * other + 1] === h1) {
          previous[row] = other
          repeats++
          break
        }
        slot = (slot + 1) & mask
      }
      generations[slot] = generation
      rows[slot] = row
    }
    return repeats
  }

  private link4(hashes: Int32Array, count: number): number {
    const { previous, generations, generation, rows } = this
    const mask = generations.length - 1
    let repeats = 0
    for (let row = 0; row < count; row++) {
      const at = 4 * row
      let slot = hashes[at + 1]! & mask
      previous[row] = -1
      while (generations[slot] === generation) {
        const other = rows[slot]! * 4
        if (
          hashes[other] === hashes[at] &&
          hashes[other + 1] === hashes[at + 1] &&
          hashes[other + 2] === hashes[at + 2] &&
          hashes[other + 3] === hashes[at + 3]
        ) {
          previous[row] = rows[slot]!
          repeats++
          break
        }
        slot = (slot + 1) & mask
      }
      generations[slot] = generation
      rows[slot] = row
    }
    return repeats
  }

  /**
   * The last row of each key, ascending; call it after `link`.
   *
   * @returns a new selection
   */
  lastRows(count: number, repeats: number): Int32Array {
    const { previous } = this
    const superseded = new Uint8Array(count)
    for (let row = 0; row < count; row++) {
      if (previous[row]! >= 0) superseded[previous[row]!] = 1
    }
    const selection = new Int32Array(count - repeats)
    let kept = 0
    for (let row = 0; row < count; row++) if (superseded[row] === 0) selection[kept++] = row
    return selection
  }
}
