// Arguments and results of kernels as the arrays that they are, and loops that many kernels share.
// Texts are UTF-8 bytes from start to end; nothing decodes them that need not.

import { copyBytes, type BytesBuilder, type FixedBuilder } from '../../column/builder.ts'
import type { BytesColumn, Column } from '../../column/column.ts'
import type { Kernel, KernelCall } from './function.ts'

export function bytesArgument(call: KernelCall, index: number): BytesColumn {
  return call.args[index] as BytesColumn
}

export function int32Argument(call: KernelCall, index: number): Int32Array {
  return (call.args[index] as Extract<Column, { layout: 'int32' }>).values
}

export function int64Argument(call: KernelCall, index: number): BigInt64Array {
  return (call.args[index] as Extract<Column, { layout: 'int64' }>).values
}

export function doubleArgument(call: KernelCall, index: number): Float64Array {
  return (call.args[index] as Extract<Column, { layout: 'float64' }>).values
}

/** The 32-bit words of an int64 argument: low, high, low, high, ... */
export function wordsArgument(call: KernelCall, index: number): Int32Array {
  const { buffer, byteOffset, byteLength } = int64Argument(call, index)
  return new Int32Array(buffer, byteOffset, byteLength >> 2)
}

/** @returns a long as a number: exact within 2^53, near beyond, where counts have no use */
export function longAt(words: Int32Array, row: number): number {
  return words[2 * row + 1]! * 0x1_0000_0000 + (words[2 * row]! >>> 0)
}

/** Writes an integer within 2^53 as an int64. */
export function putLong(words: Int32Array, row: number, value: number): void {
  words[2 * row] = value
  words[2 * row + 1] = Math.floor(value / 0x1_0000_0000)
}

/**
 * @param begin  called once a batch; gives what computes and writes a row that is to be computed
 * @returns the kernel
 */
export function rowKernel(begin: (call: KernelCall) => (row: number) => void): Kernel {
  return (call) => {
    const step = begin(call)
    for (let row = 0; row < call.rows; row++) {
      if (call.live[row] === 0) call.out.setNull(row)
      else step(row)
    }
  }
}

/** Appends one value to `out` at `out.bytesLength`, which it advances. */
export type TextStep = (bytes: Uint8Array, start: number, end: number, out: BytesBuilder) => void

/** @returns the kernel of a function from one text to one text that never fails */
export function textKernel(step: TextStep): Kernel {
  return (call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as BytesBuilder
    for (let row = 0; row < call.rows; row++) {
      if (call.live[row] === 0) out.setNull(row)
      else {
        step(bytes, offsets[row]!, offsets[row + 1]!, out)
        out.endRow(row)
      }
    }
  }
}

/** @returns the kernel of a function from one text to an int or a boolean (0, 1) */
export function textToIntKernel(
  step: (bytes: Uint8Array, start: number, end: number) => number,
): Kernel {
  return (call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as FixedBuilder
    const values = out.values as Int32Array
    for (let row = 0; row < call.rows; row++) {
      if (call.live[row] === 0) out.setNull(row)
      else values[row] = step(bytes, offsets[row]!, offsets[row + 1]!)
    }
  }
}

/** @returns the kernel of a function from doubles to a double that never fails */
export function doubleKernel(step: (x: number) => number): Kernel {
  return (call) => {
    const x = doubleArgument(call, 0)
    const out = call.out as FixedBuilder
    const values = out.values as Float64Array
    for (let row = 0; row < call.rows; row++) {
      if (call.live[row] === 0) out.setNull(row)
      else values[row] = step(x[row]!)
    }
  }
}

/** Appends bytes[start, end). */
export function appendBytes(
  out: BytesBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  out.reserveBytes(end - start)
  copyBytes(out.bytes, out.bytesLength, bytes, start, end)
  out.bytesLength += end - start
}

const decoder = new TextDecoder()
const encoder = new TextEncoder()

export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end))
}

/** Appends a text; a character takes up to three bytes for each UTF-16 unit. */
export function appendText(out: BytesBuilder, text: string): void {
  out.reserveBytes(text.length * 3)
  const { written } = encoder.encodeInto(text, out.bytes.subarray(out.bytesLength))
  out.bytesLength += written
}

/** @returns true when no byte of [start, end) is part of a character of several bytes */
export function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! >= 0x80) return false
  return true
}

/** @returns the place behind `count` characters from `at`, `end` at most */
export function behindCharacters(
  bytes: Uint8Array,
  at: number,
  end: number,
  count: number,
): number {
  let place = at
  for (let left = count; left > 0 && place < end; left--) {
    place++
    while (place < end && (bytes[place]! & 0xc0) === 0x80) place++
  }
  return place
}

/** @returns how many characters [start, end) has: bytes that begin one, all but 10xxxxxx */
export function countCharacters(bytes: Uint8Array, start: number, end: number): number {
  let count = 0
  for (let at = start; at < end; at++) if ((bytes[at]! & 0xc0) !== 0x80) count++
  return count
}
