// Iceberg's truncate transform over columns. Numbers go down to a multiple of the width (towards
// minus infinity), wrapping where Java's integers do; text keeps whole characters, by code point.
// Source: Apache Iceberg specification, "Truncate Transform Details".

import { assert } from '../../base/assert.ts'
import type { BytesColumn, Column } from '../column/column.ts'
import { wordsOf } from './bucket.ts'

/** @returns a column of the same type, of rows 0...rows - 1; of null rows anything */
export function truncated(column: Column, rows: number, width: number): Column {
  switch (column.layout) {
    case 'int32': {
      const values = new Int32Array(rows)
      truncateInts(column.values, rows, width, values)
      return { ...column, length: rows, values }
    }
    case 'int64':
    case 'int128': {
      const words = column.layout === 'int64' ? 2 : 4
      const values = new BigInt64Array((rows * words) / 2)
      truncateWords(wordsOf(column.values), rows, words, width, wordsOf(values))
      return { ...column, length: rows, values }
    }
    case 'bytes':
      return truncateBytes(column, rows, width)
    default:
      assert(false, 'the type can be truncated')
  }
}

function truncateInts(values: Int32Array, rows: number, width: number, into: Int32Array): void {
  for (let row = 0; row < rows; row++) {
    const value = values[row]!
    // The sum wraps for widths beyond 2^30, as an int of Java does.
    into[row] = value - ((((value % width) + width) | 0) % width)
  }
}

/**
 * Integers of `words` little-endian words: the remainder is taken in steps of 16 bits, each of which
 * a double holds exactly.
 */
function truncateWords(
  from: Int32Array,
  rows: number,
  words: number,
  width: number,
  into: Int32Array,
): void {
  // Two's complement: a negative value is the unsigned one less 2^(32 * words).
  let wrap = 1
  for (let step = 0; step < words * 2; step++) wrap = (wrap * 65_536) % width
  for (let at = 0; at < rows * words; at += words) {
    let rest = 0
    for (let word = words - 1; word >= 0; word--) {
      const value = from[at + word]!
      rest = (rest * 65_536 + (value >>> 16)) % width
      rest = (rest * 65_536 + (value & 0xffff)) % width
    }
    if (from[at + words - 1]! < 0) rest = (rest - wrap + width) % width
    let borrow = rest
    for (let word = 0; word < words; word++) {
      const difference = (from[at + word]! >>> 0) - borrow
      into[at + word] = difference
      borrow = difference < 0 ? 1 : 0
    }
  }
}

function truncateBytes(column: BytesColumn, rows: number, width: number): Column {
  const { offsets, bytes, type } = column
  const isText = type.kind === 'string'
  const ends = new Int32Array(rows)
  const kept = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row++) {
    const start = offsets[row]!
    const end = offsets[row + 1]!
    ends[row] = isText ? textEnd(bytes, start, end, width) : Math.min(end, start + width)
    kept[row + 1] = kept[row]! + ends[row]! - start
  }
  const out = new Uint8Array(kept[rows]!)
  for (let row = 0; row < rows; row++) {
    let to = kept[row]!
    for (let at = offsets[row]!; at < ends[row]!; at++) out[to++] = bytes[at]!
  }
  return { ...column, length: rows, offsets: kept, bytes: out }
}

/** Where the first `width` characters of the UTF-8 text [start, end) end. */
function textEnd(bytes: Uint8Array, start: number, end: number, width: number): number {
  if (end - start <= width) return end
  let characters = 0
  for (let at = start; at < end; at++) {
    const continues = (bytes[at]! & 0xc0) === 0x80
    if (continues) continue
    if (characters === width) return at
    characters++
  }
  return end
}
