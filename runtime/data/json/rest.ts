// The kernel for the column of the rest: an object of all members that no column has, with names
// and values as they are written, but for white space. Of a name that comes twice the last stays.

import type { BytesBuilder } from '../column/builder.ts'
import { writeCompact } from './compact.ts'
import type { PutBytes } from './fill.ts'
import { CLOSE_OBJECT, COLON, COMMA, OPEN_OBJECT, skipSpace, valueEnd } from './grammar.ts'
import { hash, KeyTable, nameEnd } from './key-table.ts'
import { NO_SLOT, type Shape } from './shape.ts'

/** The value is the whole object, whose text has been checked. */
export function restPut(shape: Shape): PutBytes {
  const writer = new RestWriter(shape)
  return (builder, row, bytes, start) => {
    const from = builder.bytesLength
    writer.write(builder, bytes, start)
    if (builder.bytesLength === from) builder.setNull(row)
    else builder.endRow(row)
    return true
  }
}

class RestWriter {
  private readonly keys: KeyTable
  /** By member: the writer of what is left of its object; `null`: a column has all of it. */
  private readonly inner: readonly (RestWriter | null)[]
  private readonly names = new LastNames()

  constructor({ members }: Shape) {
    this.keys = new KeyTable(members.map(({ name }) => name))
    this.inner = members.map(({ slot, child }) =>
      child === null || slot !== NO_SLOT ? null : new RestWriter(child),
    )
  }

  /** Appends the rest; nothing, where there is none. @returns the place behind the object */
  write(builder: BytesBuilder, bytes: Uint8Array, start: number): number {
    const first = skipSpace(bytes, start + 1)
    this.names.clear()
    for (let at = first; bytes[at] !== CLOSE_OBJECT;) at = this.noteMember(bytes, at)
    const from = builder.bytesLength
    append(builder, OPEN_OBJECT)
    let at = first
    while (bytes[at] !== CLOSE_OBJECT) at = this.writeMember(builder, bytes, at)
    if (builder.bytesLength === from + 1) builder.bytesLength = from
    // Each member ends with a comma.
    else builder.bytes[builder.bytesLength - 1] = CLOSE_OBJECT
    return at + 1
  }

  /** @returns the place of the next member, or of the brace at the end */
  private noteMember(bytes: Uint8Array, name: number): number {
    this.keys.find(bytes, name, bytes.length)
    const value = valueAt(bytes, nameEnd.at)
    this.names.note(bytes, name, nameEnd.at)
    return nextMember(bytes, valueEnd(bytes, value, bytes.length, 0))
  }

  private writeMember(builder: BytesBuilder, bytes: Uint8Array, name: number): number {
    const member = this.keys.find(bytes, name, bytes.length)
    const close = nameEnd.at
    const value = valueAt(bytes, close)
    const inner = member < 0 ? null : this.inner[member]!
    const isLast = this.names.lastOf(bytes, name, close) === name
    if (!isLast || (member >= 0 && inner === null)) {
      return nextMember(bytes, valueEnd(bytes, value, bytes.length, 0))
    }
    const from = builder.bytesLength
    writeCompact(builder, bytes, name, close)
    append(builder, COLON)
    const written = builder.bytesLength
    const end = writeValue(builder, bytes, value, inner)
    if (builder.bytesLength === written) builder.bytesLength = from
    else append(builder, COMMA)
    return nextMember(bytes, end)
  }
}

function writeValue(
  builder: BytesBuilder,
  bytes: Uint8Array,
  start: number,
  inner: RestWriter | null,
): number {
  if (inner !== null && bytes[start] === OPEN_OBJECT) return inner.write(builder, bytes, start)
  const end = valueEnd(bytes, start, bytes.length, 0)
  // Null where an object is on the way to a column: the column is null, and nothing is left.
  if (inner === null) writeCompact(builder, bytes, start, end)
  return end
}

function valueAt(bytes: Uint8Array, nameClose: number): number {
  return skipSpace(bytes, skipSpace(bytes, nameClose) + 1)
}

function nextMember(bytes: Uint8Array, end: number): number {
  const at = skipSpace(bytes, end)
  return bytes[at] === COMMA ? skipSpace(bytes, at + 1) : at
}

function append(builder: BytesBuilder, byte: number): void {
  builder.reserveBytes(1)
  builder.bytes[builder.bytesLength++] = byte
}

/** The names of one object, each with the place where it comes last. */
class LastNames {
  private count = 0
  /** Place + 1 of a name by hash; 0: none. At least twice as long as there are names. */
  private places = new Int32Array(32)
  private ends = new Int32Array(32)

  clear(): void {
    if (this.count > 0) this.places.fill(0)
    this.count = 0
  }

  note(bytes: Uint8Array, start: number, end: number): void {
    if (2 * this.count >= this.places.length) this.grow(bytes)
    const at = this.find(bytes, start, end)
    if (this.places[at] === 0) this.count++
    this.places[at] = start + 1
    this.ends[at] = end
  }

  lastOf(bytes: Uint8Array, start: number, end: number): number {
    return this.places[this.find(bytes, start, end)]! - 1
  }

  /** @returns where the name is in the table, or would be */
  private find(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.places.length - 1
    let at = hash(bytes, start, end) & mask
    while (this.places[at] !== 0 && !this.isName(at, bytes, start, end)) at = (at + 1) & mask
    return at
  }

  private isName(at: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.places[at]! - 1
    const length = end - start
    if (this.ends[at]! - from !== length) return false
    for (let i = 0; i < length; i++) if (bytes[from + i] !== bytes[start + i]) return false
    return true
  }

  private grow(bytes: Uint8Array): void {
    const { places, ends } = this
    this.places = new Int32Array(2 * places.length)
    this.ends = new Int32Array(2 * places.length)
    for (const [old, place] of places.entries()) {
      if (place === 0) continue
      const at = this.find(bytes, place - 1, ends[old]!)
      this.places[at] = place
      this.ends[at] = ends[old]!
    }
  }
}
