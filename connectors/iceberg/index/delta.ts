// What one writer put into its index in one epoch, for all tables: one object. A restart replays
// the deltas over the runs, so a delta lives until all its entries are in runs.
//
//   delta = 'MRX1' chunk*
//   chunk = u32 kind | u32 name bytes | u32 hash words | u32 payload bytes | u32 0 |
//           u32 crc32 of what precedes, name and payload | name padded to 4 | payload
//   kind 1: entries, oldest first · kind 2: reset, payload = u32 first segment, u32 end segment
//
// A reset names the segments it voids: after rescaling, the deltas of two writers are replayed one
// after the other, and the reset of one must not void what the other wrote behind its own.

import { crc32 } from 'node:zlib'
import type { HashWords } from '../../../runtime/data/key-hash.ts'
import type { ObjectStore, ObjectWriter } from '../../../runtime/object-store.ts'
import { bytesOf } from './run.ts'
import { damaged } from './state-files.ts'

export const ChunkKind = { entries: 1, reset: 2 } as const
export type ChunkKind = (typeof ChunkKind)[keyof typeof ChunkKind]

export interface DeltaChunk {
  readonly kind: ChunkKind
  readonly table: string
  readonly words: HashWords
  /** Entries, or the first and the end segment of a reset. */
  readonly payload: Int32Array
}

const MAGIC = 0x3158524d
const HEADER_BYTES = 24
/** Beyond this, chunks go to the object while the epoch is still open. */
const BUFFERED_BYTES_MAX = 2 * 1024 * 1024
const BUFFER_BYTES_AT_START = 4 * 1024
const MAGIC_BYTES = 4

/** Collects the chunks of one epoch. */
export class DeltaWriter {
  readonly path: string
  /** Tables with a chunk. */
  readonly tables = new Set<string>()
  bytes = 0
  private readonly store: ObjectStore
  private writer: ObjectWriter | null = null
  /** The same memory after each `spill`. */
  private buffer = Buffer.alloc(BUFFER_BYTES_AT_START)
  private buffered = MAGIC_BYTES

  constructor(store: ObjectStore, path: string) {
    this.store = store
    this.path = path
    this.buffer.writeUInt32LE(MAGIC, 0)
  }

  entries(table: string, words: HashWords, entries: Int32Array): void {
    this.add(ChunkKind.entries, table, words, entries)
  }

  reset(table: string, words: HashWords, start: number, end: number): void {
    this.add(ChunkKind.reset, table, words, Int32Array.of(start, end))
  }

  private add(kind: ChunkKind, table: string, words: HashWords, payload: Int32Array): void {
    const name = Buffer.from(table, 'utf8')
    const padded = (name.length + 3) & ~3
    const chunk = this.room(HEADER_BYTES + padded + payload.byteLength)
    chunk.fill(0, 0, HEADER_BYTES + padded)
    chunk.writeUInt32LE(kind, 0)
    chunk.writeUInt32LE(name.length, 4)
    chunk.writeUInt32LE(words, 8)
    chunk.writeUInt32LE(payload.byteLength, 12)
    name.copy(chunk, HEADER_BYTES)
    chunk.set(bytesOf(payload), HEADER_BYTES + padded)
    chunk.writeUInt32LE(checksum(chunk, 0, chunk.length), 20)
    this.tables.add(table)
    this.bytes += chunk.length
  }

  /** @returns the next `bytes` bytes of the buffer, with anything in them */
  private room(bytes: number): Buffer {
    const start = this.buffered
    const end = start + bytes
    if (end > this.buffer.length) {
      const larger = Buffer.alloc(Math.max(end, this.buffer.length * 2))
      this.buffer.copy(larger, 0, 0, start)
      this.buffer = larger
    }
    this.buffered = end
    return this.buffer.subarray(start, end)
  }

  /** True when `spill` should be called. */
  get heavy(): boolean {
    return this.buffered > BUFFERED_BYTES_MAX
  }

  /** Writes what is buffered; nothing may be added meanwhile. */
  async spill(): Promise<void> {
    const bytes = this.buffer.subarray(0, this.buffered)
    this.writer ??= await this.store.create(this.path)
    await this.writer.write(bytes)
    this.buffered = 0
  }

  /** @returns false when nothing was recorded: there is no object then */
  async finish(): Promise<boolean> {
    if (this.bytes === 0) return false
    if (this.buffered > 0) await this.spill()
    await this.writer?.finish()
    this.writer = null
    return true
  }

  async abort(): Promise<void> {
    const { writer } = this
    this.writer = null
    await writer?.abort()
  }
}

function checksum(bytes: Buffer, start: number, end: number): number {
  return crc32(bytes.subarray(start + HEADER_BYTES, end), crc32(bytes.subarray(start, start + 20)))
}

/**
 * Calls `visit` with each chunk, oldest first; payloads are copies.
 *
 * @throws PipelineError CHECKPOINT_CORRUPT
 */
export function readDelta(
  path: string,
  bytes: Uint8Array,
  visit: (chunk: DeltaChunk) => void,
): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length < 4 || buffer.readUInt32LE(0) !== MAGIC) throw damaged(path, 'its header')
  for (let at = 4; at < buffer.length;) {
    if (at + HEADER_BYTES > buffer.length) throw damaged(path, `the chunk at ${at}`)
    const nameBytes = buffer.readUInt32LE(at + 4)
    const nameEnd = at + HEADER_BYTES + ((nameBytes + 3) & ~3)
    const end = nameEnd + buffer.readUInt32LE(at + 12)
    if (end > buffer.length || checksum(buffer, at, end) !== buffer.readUInt32LE(at + 20)) {
      throw damaged(path, `the chunk at ${at}`)
    }
    const payload = new Int32Array((end - nameEnd) >> 2)
    bytesOf(payload).set(buffer.subarray(nameEnd, end))
    visit({
      kind: buffer.readUInt32LE(at) as ChunkKind,
      table: buffer.toString('utf8', at + HEADER_BYTES, at + HEADER_BYTES + nameBytes),
      words: buffer.readUInt32LE(at + 8) as HashWords,
      payload,
    })
    at = end
  }
}
