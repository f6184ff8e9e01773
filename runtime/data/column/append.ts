// Appends rows of a finished column to a builder: all of them, or those that a selection names.
// The exchange, the hand-over and the encoder's row-group buffers move rows with nothing else.

import { isNull, isUnchanged, type Bitmap, type Column } from './column.ts'
import { columnBuilder, copyBytes, type BytesBuilder, type ColumnBuilder } from './builder.ts'
import type { FixedBuilder, ListBuilder } from './builder.ts'
import { assert } from '../../base/assert.ts'

/**
 * Appends rows of `column` behind the first `at` rows of `builder`, which has the same layout.
 *
 * @param selection  row numbers of `column`, `count` of them; `null` means rows 0...count - 1
 * Cost: one pass over the selected rows; whole fixed-width columns without nulls are one `set`.
 */
export function appendRows(
  builder: ColumnBuilder,
  at: number,
  column: Column,
  count: number,
  selection: Int32Array | null,
): void {
  assert(builder.layout === column.layout, 'a column goes into a builder of its own layout')
  builder.reserveRows(at + count)
  switch (builder.layout) {
    case 'bytes':
      appendBytes(builder, at, column as BytesRows, count, selection)
      break
    case 'list':
      appendLists(builder, at, column as ListRows, count, selection)
      break
    default:
      appendFixed(builder, at, column as FixedRows, count, selection)
  }
  if (column.validity !== null || column.unchanged !== null) {
    appendMarks(builder, at, column, count, selection)
  }
}

/** @returns the rows that a selection names, in its order, in memory of their own */
export function gatherColumn(column: Column, selection: Int32Array): Column {
  const builder = columnBuilder(column.type)
  appendRows(builder, 0, column, selection.length, selection)
  return builder.view(selection.length)
}

type BytesRows = Extract<Column, { layout: 'bytes' }>
type ListRows = Extract<Column, { layout: 'list' }>
type FixedRows = Exclude<Column, BytesRows | ListRows>

function appendFixed(
  builder: FixedBuilder,
  at: number,
  column: FixedRows,
  count: number,
  selection: Int32Array | null,
): void {
  const stride = builder.stride
  if (selection === null) {
    const rows = column.values.subarray(0, count * stride)
    // Same layout on both sides, which the union type cannot express.
    ;(builder.values as Uint8Array).set(rows as Uint8Array, at * stride)
    return
  }
  if (stride === 1 && !(column.values instanceof BigInt64Array)) {
    gatherNumbers(builder.values as Int32Array, at, column.values as Int32Array, count, selection)
    return
  }
  gatherWords(builder, at, column, count, selection)
}

function gatherNumbers(
  target: Int32Array,
  at: number,
  source: Int32Array,
  count: number,
  selection: Int32Array,
): void {
  for (let row = 0; row < count; row++) target[at + row] = source[selection[row]!]!
}

/** Wide values move as 32-bit words: a bigint a value would cost an allocation each. */
function gatherWords(
  builder: FixedBuilder,
  at: number,
  column: FixedRows,
  count: number,
  selection: Int32Array,
): void {
  const values = column.values
  const words = builder.stride === 1 ? 2 : 4
  const source = new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2)
  const target = builder.pairs
  for (let row = 0; row < count; row++) {
    const from = selection[row]! * words
    const to = (at + row) * words
    for (let word = 0; word < words; word++) target[to + word] = source[from + word]!
  }
}

function appendBytes(
  builder: BytesBuilder,
  at: number,
  column: BytesRows,
  count: number,
  selection: Int32Array | null,
): void {
  const { offsets, bytes } = column
  if (selection === null) {
    const end = offsets[count]!
    builder.reserveBytes(end)
    builder.bytes.set(bytes.subarray(0, end), builder.bytesLength)
    const base = builder.bytesLength
    for (let row = 1; row <= count; row++) builder.offsets[at + row] = base + offsets[row]!
    builder.bytesLength += end
    return
  }
  let total = 0
  for (let row = 0; row < count; row++) {
    const from = selection[row]!
    total += offsets[from + 1]! - offsets[from]!
  }
  builder.reserveBytes(total)
  let to = builder.bytesLength
  for (let row = 0; row < count; row++) {
    const from = selection[row]!
    const start = offsets[from]!
    const end = offsets[from + 1]!
    copyBytes(builder.bytes, to, bytes, start, end)
    to += end - start
    builder.offsets[at + row + 1] = to
  }
  builder.bytesLength = to
}

function appendLists(
  builder: ListBuilder,
  at: number,
  column: ListRows,
  count: number,
  selection: Int32Array | null,
): void {
  const { offsets, child } = column
  if (selection === null) {
    const base = builder.childLength
    appendRows(builder.child, base, child, offsets[count]!, null)
    for (let row = 1; row <= count; row++) builder.offsets[at + row] = base + offsets[row]!
    builder.childLength = base + offsets[count]!
    return
  }
  let total = 0
  for (let row = 0; row < count; row++) {
    total += offsets[selection[row]! + 1]! - offsets[selection[row]!]!
  }
  const elements = new Int32Array(total)
  let next = 0
  for (let row = 0; row < count; row++) {
    const from = selection[row]!
    for (let at = offsets[from]!; at < offsets[from + 1]!; at++) elements[next++] = at
    builder.offsets[at + row + 1] = builder.childLength + next
  }
  appendRows(builder.child, builder.childLength, child, total, elements)
  builder.childLength += total
}

/** Only marks: what was copied above is already the filler. */
function appendMarks(
  builder: ColumnBuilder,
  at: number,
  column: Column,
  count: number,
  selection: Int32Array | null,
): void {
  if (selection === null) {
    if (column.validity !== null) markNulls(builder, at, column.validity, count)
    if (column.unchanged !== null) markUnchanged(builder, at, column.unchanged, count)
    return
  }
  for (let row = 0; row < count; row++) {
    const from = selection[row]!
    if (isNull(column, from)) builder.markNull(at + row)
    else if (isUnchanged(column, from)) builder.markUnchanged(at + row)
  }
}

/** Both marks are rare, so that most bytes of the bitmaps have none. */
function markNulls(builder: ColumnBuilder, at: number, validity: Bitmap, count: number): void {
  for (let row = 0; row < count; row += 8) {
    const nulls = ~validity[row >> 3]! & bitsBelow(count - row)
    for (let bits = nulls; bits !== 0; bits &= bits - 1) {
      builder.markNull(at + row + lowestBit(bits))
    }
  }
}

function markUnchanged(builder: ColumnBuilder, at: number, unchanged: Bitmap, count: number): void {
  for (let row = 0; row < count; row += 8) {
    const marked = unchanged[row >> 3]! & bitsBelow(count - row)
    for (let bits = marked; bits !== 0; bits &= bits - 1) {
      builder.markUnchanged(at + row + lowestBit(bits))
    }
  }
}

/** @returns the mask of a byte whose first `count` bits are rows */
function bitsBelow(count: number): number {
  return count >= 8 ? 0xff : (1 << count) - 1
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits)
}
