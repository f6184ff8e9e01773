// Kernels for integers and decimals in text form: digits go to 64 and 128 bits without a string or
// a bigint on the way. All kernels here and beside it take (builder, row, bytes, start, end), so
// that rows and elements of lists share them; room for the row has been reserved.

import type { FixedBuilder } from '../../../runtime/data/column/builder.ts'
import { refuseNotANumber } from './unrepresentable.ts'

const ZERO = 0x30
const MINUS = 0x2d
const POINT = 0x2e
const TWO_32 = 0x1_0000_0000

export function putInt32Text(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  let at = start
  const negative = bytes[at] === MINUS
  if (negative) at++
  let value = 0
  for (; at < end; at++) value = value * 10 + (bytes[at]! - ZERO)
  ;(builder.values as Int32Array)[row] = negative ? -value : value
}

export function putInt64Text(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  let at = start
  const negative = bytes[at] === MINUS
  if (negative) at++
  // 15 digits are exact in a double; of more, the last 9 are held apart.
  const split = end - at > 15 ? end - 9 : end
  let upper = 0
  for (; at < split; at++) upper = upper * 10 + (bytes[at]! - ZERO)
  if (split === end) {
    storeInt64(builder.pairs, row, negative ? -upper : upper)
    return
  }
  let lower = 0
  for (; at < end; at++) lower = lower * 10 + (bytes[at]! - ZERO)
  storeWide(builder.pairs, row, upper, lower, negative)
}

/** Stores an integer of up to 53 bits. */
export function storeInt64(pairs: Int32Array, row: number, value: number): void {
  const at = row << 1
  pairs[at] = value | 0
  pairs[at + 1] = Math.floor(value / TWO_32)
}

/** Stores ±(upper * 10^9 + lower); upper below 2^34, lower below 2^46. */
export function storeWide(
  pairs: Int32Array,
  row: number,
  upper: number,
  lower: number,
  negative: boolean,
): void {
  const upperHigh = Math.floor(upper / 65_536)
  const near = (upper - upperHigh * 65_536) * 1e9 + lower
  const far = upperHigh * 1e9
  const farHigh = Math.floor(far / 65_536)
  const sum = near + (far - farHigh * 65_536) * 65_536
  const carry = Math.floor(sum / TWO_32)
  let low = sum | 0
  let high = (farHigh + carry) | 0
  if (negative) {
    low = -low | 0
    high = low === 0 ? -high | 0 : ~high
  }
  const at = row << 1
  pairs[at] = low
  pairs[at + 1] = high
}

/** Text of oid: unsigned 32 bits, which a long holds. */
export const putOidText = putInt64Text

/** Decimal of up to 18 digits, unscaled, as int64. */
export function putDecimal64Text(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  scale: number,
): void {
  let at = start
  const negative = bytes[at] === MINUS
  if (negative) at++
  refuseNotANumber(bytes, at)
  let upper = 0
  let lower = 0
  let digits = 0
  let fraction = -1
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte === POINT) {
      fraction = 0
      continue
    }
    if (fraction >= 0) fraction++
    digits++
    if (digits <= 9) lower = lower * 10 + (byte - ZERO)
    else {
      // Keeps upper * 10^9 + lower with lower below 10^9: both stay small integers.
      const shifted = lower * 10 + (byte - ZERO)
      const carry = Math.floor(shifted / 1e9)
      upper = upper * 10 + carry
      lower = shifted - carry * 1e9
    }
  }
  for (let missing = scale - Math.max(fraction, 0); missing > 0; missing--) {
    const shifted = lower * 10
    const carry = Math.floor(shifted / 1e9)
    upper = upper * 10 + carry
    lower = shifted - carry * 1e9
  }
  if (upper < 9e6) {
    const value = upper * 1e9 + lower
    storeInt64(builder.pairs, row, negative ? -value : value)
  } else storeWide(builder.pairs, row, upper, lower, negative)
}
