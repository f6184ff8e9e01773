// Kernels for decimals that need more than 64 bits, and for numeric in binary form. The value is
// built in one scratch register of 128 bits, so decoding is not re-entrant, and needs not be.

import type { FixedBuilder } from '../../../runtime/data/column/builder.ts'
import { storeInt64 } from './number.ts'
import { refuseNotANumber, UnrepresentableValue } from './unrepresentable.ts'

const ZERO = 0x30
const MINUS = 0x2d
const POINT = 0x2e

/** 128 bits as eight 16-bit limbs, least significant first: products stay below 2^31. */
const limbs = new Int32Array(8)

/** limbs = limbs * factor + addend; both up to 10,000. */
function multiplyAdd(factor: number, addend: number): void {
  let carry = addend
  for (let limb = 0; limb < 8; limb++) {
    const product = limbs[limb]! * factor + carry
    limbs[limb] = product & 0xffff
    carry = product >>> 16
  }
}

function multiplyByPowerOfTen(power: number): void {
  let left = power
  for (; left >= 4; left -= 4) multiplyAdd(10_000, 0)
  for (; left > 0; left--) multiplyAdd(10, 0)
}

/** Writes the lowest `words` 32-bit words of the register as two's complement. */
function storeLimbs(pairs: Int32Array, at: number, words: number, negative: boolean): void {
  let carry = negative ? 1 : 0
  const flip = negative ? 0xffff : 0
  for (let word = 0; word < words; word++) {
    const low = (limbs[2 * word]! ^ flip) + carry
    const high = (limbs[2 * word + 1]! ^ flip) + (low >>> 16)
    carry = high >>> 16
    pairs[at + word] = (low & 0xffff) | (high << 16)
  }
}

/** Decimal of 19 to 38 digits in text form, unscaled, as int128. */
export function putDecimal128Text(
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
  limbs.fill(0)
  let group = 0
  let power = 1
  let fraction = -1
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte === POINT) {
      fraction = 0
      continue
    }
    if (fraction >= 0) fraction++
    group = group * 10 + (byte - ZERO)
    power *= 10
    if (power === 10_000) {
      multiplyAdd(10_000, group)
      group = 0
      power = 1
    }
  }
  if (power > 1) multiplyAdd(power, group)
  multiplyByPowerOfTen(scale - Math.max(fraction, 0))
  storeLimbs(builder.pairs, row << 2, 4, negative)
}

// The binary form of numeric: four 16-bit words (count of digits, weight, sign, display scale),
// then the digits in base 10,000; the first one counts 10,000^weight. Trailing zero digits are left
// out. Source: src/backend/utils/adt/numeric.c, numeric_send (PostgreSQL 18).
const NUMERIC_NEGATIVE = 0x4000
const NUMERIC_SPECIAL = 0xc000

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

function refuseSpecialSign(bytes: Uint8Array, start: number): void {
  if ((wordAt(bytes, start + 4) & NUMERIC_SPECIAL) === NUMERIC_SPECIAL) {
    throw new UnrepresentableValue(start, 'NaN and infinity have no decimal')
  }
}

/** Fills the register with the magnitude times 10^scale. */
function readNumeric(bytes: Uint8Array, start: number, scale: number): void {
  const count = wordAt(bytes, start)
  const weight = (wordAt(bytes, start + 2) << 16) >> 16
  limbs.fill(0)
  if (count === 0) return
  for (let digit = 0; digit < count; digit++) {
    const value = wordAt(bytes, start + 8 + 2 * digit)
    // Decimal places of this digit that lie behind the scale; the column's type makes them zero.
    const behind = 4 * (digit - weight) - scale
    if (behind <= 0) multiplyAdd(10_000, value)
    else if (behind < 4) multiplyAdd(10 ** (4 - behind), Math.floor(value / 10 ** behind))
  }
  multiplyByPowerOfTen(scale - 4 * (count - 1 - weight))
}

/** Decimal of 19 to 38 digits in binary form, unscaled, as int128. */
export function putDecimal128Binary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  _end: number,
  scale: number,
): void {
  refuseSpecialSign(bytes, start)
  readNumeric(bytes, start, scale)
  const negative = wordAt(bytes, start + 4) === NUMERIC_NEGATIVE
  storeLimbs(builder.pairs, row << 2, 4, negative)
}

/** Decimal of up to 18 digits in binary form, unscaled, as int64. */
export function putDecimal64Binary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  _end: number,
  scale: number,
): void {
  refuseSpecialSign(bytes, start)
  const negative = wordAt(bytes, start + 4) === NUMERIC_NEGATIVE
  const count = wordAt(bytes, start)
  const weight = (wordAt(bytes, start + 2) << 16) >> 16
  if (4 * (weight + 1) + scale > 15) {
    readNumeric(bytes, start, scale)
    storeLimbs(builder.pairs, row << 1, 2, negative)
    return
  }
  // Below 10^15 a double is exact.
  let value = 0
  for (let digit = 0; digit < count; digit++) {
    const behind = 4 * (digit - weight) - scale
    const next = wordAt(bytes, start + 8 + 2 * digit)
    if (behind <= 0) value = value * 10_000 + next
    else if (behind < 4) value = value * 10 ** (4 - behind) + Math.floor(next / 10 ** behind)
  }
  const missing = count === 0 ? 0 : scale - 4 * (count - 1 - weight)
  if (missing > 0) value *= POWERS[missing] ?? 10 ** missing
  storeInt64(builder.pairs, row, negative ? -value : value)
}

const POWERS = Array.from({ length: 19 }, (_, power) => Number(`1e${power}`))
