// Strings as their UTF-8 bytes: escapes resolved, into a column or into bytes that the next call
// overwrites. Half a surrogate pair has no UTF-8, so that a string that holds one is refused.

import type { BytesBuilder } from '../column/builder.ts'
import { failAt, FAULT, refuse } from './fault.ts'
import { BACKSLASH, OPEN_ARRAY, OPEN_OBJECT, QUOTE } from './grammar.ts'

/** What `openText` found: text.bytes[text.start, text.end) without quotes and escapes. */
export const text = { bytes: new Uint8Array(256) as Uint8Array, start: 0, end: 0 }

let scratch: Uint8Array = text.bytes

/**
 * Resolves the string that begins with the quote at `start`; `end` as scanners note it.
 *
 * @returns false when it has no UTF-8
 */
export function openText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end >= 0) {
    text.bytes = bytes
    text.start = start + 1
    text.end = end - 1
    return true
  }
  const close = ~end - 1
  if (scratch.length < close - start) scratch = new Uint8Array(2 * (close - start))
  const length = unescape(scratch, 0, bytes, start + 1, close)
  // Whoever reads on meets an end, not what a longer string has left.
  if (length !== FAULT) scratch[length] = 0
  text.bytes = scratch
  text.start = 0
  text.end = length
  return length !== FAULT
}

/** Bytes that letters behind a backslash stand for, by letter. */
const ESCAPED = new Uint8Array(128)
for (const [letter, byte] of Object.entries({
  '"': 0x22,
  '\\': 0x5c,
  '/': 0x2f,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
})) {
  ESCAPED[letter.charCodeAt(0)] = byte
}

/**
 * Writes source[start, end) to target[to, ...), which has room for as many bytes.
 *
 * @returns where it ended; FAULT at half a surrogate pair
 */
function unescape(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  start: number,
  end: number,
): number {
  let next = to
  for (let at = start; at < end;) {
    const byte = source[at]!
    if (byte !== BACKSLASH) {
      target[next++] = byte
      at++
      continue
    }
    const letter = source[at + 1]!
    if (letter !== 0x75) {
      target[next++] = ESCAPED[letter]!
      at += 2
      continue
    }
    let unit = hexUnit(source, at + 2)
    at += 6
    if (unit >= 0xd800 && unit < 0xe000) {
      const low = source[at] === BACKSLASH && source[at + 1] === 0x75 ? hexUnit(source, at + 2) : 0
      if (unit >= 0xdc00 || low < 0xdc00 || low > 0xdfff || at + 6 > end) {
        return failAt(at - 6, 'a string holds half a surrogate pair, which has no UTF-8')
      }
      unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
      at += 6
    }
    next = writeUnit(target, next, unit)
  }
  return next
}

function hexUnit(bytes: Uint8Array, at: number): number {
  let unit = 0
  for (let digit = at; digit < at + 4; digit++) {
    const byte = bytes[digit]!
    unit = unit * 16 + (byte <= 0x39 ? byte - 0x30 : (byte & 0x5f) - 0x37)
  }
  return unit
}

/** UTF-8 of a code point: never longer than its escape. */
function writeUnit(target: Uint8Array, to: number, unit: number): number {
  let next = to
  if (unit < 0x80) target[next++] = unit
  else {
    if (unit < 0x800) target[next++] = 0xc0 | (unit >> 6)
    else {
      if (unit < 0x1_0000) target[next++] = 0xe0 | (unit >> 12)
      else {
        target[next++] = 0xf0 | (unit >> 18)
        target[next++] = 0x80 | ((unit >> 12) & 0x3f)
      }
      target[next++] = 0x80 | ((unit >> 6) & 0x3f)
    }
    target[next++] = 0x80 | (unit & 0x3f)
  }
  return next
}

/** A string; numbers, true and false as they are written. */
export function putString(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const first = bytes[start]!
  if (first !== QUOTE) {
    if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      return refuse(start, 'it is an object or an array: declare the column as json')
    }
    builder.setBytes(row, bytes, start, end)
    return true
  }
  if (end >= 0) {
    builder.setBytes(row, bytes, start + 1, end - 1)
    return true
  }
  const close = ~end - 1
  builder.reserveBytes(close - start)
  const to = unescape(builder.bytes, builder.bytesLength, bytes, start + 1, close)
  if (to === FAULT) return false
  builder.bytesLength = to
  builder.offsets[row + 1] = to
  return true
}

/**
 * @param end  behind a value whose text has been checked
 * @returns `end` as scanners note it
 */
export function placeEnd(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start]
  if (first === OPEN_OBJECT || first === OPEN_ARRAY) return ~end
  if (first !== QUOTE) return end
  for (let at = start; at < end; at++) if (bytes[at] === BACKSLASH) return ~end
  return end
}
