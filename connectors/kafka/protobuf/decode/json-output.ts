// JSON text as it grows: values are written as bytes, without a string for each.

import type { BytesBuilder } from '../../../../runtime/data/column/builder.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const MINUS = 0x2d
const ZERO = 0x30
const HEX = '0123456789abcdef'
const WORD = 4_294_967_296

/** By control character: the letter behind a backslash; the others are written in hex. */
const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  8: 'b',
  9: 't',
  10: 'n',
  12: 'f',
  13: 'r',
}

const BASE64 = new TextEncoder().encode(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
)

export class JsonOutput {
  bytes = new Uint8Array(1024)
  length = 0

  private reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    larger.set(this.bytes)
    this.bytes = larger
  }

  byte(byte: number): void {
    this.reserve(1)
    this.bytes[this.length++] = byte
  }

  /** Text that is ASCII and has nothing to escape. */
  ascii(text: string): void {
    this.reserve(text.length)
    for (let at = 0; at < text.length; at++) this.bytes[this.length++] = text.charCodeAt(at)
  }

  raw(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    this.bytes.set(source.subarray(start, end), this.length)
    this.length += end - start
  }

  /** A string of UTF-8 that has been checked, in quotes. */
  string(source: Uint8Array, start: number, end: number): void {
    // At worst each byte is a control character.
    this.reserve(6 * (end - start) + 2)
    const { bytes } = this
    let to = this.length
    bytes[to++] = QUOTE
    for (let at = start; at < end; at++) {
      const byte = source[at]!
      if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) bytes[to++] = byte
      else to = this.escape(byte, to)
    }
    bytes[to++] = QUOTE
    this.length = to
  }

  private escape(byte: number, to: number): number {
    const { bytes } = this
    const letter = byte >= 0x20 ? byte : SHORT_ESCAPES[byte]?.charCodeAt(0)
    bytes[to++] = BACKSLASH
    if (letter !== undefined) {
      bytes[to++] = letter
      return to
    }
    for (const digit of `u00${HEX[byte >> 4]}${HEX[byte & 15]}`) bytes[to++] = digit.charCodeAt(0)
    return to
  }

  base64(source: Uint8Array, start: number, end: number): void {
    this.reserve(Math.ceil((end - start) / 3) * 4 + 2)
    const { bytes } = this
    let to = this.length
    bytes[to++] = QUOTE
    for (let at = start; at < end; at += 3) {
      const [first, second, third] = [source[at]!, source[at + 1]!, source[at + 2]!]
      const [two, three] = [at + 1 < end, at + 2 < end]
      const bits = (first << 16) | ((two ? second : 0) << 8) | (three ? third : 0)
      bytes[to++] = BASE64[bits >> 18]!
      bytes[to++] = BASE64[(bits >> 12) & 63]!
      bytes[to++] = two ? BASE64[(bits >> 6) & 63]! : 0x3d
      bytes[to++] = three ? BASE64[bits & 63]! : 0x3d
    }
    bytes[to++] = QUOTE
    this.length = to
  }

  /** A whole number below 2^53. */
  integer(value: number): void {
    this.reserve(20)
    if (value < 0) this.bytes[this.length++] = MINUS
    let rest = Math.abs(value)
    let digits = 1
    for (let power = 10; digits < 16 && rest >= power; power *= 10) digits++
    for (let at = this.length + digits - 1; at >= this.length; at--) {
      const tens = Math.floor(rest / 10)
      this.bytes[at] = ZERO + rest - tens * 10
      rest = tens
    }
    this.length += digits
  }

  /** The number of 64 bits whose halves are given. */
  long(low: number, high: number, unsigned: boolean): void {
    const value = (unsigned ? high >>> 0 : high) * WORD + (low >>> 0)
    if (Number.isSafeInteger(value)) {
      this.integer(value)
      return
    }
    const exact = (BigInt(high) << 32n) | BigInt(low >>> 0)
    this.ascii((unsigned ? BigInt.asUintN(64, exact) : exact).toString())
  }

  /** Values that JSON has no number for are strings, as Protobuf's JSON has them. */
  double(value: number): void {
    if (!Number.isFinite(value)) this.ascii(`"${value}"`)
    else this.ascii(Object.is(value, -0) ? '-0' : String(value))
  }

  /** With the fewest digits that read as the same float. */
  float(value: number): void {
    for (let precision = 6; precision < 9; precision++) {
      const shorter = Number(value.toPrecision(precision))
      if (Math.fround(shorter) === value) {
        this.double(Object.is(value, -0) ? -0 : shorter)
        return
      }
    }
    this.double(Number.isFinite(value) ? Number(value.toPrecision(9)) : value)
  }

  /** Moves the text into `builder` at `to`. @returns the place behind it */
  moveTo(builder: BytesBuilder, to: number): number {
    builder.bytesLength = to
    builder.reserveBytes(this.length)
    builder.bytes.set(this.bytes.subarray(0, this.length), to)
    builder.bytesLength = to + this.length
    return builder.bytesLength
  }
}
