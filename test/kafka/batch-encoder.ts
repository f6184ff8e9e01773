// Record batches written slowly and plainly, straight from the message format's description: the
// model of the tests. It writes what producers cannot be asked for: gaps of compaction, control
// batches, broker's timestamps, damage. https://kafka.apache.org/43/implementation/message-format/

import { gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import { crc32c } from '@platformatic/kafka'

export interface ModelHeader {
  readonly key: string
  readonly value: Buffer | null
}

export interface ModelRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly ModelHeader[]
}

export const CODECS = ['none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd'] as const
export type ModelCodec = (typeof CODECS)[number]

export interface ModelBatch {
  readonly base: number
  readonly last: number
  readonly leaderEpoch: number
  readonly codec: ModelCodec
  readonly appendTime: boolean
  readonly transactional: boolean
  readonly control: boolean
  /** -1: none. */
  readonly producer: number
  readonly records: readonly ModelRecord[]
}

export const PLAIN_BATCH: Omit<ModelBatch, 'base' | 'last' | 'records'> = {
  leaderEpoch: 0,
  codec: 'none',
  appendTime: false,
  transactional: false,
  control: false,
  producer: -1,
}

export function encodeBatch(batch: ModelBatch): Buffer {
  const times = batch.records.map(({ timestamp }) => timestamp)
  const baseTime = times[0] ?? -1
  const body = Buffer.concat([
    int(16, attributesOf(batch)),
    int(32, batch.last - batch.base),
    int(64, baseTime),
    int(64, Math.max(-1, ...times)),
    int(64, batch.producer),
    int(16, batch.producer < 0 ? -1 : 0),
    int(32, -1),
    int(32, batch.records.length),
    pack(
      batch.codec,
      Buffer.concat(batch.records.map((one) => encodeRecord(one, batch, baseTime))),
    ),
  ])
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32c(body))
  const epoch = int(32, batch.leaderEpoch)
  const length = int(32, body.length + 9)
  return Buffer.concat([int(64, batch.base), length, epoch, int(8, 2), crc, body])
}

/** A marker: 0 aborts the producer's transaction, 1 commits it. */
export function encodeMarker(offset: number, producer: number, type: 0 | 1): Buffer {
  const key = Buffer.from([0, 0, 0, type])
  const value = Buffer.from([0, 0, 0, 0, 0, 0])
  const record = { offset, timestamp: 1_700_000_000_000, key, value, headers: [] }
  const kind = { transactional: true, control: true, producer }
  return encodeBatch({ ...PLAIN_BATCH, ...kind, base: offset, last: offset, records: [record] })
}

function attributesOf({ codec, appendTime, transactional, control }: ModelBatch): number {
  const number = { none: 0, gzip: 1, snappy: 2, xerial: 2, lz4: 3, zstd: 4 }[codec]
  return number + (appendTime ? 8 : 0) + (transactional ? 16 : 0) + (control ? 32 : 0)
}

function encodeRecord(record: ModelRecord, { base }: ModelBatch, baseTime: number): Buffer {
  const headers = record.headers.flatMap(({ key, value }) => [
    sized(Buffer.from(key)),
    sized(value),
  ])
  const body = Buffer.concat([
    int(8, 0),
    varint(BigInt(record.timestamp - baseTime)),
    varint(BigInt(record.offset - base)),
    sized(record.key),
    sized(record.value),
    varint(BigInt(record.headers.length)),
    ...headers,
  ])
  return Buffer.concat([varint(BigInt(body.length)), body])
}

function sized(bytes: Buffer | null): Buffer {
  if (bytes === null) return varint(-1n)
  return Buffer.concat([varint(BigInt(bytes.length)), bytes])
}

/** Zigzag, seven bits a byte, the lowest first. */
function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}

function int(bits: 8 | 16 | 32 | 64, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes.subarray(8 - bits / 8)
}

function pack(codec: ModelCodec, plain: Buffer): Buffer {
  // A compacted batch may have nothing left; what a broker then writes is nothing at all.
  if (plain.length === 0) return plain
  switch (codec) {
    case 'none':
      return plain
    case 'gzip':
      return gzipSync(plain)
    case 'zstd':
      return zstdCompressSync(plain)
    case 'lz4':
      return lz4Compress(plain)
    case 'snappy':
      return snappyCompress(plain)
    case 'xerial':
      return xerial(plain)
  }
}

/** As Java's SnappyOutputStream frames it, in blocks that are small here. */
function xerial(plain: Buffer): Buffer {
  const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  const blocks: Buffer[] = [head]
  for (let at = 0; at < plain.length; at += 300) {
    const block = snappyCompress(plain.subarray(at, at + 300))
    blocks.push(int(32, block.length), block)
  }
  return Buffer.concat(blocks)
}
