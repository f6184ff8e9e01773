// What generated row decoders call for the values that are too rare or too long to write out in
// line.

import { corrupt, viewOf } from './cursor.ts'
import { inflateValue } from './compressed.ts'
import { transcodeSingle, transcodeWide } from './charset.ts'
import { writeDecimal, writeDecimalText } from './decimal.ts'
import { JsonText } from './json-text.ts'
import { writeMicros } from './temporal.ts'

/** Labels of an enum or set as UTF-8: label i is bytes[offsets[i], offsets[i + 1]). */
export interface LabelBytes {
  readonly offsets: Int32Array
  readonly bytes: Uint8Array
}

export function labelBytes(labels: readonly string[]): LabelBytes {
  const encoded = labels.map((label) => new TextEncoder().encode(label))
  const offsets = new Int32Array(labels.length + 1)
  encoded.forEach((label, index) => (offsets[index + 1] = offsets[index]! + label.length))
  const bytes = new Uint8Array(offsets[labels.length]!)
  encoded.forEach((label, index) => bytes.set(label, offsets[index]))
  return { offsets, bytes }
}

const COMMA = 0x2c

/**
 * Writes the labels whose bits are set, joined by commas, in their order.
 *
 * @param width  bytes of the bits, 1...8, little-endian
 * @returns the end of what was written, -1 when a bit has no label
 */
function writeSet(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  at: number,
  width: number,
  { offsets, bytes }: LabelBytes,
): number {
  const start = to
  for (let bit = 0; bit < width * 8; bit++) {
    if (((source[at + (bit >> 3)]! >> (bit & 7)) & 1) === 0) continue
    if (bit + 1 >= offsets.length) return -1
    if (to > start) target[to++] = COMMA
    for (let index = offsets[bit]!; index < offsets[bit + 1]!; index++) target[to++] = bytes[index]!
  }
  return to
}

/** A UUID stands in the order of its text; like BINARY(16), without the zero bytes at its end. */
function writeUuid(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  if (end - start > 16) throw corrupt('a UUID')
  for (let index = 0; index < 16; index++) {
    const at = start + index
    target[to + index] = at < end ? source[at]! : 0
  }
}

/** @returns true when bytes[start, end) and bytes[otherStart, otherEnd) are not the same */
function differ(
  bytes: Uint8Array,
  start: number,
  end: number,
  otherStart: number,
  otherEnd: number,
): boolean {
  if (end - start !== otherEnd - otherStart) return true
  for (let at = start, other = otherStart; at < end; at++, other++) {
    if (bytes[at] !== bytes[other]) return true
  }
  return false
}

export const rowRuntime = {
  json: new JsonText(),
  differ,
  inflateValue,
  transcodeSingle,
  transcodeWide,
  viewOf,
  writeDecimal,
  writeDecimalText,
  writeMicros,
  writeSet,
  writeUuid,
} as const
