// The rows that are about to be written, as places of their values in the bytes of the records.
// Columns are filled from here one after the other, so each loop does one thing; a row that does
// not fit is told here, and the others are written without it.

import type { Op } from '../batch.ts'
import { fault } from './fault.ts'
import { ABSENT } from './object-scanner.ts'

/** Why a record gives no rows. */
export interface CellFault {
  /** Index of the record in its set. */
  readonly record: number
  /** `null`: the record as a whole is none. */
  readonly column: string | null
  readonly reason: string
  /** In the key or value. */
  readonly byteOffset: number
}

const ROWS_AT_START = 256

export class Cells {
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  /** By slot: where its value begins, or ABSENT, NULL, UNCHANGED. */
  starts: Int32Array
  /** By slot: see ScanObject. */
  ends: Int32Array
  /** By row: its first slot. Two rows may share theirs. */
  bases: Int32Array = new Int32Array(ROWS_AT_START)
  ops: Uint8Array = new Uint8Array(ROWS_AT_START)
  /** By row: index of its record. */
  record: Int32Array = new Int32Array(ROWS_AT_START)
  /** Rows. */
  count = 0
  readonly faults: CellFault[] = []
  /** By record of the set, places of values are counted from here. */
  recordStarts: Int32Array = new Int32Array(0)
  recordEnds: Int32Array = new Int32Array(0)
  /** Slots of one object. */
  readonly width: number
  /** Slots that objects have. */
  private used = 0

  constructor(width: number) {
    this.width = width
    this.starts = new Int32Array(ROWS_AT_START * width).fill(ABSENT)
    this.ends = new Int32Array(ROWS_AT_START * width)
  }

  /** Begins anew. By record of a set: where its key or value begins, and ends. */
  open(bytes: Uint8Array, recordStarts: Int32Array, recordEnds: Int32Array): void {
    if (this.bytes !== bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.recordStarts = recordStarts
    this.recordEnds = recordEnds
    this.clear()
  }

  clear(): void {
    this.starts.fill(ABSENT, 0, this.used)
    this.used = 0
    this.count = 0
    this.faults.length = 0
  }

  /** @returns the first of the slots of one more object, all ABSENT */
  takeSlots(): number {
    const base = this.used
    this.used += this.width
    if (this.used > this.starts.length) {
      const starts = new Int32Array(2 * this.used).fill(ABSENT, base)
      starts.set(this.starts.subarray(0, base))
      const ends = new Int32Array(2 * this.used)
      ends.set(this.ends)
      this.starts = starts
      this.ends = ends
    }
    return base
  }

  /** Gives the slots of the last object back, some of which may have been set. */
  returnSlots(base: number): void {
    this.starts.fill(ABSENT, base, this.used)
    this.used = base
  }

  addRow(base: number, op: Op, record: number): void {
    const row = this.count
    if (row === this.bases.length) this.growRows()
    this.bases[row] = base
    this.ops[row] = op
    this.record[row] = record
    this.count = row + 1
  }

  /** The record is none: rows that it has got are taken back. */
  refuseRecord(record: number): void {
    while (this.count > 0 && this.record[this.count - 1] === record) this.count--
    this.note(record, null)
  }

  /** A value of `row` does not fit its column. */
  refuseValue(row: number, column: string): void {
    this.note(this.record[row]!, column)
  }

  private note(record: number, column: string | null): void {
    const start = this.recordStarts[record]!
    const byteOffset = Math.max(0, Math.min(fault.at, this.recordEnds[record]!) - start)
    this.faults.push({ record, column, reason: fault.reason, byteOffset })
  }

  /** Drops the rows of all records that have a fault. */
  dropRefused(): void {
    const refused = new Set(this.faults.map(({ record }) => record))
    let kept = 0
    for (let row = 0; row < this.count; row++) {
      if (refused.has(this.record[row]!)) continue
      this.bases[kept] = this.bases[row]!
      this.ops[kept] = this.ops[row]!
      this.record[kept] = this.record[row]!
      kept++
    }
    this.count = kept
  }

  private growRows(): void {
    const { bases, ops, record } = this
    this.bases = new Int32Array(2 * bases.length)
    this.bases.set(bases)
    this.ops = new Uint8Array(2 * ops.length)
    this.ops.set(ops)
    this.record = new Int32Array(2 * record.length)
    this.record.set(record)
  }
}
