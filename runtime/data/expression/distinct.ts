// Costly functions of one text (patterns, hashes, JSON) are called once for equal texts, where a
// batch has each of them at least four times on average: values are numbered by an open hash table,
// the function sees the different ones, and its results are laid out by the numbers.

import { BytesBuilder } from '../column/builder.ts'
import type { BytesColumn, Column } from '../column/column.ts'
import { sameBytes } from './kernels/bytes.ts'
import { BINARY } from './expression-type.ts'

/** Rows after which it shows whether values repeat. */
const SAMPLE_ROWS = 256
const REPEATS_MIN = 4

export class DistinctValues {
  /** By row: the number of its value; `count` where it has none. */
  numbers = new Int32Array(0)
  count = 0
  private readonly values = new BytesBuilder(BINARY)
  private table = new Int32Array(0)

  /** @returns false when there are too many different values to be worth it */
  find(column: BytesColumn, live: Uint8Array, rows: number): boolean {
    this.begin(rows)
    let seen = 0
    for (let row = 0; row < rows; row++) {
      if (live[row] === 0) {
        this.numbers[row] = -1
        continue
      }
      this.numbers[row] = this.number(column, row)
      seen++
      if (seen % SAMPLE_ROWS === 0 && this.count * REPEATS_MIN > seen) return false
    }
    if (this.count * REPEATS_MIN > seen) return false
    // Behind the values lies one null, for all rows without a value.
    for (let row = 0; row < rows; row++)
      if (this.numbers[row] === -1) this.numbers[row] = this.count
    this.values.reserveRows(this.count + 1)
    this.values.setNull(this.count)
    return true
  }

  /** @returns the different values and a null, as a column like the one they are from */
  column({ type }: Column): Column {
    return { ...this.values.view(this.count + 1), type }
  }

  private begin(rows: number): void {
    this.values.reset()
    this.count = 0
    if (this.numbers.length < rows) this.numbers = new Int32Array(rows)
    const slots = 2 ** Math.ceil(Math.log2(Math.max(rows, SAMPLE_ROWS)))
    if (this.table.length < slots) this.table = new Int32Array(slots)
    this.table.fill(-1)
  }

  private number({ bytes, offsets }: BytesColumn, row: number): number {
    const start = offsets[row] ?? 0
    const end = offsets[row + 1] ?? 0
    const { values, table } = this
    let hash = 0x811c_9dc5
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x0100_0193)
    const mask = table.length - 1
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const known = table[slot] ?? -1
      if (known === -1) {
        table[slot] = this.count
        values.reserveRows(this.count + 1)
        values.setBytes(this.count, bytes, start, end)
        return this.count++
      }
      const [from, to] = [values.offsets[known] ?? 0, values.offsets[known + 1] ?? 0]
      if (sameBytes(values.bytes, from, to, bytes, start, end)) return known
    }
  }
}
