// Kernels for float4 and float8. PostgreSQL prints the shortest text that reads back as the same
// value; short ones are converted here exactly, the others go the long way over a string.

import type { FixedBuilder } from '../../../runtime/data/column/builder.ts'

const ZERO = 0x30
const MINUS = 0x2d
const POINT = 0x2e

/** Powers of ten that a double holds exactly. */
export const EXACT_POWERS = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`))

/**
 * Reads a number in text form, `NaN` and `Infinity` included.
 *
 * Correctness: up to 15 digits are an exact double m, and 10^k for k <= 22 is exact too, so m /
 * 10^k is rounded once, as the conversion of the text must be (Clinger, "How to read floating point
 * numbers accurately", 1990).
 */
export function readFloat(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  const negative = bytes[at] === MINUS
  if (negative) at++
  let mantissa = 0
  let digits = 0
  let fraction = -1
  for (; at < end; at++) {
    const byte = bytes[at]!
    const digit = byte - ZERO
    if (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit
      digits++
      if (fraction >= 0) fraction++
    } else if (byte === POINT) fraction = 0
    else return slowFloat(bytes, start, end)
  }
  if (digits > 15) return slowFloat(bytes, start, end)
  const value = fraction > 0 ? mantissa / EXACT_POWERS[fraction]! : mantissa
  return negative ? -value : value
}

function slowFloat(bytes: Uint8Array, start: number, end: number): number {
  let text = ''
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!)
  return Number(text)
}

export function putFloat64Text(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  ;(builder.values as Float64Array)[row] = readFloat(bytes, start, end)
}

export function putFloat32Text(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  ;(builder.values as Float32Array)[row] = readFloat(bytes, start, end)
}

/** float4 in a column that has become double: the value that the float4 had, not its text's. */
export function putFloat32TextAsDouble(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  ;(builder.values as Float64Array)[row] = Math.fround(readFloat(bytes, start, end))
}

const scratch = new DataView(new ArrayBuffer(8))

function fill(bytes: Uint8Array, start: number, count: number): void {
  for (let at = 0; at < count; at++) scratch.setUint8(at, bytes[start + at]!)
}

export function putFloat64Binary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  fill(bytes, start, 8)
  ;(builder.values as Float64Array)[row] = scratch.getFloat64(0)
}

export function putFloat32Binary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  fill(bytes, start, 4)
  ;(builder.values as Float32Array)[row] = scratch.getFloat32(0)
}

export function putFloat32BinaryAsDouble(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  fill(bytes, start, 4)
  ;(builder.values as Float64Array)[row] = scratch.getFloat32(0)
}
