// The values of one leaf without its nulls, in the form that the file and the kernels want. Columns
// without nulls are looked at in place; the others are gathered into scratch memory.

import type { Column } from '../../../runtime/data/column/column.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { Storage, type Leaf } from './leaf.ts'
import { ByteScratch, Int32Scratch } from './scratch.ts'

export interface BoolValues {
  readonly storage: typeof Storage.bool
  readonly count: number
  /** 0 or 1 each. */
  readonly values: Uint8Array
}

export interface WordValues {
  readonly storage: typeof Storage.word
  readonly count: number
  readonly words: Int32Array
  /** The same memory, when the values are floats. */
  readonly floats: Float32Array | null
}

export interface PairValues {
  readonly storage: typeof Storage.pair
  readonly count: number
  /** Low word, high word. */
  readonly words: Int32Array
  /** The same memory, when the values are doubles. */
  readonly floats: Float64Array | null
}

export interface FixedValues {
  readonly storage: typeof Storage.fixed
  readonly count: number
  readonly width: number
  /** Big-endian two's complement instead of unsigned bytes: decides the order. */
  readonly signed: boolean
  readonly bytes: Uint8Array
}

export interface BytesValues {
  readonly storage: typeof Storage.bytes
  readonly count: number
  /** Value v is bytes[offsets[v], offsets[v + 1]). */
  readonly offsets: Int32Array
  readonly bytes: Uint8Array
  readonly view: DataView
}

export type LeafValues = BoolValues | WordValues | PairValues | FixedValues | BytesValues

const rowScratch = new Int32Scratch()
const wordScratch = new Int32Scratch()
const byteScratch = new ByteScratch()
const bytesScratch = new ByteScratch()

/**
 * @param column  of the leaf's type (a list's child for a list leaf)
 * @returns its values in row order, nulls left out; valid until the next call, and only as long as
 *   the column's own memory
 */
export function leafValues(leaf: Leaf, column: Column): LeafValues {
  const rows = validRows(column)
  const count = rows === null ? column.length : rows.length
  switch (column.layout) {
    case 'bool8':
      return { storage: Storage.bool, count, values: gatherBytes(column.values, rows, 1) }
    case 'int32':
      return word(column.values, rows, count, false)
    case 'float32':
      return word(column.values, rows, count, true)
    case 'int64':
      if (leaf.storage === Storage.word) return narrow(column.values, rows, count)
      return pair(column.values, rows, count, false)
    case 'float64':
      return pair(column.values, rows, count, true)
    case 'int128':
      return bigEndian(column.values, rows, count, leaf.width)
    case 'uuid16':
      return {
        storage: Storage.fixed,
        count,
        width: 16,
        signed: false,
        bytes: gatherBytes(column.values, rows, 16),
      }
    case 'bytes':
      return bytesValues(column, rows, count)
    case 'list':
      throw new TypeError('a list has no values of its own')
  }
}

/** @returns row numbers that have a value; `null` when all have one */
function validRows(column: Column): Int32Array | null {
  const validity = column.validity
  if (validity === null) return null
  const target = rowScratch.take(column.length)
  const count = gatherValid(validity, column.length, target)
  return count === column.length ? null : target.subarray(0, count)
}

/** Without a branch a bit: which rows are null is hard to foresee. */
function gatherValid(validity: Uint8Array, rows: number, target: Int32Array): number {
  let count = 0
  let row = 0
  for (; row + 8 <= rows; row += 8) {
    const bits = validity[row >> 3]!
    if (bits === 0) continue
    target[count] = row
    count += bits & 1
    target[count] = row + 1
    count += (bits >> 1) & 1
    target[count] = row + 2
    count += (bits >> 2) & 1
    target[count] = row + 3
    count += (bits >> 3) & 1
    target[count] = row + 4
    count += (bits >> 4) & 1
    target[count] = row + 5
    count += (bits >> 5) & 1
    target[count] = row + 6
    count += (bits >> 6) & 1
    target[count] = row + 7
    count += (bits >> 7) & 1
  }
  for (; row < rows; row++) {
    target[count] = row
    count += (validity[row >> 3]! >> (row & 7)) & 1
  }
  return count
}

function wordsOf(values: Int32Array | Float32Array | Float64Array | BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2)
}

function word(
  values: Int32Array | Float32Array,
  rows: Int32Array | null,
  count: number,
  float: boolean,
): WordValues {
  let words = wordsOf(values)
  if (rows !== null) {
    const target = wordScratch.take(count)
    gatherWords(words, rows, count, target)
    words = target
  }
  words = words.subarray(0, count)
  const floats = float ? new Float32Array(words.buffer, words.byteOffset, count) : null
  return { storage: Storage.word, count, words, floats }
}

function gatherWords(words: Int32Array, rows: Int32Array, count: number, target: Int32Array): void {
  for (let at = 0; at < count; at++) target[at] = words[rows[at]!]!
}

function pair(
  values: BigInt64Array | Float64Array,
  rows: Int32Array | null,
  count: number,
  float: boolean,
): PairValues {
  let words = wordsOf(values)
  if (rows !== null) {
    const target = wordScratch.take(2 * count)
    gatherPairs(words, rows, count, target)
    words = target
  }
  words = words.subarray(0, 2 * count)
  const floats = float ? new Float64Array(words.buffer, words.byteOffset, count) : null
  return { storage: Storage.pair, count, words, floats }
}

function gatherPairs(words: Int32Array, rows: Int32Array, count: number, target: Int32Array): void {
  for (let at = 0; at < count; at++) {
    const from = 2 * rows[at]!
    target[2 * at] = words[from]!
    target[2 * at + 1] = words[from + 1]!
  }
}

/** Decimals of up to nine digits: the low words of int64 values. */
function narrow(values: BigInt64Array, rows: Int32Array | null, count: number): WordValues {
  const pairs = wordsOf(values)
  const words = wordScratch.take(count)
  let overflow = 0
  for (let at = 0; at < count; at++) {
    const from = 2 * (rows === null ? at : rows[at]!)
    const low = pairs[from]!
    overflow |= pairs[from + 1]! ^ (low >> 31)
    words[at] = low
  }
  assert(overflow === 0, 'a decimal of up to nine digits fits 32 bits')
  return { storage: Storage.word, count, words: words.subarray(0, count), floats: null }
}

/** Decimals of 19 to 38 digits: int128 values turned round and cut to `width` bytes. */
function bigEndian(
  values: BigInt64Array,
  rows: Int32Array | null,
  count: number,
  width: number,
): FixedValues {
  const source = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const bytes = byteScratch.take(count * width)
  let overflow = 0
  for (let at = 0; at < count; at++) {
    const from = 16 * (rows === null ? at : rows[at]!)
    const last = at * width + width - 1
    for (let byte = 0; byte < width; byte++) bytes[last - byte] = source[from + byte]!
    const sign = (bytes[at * width]! << 24) >> 31
    for (let byte = width; byte < 16; byte++) overflow |= source[from + byte]! ^ (sign & 0xff)
  }
  assert(overflow === 0, 'a decimal fits the bytes of its precision')
  const dense = bytes.subarray(0, count * width)
  return { storage: Storage.fixed, count, width, signed: true, bytes: dense }
}

function gatherBytes(source: Uint8Array, rows: Int32Array | null, width: number): Uint8Array {
  if (rows === null) return source
  const count = rows.length
  const target = byteScratch.take(count * width)
  for (let at = 0; at < count; at++) {
    const from = rows[at]! * width
    for (let byte = 0; byte < width; byte++) target[at * width + byte] = source[from + byte]!
  }
  return target.subarray(0, count * width)
}

type BytesColumn = Extract<Column, { layout: 'bytes' }>

function bytesValues(column: BytesColumn, rows: Int32Array | null, count: number): BytesValues {
  if (rows === null) return bytesOver(column.bytes, column.offsets, count)
  const offsets = wordScratch.take(count + 1)
  const bytes = gatherOffsets(column, rows, count, offsets)
    ? column.bytes
    : gatherVarying(column, rows, count, offsets)
  return bytesOver(bytes, offsets, count)
}

function bytesOver(bytes: Uint8Array, offsets: Int32Array, count: number): BytesValues {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { storage: Storage.bytes, count, offsets: offsets.subarray(0, count + 1), bytes, view }
}

/** Null rows are empty as a rule, so the values lie close. @returns false when one is not empty */
function gatherOffsets(
  column: BytesColumn,
  rows: Int32Array,
  count: number,
  target: Int32Array,
): boolean {
  const offsets = column.offsets
  let end = 0
  let gaps = 0
  for (let at = 0; at < count; at++) {
    const row = rows[at]!
    gaps |= offsets[row]! - end
    target[at] = offsets[row]!
    end = offsets[row + 1]!
  }
  target[count] = end
  return gaps === 0
}

function gatherVarying(
  column: BytesColumn,
  rows: Int32Array,
  count: number,
  target: Int32Array,
): Uint8Array {
  const { offsets, bytes } = column
  const dense = bytesScratch.take(offsets[column.length]!)
  let length = 0
  for (let at = 0; at < count; at++) {
    const row = rows[at]!
    target[at] = length
    dense.set(bytes.subarray(offsets[row], offsets[row + 1]), length)
    length += offsets[row + 1]! - offsets[row]!
  }
  target[count] = length
  return dense.subarray(0, length)
}
