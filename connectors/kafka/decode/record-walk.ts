// The records of one decompressed batch, walked once into arrays of places. Varints are unrolled,
// nothing is allocated per record, and every length is checked against the batch's end.
//
// Record: length varint | attributes i8 | timestampDelta varlong | offsetDelta varint |
//   keyLength varint, -1 null | key | valueLength varint, -1 null | value | headerCount varint |
//   headers. Varints are zigzag, seven bits a byte, the lowest first.

import type { RecordSet } from '../records.ts'

/** What the head of the batch says about its records. */
export interface RecordsHead {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly baseTimestamp: number
  /** The one timestamp of all records, where the broker sets it; else `null`. */
  readonly appendTimestamp: number | null
  readonly count: number
}

const CAPACITY_START = 1024

/** The arrays of one RecordSet, filled again and again. */
export class RecordWalk implements RecordSet {
  topic = ''
  partition = 0
  count = 0
  bytes: Uint8Array = Buffer.alloc(0)
  appendTime = false
  offsets = new Float64Array(CAPACITY_START)
  timestamps = new Float64Array(CAPACITY_START)
  keyStart = new Int32Array(CAPACITY_START)
  keyEnd = new Int32Array(CAPACITY_START)
  valueStart = new Int32Array(CAPACITY_START)
  valueEnd = new Int32Array(CAPACITY_START)
  headersStart = new Int32Array(CAPACITY_START)
  headersEnd = new Int32Array(CAPACITY_START)
  headerCount = new Int32Array(CAPACITY_START)
  /** Where the varint ends that was read last by a method. */
  #end = 0

  /**
   * @param bytes  holds the records from `start` to exactly `end`
   * @param from   records below this offset are left out
   * @returns `null`, or what is wrong with the bytes
   */
  walk(
    bytes: Uint8Array,
    start: number,
    end: number,
    head: RecordsHead,
    from: number,
  ): string | null {
    this.topic = head.topic
    this.partition = head.partition
    this.bytes = bytes
    this.appendTime = head.appendTimestamp !== null
    this.count = 0
    // A record has seven bytes at least, so a count that lies cannot ask for much memory.
    if (head.count < 0 || head.count * 7 > end - start)
      return `it cannot hold ${head.count} records`
    this.#reserve(head.count)
    return this.#fill(start, end, head, from)
  }

  // tidy: template. Five varints, each written out up to its second byte, which is all that
  // most of them have; cut in pieces, the places would have to go through memory.
  #fill(start: number, end: number, head: RecordsHead, from: number): string | null {
    const { bytes, offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd } = this
    const { headersStart, headersEnd, headerCount } = this
    const { count, baseOffset, lastOffset, baseTimestamp, appendTimestamp } = head
    let at = start
    let row = 0
    let before = -1
    let byte = 0
    let raw = 0
    for (let index = 0; index < count; index++) {
      byte = bytes[at++]!
      raw = byte & 0x7f
      if (byte >= 0x80) {
        byte = bytes[at++]!
        raw |= (byte & 0x7f) << 7
        if (byte >= 0x80) {
          raw = this.#rest32(at, raw)
          at = this.#end
        }
      }
      const length = (raw >>> 1) ^ -(raw & 1)
      const recordEnd = at + length
      if (length < 6 || recordEnd > end) return `record ${index} does not lie within the batch`
      at += 1
      byte = bytes[at++]!
      raw = byte & 0x7f
      let time = (raw >>> 1) ^ -(raw & 1)
      if (byte >= 0x80) {
        byte = bytes[at++]!
        raw |= (byte & 0x7f) << 7
        time = (raw >>> 1) ^ -(raw & 1)
        if (byte >= 0x80) {
          time = this.#rest64(at, raw)
          at = this.#end
        }
      }
      byte = bytes[at++]!
      raw = byte & 0x7f
      if (byte >= 0x80) {
        byte = bytes[at++]!
        raw |= (byte & 0x7f) << 7
        if (byte >= 0x80) {
          raw = this.#rest32(at, raw)
          at = this.#end
        }
      }
      const delta = (raw >>> 1) ^ -(raw & 1)
      byte = bytes[at++]!
      raw = byte & 0x7f
      if (byte >= 0x80) {
        byte = bytes[at++]!
        raw |= (byte & 0x7f) << 7
        if (byte >= 0x80) {
          raw = this.#rest32(at, raw)
          at = this.#end
        }
      }
      const keyLength = (raw >>> 1) ^ -(raw & 1)
      if (keyLength < -1 || keyLength > recordEnd - at) return `record ${index} has no such key`
      const key = at
      if (keyLength > 0) at += keyLength
      const keyStop = at
      byte = bytes[at++]!
      raw = byte & 0x7f
      if (byte >= 0x80) {
        byte = bytes[at++]!
        raw |= (byte & 0x7f) << 7
        if (byte >= 0x80) {
          raw = this.#rest32(at, raw)
          at = this.#end
        }
      }
      const valueLength = (raw >>> 1) ^ -(raw & 1)
      if (valueLength < -1 || valueLength > recordEnd - at) {
        return `record ${index} has no such value`
      }
      const value = at
      if (valueLength > 0) at += valueLength
      const valueStop = at
      byte = bytes[at++]!
      raw = byte & 0x7f
      if (byte >= 0x80) {
        byte = bytes[at++]!
        raw |= (byte & 0x7f) << 7
        if (byte >= 0x80) {
          raw = this.#rest32(at, raw)
          at = this.#end
        }
      }
      const headers = (raw >>> 1) ^ -(raw & 1)
      // A header has two bytes at least.
      const least = at + headers * 2
      if (headers < 0 || (headers === 0 ? at !== recordEnd : least > recordEnd)) {
        return `record ${index} has no such headers`
      }
      const offset = baseOffset + delta
      if (delta <= before || offset > lastOffset || Number.isNaN(time)) {
        return `record ${index} has a place or time that no record can have there`
      }
      before = delta
      if (offset >= from) {
        offsets[row] = offset
        timestamps[row] = appendTimestamp ?? baseTimestamp + time
        keyStart[row] = keyLength < 0 ? -1 : key
        keyEnd[row] = keyLength < 0 ? -1 : keyStop
        valueStart[row] = valueLength < 0 ? -1 : value
        valueEnd[row] = valueLength < 0 ? -1 : valueStop
        headersStart[row] = at
        headersEnd[row] = recordEnd
        headerCount[row] = headers
        row += 1
      }
      at = recordEnd
    }
    if (at !== end) return `${end - at} bytes are left behind its last record`
    this.count = row
    return null
  }

  /** A varint from its third byte on; one of more than five gives what no check accepts. */
  #rest32(start: number, begun: number): number {
    let raw = begun
    for (let index = 2; index < 5; index++) {
      const byte = this.bytes[start + index - 2] ?? 0
      raw |= (byte & 0x7f) << (index * 7)
      if (byte < 0x80) {
        this.#end = start + index - 1
        return raw
      }
    }
    this.#end = start
    return -1
  }

  /** The same of up to ten bytes, its zigzag undone, as the nearest double; NaN: more bytes. */
  #rest64(start: number, begun: number): number {
    let low = begun
    let high = 0
    for (let index = 2; index < 10; index++) {
      const byte = this.bytes[start + index - 2] ?? 0
      if (index < 4) low |= (byte & 0x7f) << (index * 7)
      else high += (byte & 0x7f) * 2 ** ((index - 4) * 7)
      if (byte < 0x80) {
        this.#end = start + index - 1
        // (n >>> 1) ^ -(n & 1) of n = high * 2^28 + low
        const half = high * 2 ** 27 + (low >>> 1)
        return (low & 1) === 0 ? half : -half - 1
      }
    }
    this.#end = start
    return Number.NaN
  }

  #reserve(count: number): void {
    if (count <= this.offsets.length) return
    const capacity = 2 ** Math.ceil(Math.log2(count))
    this.offsets = new Float64Array(capacity)
    this.timestamps = new Float64Array(capacity)
    this.keyStart = new Int32Array(capacity)
    this.keyEnd = new Int32Array(capacity)
    this.valueStart = new Int32Array(capacity)
    this.valueEnd = new Int32Array(capacity)
    this.headersStart = new Int32Array(capacity)
    this.headersEnd = new Int32Array(capacity)
    this.headerCount = new Int32Array(capacity)
  }
}
