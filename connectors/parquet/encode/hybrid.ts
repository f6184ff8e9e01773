// Parquet's hybrid of run lengths and bit packing, for dictionary indexes and levels. Bit-packed
// runs hold multiples of eight values; only the last one of a page may be padded.
// Source: https://github.com/apache/parquet-format/blob/master/Encodings.md#RLE (2.11)

import type { PageBody } from './scratch.ts'

/** Shorter runs of one value cost less inside a bit-packed run than as a run of their own. */
const RUN_VALUES_MIN = 24

/** @returns bits that hold 0...max; at least 1, since some readers know no width 0 */
export function bitWidth(max: number): number {
  return Math.max(1, 32 - Math.clz32(max))
}

/**
 * Appends values[start, end) to `body`.
 *
 * @param width  bits a value, 1...24
 */
export function writeHybrid(
  body: PageBody,
  values: Int32Array,
  start: number,
  end: number,
  width: number,
): void {
  let packed = start
  let at = start
  // A run of that many values that begins at `at` also holds the value there, so the look is at its
  // last one and back: where runs are short, few values are looked at.
  for (let last = at + RUN_VALUES_MIN - 1; last < end; last = at + RUN_VALUES_MIN - 1) {
    const begin = beginOfRun(values, at, last)
    if (begin > at) {
      at = begin
      continue
    }
    const runEnd = endOfRun(values, last, end)
    // A run first fills up the group of eight that precedes it.
    const fill = (8 - ((at - packed) & 7)) & 7
    if (runEnd - at - fill >= RUN_VALUES_MIN) {
      if (at + fill > packed) writePacked(body, values, packed, at + fill, width)
      writeRun(body, values[at]!, runEnd - at - fill, width)
      packed = runEnd
    }
    at = runEnd
  }
  if (end > packed) writePacked(body, values, packed, end, width)
}

/** @returns where the run that holds `last` begins, but not before `start` */
function beginOfRun(values: Int32Array, start: number, last: number): number {
  const value = values[last]!
  let at = last
  while (at > start && values[at - 1] === value) at--
  return at
}

function endOfRun(values: Int32Array, start: number, end: number): number {
  const value = values[start]!
  let at = start + 1
  while (at < end && values[at] === value) at++
  return at
}

/** Appends `count` times `value`. */
export function writeRun(body: PageBody, value: number, count: number, width: number): void {
  body.varint(count * 2)
  body.reserve(4)
  for (let bits = 0; bits < width; bits += 8) body.bytes[body.length++] = (value >> bits) & 0xff
}

function writePacked(
  body: PageBody,
  values: Int32Array,
  start: number,
  end: number,
  width: number,
): void {
  const groups = (end - start + 7) >> 3
  body.varint(groups * 2 + 1)
  body.reserve(groups * width + 8)
  const bytes = groups * width
  pack(body.view, body.length, values, start, end, width)
  body.length += bytes
}

/**
 * Stores whole 32-bit words, so up to four bytes behind the last value are written with zeros. Two
 * or four narrow values are joined first: the word is looked at once for all of them.
 */
function pack(
  view: DataView,
  offset: number,
  values: Int32Array,
  start: number,
  end: number,
  width: number,
): void {
  const step = width <= 8 ? 4 : width <= 16 ? 2 : 1
  let word = 0
  let bits = 0
  let to = offset
  let at = start
  while (at < end) {
    let value = values[at++]!
    let valueBits = width
    if (at + step - 1 <= end) {
      for (; valueBits < step * width; valueBits += width) value |= values[at++]! << valueBits
    }
    word |= value << bits
    bits += valueBits
    if (bits >= 32) {
      view.setInt32(to, word, true)
      to += 4
      bits -= 32
      word = bits === 0 ? 0 : value >>> (valueBits - bits)
    }
  }
  const last = offset + ((end - start + 7) >> 3) * width
  for (; to < last; to += 4) {
    view.setInt32(to, word, true)
    word = 0
  }
}
