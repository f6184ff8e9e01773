// The order of values of one type, wherever in a column they stand: NaN is the greatest number and
// equals itself, -0 equals 0, texts and bytes compare byte by byte.

import type { BytesColumn, Column } from '../../column/column.ts'
import { compareBytes } from './bytes.ts'

/**
 * Both columns are of one type, and neither value is null.
 *
 * @returns less than, equal to or greater than 0
 */
export type Compare = (left: Column, at: number, right: Column, other: number) => number

function compareDoubles(left: number, right: number): number {
  if (left < right) return -1
  if (left > right) return 1
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right))
}

function compareWide(left: BigInt64Array, at: number, right: BigInt64Array, other: number): number {
  const [high, otherHigh] = [left[2 * at + 1]!, right[2 * other + 1]!]
  if (high !== otherHigh) return high < otherHigh ? -1 : 1
  const low = BigInt.asUintN(64, left[2 * at]!)
  const otherLow = BigInt.asUintN(64, right[2 * other]!)
  return low < otherLow ? -1 : Number(low > otherLow)
}

function compareTexts(left: BytesColumn, at: number, right: BytesColumn, other: number): number {
  const [start, end] = [left.offsets[at]!, left.offsets[at + 1]!]
  const [otherStart, otherEnd] = [right.offsets[other]!, right.offsets[other + 1]!]
  return compareBytes(left.bytes, start, end, right.bytes, otherStart, otherEnd)
}

export const compareValues: Compare = (left, at, right, other) => {
  switch (left.layout) {
    case 'bool8':
    case 'int32':
    case 'float32':
    case 'float64':
      return compareDoubles(left.values[at]!, (right as typeof left).values[other]!)
    case 'int64': {
      const [value, second] = [left.values[at]!, (right as typeof left).values[other]!]
      return value < second ? -1 : Number(value > second)
    }
    case 'int128':
      return compareWide(left.values, at, (right as typeof left).values, other)
    case 'uuid16': {
      const { values } = right as typeof left
      const [start, from] = [at * 16, other * 16]
      return compareBytes(left.values, start, start + 16, values, from, from + 16)
    }
    case 'bytes':
      return compareTexts(left, at, right as BytesColumn, other)
    case 'list':
      return 0
  }
}
