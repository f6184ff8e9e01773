// The record batches that one fetch brought of one partition, decoded one by one. Only committed
// records come out, from the wanted offset on; control batches, aborted transactions and what
// compaction left empty only move the place. A batch is believed once its CRC-32C is verified.

import { crc32c } from '@node-rs/crc32'
import type { RecordSet } from '../records.ts'
import type { AbortedFilter } from './aborted.ts'
import {
  APPEND_TIME,
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  CODEC_MASK,
  CONTROL,
  COUNT_AT,
  CRC_AT,
  LAST_OFFSET_DELTA_AT,
  LEADER_EPOCH_AT,
  LENGTH_AT,
  LENGTH_END,
  MAGIC,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PRODUCER_ID_AT,
  RECORDS_AT,
  TRANSACTIONAL,
} from './batch-header.ts'
import { type BatchPlace, damaged, unreadable } from './damage.ts'
import { type Codec, CODECS, decompress } from './decompress.ts'
import { int16At, int32At, int64At, uint32At } from './integers.ts'
import type { RecordWalk } from './record-walk.ts'

/** In the key of a control record, behind its version. */
const CONTROL_TYPE_AT = 2
const ABORT = 0

export interface FetchedBytes {
  readonly topic: string
  readonly partition: number
  /** Of the record that was asked for. */
  readonly offset: number
  /** The answer's records; the last batch may be cut off. */
  readonly bytes: Buffer
  /** `null`: records of open and aborted transactions are wanted, too. */
  readonly aborted: AbortedFilter | null
}

export class FetchedBatches {
  readonly topic: string
  readonly partition: number
  nextOffset: number
  /** Of the last batch passed; -1: none was. */
  leaderEpoch = -1
  readonly #bytes: Buffer
  readonly #aborted: AbortedFilter | null
  /** Shared by all deliveries of a reader: one set is valid at a time. */
  readonly #walk: RecordWalk
  #at = 0
  /** Behind the last batch, wanted or not. */
  #end = 0

  constructor(fetched: FetchedBytes, walk: RecordWalk) {
    this.topic = fetched.topic
    this.partition = fetched.partition
    this.nextOffset = fetched.offset
    this.#bytes = fetched.bytes
    this.#aborted = fetched.aborted
    this.#walk = walk
  }

  /** @returns the next batch that has records for the caller; `null`: no whole batch is left */
  next(): RecordSet | null {
    for (;;) {
      const start = this.#at
      const end = this.#endOf(start)
      if (end === null) return null
      const base = int64At(this.#bytes, start)
      const last = base + int32At(this.#bytes, start + LAST_OFFSET_DELTA_AT)
      this.#verify(start, end, base, last)
      // A broker may begin its answer before the place that it was asked for.
      const wanted = last >= this.nextOffset
      const found = wanted && this.#read(start, end, base, last)
      this.#at = end
      if (!wanted) continue
      this.nextOffset = last + 1
      this.leaderEpoch = int32At(this.#bytes, start + LEADER_EPOCH_AT)
      if (found) return this.#walk
    }
  }

  /** @returns where the batch ends; `null`: it was cut off, as the last of an answer may be */
  #endOf(start: number): number | null {
    if (start + LENGTH_END > this.#bytes.length) return null
    const end = start + LENGTH_END + int32At(this.#bytes, start + LENGTH_AT)
    if (start + MAGIC_AT < this.#bytes.length) this.#checkMagic(start)
    if (end < start + RECORDS_AT) throw damaged(this.#place(start), 'it is shorter than its head')
    return end > this.#bytes.length ? null : end
  }

  #checkMagic(start: number): void {
    const magic = this.#bytes[start + MAGIC_AT]
    if (magic === MAGIC) return
    const place = this.#place(start)
    if (magic === undefined || magic > 2) throw damaged(place, `it has the magic byte ${magic}`)
    throw unreadable(
      place,
      `it is in message format v${magic}, which Kafka wrote before 0.11`,
      'Copy the topic with a current client, or start behind the old records.',
    )
  }

  #verify(start: number, end: number, base: number, last: number): void {
    const sum = crc32c(this.#bytes.subarray(start + ATTRIBUTES_AT, end))
    if (sum !== uint32At(this.#bytes, start + CRC_AT)) {
      throw damaged(this.#place(start), 'its CRC does not match its bytes')
    }
    // The CRC does not cover the first offset.
    if (base < this.#end || last < base || !Number.isSafeInteger(last)) {
      throw damaged(this.#place(start), `offsets ${base} to ${last} cannot follow ${this.#end - 1}`)
    }
    this.#end = last + 1
  }

  /** @returns true when the walk holds records for the caller */
  #read(start: number, end: number, base: number, last: number): boolean {
    const bytes = this.#bytes
    const attributes = int16At(bytes, start + ATTRIBUTES_AT)
    const producer = int64At(bytes, start + PRODUCER_ID_AT)
    const count = int32At(bytes, start + COUNT_AT)
    if ((attributes & CONTROL) !== 0) {
      if (count > 0) this.#control(start, end, base, last, producer)
      return false
    }
    const transactional = (attributes & TRANSACTIONAL) !== 0
    if (transactional && this.#aborted?.isAborted(producer, base) === true) return false
    // Compaction leaves a producer's last batch in place without its records.
    if (count === 0) return false
    this.#fill(start, end, base, last)
    return this.#walk.count > 0
  }

  #control(start: number, end: number, base: number, last: number, producer: number): void {
    this.#fill(start, end, base, last)
    const { bytes, keyStart, keyEnd, count } = this.#walk
    if (count === 0) return
    const key = keyStart[0]!
    if (key < 0 || keyEnd[0]! - key < 4) throw damaged(this.#place(start), 'its marker has no type')
    if (int16At(bytes, key + CONTROL_TYPE_AT) === ABORT) this.#aborted?.ended(producer, base)
  }

  #fill(start: number, end: number, base: number, last: number): void {
    const bytes = this.#bytes
    const attributes = int16At(bytes, start + ATTRIBUTES_AT)
    const appended = (attributes & APPEND_TIME) !== 0
    const head = {
      topic: this.topic,
      partition: this.partition,
      baseOffset: base,
      lastOffset: last,
      baseTimestamp: int64At(bytes, start + BASE_TIMESTAMP_AT),
      appendTimestamp: appended ? int64At(bytes, start + MAX_TIMESTAMP_AT) : null,
      count: int32At(bytes, start + COUNT_AT),
    }
    const codec = CODECS[attributes & CODEC_MASK]
    if (codec === undefined) {
      const what = `it has the compression codec ${attributes & CODEC_MASK}`
      throw unreadable(this.#place(start), what, 'Upgrade Millrace.')
    }
    const from = this.nextOffset
    let wrong: string | null
    if (codec === 'none') wrong = this.#walk.walk(bytes, start + RECORDS_AT, end, head, from)
    else {
      const plain = this.#inflated(codec, start, end)
      wrong = this.#walk.walk(plain, 0, plain.length, head, from)
    }
    if (wrong !== null) throw damaged(this.#place(start), wrong)
  }

  #inflated(codec: Exclude<Codec, 'none'>, start: number, end: number): Buffer {
    const packed = this.#bytes.subarray(start + RECORDS_AT, end)
    if (packed.length === 0) throw damaged(this.#place(start), 'it has records and no bytes')
    try {
      return decompress(codec, packed)
    } catch (cause) {
      throw damaged(this.#place(start), `its records cannot be decompressed by ${codec}`, cause)
    }
  }

  #place(start: number): BatchPlace {
    const offset = int64At(this.#bytes, start)
    return { topic: this.topic, partition: this.partition, offset }
  }
}
