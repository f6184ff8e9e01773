// Finds the smallest and the largest of a range of values, as positions: what a value looks like in
// a file is asked only for the two that win. NaN is neither; it is counted.

import type { Dictionary } from './dictionary.ts'
import { Storage } from './leaf.ts'
import { ByteScratch, Int32Scratch } from './scratch.ts'
import type { BytesValues, FixedValues, LeafValues } from './values.ts'

export interface Extremes {
  /** Value numbers; -1 when there is no value other than NaN. */
  readonly min: number
  readonly max: number
  readonly nans: number
}

const none: Extremes = { min: -1, max: -1, nans: 0 }

/**
 * @param dictionary  that of the whole chunk, if it has one: byte arrays are then compared once an
 *   entry instead of once a value
 * @returns the extremes of values [start, end)
 */
export function extremesOf(
  values: LeafValues,
  dictionary: Dictionary | null,
  start: number,
  end: number,
): Extremes {
  if (start === end) return none
  switch (values.storage) {
    case Storage.bool:
      return boolExtremes(values.values, start, end)
    case Storage.word:
      if (values.floats !== null) return floatExtremes(values.floats, start, end)
      return wordExtremes(values.words, start, end)
    case Storage.pair:
      if (values.floats !== null) return floatExtremes(values.floats, start, end)
      return pairExtremes(values.words, start, end)
    case Storage.fixed:
      return fixedExtremes(values, start, end)
    case Storage.bytes: {
      if (dictionary === null) return bytesExtremes(values, null, start, end)
      const seen = seenEntries(dictionary, start, end)
      return bytesExtremes(values, seen, 0, seen.length)
    }
  }
}

/** Compares two values by their positions; neither is NaN. @returns negative, 0 or positive */
export function compareValues(values: LeafValues, left: number, right: number): number {
  switch (values.storage) {
    case Storage.bool:
      return values.values[left]! - values.values[right]!
    case Storage.word: {
      const numbers = values.floats ?? values.words
      return sign(numbers[left]!, numbers[right]!)
    }
    case Storage.pair: {
      if (values.floats !== null) return sign(values.floats[left]!, values.floats[right]!)
      const words = values.words
      const high = sign(words[2 * left + 1]!, words[2 * right + 1]!)
      return high === 0 ? sign(words[2 * left]! >>> 0, words[2 * right]! >>> 0) : high
    }
    case Storage.fixed:
      return compareFixed(values, left, right)
    case Storage.bytes: {
      const { offsets, bytes } = values
      return compareBytes(
        bytes,
        offsets[left]!,
        offsets[left + 1]!,
        bytes,
        offsets[right]!,
        offsets[right + 1]!,
      )
    }
  }
}

/** @returns the extremes of two neighbouring ranges together */
export function mergeExtremes(values: LeafValues, left: Extremes, right: Extremes): Extremes {
  const nans = left.nans + right.nans
  if (left.min < 0) return { ...right, nans }
  if (right.min < 0) return { ...left, nans }
  return {
    min: compareValues(values, right.min, left.min) < 0 ? right.min : left.min,
    max: compareValues(values, right.max, left.max) > 0 ? right.max : left.max,
    nans,
  }
}

/** Compares unsigned bytes: for UTF-8 that is the order of code points. */
export function compareBytes(
  left: Uint8Array,
  leftStart: number,
  leftEnd: number,
  right: Uint8Array,
  rightStart: number,
  rightEnd: number,
): number {
  const common = Math.min(leftEnd - leftStart, rightEnd - rightStart)
  for (let at = 0; at < common; at++) {
    const difference = left[leftStart + at]! - right[rightStart + at]!
    if (difference !== 0) return difference
  }
  return leftEnd - leftStart - (rightEnd - rightStart)
}

function sign(left: number, right: number): number {
  return left < right ? -1 : left > right ? 1 : 0
}

function boolExtremes(values: Uint8Array, start: number, end: number): Extremes {
  const first = values[start]!
  let other = start
  while (other < end && values[other] === first) other++
  if (other === end) return { min: start, max: start, nans: 0 }
  return first === 0 ? { min: start, max: other, nans: 0 } : { min: other, max: start, nans: 0 }
}

function wordExtremes(words: Int32Array, start: number, end: number): Extremes {
  let min = start
  let max = start
  let smallest = words[start]!
  let largest = smallest
  for (let at = start + 1; at < end; at++) {
    const word = words[at]!
    if (word < smallest) {
      smallest = word
      min = at
    } else if (word > largest) {
      largest = word
      max = at
    }
  }
  return { min, max, nans: 0 }
}

/**
 * Optimised code compares 64-bit words in registers. The two that lead are loaded anew for each
 * comparison: kept in variables, they could become objects.
 */
function pairExtremes(words: Int32Array, start: number, end: number): Extremes {
  const values = new BigInt64Array(words.buffer, words.byteOffset, words.length >> 1)
  let min = start
  let max = start
  for (let at = start + 1; at < end; at++) {
    if (values[at]! < values[min]!) min = at
    else if (values[at]! > values[max]!) max = at
  }
  return { min, max, nans: 0 }
}

function floatExtremes(values: Float32Array | Float64Array, start: number, end: number): Extremes {
  let first = start
  while (first < end && Number.isNaN(values[first])) first++
  let nans = first - start
  if (first === end) return { min: -1, max: -1, nans }
  let min = first
  let max = first
  let smallest = values[first]!
  let largest = smallest
  for (let at = first + 1; at < end; at++) {
    const value = values[at]!
    if (value < smallest) {
      smallest = value
      min = at
    } else if (value > largest) {
      largest = value
      max = at
    } else if (Number.isNaN(value)) {
      nans++
    }
  }
  return { min, max, nans }
}

function compareFixed(values: FixedValues, left: number, right: number): number {
  const { bytes, width, signed } = values
  const from = left * width
  const other = right * width
  if (signed) {
    const difference = ((bytes[from]! << 24) >> 24) - ((bytes[other]! << 24) >> 24)
    if (difference !== 0) return difference
  }
  return compareBytes(bytes, from, from + width, bytes, other, other + width)
}

function fixedExtremes(values: FixedValues, start: number, end: number): Extremes {
  let min = start
  let max = start
  for (let at = start + 1; at < end; at++) {
    if (compareFixed(values, at, min) < 0) min = at
    else if (compareFixed(values, at, max) > 0) max = at
  }
  return { min, max, nans: 0 }
}

const seenScratch = new ByteScratch()
const positionScratch = new Int32Scratch()

/** @returns a position of each dictionary entry that occurs in values [start, end) */
function seenEntries(dictionary: Dictionary, start: number, end: number): Int32Array {
  const { count, indexes, firsts } = dictionary
  const seen = seenScratch.take(count)
  seen.fill(0, 0, count)
  for (let at = start; at < end; at++) seen[indexes[at]!] = 1
  const positions = positionScratch.take(count)
  let length = 0
  for (let entry = 0; entry < count; entry++) {
    if (seen[entry] === 1) positions[length++] = firsts[entry]!
  }
  return positions.subarray(0, length)
}

/**
 * The first four bytes, as a number of the same order, settle most comparisons.
 *
 * @param positions  the values to look at, start and end being indexes of it; `null`: all
 */
function bytesExtremes(
  values: BytesValues,
  positions: Int32Array | null,
  start: number,
  end: number,
): Extremes {
  const { offsets, bytes, view } = values
  let min = positions === null ? start : positions[start]!
  let max = min
  let minPrefix = prefixOf(view, offsets[min]!, offsets[min + 1]!)
  let maxPrefix = minPrefix
  for (let index = start + 1; index < end; index++) {
    const at = positions === null ? index : positions[index]!
    const from = offsets[at]!
    const stop = offsets[at + 1]!
    const prefix = prefixOf(view, from, stop)
    if (prefix <= minPrefix) {
      const less =
        prefix < minPrefix ||
        compareBytes(bytes, from, stop, bytes, offsets[min]!, offsets[min + 1]!) < 0
      if (less) {
        minPrefix = prefix
        min = at
      }
    }
    if (prefix >= maxPrefix) {
      const more =
        prefix > maxPrefix ||
        compareBytes(bytes, from, stop, bytes, offsets[max]!, offsets[max + 1]!) > 0
      if (more) {
        maxPrefix = prefix
        max = at
      }
    }
  }
  return { min, max, nans: 0 }
}

/** @returns an int32 that orders as the first four bytes do, missing ones being 0 */
function prefixOf(view: DataView, start: number, end: number): number {
  const length = end - start
  if (length >= 4) return view.getInt32(start) ^ 0x8000_0000
  let prefix = 0
  if (length > 0) prefix = view.getUint8(start) << 24
  if (length > 1) prefix |= view.getUint8(start + 1) << 16
  if (length > 2) prefix |= view.getUint8(start + 2) << 8
  return prefix ^ 0x8000_0000
}
