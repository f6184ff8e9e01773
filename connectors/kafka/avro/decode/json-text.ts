// Writes Avro values that have no column of their own as JSON text, straight from their bytes:
// a union's value stands without its type, bytes in base64, 64-bit integers and decimals with all
// their digits, dates and times in ISO 8601, what no number of JSON can be (NaN) as text.

import type { BytesBuilder } from '../../../../runtime/data/column/builder.ts'
import { isWellFormed } from '../../utf8.ts'
import type { AvroType, Logical } from '../schema.ts'
import { decimalText } from './decimal.ts'
import { dateText, instantText, timeText } from './time-text.ts'
import { Verdict } from './verdict.ts'

/** A type with what its text needs, made once a schema. */
export interface JsonNode {
  readonly kind: AvroType['kind']
  readonly logical: Logical | null
  /** Of a record: `"name":` by field; of an enum: `"symbol"`. */
  readonly names: readonly Uint8Array[]
  /** By field or branch; of an array or map: one. Filled behind the node itself, for recursion. */
  readonly parts: JsonNode[]
  /** Of a fixed, in bytes. */
  readonly size: number
  /** Values of it may have no bytes. */
  mayBeEmpty: boolean
}

/** Nested values; deeper ones are an attack on the stack. */
const DEPTH_MAX = 100

/** Elements without bytes in one value: any number of them fits into a record. */
const EMPTY_ELEMENTS_MAX = 1_000_000

/** Of the last value that could not be read, and whether the last one that could was null. */
export const jsonFailure = { verdict: 0 as Verdict, at: 0, isNull: false }

class Unreadable extends Error {}

export function jsonNodeOf(type: AvroType, known = new Map<AvroType, JsonNode>()): JsonNode {
  const made = known.get(type)
  if (made !== undefined) return made
  const { kind } = type
  const node: JsonNode = {
    kind,
    logical: 'logical' in type ? type.logical : null,
    names: namesOf(type),
    parts: [],
    size: kind === 'fixed' ? type.size : 0,
    mayBeEmpty: kind === 'null' || (kind === 'fixed' && type.size === 0),
  }
  known.set(type, node)
  for (const part of partsOf(type)) node.parts.push(jsonNodeOf(part, known))
  // A record without bytes has none that holds it, so recursion cannot hide one.
  if (kind === 'record') node.mayBeEmpty = node.parts.every(({ mayBeEmpty }) => mayBeEmpty)
  return node
}

function partsOf(type: AvroType): readonly AvroType[] {
  switch (type.kind) {
    case 'record':
      return type.fields.map((field) => field.type)
    case 'union':
      return type.branches
    case 'array':
      return [type.items]
    case 'map':
      return [type.values]
    default:
      return []
  }
}

function namesOf(type: AvroType): readonly Uint8Array[] {
  if (type.kind === 'record') return type.fields.map(({ name }) => Buffer.from(`"${name}":`))
  return type.kind === 'enum' ? type.symbols.map((symbol) => Buffer.from(`"${symbol}"`)) : []
}

/**
 * Appends the text of the value at `p` behind the builder's bytes; nothing for a null, which is
 * told by `jsonFailure.isNull`.
 *
 * @returns the place behind the value; -1: it cannot be read, `jsonFailure` says why
 */
export function appendJson(
  builder: BytesBuilder,
  bytes: Uint8Array,
  view: DataView,
  p: number,
  end: number,
  node: JsonNode,
): number {
  const start = builder.bytesLength
  reader.open(builder, bytes, view, p, end)
  try {
    reader.value(node, 0)
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    builder.bytesLength = start
    return -1
  }
  jsonFailure.isNull = reader.nulls
  if (reader.nulls) builder.bytesLength = start
  return reader.at
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a

class JsonReader {
  at = 0
  /** The value itself was null. */
  nulls = false
  private builder = null as unknown as BytesBuilder
  private bytes: Uint8Array = new Uint8Array(0)
  private view: DataView = new DataView(this.bytes.buffer)
  private end = 0
  private empties = 0
  /** The two halves of the last long. */
  private low = 0
  private high = 0

  open(builder: BytesBuilder, bytes: Uint8Array, view: DataView, at: number, end: number): void {
    this.builder = builder
    this.bytes = bytes
    this.view = view
    this.at = at
    this.end = end
    this.empties = 0
    this.nulls = false
  }

  value(node: JsonNode, depth: number): void {
    if (depth > DEPTH_MAX) this.fail(Verdict.deep)
    if (node.logical !== null) return this.logical(node, node.logical)
    switch (node.kind) {
      case 'null':
        return this.ascii('null')
      case 'boolean': {
        const value = this.take(1)
        if (this.bytes[value]! > 1) this.fail(Verdict.boolean)
        return this.ascii(this.bytes[value] === 1 ? 'true' : 'false')
      }
      case 'int':
        return this.ascii(String(this.int()))
      case 'long':
        return this.ascii(this.long().toString())
      case 'float':
        return this.float(this.view.getFloat32(this.take(4), true))
      case 'double':
        return this.float(this.view.getFloat64(this.take(8), true))
      case 'string':
        return this.text()
      case 'bytes':
        return this.base64(this.length())
      case 'fixed':
        return this.base64(node.size)
      case 'enum':
        return this.copy(node.names[this.index(node.names.length, Verdict.symbol)]!)
      case 'union': {
        const branch = node.parts[this.index(node.parts.length, Verdict.branch)]!
        if (branch.kind === 'null' && depth === 0) this.nulls = true
        return this.value(branch, depth + 1)
      }
      case 'record':
        return this.record(node, depth)
      case 'array':
      case 'map':
        return this.blocks(node, depth)
    }
  }

  private record({ names, parts }: JsonNode, depth: number): void {
    this.byte(0x7b)
    for (let index = 0; index < parts.length; index++) {
      if (index > 0) this.byte(COMMA)
      this.copy(names[index]!)
      this.value(parts[index]!, depth + 1)
    }
    this.byte(0x7d)
  }

  private blocks({ kind, parts }: JsonNode, depth: number): void {
    const part = parts[0]!
    const map = kind === 'map'
    this.byte(map ? 0x7b : 0x5b)
    let first = true
    for (let count = this.blockCount(); count > 0; count = this.blockCount()) {
      if (map || !part.mayBeEmpty) {
        if (count > this.end - this.at) this.fail(Verdict.length)
      } else {
        this.empties += count
        if (this.empties > EMPTY_ELEMENTS_MAX) this.fail(Verdict.length)
      }
      for (let index = 0; index < count; index++) {
        if (!first) this.byte(COMMA)
        first = false
        if (map) {
          this.text()
          this.byte(COLON)
        }
        this.value(part, depth + 1)
      }
    }
    this.byte(map ? 0x7d : 0x5d)
  }

  /** A negative count has the block's size in bytes behind it, for those who skip it. */
  private blockCount(): number {
    const count = this.size()
    if (count < 0) this.size()
    return Math.abs(count)
  }

  private logical({ kind, size }: JsonNode, logical: Logical): void {
    switch (logical.kind) {
      case 'decimal': {
        const length = kind === 'fixed' ? size : this.length()
        if (length === 0) this.fail(Verdict.range)
        return this.ascii(decimalText(this.bytes, this.take(length), length, logical.scale))
      }
      case 'uuid':
        return kind === 'fixed' ? this.uuid() : this.text()
      case 'date':
        return this.quoted(dateText(BigInt(this.int())))
      case 'time-millis':
        return this.time(BigInt(this.int()) * 1000n)
      case 'time-micros':
        return this.time(this.long())
      case 'timestamp-millis':
        return this.quoted(`${instantText(this.long() * 1000n)}Z`)
      case 'timestamp-micros':
        return this.quoted(`${instantText(this.long())}Z`)
      case 'local-timestamp-millis':
        return this.quoted(instantText(this.long() * 1000n))
      case 'local-timestamp-micros':
        return this.quoted(instantText(this.long()))
    }
  }

  private time(us: bigint): void {
    if (us < 0n || us >= 86_400_000_000n) this.fail(Verdict.range)
    this.quoted(timeText(us))
  }

  private uuid(): void {
    const from = this.take(16)
    const hex = Buffer.from(this.bytes.subarray(from, from + 16)).toString('hex')
    this.quoted(hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'))
  }

  // What is read

  /** @returns the start of `count` bytes, which lie before the end */
  private take(count: number): number {
    const from = this.at
    if (count > this.end - from) this.fail(Verdict.truncated)
    this.at = from + count
    return from
  }

  /** @param shiftMax  of the last byte, which has at most the bits that are left: `lastMax` */
  private readLong(shiftMax = 63, lastMax = 1): void {
    let [low, high, shift] = [0, 0, 0]
    for (;;) {
      const byte = this.bytes[this.take(1)]!
      const bits = byte & 127
      if (shift === shiftMax && byte > lastMax) this.fail(Verdict.varint)
      if (shift < 32) low |= bits << shift
      if (shift > 28) high |= bits << (shift - 32)
      else if (shift === 28) high |= bits >> 4
      if (byte < 128) break
      shift += 7
    }
    const sign = -(low & 1)
    this.low = ((low >>> 1) | (high << 31)) ^ sign
    this.high = (high >>> 1) ^ sign
  }

  private long(): bigint {
    this.readLong()
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0)
  }

  private int(): number {
    this.readLong(28, 15)
    return this.low
  }

  /** A count or length, which beyond 2^53 is none. */
  private size(): number {
    this.readLong()
    return this.high * 4_294_967_296 + (this.low >>> 0)
  }

  private length(): number {
    const length = this.size()
    if (length < 0 || length > this.end - this.at) this.fail(Verdict.length)
    return length
  }

  private index(count: number, verdict: Verdict): number {
    const index = this.size()
    if (index < 0 || index >= count) this.fail(verdict)
    return index
  }

  private fail(verdict: Verdict): never {
    jsonFailure.verdict = verdict
    jsonFailure.at = this.at
    throw new Unreadable()
  }

  // What is written

  private byte(value: number): void {
    this.builder.reserveBytes(1)
    this.builder.bytes[this.builder.bytesLength++] = value
  }

  private copy(source: Uint8Array): void {
    this.builder.reserveBytes(source.length)
    this.builder.bytes.set(source, this.builder.bytesLength)
    this.builder.bytesLength += source.length
  }

  private ascii(text: string): void {
    this.builder.reserveBytes(text.length)
    const { bytes } = this.builder
    let to = this.builder.bytesLength
    for (let index = 0; index < text.length; index++) bytes[to++] = text.charCodeAt(index)
    this.builder.bytesLength = to
  }

  private quoted(text: string): void {
    this.ascii(`"${text}"`)
  }

  private float(value: number): void {
    if (!Number.isFinite(value)) this.quoted(String(value))
    else this.ascii(Object.is(value, -0) ? '-0.0' : String(value))
  }

  private base64(count: number): void {
    const from = this.take(count)
    this.quoted(Buffer.from(this.bytes.subarray(from, from + count)).toString('base64'))
  }

  /** Copies a string and escapes what JSON does not let stand. */
  private text(): void {
    const length = this.length()
    const { bytes } = this
    const from = this.take(length)
    if (!isWellFormed(bytes, from, from + length)) this.fail(Verdict.utf8)
    // An escape has six characters at most.
    this.builder.reserveBytes(length * 6 + 2)
    const target = this.builder.bytes
    let to = this.builder.bytesLength
    target[to++] = QUOTE
    for (let index = from; index < from + length; index++) {
      const byte = bytes[index]!
      if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
        target[to++] = byte
        continue
      }
      const escape = ESCAPES[byte]!
      for (let at = 0; at < escape.length; at++) target[to++] = escape.charCodeAt(at)
    }
    target[to++] = QUOTE
    this.builder.bytesLength = to
  }
}

/** By byte: the text of those that must not stand in a string as they are. */
const ESCAPES: readonly string[] = Array.from({ length: 0x5d }, (_, byte) =>
  JSON.stringify(String.fromCharCode(byte)).slice(1, -1),
)

const reader = new JsonReader()
