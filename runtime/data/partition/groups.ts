// Rows of a batch by equal values of some columns: column after column, the groups so far are split
// by the next column's values. The result keeps the order of the rows within each group.
//
// State: tables of slots marked with a number that grows, so that nothing is cleared between
// batches. One instance serves all tables of a thread.

import type { Column } from '../column/column.ts'
import { hashBytes, wordsOf } from './bucket.ts'

const ROWS_AT_START = 16 * 1024

export class RowGroups {
  /** Groups of the last call. */
  count = 0
  /** Rows by group, each group's in their order: group g is rows[starts[g], starts[g + 1]). */
  rows = new Int32Array(0)
  starts = new Int32Array(1)
  /** By place in the selection: its group, before (`from`) and behind (`to`) a column. */
  private from = new Int32Array(0)
  private to = new Int32Array(0)
  private slots = new Int32Array(0)
  private marks = new Int32Array(0)
  private mark = 0

  /**
   * @param columns    at least one; null equals null, floats are told apart by their bits
   * @param selection  rows of the columns, `count` of them; `null`: rows 0...count - 1
   * Cost: one pass a column, about 10 ns a row.
   */
  split(columns: readonly Column[], selection: Int32Array | null, count: number): void {
    this.reserve(count)
    this.to.fill(0, 0, count)
    this.count = count === 0 ? 0 : 1
    for (const column of columns) {
      const { from } = this
      this.from = this.to
      this.to = from
      this.count = this.refine(column, selection, count)
    }
    this.arrange(selection, count)
  }

  private reserve(count: number): void {
    if (count <= this.rows.length) return
    let rows = ROWS_AT_START
    while (rows < count) rows *= 2
    this.rows = new Int32Array(rows)
    this.from = new Int32Array(rows)
    this.to = new Int32Array(rows)
    this.slots = new Int32Array(rows * 2)
    this.marks = new Int32Array(rows * 2)
    this.mark = 0
  }

  private refine(column: Column, selection: Int32Array | null, count: number): number {
    this.mark++
    switch (column.layout) {
      case 'bool8':
      case 'int32':
        return this.refineInts(column.values, column, selection, count)
      case 'float32':
        return this.refineInts(intsOf(column.values), column, selection, count)
      case 'int64':
        return this.refineWords(wordsOf(column.values), 2, column, selection, count)
      case 'float64':
        return this.refineWords(intsOf(column.values), 2, column, selection, count)
      case 'int128':
        return this.refineWords(wordsOf(column.values), 4, column, selection, count)
      case 'uuid16':
      case 'bytes':
      case 'list':
        return this.refineBytes(column, selection, count)
    }
  }

  private refineInts(
    values: Int32Array | Uint8Array,
    { validity }: Column,
    selection: Int32Array | null,
    count: number,
  ): number {
    const { from, to, slots, marks, mark } = this
    const mask = slots.length - 1
    let groups = 0
    for (let place = 0; place < count; place++) {
      const row = selection === null ? place : selection[place]!
      const isNull = nullBit(validity, row)
      const value = isNull === 1 ? 0 : values[row]!
      const group = from[place]!
      let slot = spread(value ^ Math.imul(group, 0x9e3779b1) ^ isNull) & mask
      for (; marks[slot] === mark; slot = (slot + 1) & mask) {
        const other = slots[slot]!
        if (from[other] !== group) continue
        const otherRow = selection === null ? other : selection[other]!
        if (nullBit(validity, otherRow) !== isNull) continue
        if (isNull === 1 || values[otherRow] === value) break
      }
      if (marks[slot] === mark) {
        to[place] = to[slots[slot]!]!
        continue
      }
      marks[slot] = mark
      slots[slot] = place
      to[place] = groups++
    }
    return groups
  }

  private refineWords(
    words: Int32Array,
    width: number,
    { validity }: Column,
    selection: Int32Array | null,
    count: number,
  ): number {
    const { from, to, slots, marks, mark } = this
    const mask = slots.length - 1
    let groups = 0
    for (let place = 0; place < count; place++) {
      const row = selection === null ? place : selection[place]!
      const isNull = nullBit(validity, row)
      const group = from[place]!
      let hash = Math.imul(group, 0x9e3779b1) ^ isNull
      if (isNull === 0) {
        for (let at = row * width; at < (row + 1) * width; at++) hash = spread(hash ^ words[at]!)
      }
      let slot = spread(hash) & mask
      for (; marks[slot] === mark; slot = (slot + 1) & mask) {
        const other = slots[slot]!
        if (from[other] !== group) continue
        const otherRow = selection === null ? other : selection[other]!
        if (nullBit(validity, otherRow) !== isNull) continue
        if (isNull === 1 || sameWords(words, row * width, otherRow * width, width)) break
      }
      if (marks[slot] === mark) {
        to[place] = to[slots[slot]!]!
        continue
      }
      marks[slot] = mark
      slots[slot] = place
      to[place] = groups++
    }
    return groups
  }

  private refineBytes(column: Column, selection: Int32Array | null, count: number): number {
    const { from, to, slots, marks, mark } = this
    const { validity } = column
    const mask = slots.length - 1
    const bytes = bytesOf(column)
    let groups = 0
    for (let place = 0; place < count; place++) {
      const row = selection === null ? place : selection[place]!
      const isNull = nullBit(validity, row)
      const group = from[place]!
      const start = startOf(column, row)
      const end = startOf(column, row + 1)
      const hash = isNull === 1 ? 1 : hashBytes(bytes, start, end)
      let slot = spread(hash ^ Math.imul(group, 0x9e3779b1)) & mask
      for (; marks[slot] === mark; slot = (slot + 1) & mask) {
        const other = slots[slot]!
        if (from[other] !== group) continue
        const otherRow = selection === null ? other : selection[other]!
        if (nullBit(validity, otherRow) !== isNull) continue
        if (isNull === 1) break
        const otherStart = startOf(column, otherRow)
        if (startOf(column, otherRow + 1) - otherStart !== end - start) continue
        if (sameBytes(bytes, start, otherStart, end - start)) break
      }
      if (marks[slot] === mark) {
        to[place] = to[slots[slot]!]!
        continue
      }
      marks[slot] = mark
      slots[slot] = place
      to[place] = groups++
    }
    return groups
  }

  /** A counting sort by group. */
  private arrange(selection: Int32Array | null, count: number): void {
    const { to: groups, rows } = this
    if (this.count + 1 > this.starts.length) this.starts = new Int32Array(this.count * 2 + 1)
    const { starts } = this
    starts.fill(0, 0, this.count + 1)
    for (let place = 0; place < count; place++) starts[groups[place]! + 1]!++
    for (let group = 0; group < this.count; group++) starts[group + 1]! += starts[group]!
    for (let place = 0; place < count; place++) {
      rows[starts[groups[place]!]!++] = selection === null ? place : selection[place]!
    }
    // What were the starts are the ends afterwards.
    starts.copyWithin(1, 0, this.count)
    starts[0] = 0
  }
}

function nullBit(validity: Uint8Array | null, row: number): number {
  return validity === null ? 0 : ((validity[row >> 3]! >> (row & 7)) & 1) ^ 1
}

/** Every input bit reaches the lower ones, which choose the slot. */
function spread(value: number): number {
  const mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}

function sameWords(words: Int32Array, left: number, right: number, count: number): boolean {
  for (let at = 0; at < count; at++) if (words[left + at] !== words[right + at]) return false
  return true
}

function sameBytes(bytes: Uint8Array, left: number, right: number, count: number): boolean {
  for (let at = 0; at < count; at++) if (bytes[left + at] !== bytes[right + at]) return false
  return true
}

function intsOf({ buffer, byteOffset, byteLength }: Float32Array | Float64Array): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2)
}

const NO_BYTES = new Uint8Array(0)

function bytesOf(column: Column): Uint8Array {
  if (column.layout === 'bytes') return column.bytes
  return column.layout === 'uuid16' ? column.values : NO_BYTES
}

function startOf(column: Column, row: number): number {
  if (column.layout === 'bytes') return column.offsets[row]!
  return column.layout === 'uuid16' ? row * 16 : 0
}
