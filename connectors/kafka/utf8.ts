// Whether bytes are UTF-8 as the lake's readers take it: no overlong forms, no surrogates, nothing
// above U+10FFFF.
// Source: The Unicode Standard 16.0, table 3-7, "Well-Formed UTF-8 Byte Sequences"

import { isUtf8 } from 'node:buffer'

/** Above it the call into the engine's own check, which needs a view of its own, costs less. */
const OWN_BYTES_MAX = 64

/** @returns true when bytes[start, end) are well-formed; the range lies within the array */
export function isWellFormed(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > OWN_BYTES_MAX) return isUtf8(bytes.subarray(start, end))
  return wellFormedEnd(bytes, start, end) === end
}

/** @returns where the first sequence of bytes[start, end) begins that is none; `end`: all are */
export function wellFormedEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end) {
    const first = bytes[at] as number
    if (first < 0x80) {
      at++
      continue
    }
    const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    if (first < 0xc2 || first > 0xf4 || at + length > end) return at
    const second = bytes[at + 1] as number
    const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
    const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
    if (second < low || second > high) return at
    for (let index = 2; index < length; index++) {
      if (((bytes[at + index] as number) & 0xc0) !== 0x80) return at
    }
    at += length
  }
  return end
}
