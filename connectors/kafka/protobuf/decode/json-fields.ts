// Where the fields of a message lie. A message may come in pieces, a field many times and in any
// order, so the pieces are passed over once and the places of each field are chained; what is
// written afterwards is in the order of the numbers, and merged as Protobuf merges.

import type { FieldKind, FieldShape, MessageShape } from '../shape.ts'
import { checkText } from './text.ts'
import { Fault, fail, groupEnd, length, pair, skip, skipGroup, tag, Wire } from './wire.ts'

/** Numbers of one place: the next of its field, wire type, start and end of the value. */
const PLACE = 4

/** The wire type of one value. */
export function wireOf(kind: FieldKind, group: boolean): number {
  switch (kind) {
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return Wire.fixed64
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return Wire.fixed32
    case 'string':
    case 'bytes':
      return Wire.bytes
    case 'message':
      return group ? Wire.groupStart : Wire.bytes
    default:
      return Wire.varint
  }
}

/** Values of this kind may lie one behind the other without tags. */
export function isPackable(kind: FieldKind): boolean {
  return kind !== 'string' && kind !== 'bytes' && kind !== 'message'
}

type Words = Int32Array<ArrayBuffer>

/** Of a message whose places are known. Index i of a field is that in `shape.fields`. */
export interface Frame {
  readonly shape: MessageShape
  /** Where its chains begin in `heads` and `tails`. */
  readonly base: number
}

/**
 * Frames lie on a stack: what was taken last is given back first. `pieces` is a stack too, of the
 * starts and ends of the pieces of messages that are yet to be read.
 */
export class FieldPlaces {
  bytes: Uint8Array = new Uint8Array(0)
  pieces = new Int32Array(64)
  piecesEnd = 0
  private places = new Int32Array(64 * PLACE)
  private placesEnd = 0
  private heads = new Int32Array(64)
  private tails = new Int32Array(64)
  private headsEnd = 0
  private readonly indexes = new Map<MessageShape, ReadonlyMap<number, number>>()

  reset(bytes: Uint8Array): void {
    this.bytes = bytes
    this.piecesEnd = 0
    this.placesEnd = 0
    this.headsEnd = 0
  }

  piece(start: number, end: number): void {
    this.pieces = roomFor(this.pieces, this.piecesEnd + 2)
    this.pieces[this.piecesEnd++] = start
    this.pieces[this.piecesEnd++] = end
  }

  /** Makes room for the chains of a message that has no places yet. */
  open(shape: MessageShape): Frame {
    const base = this.headsEnd
    this.headsEnd += shape.fields.length
    this.heads = roomFor(this.heads, this.headsEnd)
    this.tails = roomFor(this.tails, this.headsEnd)
    this.heads.fill(-1, base, this.headsEnd)
    this.tails.fill(-1, base, this.headsEnd)
    return { shape, base }
  }

  /** @returns what `close` takes to give the frame back */
  mark(): number {
    return this.placesEnd
  }

  close({ base }: Frame, mark: number): void {
    this.headsEnd = base
    this.placesEnd = mark
  }

  /** The first place of a field; -1: it was not written. */
  head(frame: Frame, index: number): number {
    return this.heads[frame.base + index]!
  }

  /** The last one, which decides. */
  tail(frame: Frame, index: number): number {
    return this.heads[frame.base + index] === -1 ? -1 : this.tails[frame.base + index]!
  }

  next(place: number): number {
    return this.places[place]!
  }

  wire(place: number): number {
    return this.places[place + 1]!
  }

  start(place: number): number {
    return this.places[place + 2]!
  }

  end(place: number): number {
    return this.places[place + 3]!
  }

  forget(frame: Frame, index: number): void {
    this.heads[frame.base + index] = -1
  }

  add(frame: Frame, index: number, wire: number, start: number, end: number): void {
    const place = this.placesEnd
    this.placesEnd += PLACE
    this.places = roomFor(this.places, this.placesEnd)
    this.places[place] = -1
    this.places[place + 1] = wire
    this.places[place + 2] = start
    this.places[place + 3] = end
    const at = frame.base + index
    if (this.heads[at] === -1) this.heads[at] = place
    else this.places[this.tails[at]!] = place
    this.tails[at] = place
  }

  /**
   * Reads the tags of [at, end) into the frame; text is checked here.
   *
   * @param chosen  told before a member of a oneof is added
   */
  scan(
    frame: Frame,
    at: number,
    end: number,
    depth: number,
    chosen: (frame: Frame, index: number, depth: number) => void,
  ): void {
    const { bytes } = this
    const { fields } = frame.shape
    const numbers = this.numbersOf(frame.shape)
    for (let place = at; place < end;) {
      const behind = tag(bytes, place, end)
      const found = pair[0]!
      const index = numbers.get(found >>> 3) ?? -1
      if (index === -1) {
        place = skip(bytes, behind, end, found, depth)
        continue
      }
      const field = fields[index]!
      if (field.oneof !== -1) chosen(frame, index, depth)
      place = this.value(frame, index, field, found, behind, end, depth)
    }
  }

  private value(
    frame: Frame,
    index: number,
    field: FieldShape,
    found: number,
    at: number,
    end: number,
    depth: number,
  ): number {
    const { bytes } = this
    const wire = found & 7
    const packed = wire === Wire.bytes && field.repeated && isPackable(field.kind)
    const expected = field.mapKey === null ? wireOf(field.kind, field.group) : Wire.bytes
    if (wire !== expected && !packed) fail(Fault.mismatch, at)
    if (wire === Wire.groupStart) {
      const behind = skipGroup(bytes, at, end, found, depth + 1)
      this.add(frame, index, wire, at, groupEnd[0]!)
      return behind
    }
    if (wire !== Wire.bytes) {
      const behind = skip(bytes, at, end, found, depth)
      this.add(frame, index, wire, at, behind)
      return behind
    }
    const start = length(bytes, at, end)
    const behind = start + pair[0]!
    // A packed list of nothing is as if it had not been written.
    if (packed && start === behind) return behind
    if (field.kind === 'string' && field.mapKey === null) checkText(bytes, start, behind)
    this.add(frame, index, wire, start, behind)
    return behind
  }

  private numbersOf(shape: MessageShape): ReadonlyMap<number, number> {
    const known = this.indexes.get(shape)
    if (known !== undefined) return known
    const numbers = new Map(shape.fields.map(({ number }, index) => [number, index]))
    this.indexes.set(shape, numbers)
    return numbers
  }
}

function roomFor(array: Words, length: number): Words {
  if (length <= array.length) return array
  const larger = new Int32Array(Math.max(length, array.length * 2))
  larger.set(array)
  return larger
}
