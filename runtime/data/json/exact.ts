// Numbers read exactly from their text: 1.50, 15e-1 and 0.00015E4 are one value, and what is lost
// nowhere is said to fit, or refused. Digits go to 64 and 128 bits without a bigint. There is one
// register, so reading is not re-entrant, and needs not be.

import { refuse } from './fault.ts'
import { MINUS, NINE, PLUS, POINT, ZERO } from './grammar.ts'

/** More significant digits fit no type, whatever their scale. */
const DIGITS_MAX = 40
const EXPONENT_MAX = 1_000_000
const TOO_LARGE = 'the number is too large'
const TOO_FINE = 'the number has more digits behind the point than the column keeps'

/** The number that was read last: digits * 10^exponent, without zeros at either end. */
const digits = new Uint8Array(DIGITS_MAX)
let count = 0
let exponent = 0
let negative = false

/** 128 bits as eight 16-bit limbs, least significant first: products stay below 2^31. */
const limbs = new Int32Array(8)

/** Reads the number bytes[start, end), whose grammar has been checked. */
function readNumber(bytes: Uint8Array, start: number, end: number): boolean {
  negative = bytes[start] === MINUS
  count = 0
  exponent = 0
  // Zeros that count only if another digit follows.
  let zeros = 0
  let fraction = 0
  let at = negative ? start + 1 : start
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte === POINT) {
      fraction = 1
      continue
    }
    if (byte > NINE) break
    exponent -= fraction
    if (byte === ZERO) {
      if (count > 0) zeros++
      continue
    }
    if (count + zeros >= DIGITS_MAX) return refuse(start, 'the number has too many digits')
    while (zeros > 0) {
      digits[count++] = 0
      zeros--
    }
    digits[count++] = byte - ZERO
  }
  exponent += zeros
  if (at < end) exponent += readExponent(bytes, at + 1, end)
  return true
}

function readExponent(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte !== MINUS && byte !== PLUS) value = Math.min(value * 10 + byte - ZERO, EXPONENT_MAX)
  }
  return bytes[start] === MINUS ? -value : value
}

/**
 * Fills the limbs with the magnitude of the number times 10^scale.
 *
 * @param digitsMax  of the result
 */
function scaleNumber(scale: number, digitsMax: number, start: number): boolean {
  limbs.fill(0)
  if (count === 0) return true
  const places = exponent + scale
  if (places < 0) return refuse(start, TOO_FINE)
  if (count + places > digitsMax) return refuse(start, TOO_LARGE)
  let digit = 0
  for (; digit < count % 4; digit++) multiplyAdd(10, digits[digit]!)
  for (; digit < count; digit += 4) multiplyAdd(10_000, fourDigits(digit))
  let left = places
  for (; left >= 4; left -= 4) multiplyAdd(10_000, 0)
  for (; left > 0; left--) multiplyAdd(10, 0)
  return true
}

function fourDigits(at: number): number {
  return digits[at]! * 1000 + digits[at + 1]! * 100 + digits[at + 2]! * 10 + digits[at + 3]!
}

/** limbs = limbs * factor + addend; both up to 10,000. */
function multiplyAdd(factor: number, addend: number): void {
  let carry = addend
  for (let limb = 0; limb < 8; limb++) {
    const product = limbs[limb]! * factor + carry
    limbs[limb] = product & 0xffff
    carry = product >>> 16
  }
}

/** Writes the lowest `words` 32-bit words of the limbs as two's complement. */
function storeLimbs(pairs: Int32Array, at: number, words: number): void {
  let carry = negative ? 1 : 0
  const flip = negative ? 0xffff : 0
  for (let word = 0; word < words; word++) {
    const low = (limbs[2 * word]! ^ flip) + carry
    const high = (limbs[2 * word + 1]! ^ flip) + (low >>> 16)
    carry = high >>> 16
    pairs[at + word] = (low & 0xffff) | (high << 16)
  }
}

/** Decimal of up to 38 digits, unscaled, into `words` words from pairs[at] on. */
export function storeDecimal(
  pairs: Int32Array,
  at: number,
  words: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  precision: number,
  scale: number,
): boolean {
  if (!readNumber(bytes, start, end) || !scaleNumber(scale, precision, start)) return false
  storeLimbs(pairs, at, words)
  return true
}

/** The number times 10^scale, which must be whole and fit 64 bits. */
export function storeScaled64(
  pairs: Int32Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  scale: number,
): boolean {
  // 2^63 has 19 digits.
  if (!readNumber(bytes, start, end) || !scaleNumber(scale, 19, start)) return false
  const top = limbs[3]!
  const isMin = negative && top === 0x8000 && limbs[0] === 0 && limbs[1] === 0 && limbs[2] === 0
  if (top >= 0x8000 && !isMin) return refuse(start, TOO_LARGE)
  storeLimbs(pairs, at, 2)
  return true
}

const word = new Int32Array(2)

/** A whole number of 32 bits, at values[row]. */
export function storeInt32(
  values: Int32Array,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!storeScaled64(word, 0, bytes, start, end, 0)) return false
  if (word[1] !== word[0]! >> 31) return refuse(start, TOO_LARGE)
  values[row] = word[0]!
  return true
}
