// Kernels for float and double, rounded to the nearest as IEEE 754 has it. Producers quote the
// values that JSON has no number for: "NaN", "Infinity", "-Infinity".

import { Buffer } from 'node:buffer'
import type { FixedBuilder } from '../column/builder.ts'
import { refuse } from './fault.ts'
import { MINUS, numberEnd, POINT, QUOTE, ZERO } from './grammar.ts'
import { POWERS } from './number.ts'
import { openText, text } from './text.ts'

/** What `readDouble` found. */
let value = 0

/** Up to 19 digits and a point, as most doubles are written; all else goes a longer way. */
function readDouble(bytes: Uint8Array, start: number, end: number): boolean {
  const negative = bytes[start] === MINUS
  let at = negative ? start + 1 : start
  if (end - at > 20) return readAnyDouble(bytes, start, end)
  let upper = 0
  let lower = 0
  let count = 0
  let point = end
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO
    if (digit >= 0 && digit <= 9) {
      if (count++ < 10) upper = upper * 10 + digit
      else lower = lower * 10 + digit
    } else if (digit === POINT - ZERO) point = at + 1
    else break
  }
  if (at !== end || count === 0 || count > 19) return readAnyDouble(bytes, start, end)
  const quotient = divided(upper, lower, Math.max(0, count - 10), end - point)
  if (Number.isNaN(quotient)) return readAnyDouble(bytes, start, end)
  value = negative ? -quotient : quotient
  return true
}

/** Half of the digits of a double: products of halves are exact. */
const SPLITTER = 2 ** 27 + 1
/** Above the relative error of the correction below. */
const DOUBT = 2 ** -50

/** What the last `product` lacks. */
let productError = 0

/** Source: T. J. Dekker, "A floating-point technique for extending the available precision", 1971 */
function product(left: number, right: number): number {
  const exact = left * right
  const leftBig = left * SPLITTER
  const leftHigh = leftBig - (leftBig - left)
  const leftLow = left - leftHigh
  const rightBig = right * SPLITTER
  const rightHigh = rightBig - (rightBig - right)
  const rightLow = right - rightHigh
  productError =
    leftLow * rightLow - (exact - leftHigh * rightHigh - leftLow * rightHigh - leftHigh * rightLow)
  return exact
}

/**
 * (upper * 10^lowerDigits + lower) / 10^places, rounded once; NaN where that is in doubt.
 *
 * Correctness: up to 15 digits are an exact double, as are the powers of ten up to 10^22, so their
 * quotient is rounded once. A longer number is a sum of two doubles, and the quotient of the first
 * is off by a remainder that is exact; what remainder and second double add to it is known to 51
 * bits. Where it decides no rounding, whatever its error, the sum is the double that is nearest.
 */
function divided(upper: number, lower: number, lowerDigits: number, places: number): number {
  const power = POWERS[places]!
  if (lowerDigits <= 5) return (upper * POWERS[lowerDigits]! + lower) / power
  const scaled = product(upper, POWERS[lowerDigits]!)
  const first = scaled + lower
  const second = lower - (first - scaled) + productError
  const quotient = first / power
  const back = product(quotient, power)
  const correction = (first - back - productError + second) / power
  const below = quotient + correction * (1 - DOUBT)
  return below === quotient + correction * (1 + DOUBT) ? below : Number.NaN
}

function readAnyDouble(bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start]!
  if (first === QUOTE) {
    if (!openText(bytes, start, end)) return false
    return readNamed() || readQuoted(start)
  }
  if (first !== MINUS && !(first >= ZERO && first <= ZERO + 9)) {
    return refuse(start, 'it is no number')
  }
  value = Number(latin(bytes, start, end))
  return Number.isFinite(value) || refuse(start, 'the number is too large')
}

function readQuoted(start: number): boolean {
  const { bytes, start: from, end } = text
  if (from === end || numberEnd(bytes, from, end) !== end) return refuse(start, 'it is no number')
  value = Number(latin(bytes, from, end))
  return Number.isFinite(value) || refuse(start, 'the number is too large')
}

function readNamed(): boolean {
  const name = text.end - text.start <= 9 ? latin(text.bytes, text.start, text.end) : ''
  if (name !== 'NaN' && name !== 'Infinity' && name !== '-Infinity') return false
  value = Number(name)
  return true
}

let latinOf: Buffer = Buffer.alloc(0)

function latin(bytes: Uint8Array, start: number, end: number): string {
  if (latinOf.buffer !== bytes.buffer || latinOf.byteOffset !== bytes.byteOffset) {
    latinOf = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  return latinOf.toString('latin1', start, end)
}

export function putFloat64(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!readDouble(bytes, start, end)) return false
  ;(builder.values as Float64Array)[row] = value
  return true
}

/** The float nearest to the double that is nearest to the text. */
export function putFloat32(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!readDouble(bytes, start, end)) return false
  const nearest = Math.fround(value)
  if (Number.isFinite(value) && !Number.isFinite(nearest)) {
    return refuse(start, 'the number is too large')
  }
  ;(builder.values as Float32Array)[row] = nearest
  return true
}
