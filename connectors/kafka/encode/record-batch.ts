// Records of one partition as they grow into a record batch (magic 2): bytes are copied once, from
// where a key and a value were encoded into the batch, and nothing is made per record.
//
// Source: https://kafka.apache.org/43/implementation/message-format/
//   base_offset i64 | length i32 | leader_epoch i32 | magic i8 | crc u32 (of what follows) |
//   attributes i16 | last_offset_delta i32 | base_timestamp i64 | max_timestamp i64 |
//   producer_id i64 | producer_epoch i16 | base_sequence i32 | count i32 | records
//   record: length varint | attributes i8 | timestamp_delta varint | offset_delta varint |
//     key_length varint | key | value_length varint | value | header_count varint | headers
// Varints of records are zigzag; a length of -1 is null.

import { crc32c } from '@node-rs/crc32'
import type { Codec } from '../decode/decompress.ts'
import { codecNumber, compress } from './compress.ts'

export const BATCH_HEAD_BYTES = 61
/** Where the bytes begin that the checksum covers. */
const CHECKED_FROM = 21
const MAGIC = 2
const TRANSACTIONAL = 0x10
/** Lengths, deltas and counts of one record at most: six varints and a byte. */
const RECORD_FRAME_BYTES_MAX = 31
const BYTES_AT_START = 4096

/** Who writes a batch, so that the broker takes it once. */
export interface BatchProducer {
  readonly id: bigint
  readonly epoch: number
  /** Of the batch's first record, in its partition. */
  readonly sequence: number
  readonly transactional: boolean
}

/** A place in memory; `start === -1`: null. */
export interface Bytes {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

export const NULL_BYTES: Bytes = { bytes: new Uint8Array(0), start: -1, end: -1 }

export function bytesOf(text: string): Bytes {
  const bytes = Buffer.from(text)
  return { bytes, start: 0, end: bytes.length }
}

export interface RecordHeader {
  readonly name: string
  readonly value: string
}

/** @returns headers as records hold them: one encoding for all records that have them */
export function encodeHeaders(headers: readonly RecordHeader[]): Uint8Array {
  const parts = headers.flatMap(({ name, value }) => [Buffer.from(name), Buffer.from(value)])
  const size = parts.reduce((sum, { length }) => sum + 5 + length, 5)
  const bytes = new Uint8Array(size)
  let at = putVarint(bytes, 0, headers.length)
  for (const part of parts) {
    at = putVarint(bytes, at, part.length)
    bytes.set(part, at)
    at += part.length
  }
  return bytes.slice(0, at)
}

export class RecordBatchBuilder {
  #bytes = new Uint8Array(BYTES_AT_START)
  #at = BATCH_HEAD_BYTES
  #count = 0

  /** Records that it holds. */
  get count(): number {
    return this.#count
  }

  /** Bytes of them, uncompressed, head included. */
  get size(): number {
    return this.#at
  }

  /** Keeps nothing of what it is given. All records have the batch's timestamp. */
  append(key: Bytes, value: Bytes, headers: Uint8Array): void {
    const keyLength = key.start < 0 ? -1 : key.end - key.start
    const valueLength = value.start < 0 ? -1 : value.end - value.start
    const body =
      2 +
      varintSize(this.#count) +
      varintSize(keyLength) +
      Math.max(0, keyLength) +
      varintSize(valueLength) +
      Math.max(0, valueLength) +
      headers.length
    this.#reserve(body + RECORD_FRAME_BYTES_MAX)
    const bytes = this.#bytes
    let at = putVarint(bytes, this.#at, body)
    bytes[at++] = 0
    bytes[at++] = 0
    at = putVarint(bytes, at, this.#count)
    at = putBytes(bytes, putVarint(bytes, at, keyLength), key)
    at = putBytes(bytes, putVarint(bytes, at, valueLength), value)
    bytes.set(headers, at)
    this.#at = at + headers.length
    this.#count++
  }

  /**
   * Ends the batch and begins the next.
   *
   * @param timestampMs  of every record
   * @returns a buffer of its own
   */
  seal(codec: Codec, timestampMs: number, producer: BatchProducer): Buffer {
    const plain = Buffer.from(this.#bytes.buffer, BATCH_HEAD_BYTES, this.#at - BATCH_HEAD_BYTES)
    const records = compress(codec, plain)
    const batch = Buffer.allocUnsafe(BATCH_HEAD_BYTES + records.length)
    batch.set(records, BATCH_HEAD_BYTES)
    batch.writeBigInt64BE(0n, 0)
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt32BE(-1, 12)
    batch.writeInt8(MAGIC, 16)
    const kind = codecNumber(codec) | (producer.transactional ? TRANSACTIONAL : 0)
    batch.writeInt16BE(kind, 21)
    batch.writeInt32BE(this.#count - 1, 23)
    batch.writeBigInt64BE(BigInt(timestampMs), 27)
    batch.writeBigInt64BE(BigInt(timestampMs), 35)
    batch.writeBigInt64BE(producer.id, 43)
    batch.writeInt16BE(producer.epoch, 51)
    batch.writeInt32BE(producer.sequence, 53)
    batch.writeInt32BE(this.#count, 57)
    batch.writeUInt32BE(crc32c(batch.subarray(CHECKED_FROM)), 17)
    this.#at = BATCH_HEAD_BYTES
    this.#count = 0
    return batch
  }

  #reserve(count: number): void {
    const needed = this.#at + count
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}

/** @returns the sequence behind `count` records: it begins anew behind 2^31 - 1 */
export function nextSequence(sequence: number, count: number): number {
  const next = sequence + count
  return next > 0x7fff_ffff ? next - 0x8000_0000 : next
}

function putBytes(target: Uint8Array, at: number, { bytes, start, end }: Bytes): number {
  if (start < 0) return at
  const length = end - start
  // Short ones, as keys are, are copied faster byte by byte than by a view.
  if (length < 32) for (let from = start; from < end; from++) target[at++] = bytes[from]!
  else {
    target.set(bytes.subarray(start, end), at)
    at += length
  }
  return at
}

/** @param value  within 31 bits */
function putVarint(target: Uint8Array, at: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  for (; rest > 0x7f; rest >>>= 7) target[at++] = (rest & 0x7f) | 0x80
  target[at++] = rest
  return at
}

function varintSize(value: number): number {
  const rest = ((value << 1) ^ (value >> 31)) >>> 0
  if (rest < 0x80) return 1
  if (rest < 0x4000) return 2
  if (rest < 0x20_0000) return 3
  return rest < 0x1000_0000 ? 4 : 5
}
