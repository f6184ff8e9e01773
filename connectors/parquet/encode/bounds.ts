// Bounds for statistics: values shortened so that the lower one only falls and the upper one only
// grows. Strings are cut between code points, other bytes anywhere.
// Source: Apache Iceberg specification, "Manifests", and its Java UnicodeUtil and BinaryUtil.

import { compareBytes } from './statistics.ts'
import type { Leaf } from './leaf.ts'
import type { PrimitiveType } from '../../../runtime/data/type.ts'

const CODE_POINT_MAX = 0x10_ffff
const SURROGATES_START = 0xd800
const SURROGATES_END = 0xe000

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8Encoder = new TextEncoder()

/**
 * @param length  code points of a string, bytes of a binary value
 * @returns the longest prefix of `value` within `length`: `value` itself when it is short
 */
export function lowerBound(type: PrimitiveType, value: Uint8Array, length: number): Uint8Array {
  return value.subarray(0, prefixBytes(type, value, length))
}

/**
 * @param length  code points of a string, bytes of a binary value
 * @returns `value` when it is short; else the smallest value within `length` that is larger than
 *   every value with the same prefix; `null` when there is none
 */
export function upperBound(
  type: PrimitiveType,
  value: Uint8Array,
  length: number,
): Uint8Array | null {
  const end = prefixBytes(type, value, length)
  if (end === value.length) return value
  const prefix = value.subarray(0, end)
  return type.kind === 'string' ? incrementText(prefix) : incrementBytes(prefix)
}

function prefixBytes(type: PrimitiveType, value: Uint8Array, length: number): number {
  if (type.kind === 'binary') return Math.min(value.length, length)
  if (type.kind !== 'string' || value.length <= length) return value.length
  let points = 0
  for (let at = 0; at < value.length; at++) {
    const continues = (value[at]! & 0xc0) === 0x80
    if (!continues && ++points > length) return at
  }
  return value.length
}

/** Increments the last code point that can be; U+D7FF is followed by U+E000. */
function incrementText(prefix: Uint8Array): Uint8Array | null {
  let points: number[]
  try {
    points = Array.from(utf8Decoder.decode(prefix), (point) => point.codePointAt(0)!)
  } catch {
    // Bytes that are no UTF-8 have no next code point.
    return null
  }
  while (points.length > 0) {
    const next = points.pop()! + 1
    if (next > CODE_POINT_MAX) continue
    const surrogate = next >= SURROGATES_START && next < SURROGATES_END
    points.push(surrogate ? SURROGATES_END : next)
    return utf8Encoder.encode(String.fromCodePoint(...points))
  }
  return null
}

function incrementBytes(prefix: Uint8Array): Uint8Array | null {
  for (let at = prefix.length - 1; at >= 0; at--) {
    if (prefix[at] === 0xff) continue
    const bound = prefix.slice(0, at + 1)
    bound[at]! += 1
    return bound
  }
  return null
}

/**
 * A zero becomes -0.0 as the smallest and +0.0 as the largest value: readers order them in two
 * ways.
 */
export function signZero(leaf: Leaf, value: Uint8Array, end: 'min' | 'max'): Uint8Array {
  if (leaf.type.kind !== 'float' && leaf.type.kind !== 'double') return value
  const last = value.length - 1
  const zero = value.every((byte, at) => (at === last ? (byte & 0x7f) === 0 : byte === 0))
  if (!zero) return value
  const signed = value.slice()
  signed[last] = end === 'min' ? 0x80 : 0
  return signed
}

/** Compares two values of `leaf` in the form of `plainValue`, neither being NaN. */
export function comparePlain(leaf: Leaf, left: Uint8Array, right: Uint8Array): number {
  switch (leaf.storage) {
    case 'word': {
      const [a, b] = [viewOf(left), viewOf(right)]
      if (leaf.type.kind === 'float') return order(a.getFloat32(0, true), b.getFloat32(0, true))
      return a.getInt32(0, true) - b.getInt32(0, true)
    }
    case 'pair': {
      const [a, b] = [viewOf(left), viewOf(right)]
      if (leaf.type.kind === 'double') return order(a.getFloat64(0, true), b.getFloat64(0, true))
      return order(a.getBigInt64(0, true), b.getBigInt64(0, true))
    }
    case 'fixed':
      if (leaf.type.kind === 'decimal') {
        const difference = viewOf(left).getInt8(0) - viewOf(right).getInt8(0)
        if (difference !== 0) return difference
      }
      return compareBytes(left, 0, left.length, right, 0, right.length)
    case 'bool':
    case 'bytes':
      return compareBytes(left, 0, left.length, right, 0, right.length)
  }
}

function order<T extends number | bigint>(left: T, right: T): number {
  return left < right ? -1 : left > right ? 1 : 0
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
