// Kernels for numbers. Each reads the forms that producers write for nearly every value, few digits
// and no exponent, in small integers; all others go to the exact way, or over a string. A number in
// quotes is a number: producers that know JavaScript quote their long ones.
// All kernels take (builder, row, bytes, start, end, form): so rows and elements of lists share
// them. They return false when the value does not fit, and leave the reason in `fault`.

import type { FixedBuilder } from '../column/builder.ts'
import { storeDecimal, storeInt32, storeScaled64 } from './exact.ts'
import { fault, refuse } from './fault.ts'
import { MINUS, numberEnd, QUOTE, ZERO } from './grammar.ts'
import { openText, text } from './text.ts'
import type { ValueForm } from './value-form.ts'

const TWO_32 = 0x1_0000_0000
const NO_NUMBER = 'it is no number'

export type PutFixed = (
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
) => boolean

/** Calls the kernel with the number that stands in quotes at `start`. */
function putQuoted(
  put: PutFixed,
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
): boolean {
  if (bytes[start] !== QUOTE) return refuse(start, NO_NUMBER)
  if (!openText(bytes, start, end)) return false
  const { bytes: digits, start: from, end: to } = text
  if (from === to || !startsNumber(digits[from]!) || numberEnd(digits, from, to) !== to) {
    return refuse(start, NO_NUMBER)
  }
  if (put(builder, row, digits, from, to, form)) return true
  // The place in the resolved bytes would be none in the record.
  fault.at = start
  return false
}

/** Powers of ten that a double holds exactly. */
export const POWERS = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`))

/** Stores an integer of up to 53 bits. */
export function storeInt64(pairs: Int32Array, row: number, value: number): void {
  const at = row << 1
  pairs[at] = value | 0
  pairs[at + 1] = Math.floor(value / TWO_32)
}

function startsNumber(byte: number): boolean {
  return byte === MINUS || (byte >= ZERO && byte <= ZERO + 9)
}

export function putInt32(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
): boolean {
  const negative = bytes[start] === MINUS
  let at = negative ? start + 1 : start
  if (end - at <= 9) {
    let value = 0
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO
      if (digit < 0 || digit > 9) break
      value = (value * 10 + digit) | 0
    }
    if (at === end) {
      ;(builder.values as Int32Array)[row] = negative ? -value : value
      return true
    }
  }
  if (!startsNumber(bytes[start]!))
    return putQuoted(putInt32, builder, row, bytes, start, end, form)
  return storeInt32(builder.values as Int32Array, row, bytes, start, end)
}

/** 16 to 18 digits without a point: microseconds, and ids that hold a time. */
function storeLong(
  pairs: Int32Array,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const negative = bytes[start] === MINUS
  let at = negative ? start + 1 : start
  if (end - at < 10 || end - at > 18) return false
  let upper = 0
  for (; at < end - 9; at++) {
    const digit = bytes[at]! - ZERO
    if (digit < 0 || digit > 9) return false
    upper = upper * 10 + digit
  }
  let lower = 0
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO
    if (digit < 0 || digit > 9) return false
    lower = lower * 10 + digit
  }
  // upper * 10^9 + lower in parts of 16 bits: every product stays below 2^53.
  const near = (upper & 0xffff) * 1e9 + lower
  const middle = (upper >>> 16) * 1e9 + Math.floor(near / 65_536)
  const low = ((middle & 0xffff) << 16) | (near & 0xffff)
  const high = Math.floor(middle / 65_536)
  pairs[row << 1] = negative ? -low : low
  pairs[(row << 1) + 1] = negative ? (low === 0 ? -high : ~high) : high
  return true
}

/** A whole number of 64 bits; of a time, in units that `form.scale` makes microseconds. */
export function putInt64(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
): boolean {
  const { scale } = form
  const negative = bytes[start] === MINUS
  let at = negative ? start + 1 : start
  if (scale >= 0 && end - at <= 15) {
    let value = 0
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (scale > 0) value *= POWERS[scale]!
    // A product below 2^53 has not been rounded.
    if (at === end && value <= Number.MAX_SAFE_INTEGER) {
      storeInt64(builder.pairs, row, negative ? -value : value)
      return true
    }
  }
  if (!startsNumber(bytes[start]!))
    return putQuoted(putInt64, builder, row, bytes, start, end, form)
  if (scale === 0 && storeLong(builder.pairs, row, bytes, start, end)) return true
  return storeScaled64(builder.pairs, row << 1, bytes, start, end, scale)
}

/** Decimal of up to 18 digits, unscaled, as int64. */
export function putDecimal64(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
): boolean {
  const { precision, scale } = form
  const negative = bytes[start] === MINUS
  let at = negative ? start + 1 : start
  let left = scale
  if (end - at + scale <= 15) {
    let value = 0
    let behind = 0
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO
      if (digit >= 0 && digit <= 9) {
        value = value * 10 + digit
        left -= behind
      } else if (digit === -2) behind = 1
      else break
    }
    if (at === end && left >= 0) {
      value *= POWERS[left]!
      if (value < POWERS[precision]!) {
        storeInt64(builder.pairs, row, negative ? -value : value)
        return true
      }
    }
  }
  if (!startsNumber(bytes[start]!)) {
    return putQuoted(putDecimal64, builder, row, bytes, start, end, form)
  }
  return storeDecimal(builder.pairs, row << 1, 2, bytes, start, end, precision, scale)
}

/** Decimal of 19 to 38 digits, unscaled, as int128. */
export function putDecimal128(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
): boolean {
  if (!startsNumber(bytes[start]!)) {
    return putQuoted(putDecimal128, builder, row, bytes, start, end, form)
  }
  const { precision, scale } = form
  return storeDecimal(builder.pairs, row << 2, 4, bytes, start, end, precision, scale)
}
