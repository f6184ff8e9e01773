// Definition and repetition levels of a column: where values are missing, and where lists begin. A
// page starts with a row, and rows per page are multiples of eight, so a validity bitmap is copied.
// Source: https://github.com/apache/parquet-format#nested-encoding (2.11)

import type { Column, ListColumn } from '../../../runtime/data/column/column.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { writeHybrid, writeRun } from './hybrid.ts'
import type { Leaf } from './leaf.ts'
import { Int32Scratch, type PageBody } from './scratch.ts'

export interface Levels {
  readonly rows: number
  /** Level entries of the chunk: values, nulls and empty lists. */
  readonly entries: number
  /** @returns entries before `row` */
  entriesBefore(row: number): number
  /** @returns values in rows [start, end); `start` is a multiple of 8 */
  values(start: number, end: number): number
  /** Appends the levels of rows [start, end) as a version 1 page has them. */
  write(body: PageBody, start: number, end: number): void
}

/** @returns the levels of `column`, valid until the next call */
export function levelsOf(leaf: Leaf, column: Column): Levels {
  if (column.layout === 'list') return new ListLevels(leaf, column)
  return new FlatLevels(leaf, column)
}

class FlatLevels implements Levels {
  readonly rows: number
  readonly entries: number
  private readonly optional: boolean
  private readonly validity: Uint8Array | null

  constructor(leaf: Leaf, column: Column) {
    this.rows = column.length
    this.entries = column.length
    this.optional = leaf.definitionMax > 0
    this.validity = column.validity
  }

  entriesBefore(row: number): number {
    return row
  }

  values(start: number, end: number): number {
    return this.validity === null ? end - start : countBits(this.validity, start, end)
  }

  write(body: PageBody, start: number, end: number): void {
    if (!this.optional) return
    const rows = end - start
    const values = this.values(start, end)
    const lengthAt = beginLevels(body)
    if (this.validity === null || values === rows || values === 0) {
      writeRun(body, values === 0 ? 0 : 1, rows, 1)
    } else {
      // A bit-packed run of width 1 is the bitmap itself.
      const groups = (rows + 7) >> 3
      body.varint(groups * 2 + 1)
      body.append(this.validity.subarray(start >> 3, (start >> 3) + groups))
      if ((rows & 7) !== 0) body.bytes[body.length - 1]! &= (1 << (rows & 7)) - 1
    }
    endLevels(body, lengthAt)
  }
}

function countBits(bitmap: Uint8Array, start: number, end: number): number {
  let count = 0
  const whole = end >> 3
  for (let at = start >> 3; at < whole; at++) count += ones(bitmap[at]!)
  if ((end & 7) !== 0) count += ones(bitmap[whole]! & ((1 << (end & 7)) - 1))
  return count
}

function ones(byte: number): number {
  let bits = byte - ((byte >> 1) & 0x55)
  bits = (bits & 0x33) + ((bits >> 2) & 0x33)
  return (bits + (bits >> 4)) & 0x0f
}

const definitionScratch = new Int32Scratch()
const repetitionScratch = new Int32Scratch()
const entryScratch = new Int32Scratch()
const valueScratch = new Int32Scratch()

/** Rows of a list of optional elements: null, empty, or one entry an element. */
class ListLevels implements Levels {
  readonly rows: number
  readonly entries: number
  private readonly definitions: Int32Array
  private readonly repetitions: Int32Array
  /** Entries and values before each row, `rows + 1` long. */
  private readonly entryAt: Int32Array
  private readonly valueAt: Int32Array

  constructor(leaf: Leaf, column: ListColumn) {
    const rows = column.length
    const elements = column.offsets[rows]!
    this.rows = rows
    this.definitions = definitionScratch.take(rows + elements)
    this.repetitions = repetitionScratch.take(rows + elements)
    this.entryAt = entryScratch.take(rows + 1)
    this.valueAt = valueScratch.take(rows + 1)
    this.entries = this.fill(leaf.definitionMax, column)
  }

  private fill(definitionMax: number, column: ListColumn): number {
    const { offsets, validity, length: rows } = column
    const childValidity = column.child.validity
    let entry = 0
    let values = 0
    let hidden = 0
    for (let row = 0; row < rows; row++) {
      this.entryAt[row] = entry
      this.valueAt[row] = values
      const start = offsets[row]!
      const end = offsets[row + 1]!
      const isNull = validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0
      if (isNull || start === end) {
        hidden += end - start
        // Levels: null list, empty list, null element, element; a required list has no first one.
        this.definitions[entry] = isNull ? definitionMax - 3 : definitionMax - 2
        this.repetitions[entry++] = 0
        continue
      }
      for (let at = start; at < end; at++) {
        const valid = childValidity === null ? 1 : (childValidity[at >> 3]! >> (at & 7)) & 1
        this.definitions[entry] = definitionMax - 1 + valid
        this.repetitions[entry++] = at === start ? 0 : 1
        values += valid
      }
    }
    assert(hidden === 0, 'a null list has no elements')
    this.entryAt[rows] = entry
    this.valueAt[rows] = values
    return entry
  }

  entriesBefore(row: number): number {
    return this.entryAt[row]!
  }

  values(start: number, end: number): number {
    return this.valueAt[end]! - this.valueAt[start]!
  }

  write(body: PageBody, start: number, end: number): void {
    const from = this.entryAt[start]!
    const to = this.entryAt[end]!
    let lengthAt = beginLevels(body)
    writeHybrid(body, this.repetitions, from, to, 1)
    endLevels(body, lengthAt)
    lengthAt = beginLevels(body)
    writeHybrid(body, this.definitions, from, to, 2)
    endLevels(body, lengthAt)
  }
}

function beginLevels(body: PageBody): number {
  body.reserve(4)
  const lengthAt = body.length
  body.length += 4
  return lengthAt
}

function endLevels(body: PageBody, lengthAt: number): void {
  body.view.setInt32(lengthAt, body.length - lengthAt - 4, true)
}
