// Writes Thrift structs in the compact protocol, as Parquet's headers and footer need them. Fields
// of a struct must be written in ascending order of their ids: only then is the short header right.
// Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

import { assert } from '../../../runtime/base/assert.ts'

/** Types of struct fields and list elements in the compact protocol. */
const Wire = {
  true: 1,
  false: 2,
  byte: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  binary: 8,
  list: 9,
  struct: 12,
} as const

const VARINT_BYTES_MAX = 10
const utf8 = new TextEncoder()

export class ThriftWriter {
  private bytes = new Uint8Array(512)
  private length = 0
  private lastField = 0
  private readonly outerFields: number[] = []

  /** @returns what was written, in memory of its own, and starts over */
  take(): Uint8Array {
    assert(this.outerFields.length === 0, 'every struct is ended before its bytes are taken')
    const taken = this.bytes.slice(0, this.length)
    this.length = 0
    this.lastField = 0
    return taken
  }

  boolean(field: number, value: boolean): void {
    this.header(field, value ? Wire.true : Wire.false)
  }

  byte(field: number, value: number): void {
    this.header(field, Wire.byte)
    this.reserve(1)
    this.bytes[this.length++] = value & 0xff
  }

  i16(field: number, value: number): void {
    this.header(field, Wire.i16)
    this.zigzag(value)
  }

  i32(field: number, value: number): void {
    this.header(field, Wire.i32)
    this.zigzag(value)
  }

  /** @param value  a safe integer: sizes, offsets and counts of one file */
  i64(field: number, value: number): void {
    this.header(field, Wire.i64)
    this.zigzag(value)
  }

  string(field: number, value: string): void {
    this.binary(field, utf8.encode(value))
  }

  binary(field: number, value: Uint8Array): void {
    this.header(field, Wire.binary)
    this.raw(value)
  }

  /** Writes a struct; `write` fills it. */
  struct(field: number, write: () => void): void {
    this.header(field, Wire.struct)
    this.body(write)
  }

  structs<T>(field: number, values: readonly T[], write: (value: T) => void): void {
    this.listHeader(field, Wire.struct, values.length)
    for (const value of values) this.body(() => write(value))
  }

  i32s(field: number, values: readonly number[]): void {
    this.listHeader(field, Wire.i32, values.length)
    for (const value of values) this.zigzag(value)
  }

  i64s(field: number, values: readonly number[]): void {
    this.listHeader(field, Wire.i64, values.length)
    for (const value of values) this.zigzag(value)
  }

  strings(field: number, values: readonly string[]): void {
    this.binaries(
      field,
      values.map((value) => utf8.encode(value)),
    )
  }

  binaries(field: number, values: readonly Uint8Array[]): void {
    this.listHeader(field, Wire.binary, values.length)
    for (const value of values) this.raw(value)
  }

  booleans(field: number, values: readonly boolean[]): void {
    this.listHeader(field, Wire.true, values.length)
    this.reserve(values.length)
    for (const value of values) this.bytes[this.length++] = value ? Wire.true : Wire.false
  }

  /** Ends the outermost struct. */
  stop(): void {
    this.reserve(1)
    this.bytes[this.length++] = 0
  }

  private body(write: () => void): void {
    this.outerFields.push(this.lastField)
    this.lastField = 0
    write()
    this.stop()
    this.lastField = this.outerFields.pop()!
  }

  private header(field: number, wire: number): void {
    const delta = field - this.lastField
    assert(delta > 0, 'struct fields are written in ascending order')
    this.reserve(1 + VARINT_BYTES_MAX)
    if (delta < 16) {
      this.bytes[this.length++] = (delta << 4) | wire
    } else {
      this.bytes[this.length++] = wire
      this.zigzag(field)
    }
    this.lastField = field
  }

  private listHeader(field: number, wire: number, count: number): void {
    this.header(field, Wire.list)
    this.reserve(1 + VARINT_BYTES_MAX)
    if (count < 15) {
      this.bytes[this.length++] = (count << 4) | wire
    } else {
      this.bytes[this.length++] = 0xf0 | wire
      this.varint(count)
    }
  }

  private raw(value: Uint8Array): void {
    this.reserve(VARINT_BYTES_MAX + value.length)
    this.varint(value.length)
    this.bytes.set(value, this.length)
    this.length += value.length
  }

  /** Doubles a safe integer without 32-bit arithmetic: 0, -1, 1, -2 become 0, 1, 2, 3. */
  private zigzag(value: number): void {
    assert(Number.isSafeInteger(value * 2), 'a thrift integer stays below 2^52')
    this.varint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  private varint(value: number): void {
    this.reserve(VARINT_BYTES_MAX)
    let rest = value
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.bytes[this.length++] = rest
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.length + count, this.bytes.length * 2))
    larger.set(this.bytes)
    this.bytes = larger
  }
}
