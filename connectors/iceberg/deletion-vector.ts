// The positions of a data file that are deleted, as a 64-bit roaring bitmap and as the blob
// `deletion-vector-v1`. Written positions are 32-bit (a data file has fewer rows than that); what
// others wrote is read in full.
//
//   u32 BE length of what follows but the checksum | D1 D3 39 64 | bitmap | u32 BE crc32 of both
//   bitmap: u64 LE count, then by upper half, ascending: u32 LE key, portable 32-bit bitmap
//
// Source: Apache Iceberg Puffin specification, "deletion-vector-v1"; RoaringFormatSpec, "Extension
// for 64-bit Implementations".

import { crc32 } from 'node:zlib'
import { RoaringBitmap32 } from 'roaring-wasm'
import { PipelineError } from '../../runtime/base/errors.ts'

const MAGIC = 0x6439d3d1
const BLOB_OVERHEAD = 12
/** Iceberg counts positions by signed integers: an upper half of 2^31 - 1 or more is an error. */
const KEY_MAX = 0x7fff_fffe

/** A set of positions; `dispose` it, since its memory is not the garbage collector's. */
export class PositionSet {
  /** By upper 32 bits, ascending. */
  readonly #parts: { readonly key: number; readonly bitmap: RoaringBitmap32 }[] = []

  /** Takes over `bitmap`, which holds positions below 2^32. */
  static of(bitmap: RoaringBitmap32): PositionSet {
    const set = new PositionSet()
    set.#parts.push({ key: 0, bitmap })
    return set
  }

  get cardinality(): number {
    let count = 0
    for (const { bitmap } of this.#parts) count += bitmap.size
    return count
  }

  has(position: number): boolean {
    const key = Math.floor(position / 2 ** 32)
    const part = this.#parts.find((candidate) => candidate.key === key)
    return part !== undefined && part.bitmap.has(position % 2 ** 32)
  }

  /** Largest position; -1 when empty. */
  get last(): number {
    const part = this.#parts.findLast(({ bitmap }) => !bitmap.isEmpty)
    return part === undefined ? -1 : part.key * 2 ** 32 + part.bitmap.maximum()
  }

  /** All positions, ascending; for sets that fit an array. */
  positions(): number[] {
    return this.#parts.flatMap(({ key, bitmap }) =>
      bitmap.toArray().map((low) => key * 2 ** 32 + low),
    )
  }

  /** Adds positions below 2^32. */
  unite(bitmap: RoaringBitmap32): void {
    const part = this.#parts[0]
    if (part?.key === 0) part.bitmap.orInPlace(bitmap)
    else this.#parts.unshift({ key: 0, bitmap: bitmap.clone() })
  }

  /** The positions below 2^32, still owned by this set; `null`: none. Kernels test these. */
  get low(): RoaringBitmap32 | null {
    const part = this.#parts[0]
    return part?.key === 0 ? part.bitmap : null
  }

  dispose(): void {
    for (const { bitmap } of this.#parts) bitmap.dispose()
  }

  /** @returns the blob of a Puffin file */
  encode(): Buffer {
    const filled = this.#parts.filter(({ bitmap }) => !bitmap.isEmpty)
    const count = Buffer.alloc(8)
    count.writeBigUInt64LE(BigInt(filled.length))
    const bitmaps: Buffer[] = [count]
    for (const { key, bitmap } of filled) {
      // Run containers are what keeps a fully deleted row group at a few bytes.
      bitmap.runOptimize()
      const head = Buffer.alloc(4)
      head.writeUInt32LE(key)
      bitmaps.push(head, Buffer.from(bitmap.serialize('portable')))
    }
    const magic = Buffer.alloc(4)
    magic.writeUInt32LE(MAGIC)
    const body = Buffer.concat([magic, ...bitmaps])
    const blob = Buffer.alloc(body.length + 8)
    blob.writeUInt32BE(body.length, 0)
    body.copy(blob, 4)
    blob.writeUInt32BE(crc32(body), body.length + 4)
    return blob
  }

  /**
   * @param blob  exactly the blob
   * @param of  the data file, for messages
   * @throws PipelineError LAKE_FORMAT
   */
  static decode(blob: Uint8Array, of: string): PositionSet {
    const buffer = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
    if (buffer.length < BLOB_OVERHEAD) damaged(of, 'it is cut off')
    const bodyBytes = buffer.readUInt32BE(0)
    if (bodyBytes + 8 !== buffer.length) damaged(of, 'its length is wrong')
    const body = buffer.subarray(4, 4 + bodyBytes)
    if (body.readUInt32LE(0) !== MAGIC) damaged(of, 'its magic is wrong')
    if (crc32(body) !== buffer.readUInt32BE(4 + bodyBytes)) damaged(of, 'its checksum is wrong')
    return PositionSet.#fromBitmap(body.subarray(4), of)
  }

  static #fromBitmap(buffer: Buffer, of: string): PositionSet {
    if (buffer.length < 8) damaged(of, 'it is cut off')
    const set = new PositionSet()
    const count = buffer.readBigUInt64LE(0)
    let at = 8
    for (let index = 0n; index < count; index++) {
      if (at + 4 > buffer.length) damaged(of, 'it is cut off')
      const key = buffer.readUInt32LE(at)
      const before = set.#parts.at(-1)?.key ?? -1
      if (key > KEY_MAX || key <= before) damaged(of, `its upper half ${key} is out of order`)
      const bitmap = readBitmap(buffer.subarray(at + 4), of)
      set.#parts.push({ key, bitmap })
      at += 4 + bitmap.getSerializationSizeInBytes('portable')
    }
    if (at !== buffer.length) damaged(of, 'bytes follow its bitmaps')
    return set
  }
}

function readBitmap(bytes: Uint8Array, of: string): RoaringBitmap32 {
  try {
    return RoaringBitmap32.deserialize('portable', bytes)
  } catch (error) {
    return damaged(of, error instanceof Error ? error.message : 'its bitmap is damaged')
  }
}

function damaged(of: string, what: string): never {
  throw new PipelineError('LAKE_FORMAT', `the deletion vector of ${of} cannot be read: ${what}`)
}
