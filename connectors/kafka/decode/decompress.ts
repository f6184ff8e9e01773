// The records of a compressed batch, by the codecs that Kafka has. gzip and zstd are Node's own;
// LZ4 frames and Snappy blocks come from WebAssembly. That one ends in a trap at what is no such
// block, and keeps the memory that it took for it: what plainly is none is not given to it.

import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { lz4Decompress, snappyDecompress } from '@platformatic/wasm-utils'
import { int32At } from './integers.ts'

/** By the codec's number in a batch's attributes. */
export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export type Codec = (typeof CODECS)[number]

/** What a batch of a broker can hold at most is far below; what inflates beyond is an attack. */
const INFLATED_BYTES_MAX = 1 << 29

const LZ4_MAGIC = 0x0422_4d18

// Java's Snappy streams: a head of 16 bytes, then blocks, each behind its length. Other clients
// send one bare block.
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEAD_BYTES = 16

/**
 * @param bytes  not empty
 * @returns a buffer of its own
 * @throws Error of any class when the bytes are not what the codec writes
 */
export function decompress(codec: Exclude<Codec, 'none'>, bytes: Buffer): Buffer {
  switch (codec) {
    case 'gzip':
      return gunzipSync(bytes, { maxOutputLength: INFLATED_BYTES_MAX })
    case 'zstd':
      return zstdDecompressSync(bytes, { maxOutputLength: INFLATED_BYTES_MAX })
    case 'lz4':
      if (bytes.length < 7 || int32At(bytes, 0) !== LZ4_MAGIC) throw new Error('no LZ4 frame')
      return lz4Decompress(bytes)
    case 'snappy':
      return fromSnappy(bytes)
  }
}

function fromSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return fromBlock(bytes)
  const parts: Buffer[] = []
  let total = 0
  for (let at = XERIAL_HEAD_BYTES; at < bytes.length;) {
    const start = at + 4
    const end = start + (start <= bytes.length ? int32At(bytes, at) : 0)
    if (end <= start || end > bytes.length) throw new Error('a Snappy block does not end')
    const part = fromBlock(bytes.subarray(start, end))
    total += part.length
    if (total > INFLATED_BYTES_MAX) throw new Error('the Snappy blocks inflate beyond reason')
    parts.push(part)
    at = end
  }
  return parts.length === 1 ? (parts[0] ?? bytes) : Buffer.concat(parts, total)
}

function fromBlock(block: Buffer): Buffer {
  const size = inflatedSize(block)
  if (size > INFLATED_BYTES_MAX) throw new Error('a Snappy block inflates beyond reason')
  const inflated = snappyDecompress(block)
  if (inflated.length !== size) throw new Error('a Snappy block has another size than it says')
  return inflated
}

/** A block begins with the size of what it holds, as a varint without zigzag. */
function inflatedSize(block: Buffer): number {
  let size = 0
  for (let index = 0; index < 5 && index < block.length; index++) {
    const byte = block[index]!
    size += (byte & 0x7f) * 2 ** (index * 7)
    if (byte < 0x80) return size
  }
  throw new Error('a Snappy block has no size')
}
