// Text is copied four bytes at a time, and looked at on the way: while it is ASCII it is UTF-8.

import { isUtf8 } from 'node:buffer'
import { fail, Fault } from './wire.ts'

/** Longer values are moved by `set`, whose cost does not depend on the length. */
const WORD_COPY_BYTES_MAX = 128

const NOT_ASCII = 0x80808080 | 0

/** Copies text; `view` and `into` are views of `bytes` and `target`. */
export function copyText(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  length: number,
  target: Uint8Array,
  into: DataView,
  to: number,
): void {
  if (length > WORD_COPY_BYTES_MAX) {
    const text = bytes.subarray(at, at + length)
    if (!isUtf8(text)) fail(Fault.utf8, at)
    target.set(text, to)
    return
  }
  let any = 0
  let index = 0
  for (; index + 4 <= length; index += 4) {
    const word = view.getInt32(at + index, true)
    any |= word
    into.setInt32(to + index, word, true)
  }
  for (; index < length; index++) {
    const byte = bytes[at + index]!
    any |= byte
    target[to + index] = byte
  }
  if ((any & NOT_ASCII) !== 0) checkText(bytes, at, at + length)
}

/** The same for bytes that may be anything. */
export function copyBinary(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  length: number,
  target: Uint8Array,
  into: DataView,
  to: number,
): void {
  if (length > WORD_COPY_BYTES_MAX) {
    target.set(bytes.subarray(at, at + length), to)
    return
  }
  let index = 0
  for (; index + 4 <= length; index += 4) {
    into.setInt32(to + index, view.getInt32(at + index, true), true)
  }
  for (; index < length; index++) target[to + index] = bytes[at + index]!
}

/** Fails at the first byte that is no UTF-8: too long a form, a surrogate, beyond U+10FFFF. */
export function checkText(bytes: Uint8Array, start: number, end: number): void {
  if (end - start > WORD_COPY_BYTES_MAX) {
    if (!isUtf8(bytes.subarray(start, end))) fail(Fault.utf8, start)
    return
  }
  for (let at = start; at < end;) {
    const byte = bytes[at]!
    if (byte < 0x80) {
      at++
      continue
    }
    const size = sequenceLength(byte, at + 1 < end ? bytes[at + 1]! : 0)
    if (size === 0 || at + size > end) fail(Fault.utf8, at)
    for (let next = 2; next < size; next++) {
      if ((bytes[at + next]! & 0xc0) !== 0x80) fail(Fault.utf8, at)
    }
    at += size
  }
}

/** Table 3-7 of Unicode: which second byte may follow the first. 0: none that it has. */
function sequenceLength(first: number, second: number): number {
  if (first < 0xc2 || first > 0xf4) return 0
  let low = 0x80
  let high = 0xbf
  if (first === 0xe0) low = 0xa0
  else if (first === 0xed) high = 0x9f
  else if (first === 0xf0) low = 0x90
  else if (first === 0xf4) high = 0x8f
  if (second < low || second > high) return 0
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
}
