// Bytes as they grow, with the numbers of the binary formats: values are written as bytes, without
// a buffer for each.

import type { Bytes } from './record-batch.ts'

/** Zigzag doubles a number, which must stay exact. */
const EXACT_MAX = 2 ** 51

export class ByteOutput {
  bytes = new Uint8Array(1024)
  length = 0
  #view = new DataView(this.bytes.buffer)
  readonly #place = { bytes: this.bytes, start: 0, end: 0 }

  /** All that was written, valid until the next byte is. */
  get written(): Bytes {
    this.#place.bytes = this.bytes
    this.#place.end = this.length
    return this.#place
  }

  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
    this.#view = new DataView(larger.buffer)
  }

  byte(byte: number): void {
    this.reserve(1)
    this.bytes[this.length++] = byte
  }

  raw(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    this.bytes.set(source.subarray(start, end), this.length)
    this.length += end - start
  }

  /** The highest byte first. */
  int32Be(value: number): void {
    this.reserve(4)
    this.#view.setInt32(this.length, value)
    this.length += 4
  }

  floatLe(value: number): void {
    this.reserve(4)
    this.#view.setFloat32(this.length, value, true)
    this.length += 4
  }

  doubleLe(value: number): void {
    this.reserve(8)
    this.#view.setFloat64(this.length, value, true)
    this.length += 8
  }

  /** A varint of a whole number from 0 to 2^53. */
  varint(value: number): void {
    this.reserve(8)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80
    }
    this.bytes[this.length++] = rest
  }

  /** A varint of 64 bits, of two's complement where it is negative. */
  varint64(value: bigint): void {
    const narrow = Number(value)
    if (narrow >= 0 && narrow <= EXACT_MAX) return this.varint(narrow)
    this.reserve(10)
    let rest = BigInt.asUintN(64, value)
    for (; rest >= 0x80n; rest >>= 7n) this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80
    this.bytes[this.length++] = Number(rest)
  }

  /** A zigzag varint of a whole number within 2^51. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  zigzag64(value: bigint): void {
    const narrow = Number(value)
    if (Math.abs(narrow) <= EXACT_MAX) this.zigzag(narrow)
    else this.varint64((value << 1n) ^ (value >> 63n))
  }
}

const scratch = new Uint8Array(16)
const scratchView = new DataView(scratch.buffer)

/** Two's complement, the highest byte first, as few bytes as hold the sign. */
export function unscaledBytes(low: bigint, high: bigint): Bytes {
  scratchView.setBigInt64(0, high)
  scratchView.setBigInt64(8, low)
  let start = 0
  const sign = scratch[0] === 0xff ? 0xff : 0
  while (
    start < 15 &&
    scratch[start] === sign &&
    ((scratch[start + 1] ?? 0) & 0x80) === (sign & 0x80)
  ) {
    start++
  }
  return { bytes: scratch, start, end: 16 }
}
