// Messages as JSON, as Protobuf defines it, straight from the wire: what repeats, maps, types that
// contain themselves, and Struct, Value and Any.
// Source: "ProtoJSON Format", https://protobuf.dev/programming-guides/json/

import type { BytesBuilder } from '../../../../runtime/data/column/builder.ts'
import type { FieldShape, MessageShape } from '../shape.ts'
import { FieldPlaces, type Frame } from './json-fields.ts'
import { isLong, JsonScalars } from './json-scalar.ts'
import { checkDuration, checkTimestamp, secondsOf } from './time.ts'
import { boolean, DEPTH_MAX, Fault, fail, pair, varint, Wire } from './wire.ts'

/** A column of JSON. */
export interface JsonPlan {
  readonly field: FieldShape
  /** Messages around the values. */
  readonly depth: number
}

/** Where the values of a field lie that one row has: starts and ends. */
export class Ranges {
  count = 0
  at = new Int32Array(16)

  add(start: number, end: number): void {
    if (this.count * 2 === this.at.length) {
      const larger = new Int32Array(this.at.length * 2)
      larger.set(this.at)
      this.at = larger
    }
    this.at[this.count * 2] = start
    this.at[this.count * 2 + 1] = end
    this.count++
  }
}

/** Finds the types that an Any names. */
export type TypeByName = (name: string) => MessageShape | null

const COMMA = 0x2c
const COLON = 0x3a
const OPEN = 0x7b
const CLOSE = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const QUOTE = 0x22

/** Below it keys of a map are compared with each other, above it kept in a set. */
const COMPARED_KEYS_MAX = 16

export class JsonText {
  private readonly types: TypeByName
  private readonly scalars = new JsonScalars()
  private readonly out = this.scalars.out
  private readonly places = new FieldPlaces()
  private readonly keys = new Map<FieldShape, Uint8Array>()
  private readonly entries = new Map<FieldShape, MessageShape>()
  private readonly column: MessageShape[] = []

  constructor(types: TypeByName) {
    this.types = types
  }

  /** Writes the values of a column's field at `to`. @returns the place behind them */
  write(
    builder: BytesBuilder,
    to: number,
    plan: JsonPlan,
    bytes: Uint8Array,
    view: DataView,
    ranges: Ranges,
  ): number {
    this.fieldOf(plan, bytes, view, ranges)
    return this.out.moveTo(builder, to)
  }

  /** @throws wireError  values that nobody will see, because others took their place, are none */
  check(plan: JsonPlan, bytes: Uint8Array, view: DataView, ranges: Ranges): void {
    if (ranges.count > 0) this.fieldOf(plan, bytes, view, ranges)
  }

  private fieldOf(
    { field, depth }: JsonPlan,
    bytes: Uint8Array,
    view: DataView,
    ranges: Ranges,
  ): void {
    const { places } = this
    this.scalars.reset(bytes, view)
    places.reset(bytes)
    this.column[0] = { name: '', fields: [field], oneofs: [] }
    const frame = places.open(this.column[0])
    const wire = field.group ? Wire.groupStart : Wire.bytes
    for (let index = 0; index < ranges.count; index++) {
      places.add(frame, 0, wire, ranges.at[index * 2]!, ranges.at[index * 2 + 1]!)
    }
    this.field(field, places.head(frame, 0), places.tail(frame, 0), depth)
  }

  /** All values of a field; of a singular scalar the last. */
  private field(field: FieldShape, head: number, tail: number, depth: number): void {
    if (field.mapKey !== null) this.map(field, head, depth)
    else if (field.repeated) this.list(field, head, depth)
    else if (field.message !== null) this.merged(field.message, head, depth + 1)
    else this.scalars.scalar(field, this.places.start(tail), this.places.end(tail))
  }

  private list(field: FieldShape, head: number, depth: number): void {
    const { places, out } = this
    out.byte(OPEN_LIST)
    const behind = out.length
    const comma = (): void => {
      if (out.length > behind) out.byte(COMMA)
    }
    for (let place = head; place !== -1; place = places.next(place)) {
      const [start, end] = [places.start(place), places.end(place)]
      if (field.message !== null) {
        comma()
        this.single(field.message, start, end, depth + 1)
        continue
      }
      const packed = places.wire(place) === Wire.bytes
      if (!packed || field.kind === 'string' || field.kind === 'bytes') {
        comma()
        this.scalars.scalar(field, start, end)
        continue
      }
      for (let at = start; at < end;) {
        comma()
        at = this.scalars.scalar(field, at, end)
      }
    }
    out.byte(CLOSE_LIST)
  }

  /** One message that came in several pieces. */
  private merged(shape: MessageShape, head: number, depth: number): void {
    const { places } = this
    const first = places.piecesEnd
    for (let place = head; place !== -1; place = places.next(place)) {
      places.piece(places.start(place), places.end(place))
    }
    this.message(shape, first, depth)
    places.piecesEnd = first
  }

  private single(shape: MessageShape, start: number, end: number, depth: number): void {
    const { places } = this
    const first = places.piecesEnd
    places.piece(start, end)
    this.message(shape, first, depth)
    places.piecesEnd = first
  }

  /** @param first  of its pieces; they go to the end of the stack */
  private message(shape: MessageShape, first: number, depth: number): void {
    const { places } = this
    if (depth > DEPTH_MAX) fail(Fault.depth, places.pieces[first] ?? 0)
    const mark = places.mark()
    const frame = places.open(shape)
    const last = places.piecesEnd
    for (let piece = first; piece < last; piece += 2) {
      places.scan(frame, places.pieces[piece]!, places.pieces[piece + 1]!, depth, this.chosen)
    }
    this.content(shape, frame, depth)
    places.close(frame, mark)
  }

  private content(shape: MessageShape, frame: Frame, depth: number): void {
    const wellKnown = wellKnownOf(shape)
    if (wellKnown !== null) {
      this.wellKnown(wellKnown, frame, depth)
      return
    }
    this.out.byte(OPEN)
    this.members(frame, depth, false)
    this.out.byte(CLOSE)
  }

  /** @param behind  something stands in front of the first member */
  private members(frame: Frame, depth: number, behind: boolean): void {
    const { places, out } = this
    let comma = behind
    for (const [index, field] of frame.shape.fields.entries()) {
      const head = places.head(frame, index)
      if (head === -1) continue
      const tail = places.tail(frame, index)
      if (this.isOmitted(field, tail)) continue
      if (comma) out.byte(COMMA)
      comma = true
      const key = this.keyOf(field)
      out.raw(key, 0, key.length)
      this.field(field, head, tail, depth)
    }
  }

  /** A field without presence that has its default is as if it had not been written. */
  private isOmitted(field: FieldShape, tail: number): boolean {
    if (field.presence || field.repeated || field.mapKey !== null) return false
    const [start, end] = [this.places.start(tail), this.places.end(tail)]
    if (field.kind === 'string' || field.kind === 'bytes') return start === end
    const { bytes } = this.places
    switch (this.places.wire(tail)) {
      case Wire.varint:
        if (field.kind === 'bool') {
          boolean(bytes, start, end)
          return pair[0] === 0
        }
        varint(bytes, start, end)
        return pair[0] === 0 && (pair[1] === 0 || !isLong(field.kind))
      default:
        return bytes.subarray(start, end).every((byte) => byte === 0)
    }
  }

  /** The values that a oneof had before are gone, but have to be values. */
  private readonly chosen = (frame: Frame, index: number, depth: number): void => {
    const { places, out } = this
    const { fields } = frame.shape
    const { oneof } = fields[index]!
    for (const [other, field] of fields.entries()) {
      if (other === index || field.oneof !== oneof) continue
      const head = places.head(frame, other)
      if (head === -1) continue
      const { length } = out
      this.field(field, head, places.tail(frame, other), depth)
      out.length = length
      places.forget(frame, other)
    }
  }

  private map(field: FieldShape, head: number, depth: number): void {
    const { places, out } = this
    const shape = this.entryOf(field)
    out.byte(OPEN)
    const starts: number[] = []
    const keyEnds: number[] = []
    for (let place = head; place !== -1; place = places.next(place)) {
      if (starts.length > 0) out.byte(COMMA)
      starts.push(out.length)
      const mark = places.mark()
      const frame = places.open(shape)
      places.scan(frame, places.start(place), places.end(place), depth, this.chosen)
      this.mapKey(shape.fields[0]!, places.tail(frame, 0))
      keyEnds.push(out.length)
      out.byte(COLON)
      this.mapValue(shape.fields[1]!, frame, depth)
      places.close(frame, mark)
    }
    if (starts.length > 1) this.dropOverwritten(starts, keyEnds)
    out.byte(CLOSE)
  }

  private mapKey(field: FieldShape, tail: number): void {
    const { out, places } = this
    // Keys are strings, and 64-bit numbers are strings already.
    const quoted = field.kind !== 'string' && !isLong(field.kind)
    if (quoted) out.byte(QUOTE)
    if (tail === -1) this.scalars.default(field)
    else this.scalars.scalar(field, places.start(tail), places.end(tail))
    if (quoted) out.byte(QUOTE)
  }

  private mapValue(field: FieldShape, frame: Frame, depth: number): void {
    const head = this.places.head(frame, 1)
    if (head !== -1 || field.message !== null) {
      this.field(field, head, this.places.tail(frame, 1), depth)
    } else this.scalars.default(field)
  }

  /** Of entries with the same key the last one counts. */
  private dropOverwritten(starts: readonly number[], keyEnds: readonly number[]): void {
    const { out } = this
    const alive = starts.map((_, index) => !this.isOverwritten(index, starts, keyEnds))
    if (starts.length > COMPARED_KEYS_MAX) {
      const last = new Map<string, number>()
      for (const [index, start] of starts.entries()) {
        const key = Buffer.from(out.bytes.buffer, start, keyEnds[index]! - start)
        const text = key.toString('latin1')
        const before = last.get(text)
        if (before !== undefined) alive[before] = false
        last.set(text, index)
      }
    }
    if (alive.every(Boolean)) return
    const end = out.length
    let to = starts[0]!
    for (const [index, start] of starts.entries()) {
      if (alive[index] !== true) continue
      if (to > starts[0]!) out.bytes[to++] = COMMA
      const stop = index + 1 < starts.length ? starts[index + 1]! - 1 : end
      out.bytes.copyWithin(to, start, stop)
      to += stop - start
    }
    out.length = to
  }

  private isOverwritten(
    index: number,
    starts: readonly number[],
    keyEnds: readonly number[],
  ): boolean {
    if (starts.length > COMPARED_KEYS_MAX) return false
    const { bytes } = this.out
    const [start, end] = [starts[index]!, keyEnds[index]!]
    for (let other = index + 1; other < starts.length; other++) {
      const from = starts[other]!
      if (keyEnds[other]! - from !== end - start) continue
      let at = 0
      while (at < end - start && bytes[start + at] === bytes[from + at]) at++
      if (at === end - start) return true
    }
    return false
  }

  private keyOf(field: FieldShape): Uint8Array {
    const known = this.keys.get(field)
    if (known !== undefined) return known
    const key = new TextEncoder().encode(`${JSON.stringify(field.jsonName)}:`)
    this.keys.set(field, key)
    return key
  }

  /** On the wire a map is a list of messages with a key and a value. */
  private entryOf(field: FieldShape): MessageShape {
    const known = this.entries.get(field)
    if (known !== undefined) return known
    const part = { ...field, mapKey: null, repeated: false, presence: true, oneof: -1 }
    const key = { ...part, number: 1, kind: field.mapKey!, message: null, enumeration: null }
    const entry = { name: '', fields: [key, { ...part, number: 2 }], oneofs: [] }
    this.entries.set(field, entry)
    return entry
  }

  private wellKnown(name: string, frame: Frame, depth: number): void {
    switch (name) {
      case 'Timestamp':
      case 'Duration':
        this.time(name, frame)
        break
      case 'Any':
        this.any(frame, depth)
        break
      case 'Value':
        this.only(frame, depth)
        break
      case 'FieldMask':
        this.fieldMask(frame)
        break
      case 'Struct':
      case 'ListValue':
        this.field(frame.shape.fields[0]!, this.places.head(frame, 0), -1, depth)
        break
      default: {
        const tail = this.places.tail(frame, 0)
        const value = frame.shape.fields[0]!
        if (tail === -1) this.scalars.default(value)
        else this.field(value, tail, tail, depth)
      }
    }
  }

  /** Of a Value: the one field that it has. */
  private only(frame: Frame, depth: number): void {
    for (const [index, field] of frame.shape.fields.entries()) {
      const head = this.places.head(frame, index)
      if (head === -1) continue
      this.field(field, head, this.places.tail(frame, index), depth)
      return
    }
    this.out.ascii('null')
  }

  private time(name: string, frame: Frame): void {
    const { places, out } = this
    const at = places.pieces[places.piecesEnd - 2] ?? 0
    const [secondsTail, nanosTail] = [places.tail(frame, 0), places.tail(frame, 1)]
    let seconds = 0
    if (secondsTail !== -1) {
      varint(places.bytes, places.start(secondsTail), places.end(secondsTail))
      seconds = secondsOf(pair[0]!, pair[1]!)
    }
    let nanos = 0
    if (nanosTail !== -1) {
      varint(places.bytes, places.start(nanosTail), places.end(nanosTail))
      nanos = pair[0]!
    }
    if (name === 'Timestamp') {
      checkTimestamp(seconds, nanos, at)
      const text = new Date(seconds * 1000).toISOString().slice(0, 19)
      out.ascii(`"${text}${fraction(nanos)}Z"`)
    } else {
      checkDuration(seconds, nanos, at)
      const sign = seconds < 0 || nanos < 0 ? '-' : ''
      out.ascii(`"${sign}${Math.abs(seconds)}${fraction(Math.abs(nanos))}s"`)
    }
  }

  /** A message with the name of its type; one that nobody knows stays bytes. */
  private any(frame: Frame, depth: number): void {
    const { places, out } = this
    const url = places.tail(frame, 0)
    const value = places.tail(frame, 1)
    out.byte(OPEN)
    const isNamed = url !== -1 && places.end(url) > places.start(url)
    if (isNamed) this.anyContent(url, value, depth)
    out.byte(CLOSE)
  }

  private anyContent(url: number, value: number, depth: number): void {
    const { places, out } = this
    const [start, end] = [places.start(url), places.end(url)]
    out.ascii('"@type":')
    out.string(places.bytes, start, end)
    const text = new TextDecoder().decode(places.bytes.subarray(start, end))
    const shape = this.types(text.slice(text.lastIndexOf('/') + 1))
    const from = value === -1 ? 0 : places.start(value)
    const to = value === -1 ? 0 : places.end(value)
    if (shape === null) {
      out.ascii(',"value":')
      out.base64(places.bytes, from, to)
      return
    }
    if (wellKnownOf(shape) !== null) {
      out.ascii(',"value":')
      this.single(shape, from, to, depth + 1)
      return
    }
    if (depth + 1 > DEPTH_MAX) fail(Fault.depth, from)
    const mark = places.mark()
    const inner = places.open(shape)
    places.scan(inner, from, to, depth + 1, this.chosen)
    this.members(inner, depth + 1, true)
    places.close(inner, mark)
  }

  /** Paths in camel case, in one string. One that would not come back as it was stays as it is. */
  private fieldMask(frame: Frame): void {
    const { places, out } = this
    const paths: string[] = []
    for (let place = places.head(frame, 0); place !== -1; place = places.next(place)) {
      const bytes = places.bytes.subarray(places.start(place), places.end(place))
      const path = new TextDecoder().decode(bytes)
      const camel = path.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
      const back = camel.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      paths.push(back === path ? camel : path)
    }
    const text = new TextEncoder().encode(paths.join(','))
    out.string(text, 0, text.length)
  }
}

function fraction(nanos: number): string {
  if (nanos === 0) return ''
  return `.${String(nanos)
    .padStart(9, '0')
    .replace(/(?:000){1,2}$/, '')}`
}

const WELL_KNOWN: ReadonlySet<string> = new Set([
  'Any',
  'BoolValue',
  'BytesValue',
  'DoubleValue',
  'Duration',
  'FieldMask',
  'FloatValue',
  'Int32Value',
  'Int64Value',
  'ListValue',
  'StringValue',
  'Struct',
  'Timestamp',
  'UInt32Value',
  'UInt64Value',
  'Value',
])

/** @returns its name without the package; `null`: the message has no JSON of its own */
function wellKnownOf({ name }: MessageShape): string | null {
  if (!name.startsWith('google.protobuf.')) return null
  const short = name.slice('google.protobuf.'.length)
  return WELL_KNOWN.has(short) ? short : null
}
