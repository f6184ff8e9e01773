// The PLAIN encoding: values as they lie in memory, booleans as bits, byte arrays behind their
// length.
// Source: https://github.com/apache/parquet-format/blob/master/Encodings.md#PLAIN (2.11)

import type { Dictionary } from './dictionary.ts'
import { Storage } from './leaf.ts'
import type { PageBody } from './scratch.ts'
import type { BytesValues, LeafValues } from './values.ts'

/** Longer values are copied by `TypedArray.set`. */
const SET_BYTES_MIN = 200

/** @returns bytes that values [start, end) take */
export function plainBytes(values: LeafValues, start: number, end: number): number {
  switch (values.storage) {
    case Storage.bool:
      return (end - start + 7) >> 3
    case Storage.word:
      return 4 * (end - start)
    case Storage.pair:
      return 8 * (end - start)
    case Storage.fixed:
      return values.width * (end - start)
    case Storage.bytes:
      return values.offsets[end]! - values.offsets[start]! + 4 * (end - start)
  }
}

/** Appends values [start, end) to `body`. */
export function writePlain(body: PageBody, values: LeafValues, start: number, end: number): void {
  switch (values.storage) {
    case Storage.bool:
      writeBits(body, values.values, start, end)
      break
    case Storage.word:
      body.append(memoryOf(values.words.subarray(start, end)))
      break
    case Storage.pair:
      body.append(memoryOf(values.words.subarray(2 * start, 2 * end)))
      break
    case Storage.fixed:
      body.append(values.bytes.subarray(start * values.width, end * values.width))
      break
    case Storage.bytes:
      body.reserve(plainBytes(values, start, end))
      body.length = copyByteArrays(values, start, end, body.bytes, body.view, body.length)
  }
}

/** Appends the entries of `dictionary` to `body`. */
export function writeDictionary(body: PageBody, values: LeafValues, dictionary: Dictionary): void {
  for (let entry = 0; entry < dictionary.count; entry++) {
    const first = dictionary.firsts[entry]!
    writePlain(body, values, first, first + 1)
  }
}

/** @returns the value at `position` as statistics have it: plain, but without a length */
export function plainValue(values: LeafValues, position: number): Uint8Array {
  switch (values.storage) {
    case Storage.bool:
      return values.values.slice(position, position + 1)
    case Storage.word:
      return memoryOf(values.words.slice(position, position + 1))
    case Storage.pair:
      return memoryOf(values.words.slice(2 * position, 2 * position + 2))
    case Storage.fixed:
      return values.bytes.slice(position * values.width, (position + 1) * values.width)
    case Storage.bytes:
      return values.bytes.slice(values.offsets[position], values.offsets[position + 1])
  }
}

function memoryOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

function writeBits(body: PageBody, values: Uint8Array, start: number, end: number): void {
  const count = end - start
  body.reserve((count + 7) >> 3)
  const bytes = body.bytes
  let to = body.length
  let at = start
  for (; at + 8 <= end; at += 8) {
    bytes[to++] =
      values[at]! |
      (values[at + 1]! << 1) |
      (values[at + 2]! << 2) |
      (values[at + 3]! << 3) |
      (values[at + 4]! << 4) |
      (values[at + 5]! << 5) |
      (values[at + 6]! << 6) |
      (values[at + 7]! << 7)
  }
  if (at < end) {
    let last = 0
    for (let bit = 0; at < end; at++, bit++) last |= values[at]! << bit
    bytes[to++] = last
  }
  body.length = to
}

/**
 * Values are moved as words, the last one overlapping the one before: a third of the time of a byte
 * loop, and a call of `set` for each value costs 50 ns. Optimised code keeps the 64-bit words in
 * registers; a float64 would do the same, but may change the bits of a NaN.
 */
function copyByteArrays(
  values: BytesValues,
  start: number,
  end: number,
  target: Uint8Array,
  targetView: DataView,
  offset: number,
): number {
  const { offsets, bytes, view } = values
  let to = offset
  let from = offsets[start]!
  for (let at = start; at < end; at++) {
    const stop = offsets[at + 1]!
    const length = stop - from
    targetView.setInt32(to, length, true)
    to += 4
    if (length >= 8) {
      if (length > SET_BYTES_MIN) {
        target.set(bytes.subarray(from, stop), to)
        to += length
      } else {
        const last = to + length - 8
        for (; to < last; from += 8, to += 8) {
          targetView.setBigInt64(to, view.getBigInt64(from, true), true)
        }
        targetView.setBigInt64(last, view.getBigInt64(stop - 8, true), true)
        to = last + 8
      }
    } else if (length >= 4) {
      targetView.setInt32(to, view.getInt32(from, true), true)
      to += length
      targetView.setInt32(to - 4, view.getInt32(stop - 4, true), true)
    } else {
      for (; from < stop; from++) target[to++] = bytes[from]!
    }
    from = stop
  }
  return to
}
