// What the changes of one table have replaced since somebody asked: the rows that must be deleted
// by position, and how many deletes found their key.

import { grown } from './growth.ts'

/** Rows that puts and deletes have replaced, in no order. */
export interface Resolved {
  readonly count: number
  /** File ids (u32 in an int32), `count` of them. */
  readonly files: Int32Array
  readonly positions: Int32Array
  /** Deletes whose key was there. */
  readonly deletesFound: number
  /** Deletes whose key was not there. */
  readonly deletesAbsent: number
}

/** Larger arrays are not kept. */
const ROWS_KEPT_MAX = 64 * 1024
const ROWS_AT_START = 64

export class ReplacedRows {
  deletesFound = 0
  deletesAbsent = 0
  private count = 0
  private files: Int32Array = new Int32Array(0)
  private positions: Int32Array = new Int32Array(0)

  get isEmpty(): boolean {
    return this.count + this.deletesFound + this.deletesAbsent === 0
  }

  get bytes(): number {
    return this.files.byteLength + this.positions.byteLength
  }

  /** Makes room for `rows` more. */
  reserve(rows: number): void {
    if (this.count + rows <= this.files.length) return
    const needed = Math.max(this.count + rows, ROWS_AT_START)
    this.files = grown(this.files, needed)
    this.positions = grown(this.positions, needed)
  }

  /** There must be room. */
  add(file: number, position: number): void {
    this.files[this.count] = file
    this.positions[this.count++] = position
  }

  /** @returns all so far, valid until the next `add`; it is forgotten here */
  take(): Resolved {
    const { count, files, positions, deletesFound, deletesAbsent } = this
    this.count = 0
    this.deletesFound = 0
    this.deletesAbsent = 0
    if (files.length > ROWS_KEPT_MAX) {
      this.files = new Int32Array(0)
      this.positions = new Int32Array(0)
    }
    return { count, files, positions, deletesFound, deletesAbsent }
  }
}
