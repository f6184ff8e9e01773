// Is it UTF-8? Lists of code units come from other languages' strings, cut texts from careless
// producers, and a lake with either is one that readers refuse.

import { isUtf8 } from 'node:buffer'
import type { ColumnBuilder } from '../../../../runtime/data/column/builder.ts'
import { fail, Fault } from './wire.ts'

/** A call that leaves JavaScript costs as much as a hundred bytes looked at here. */
const SHORT = 100

/** Fails at the first byte that is no UTF-8: too long a form, a surrogate, beyond U+10FFFF. */
export function checkText(bytes: Uint8Array, start: number, end: number): void {
  const at =
    end - start > SHORT && isUtf8(bytes.subarray(start, end)) ? end : faultAt(bytes, start, end)
  if (at !== end) fail(Fault.utf8, at)
}

/**
 * Whether the texts of rows [from, to) of a column are UTF-8, each known to begin with the first
 * byte of a character, if with any.
 */
export function isText(
  builders: readonly ColumnBuilder[],
  column: number,
  from: number,
  to: number,
): boolean {
  const builder = builders[column]!
  if (builder.layout === 'list') {
    const { child, offsets } = builder
    return isText([child], 0, offsets[from]!, offsets[to]!)
  }
  if (builder.layout !== 'bytes') return true
  const { bytes, offsets } = builder
  const [start, end] = [offsets[from]!, offsets[to]!]
  if (end - start > SHORT) return isUtf8(bytes.subarray(start, end))
  return faultAt(bytes, start, end) === end
}

/** @returns where it is no UTF-8; `end`: it is */
function faultAt(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end;) {
    const byte = bytes[at]!
    if (byte < 0x80) {
      at++
      continue
    }
    const size = sequenceLength(byte, at + 1 < end ? bytes[at + 1]! : 0)
    if (size === 0 || at + size > end) return at
    for (let next = 2; next < size; next++) {
      if ((bytes[at + next]! & 0xc0) !== 0x80) return at
    }
    at += size
  }
  return end
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
