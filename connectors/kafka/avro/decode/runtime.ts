// What generated decoders call for the values that are too rare or too long to write out in line.

import { isWellFormed } from '../../utf8.ts'
import { decimalBytes, putDecimal } from './decimal.ts'
import { appendJson, jsonFailure } from './json-text.ts'

/** Where `varint` leaves the number: unsigned, as it stands in the bytes, not yet zigzag. */
const number = { value: 0 }

/** Stands for all that is larger; odd, so that as a length it is negative. */
const NUMBER_MAX = 0x7fff_ffff

/**
 * Reads a length, a count or an index whose first byte is at `p`. Nothing in a record is as large as
 * what does not fit into 31 bits.
 *
 * @returns the place behind it; -1: it has more than ten bytes
 */
function varint(bytes: Uint8Array, p: number): number {
  let value = 0
  for (let index = 0; index < 10; index++) {
    // Beyond the array it is undefined and ends here; the caller sees that `p` is behind the end.
    const byte = bytes[p + index]! | 0
    const bits = byte & 127
    if (index < 4) value |= bits << (index * 7)
    else if (bits > (index === 4 ? 7 : 0)) value = NUMBER_MAX
    else if (value !== NUMBER_MAX) value |= bits << 28
    if (byte < 128) {
      number.value = value
      return p + index + 1
    }
  }
  return -1
}

/** By character: value of a hexadecimal digit, 255 for others. */
const HEX = new Uint8Array(256).fill(255)
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16)
  HEX[digit.charCodeAt(0)] = value
  HEX[digit.toUpperCase().charCodeAt(0)] = value
}

const HYPHEN = 0x2d

/** @returns false when bytes[p, p + 36) are no UUID in its usual form */
function putUuid(values: Uint8Array, at: number, bytes: Uint8Array, p: number): boolean {
  let from = p
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) {
      if (bytes[from++] !== HYPHEN) return false
    }
    const high = HEX[bytes[from]!]!
    const low = HEX[bytes[from + 1]!]!
    if ((high | low) > 15) return false
    values[at + index] = (high << 4) | low
    from += 2
  }
  return true
}

/** The symbols of an enum as bytes in words of four, the first byte lowest. */
export interface Symbols {
  /** By symbol: its bytes. */
  readonly lengths: Int32Array
  /** By symbol: index of its first word; the last one is their end. */
  readonly starts: Int32Array
  readonly words: Int32Array
}

export function symbolsOf(names: readonly string[]): Symbols {
  const lengths = new Int32Array(names.length)
  const starts = new Int32Array(names.length + 1)
  const words: number[] = []
  for (const [index, name] of names.entries()) {
    // Names are ASCII: a character is a byte.
    lengths[index] = name.length
    for (let at = 0; at < name.length; at += 4) {
      const bytes = [0, 1, 2, 3].map((byte) => (name.charCodeAt(at + byte) || 0) << (byte * 8))
      words.push(bytes.reduce((word, byte) => word | byte))
    }
    starts[index + 1] = words.length
  }
  return { lengths, starts, words: Int32Array.from(words) }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** By the names that generated code has for them. */
export const avroRuntime = {
  number,
  varint,
  putDecimal,
  decimalBytes,
  putUuid,
  isWellFormed,
  appendJson,
  jsonFailure,
  viewOf,
} as const
