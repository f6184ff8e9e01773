// MySQL's binary JSON as the text that SELECT gives for it, byte by byte: key order, blanks,
// escapes, doubles, and the values that JSON does not have (decimals, dates, bytes). Text parsed
// and printed by JavaScript would change numbers above 2^53 and 1.0.
// Source: MySQL 9.7 sql-common/json_binary.cc, json_dom.cc (wrapper_to_string), strings/dtoa.cc.

import { Buffer } from 'node:buffer'
import type { PipelineError } from '../../../runtime/base/errors.ts'
import { corrupt } from './cursor.ts'
import { decimalShape, writeDecimalText } from './decimal.ts'

const Type = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const

const LITERALS = ['null', 'true', 'false']

/** Types of opaque values that have a text of their own. */
const Opaque = { timestamp: 7, date: 10, time: 11, datetime: 12, decimal: 246 } as const

/** The server nests no deeper than 100. */
const DEPTH_MAX = 128
const HEX = '0123456789abcdef'
/** Escapes that have a letter: \b \t \n \f \r. */
const LETTERS: Readonly<Record<number, string>> = { 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r' }
const BASE64_LINE = 76

/** Prints documents, one after the other, into a buffer of its own. */
export class JsonText {
  /** The text of the last document: `text[0, length)`. Replaced when it grows. */
  text: Uint8Array = new Uint8Array(4096)
  length = 0
  private source: Uint8Array = this.text
  private view: DataView = new DataView(this.text.buffer)
  private end = 0

  /**
   * Prints the document source[start, end) into `text`.
   *
   * @returns `length`
   * @throws PipelineError LOG_CORRUPT
   */
  print(source: Uint8Array, start: number, end: number): number {
    this.length = 0
    // A NOT NULL column that was given no value holds no bytes, and reads as the literal null.
    if (start === end) {
      this.ascii('null')
      return this.length
    }
    if (source !== this.source) {
      this.source = source
      this.view = new DataView(source.buffer, source.byteOffset, source.byteLength)
    }
    this.end = end
    this.need(start, 1)
    this.value(source[start]!, start + 1, 0)
    return this.length
  }

  private value(type: number, at: number, depth: number): void {
    const { view } = this
    switch (type) {
      case Type.smallObject:
        return this.object(at, 2, depth)
      case Type.largeObject:
        return this.object(at, 4, depth)
      case Type.smallArray:
        return this.array(at, 2, depth)
      case Type.largeArray:
        return this.array(at, 4, depth)
      case Type.literal:
        return this.literal(at)
      case Type.int16:
        this.need(at, 2)
        return this.ascii(String(view.getInt16(at, true)))
      case Type.uint16:
        this.need(at, 2)
        return this.ascii(String(view.getUint16(at, true)))
      case Type.int32:
        this.need(at, 4)
        return this.ascii(String(view.getInt32(at, true)))
      case Type.uint32:
        this.need(at, 4)
        return this.ascii(String(view.getUint32(at, true)))
      case Type.int64:
        this.need(at, 8)
        return this.ascii(String(view.getBigInt64(at, true)))
      case Type.uint64:
        this.need(at, 8)
        return this.ascii(String(view.getBigUint64(at, true)))
      case Type.double:
        this.need(at, 8)
        return this.ascii(formatDouble(view.getFloat64(at, true)))
      case Type.string: {
        const { start, end } = this.sized(at)
        return this.quoted(this.source, start, end)
      }
      case Type.opaque:
        return this.opaque(at)
      default:
        throw bad()
    }
  }

  private literal(at: number): void {
    this.need(at, 1)
    const text = LITERALS[this.source[at]!]
    if (text === undefined) throw bad()
    this.ascii(text)
  }

  private object(at: number, width: 2 | 4, depth: number): void {
    const count = this.container(at, width, depth)
    const keys = at + 2 * width
    const values = keys + count * (width + 2)
    this.need(keys, count * (width + 2 + width + 1))
    this.byte(0x7b)
    for (let index = 0; index < count; index++) {
      if (index > 0) this.ascii(', ')
      const entry = keys + index * (width + 2)
      const key = at + this.unsigned(entry, width)
      const length = this.unsigned(entry + width, 2)
      this.need(key, length)
      this.quoted(this.source, key, key + length)
      this.ascii(': ')
      this.entry(at, values + index * (width + 1), width, depth)
    }
    this.byte(0x7d)
  }

  private array(at: number, width: 2 | 4, depth: number): void {
    const count = this.container(at, width, depth)
    const values = at + 2 * width
    this.need(values, count * (width + 1))
    this.byte(0x5b)
    for (let index = 0; index < count; index++) {
      if (index > 0) this.ascii(', ')
      this.entry(at, values + index * (width + 1), width, depth)
    }
    this.byte(0x5d)
  }

  /** Head of an object or array: how many elements, how many bytes. @returns the count */
  private container(at: number, width: 2 | 4, depth: number): number {
    if (depth > DEPTH_MAX) throw bad()
    this.need(at, 2 * width)
    this.need(at, this.unsigned(at + width, width))
    return this.unsigned(at, width)
  }

  /** Small values stand in the entry itself, others behind an offset from the container's start. */
  private entry(container: number, at: number, width: 2 | 4, depth: number): void {
    const type = this.source[at]!
    const inlined =
      type === Type.literal ||
      type === Type.int16 ||
      type === Type.uint16 ||
      (width === 4 && (type === Type.int32 || type === Type.uint32))
    const place = inlined ? at + 1 : container + this.unsigned(at + 1, width)
    this.value(type, place, depth + 1)
  }

  private opaque(at: number): void {
    this.need(at, 1)
    const type = this.source[at]!
    const { start, end } = this.sized(at + 1)
    switch (type) {
      case Opaque.decimal:
        return this.decimal(start, end)
      case Opaque.date:
      case Opaque.time:
      case Opaque.datetime:
      case Opaque.timestamp:
        if (end - start !== 8) throw bad()
        return this.ascii(`"${formatPacked(type, this.view.getBigInt64(start, true))}"`)
      default:
        return this.base64(type, start, end)
    }
  }

  private decimal(start: number, end: number): void {
    if (end - start < 2) throw bad()
    const precision = this.source[start]!
    const scale = this.source[start + 1]!
    if (scale > precision) throw bad()
    const shape = decimalShape(precision, scale)
    if (start + 2 + shape.bytes !== end) throw bad()
    this.reserve(precision + 3)
    this.length = writeDecimalText(this.text, this.length, this.source, start + 2, shape)
  }

  /** `"base64:type15:..."`; the server's encoder breaks lines, and the line feeds are escaped. */
  private base64(type: number, start: number, end: number): void {
    const bytes = Buffer.from(this.source.buffer, this.source.byteOffset + start, end - start)
    const encoded = bytes.toString('base64')
    const lines = encoded.match(new RegExp(`.{1,${BASE64_LINE}}`, 'g')) ?? []
    this.ascii(`"base64:type${type}:${lines.join('\\n')}"`)
  }

  /** A length in groups of seven bits, and the bytes behind it. */
  private sized(at: number): { start: number; end: number } {
    let length = 0
    for (let index = 0; index < 5; index++) {
      this.need(at + index, 1)
      const byte = this.source[at + index]!
      length += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) {
        const start = at + index + 1
        this.need(start, length)
        return { start, end: start + length }
      }
    }
    throw bad()
  }

  private quoted(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start + 2)
    let { text } = this
    let to = this.length
    text[to++] = 0x22
    for (let at = start; at < end; at++) {
      const byte = source[at]!
      if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) {
        text[to++] = byte
        continue
      }
      // Room for the longest escape, \u001f, and for the rest of the string.
      this.length = to
      this.reserve(end - at + 8)
      text = this.text
      text[to++] = 0x5c
      const letter = byte >= 0x20 ? String.fromCharCode(byte) : LETTERS[byte]
      const escape = letter ?? `u00${HEX[byte >> 4]}${HEX[byte & 15]}`
      for (let index = 0; index < escape.length; index++) text[to++] = escape.charCodeAt(index)
    }
    text[to++] = 0x22
    this.length = to
  }

  private ascii(value: string): void {
    this.reserve(value.length)
    for (let index = 0; index < value.length; index++) {
      this.text[this.length++] = value.charCodeAt(index)
    }
  }

  private byte(value: number): void {
    this.reserve(1)
    this.text[this.length++] = value
  }

  private unsigned(at: number, width: 2 | 4): number {
    return width === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true)
  }

  private need(at: number, count: number): void {
    if (at + count > this.end) throw bad()
  }

  private reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.text.length) return
    const larger = new Uint8Array(Math.max(needed, this.text.length * 2))
    larger.set(this.text.subarray(0, this.length))
    this.text = larger
  }
}

function bad(): PipelineError {
  return corrupt('a JSON document')
}

/**
 * Digits in front of the point up to which, and zeros behind it down to which, no exponent is used.
 * A number with a fraction behind more digits keeps its point: the form with an exponent is not
 * shorter.
 */
const FIXED_DIGITS_MAX = 15

/** @returns the shortest text that reads back as `value`, as the server spells it: `1.0`, `1e15` */
export function formatDouble(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const sign = value < 0 ? '-' : ''
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  // The value is 0.DIGITS * 10^point.
  const point = Number(exponent) + 1
  const whole = digits.length <= point
  if ((point > FIXED_DIGITS_MAX && whole) || point <= -FIXED_DIGITS_MAX) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
    return `${sign}${digits[0]}${fraction}e${point - 1}`
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (whole) return `${sign}${digits}${'0'.repeat(point - digits.length)}.0`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

/**
 * A date or time packed in 64 bits: microseconds in the lowest 24, then h 5 (time: 10), m 6, s 6.
 */
function formatPacked(type: number, packed: bigint): string {
  const value = packed < 0n ? -packed : packed
  const micros = String(value & 0xff_ffffn).padStart(6, '0')
  const rest = Number(value >> 24n)
  const second = two(rest % 64)
  const minute = two(Math.floor(rest / 64) % 64)
  const upper = Math.floor(rest / 4096)
  if (type === Opaque.time) {
    return `${packed < 0n ? '-' : ''}${two(upper % 1024)}:${minute}:${second}.${micros}`
  }
  const day = Math.floor(upper / 32) % 32
  const yearMonth = Math.floor(upper / 1024)
  const year = String(Math.floor(yearMonth / 13)).padStart(4, '0')
  const date = `${year}-${two(yearMonth % 13)}-${two(day)}`
  if (type === Opaque.date) return date
  return `${date} ${two(upper % 32)}:${minute}:${second}.${micros}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
