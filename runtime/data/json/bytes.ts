// Kernels for what text stands for as bytes: base64, the bytes of Latin-1, uuid; and for booleans.

import type { BytesBuilder, FixedBuilder } from '../column/builder.ts'
import { refuse } from './fault.ts'
import { QUOTE } from './grammar.ts'
import { openText, text } from './text.ts'

const DASH = 0x2d
const EQUALS = 0x3d
const NONE = 0xff

/** Six bits by letter, of both alphabets of RFC 4648; NONE: no letter. */
const SIX_BITS = new Uint8Array(256).fill(NONE)
for (const alphabet of ['+/', '-_']) {
  const letters = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${alphabet}`
  for (let value = 0; value < 64; value++) SIX_BITS[letters.charCodeAt(value)] = value
}

const NO_BASE64 = 'it is no base64'

/** Where `decodeBase64` has written to. */
export const decoded = { bytes: new Uint8Array(64), length: 0 }

/** Decodes the text that is open. */
export function decodeBase64(start: number): boolean {
  const { bytes } = text
  let { end } = text
  for (let padding = 0; padding < 2 && end > text.start; padding++) {
    if (bytes[end - 1] === EQUALS) end--
  }
  const count = end - text.start
  if (count % 4 === 1) return refuse(start, NO_BASE64)
  if (decoded.bytes.length < count) decoded.bytes = new Uint8Array(2 * count)
  const target = decoded.bytes
  let held = 0
  let bits = 0
  let length = 0
  for (let at = text.start; at < end; at++) {
    const six = SIX_BITS[bytes[at]!]!
    if (six === NONE) return refuse(start, NO_BASE64)
    held = (held << 6) | six
    bits += 6
    if (bits >= 8) {
      bits -= 8
      target[length++] = held >> bits
      held &= (1 << bits) - 1
    }
  }
  // Bits behind the last byte belong to nothing; another text would stand for the same bytes.
  if (held !== 0) return refuse(start, NO_BASE64)
  decoded.length = length
  return true
}

export function putBase64(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (bytes[start] !== QUOTE) return refuse(start, NO_BASE64)
  if (!openText(bytes, start, end) || !decodeBase64(start)) return false
  builder.setBytes(row, decoded.bytes, 0, decoded.length)
  return true
}

/** Characters up to U+00FF, each of which is one byte. */
export function putLatin1(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (bytes[start] !== QUOTE) return refuse(start, 'it is no text')
  if (!openText(bytes, start, end)) return false
  builder.reserveBytes(text.end - text.start)
  let to = builder.bytesLength
  for (let at = text.start; at < text.end; at++) {
    const byte = text.bytes[at]!
    if (byte < 0x80) builder.bytes[to++] = byte
    // Two bytes, C2 or C3 and what follows, are U+0080 to U+00FF.
    else if (byte === 0xc2 || byte === 0xc3) {
      at++
      builder.bytes[to++] = ((byte & 3) << 6) | (text.bytes[at]! & 0x3f)
    } else return refuse(start, 'it holds a character that is no byte')
  }
  builder.bytesLength = to
  builder.offsets[row + 1] = to
  return true
}

const HEX = Uint8Array.from({ length: 256 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(value) ? NONE : value
})

/** 8-4-4-4-12 hexadecimal digits. */
export function putUuid(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (bytes[start] !== QUOTE || !openText(bytes, start, end)) return refuse(start, NO_UUID)
  if (text.end - text.start !== 36) return refuse(start, NO_UUID)
  const values = builder.values as Uint8Array
  let at = text.start
  for (let to = 0; to < 16; to++) {
    if (to === 4 || to === 6 || to === 8 || to === 10) {
      if (text.bytes[at] !== DASH) return refuse(start, NO_UUID)
      at++
    }
    const upper = HEX[text.bytes[at]!]!
    const lower = HEX[text.bytes[at + 1]!]!
    if (upper === NONE || lower === NONE) return refuse(start, NO_UUID)
    values[row * 16 + to] = (upper << 4) | lower
    at += 2
  }
  return true
}

const NO_UUID = 'it is no UUID'

export function putBoolean(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): boolean {
  const first = bytes[start]
  if (first !== 0x74 && first !== 0x66) return refuse(start, 'it is neither true nor false')
  ;(builder.values as Uint8Array)[row] = first === 0x74 ? 1 : 0
  return true
}
