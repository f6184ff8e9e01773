// Kernels for booleans, integers in binary form, strings, bytea and uuid.

import type { BytesBuilder, FixedBuilder } from '../../../runtime/data/column/builder.ts'
import { HEX } from './hex.ts'

const LETTER_T = 0x74

export function putBooleanText(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  ;(builder.values as Uint8Array)[row] = bytes[start] === LETTER_T ? 1 : 0
}

export function putBooleanBinary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  ;(builder.values as Uint8Array)[row] = bytes[start]!
}

export function putInt16Binary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  const value = ((bytes[start]! << 24) | (bytes[start + 1]! << 16)) >> 16
  ;(builder.values as Int32Array)[row] = value
}

export function putInt16BinaryAsLong(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  const value = ((bytes[start]! << 24) | (bytes[start + 1]! << 16)) >> 16
  builder.pairs[row << 1] = value
  builder.pairs[(row << 1) + 1] = value >> 31
}

function int32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

export function putInt32Binary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  ;(builder.values as Int32Array)[row] = int32At(bytes, start)
}

export function putInt32BinaryAsLong(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  const value = int32At(bytes, start)
  builder.pairs[row << 1] = value
  builder.pairs[(row << 1) + 1] = value >> 31
}

/** oid is unsigned. */
export function putOidBinary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  builder.pairs[row << 1] = int32At(bytes, start)
  builder.pairs[(row << 1) + 1] = 0
}

export function putInt64Binary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  builder.pairs[(row << 1) + 1] = int32At(bytes, start)
  builder.pairs[row << 1] = int32At(bytes, start + 4)
}

/** Text and every type whose value is its text; also bytea in binary form. */
export function putBytes(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  builder.setBytes(row, bytes, start, end)
}

/** jsonb in binary form is a version byte, 1, and the text. */
export function putJsonbBinary(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  builder.setBytes(row, bytes, start + 1, end)
}

/** bytea in text form: `\x` and two digits a byte. */
export function putHexText(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const count = (end - start - 2) >> 1
  builder.reserveBytes(count)
  const target = builder.bytes
  let to = builder.bytesLength
  for (let at = start + 2; at < end; at += 2) {
    target[to++] = (HEX[bytes[at]!]! << 4) | HEX[bytes[at + 1]!]!
  }
  builder.bytesLength = to
  builder.offsets[row + 1] = to
}

const DASH = 0x2d

export function putUuidText(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const values = builder.values as Uint8Array
  let to = row << 4
  for (let at = start; at < end; at += 2) {
    if (bytes[at] === DASH) at++
    values[to++] = (HEX[bytes[at]!]! << 4) | HEX[bytes[at + 1]!]!
  }
}

export function putUuidBinary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  const values = builder.values as Uint8Array
  const to = row << 4
  for (let at = 0; at < 16; at++) values[to + at] = bytes[start + at]!
}
