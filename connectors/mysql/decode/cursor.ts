// Reads fields of an event one after the other. Every read is bounded by the event's end, so bytes
// that break the grammar become LOG_CORRUPT, never a value from the next event.

import { PipelineError } from '../../../runtime/base/errors.ts'

const utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

export function corrupt(what: string): PipelineError {
  return new PipelineError('LOG_CORRUPT', `binary log event is malformed: ${what}`)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * @returns bytes[start, end) in memory of their own. `slice` would not do: what a socket gives is a
 *          Buffer, whose `slice` is a view of memory that the next packet takes.
 */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes.subarray(start, end))
}

export class Cursor {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly end: number
  at: number

  /** @param view  over all of `bytes`, to save making one for each event */
  constructor(bytes: Uint8Array, start: number, end: number, view: DataView = viewOf(bytes)) {
    this.bytes = bytes
    this.view = view
    this.at = start
    this.end = end
  }

  /** A cursor over a part of the same bytes. */
  within(start: number, end: number): Cursor {
    return new Cursor(this.bytes, start, end, this.view)
  }

  get left(): number {
    return this.end - this.at
  }

  /** Passes over `count` bytes. @returns the offset where they begin */
  skip(count: number): number {
    const at = this.at
    // A negative count cannot come from the wire; one beyond the end can.
    if (count > this.end - at) throw corrupt('it ends inside a field')
    this.at = at + count
    return at
  }

  u8(): number {
    return this.bytes[this.skip(1)]!
  }

  u16(): number {
    return this.view.getUint16(this.skip(2), true)
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true)
  }

  u64(): bigint {
    return this.view.getBigUint64(this.skip(8), true)
  }

  i64(): bigint {
    return this.view.getBigInt64(this.skip(8), true)
  }

  /** Little-endian, `count` bytes, up to 6. */
  uint(count: number): number {
    const at = this.skip(count)
    let value = 0
    for (let index = count - 1; index >= 0; index--) value = value * 256 + this.bytes[at + index]!
    return value
  }

  /** Length-encoded integer: 1, 3, 4 or 9 bytes. */
  lenenc(): number {
    const first = this.u8()
    if (first < 0xfb) return first
    if (first === 0xfc) return this.u16()
    if (first === 0xfd) return this.uint(3)
    if (first !== 0xfe) throw corrupt('a length has an impossible first byte')
    const value = this.u64()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt('a length exceeds 2^53')
    return Number(value)
  }

  /** Integer of the servers' own serialization library: 1...9 bytes, count in the first one. */
  varint(): bigint {
    const first = this.u8()
    let extra = 0
    while (extra < 8 && ((first >> extra) & 1) === 1) extra++
    if (extra === 8) return this.u64()
    let rest = 0n
    const at = this.skip(extra)
    for (let index = extra - 1; index >= 0; index--) {
      rest = (rest << 8n) | BigInt(this.bytes[at + index]!)
    }
    return BigInt(first >> (extra + 1)) | (rest << BigInt(7 - extra))
  }

  /** Signed twin of `varint`: the lowest bit is the sign. */
  varintSigned(): bigint {
    const value = this.varint()
    return (value & 1n) === 1n ? -(value >> 1n) - 1n : value >> 1n
  }

  /** UTF-8 text of `count` bytes. */
  text(count: number): string {
    const at = this.skip(count)
    return utf8.decode(this.bytes.subarray(at, at + count))
  }

  hex(count: number): string {
    const at = this.skip(count)
    let text = ''
    for (let index = at; index < at + count; index++) {
      text += this.bytes[index]!.toString(16).padStart(2, '0')
    }
    return text
  }

  /** Text up to a zero byte, which is passed over. */
  zeroText(): string {
    let end = this.at
    while (end < this.end && this.bytes[end] !== 0) end++
    const text = this.text(end - this.at)
    this.skip(1)
    return text
  }
}
