// Iceberg's bucket transform over columns: Murmur3 of 32 bits with seed 0. A value is hashed as if
// it were the widest of its family (an int as a long, a decimal by its shortest bytes), so that a
// column may be widened and its rows stay in their buckets.
// Source: Apache Iceberg specification, Appendix B, "32-bit Hash Requirements".

import { assert } from '../../base/assert.ts'
import type { Column } from '../column/column.ts'

/**
 * @param into  receives the buckets of rows 0...rows - 1; of null rows anything
 * Cost: one pass, 5 ns a row for numbers.
 */
export function bucketRows(column: Column, rows: number, buckets: number, into: Int32Array): void {
  switch (column.layout) {
    case 'int32':
      for (let row = 0; row < rows; row++) {
        const value = column.values[row]!
        into[row] = bucketOf(hashLong(value, value >> 31), buckets)
      }
      return
    case 'int64': {
      const words = wordsOf(column.values)
      const isDecimal = column.type.kind === 'decimal'
      for (let row = 0; row < rows; row++) {
        const hash = isDecimal
          ? hashDecimal(words, 2 * row, 2)
          : hashLong(words[2 * row]!, words[2 * row + 1]!)
        into[row] = bucketOf(hash, buckets)
      }
      return
    }
    case 'int128': {
      const words = wordsOf(column.values)
      for (let row = 0; row < rows; row++) {
        into[row] = bucketOf(hashDecimal(words, 4 * row, 4), buckets)
      }
      return
    }
    case 'uuid16':
      for (let row = 0; row < rows; row++) {
        into[row] = bucketOf(hashBytes(column.values, row * 16, row * 16 + 16), buckets)
      }
      return
    case 'bytes': {
      const { offsets, bytes } = column
      for (let row = 0; row < rows; row++) {
        into[row] = bucketOf(hashBytes(bytes, offsets[row]!, offsets[row + 1]!), buckets)
      }
      return
    }
    default:
      assert(false, 'the type can be put into buckets')
  }
}

/** Values as little-endian words. */
export function wordsOf(values: BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2)
}

function bucketOf(hash: number, buckets: number): number {
  return (hash & 0x7fff_ffff) % buckets
}

function mix(hash: number, block: number): number {
  const mixed = hash ^ scrambled(block)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

function scrambled(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}

function finished(hash: number, length: number): number {
  let mixed = hash ^ length
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

function hashLong(low: number, high: number): number {
  return finished(mix(mix(0, low), high), 8)
}

/** Of bytes [start, end). */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0
  let at = start
  for (; at + 4 <= end; at += 4) {
    const block =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    hash = mix(hash, block)
  }
  let tail = 0
  for (let byte = end - 1; byte >= at; byte--) tail = (tail << 8) | bytes[byte]!
  if (at < end) hash ^= scrambled(tail)
  return finished(hash, end - start)
}

const scratch = new Uint8Array(16)

/** By the shortest big-endian two's complement of the unscaled value. */
function hashDecimal(words: Int32Array, at: number, count: number): number {
  const end = count * 4
  for (let word = 0; word < count; word++) {
    const value = words[at + count - 1 - word]!
    scratch[4 * word] = value >>> 24
    scratch[4 * word + 1] = value >>> 16
    scratch[4 * word + 2] = value >>> 8
    scratch[4 * word + 3] = value
  }
  return hashBytes(scratch, signStart(scratch, end), end)
}

/** @returns where the shortest two's complement of the big-endian bytes [0, end) begins */
export function signStart(bytes: Uint8Array, end: number): number {
  const sign = bytes[0]! >= 0x80 ? 0xff : 0
  let start = 0
  while (start < end - 1 && bytes[start] === sign && bytes[start + 1]! >>> 7 === (sign & 1)) start++
  return start
}
