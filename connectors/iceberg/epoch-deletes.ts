// The rows that one writer deletes in one epoch, for all its tables: one object of the state store
// beside the checkpoint. Only the committer unites them, with each other and with what is deleted.
//
//   'MRD1' | u32 directory bytes | u32 crc32(directory) | directory | section by table
//   directory: u32 tables, then per table: u32 name bytes, name, u32 offset, u32 bytes, u32 crc32
//   section:   u32 files, then per file: u32 file id, u32 kind, u32 bytes; then the payloads
//   kind 0: u32 positions, ascending · kind 1: a portable 32-bit roaring bitmap
//
// Integers are little-endian, offsets count from the first section. Each section has a checksum of
// its own, so reading one table of 8,000 does not read the other 7,999.

import { crc32 } from 'node:zlib'
import { RoaringBitmap32 } from 'roaring-wasm'
import { assert } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'

/** Positions of one data file: ascending and distinct, or a portable 32-bit roaring bitmap. */
export type DeletedPositions = Uint32Array | Uint8Array

/** Deleted positions by file id, of one table. */
export type TableDeletes = ReadonlyMap<number, DeletedPositions>

const MAGIC = 0x3144524d
const HEADER_BYTES = 12
const KIND_POSITIONS = 0
const KIND_ROARING = 1

/**
 * @param tables  by table key; tables without positions may be left out
 * @returns bytes for `readEpochDeletes`; copies, so the caller keeps its arrays
 */
export function encodeEpochDeletes(tables: ReadonlyMap<string, TableDeletes>): Uint8Array {
  const names: Buffer[] = []
  const sections: Buffer[] = []
  let directoryBytes = 4
  let sectionBytes = 0
  for (const [table, files] of tables) {
    const name = Buffer.from(table, 'utf8')
    const section = encodeSection(files)
    names.push(name)
    sections.push(section)
    directoryBytes += 16 + name.length
    sectionBytes += section.length
  }
  assert(sectionBytes < 0xffff_ffff, 'the deletes of one epoch and writer fit 4 GiB')

  const directory = Buffer.alloc(directoryBytes)
  let at = directory.writeUInt32LE(names.length, 0)
  let offset = 0
  for (const [index, name] of names.entries()) {
    const section = sections[index] as Buffer
    at = directory.writeUInt32LE(name.length, at)
    at += name.copy(directory, at)
    at = directory.writeUInt32LE(offset, at)
    at = directory.writeUInt32LE(section.length, at)
    at = directory.writeUInt32LE(crc32(section), at)
    offset += section.length
  }
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(MAGIC, 0)
  header.writeUInt32LE(directoryBytes, 4)
  header.writeUInt32LE(crc32(directory), 8)
  return Buffer.concat([header, directory, ...sections])
}

function encodeSection(files: TableDeletes): Buffer {
  const headings = Buffer.alloc(4 + 12 * files.size)
  const payloads: Buffer[] = [headings]
  let at = headings.writeUInt32LE(files.size, 0)
  for (const [fileId, positions] of files) {
    const isBitmap = !(positions instanceof Uint32Array)
    assert(isBitmap || isAscending(positions), 'deleted positions are ascending and distinct')
    const payload = Buffer.from(positions.buffer, positions.byteOffset, positions.byteLength)
    at = headings.writeUInt32LE(fileId, at)
    at = headings.writeUInt32LE(isBitmap ? KIND_ROARING : KIND_POSITIONS, at)
    at = headings.writeUInt32LE(payload.length, at)
    payloads.push(payload)
  }
  return Buffer.concat(payloads)
}

function isAscending(positions: Uint32Array): boolean {
  for (let index = 1; index < positions.length; index++) {
    if ((positions[index] as number) <= (positions[index - 1] as number)) return false
  }
  return true
}

interface Section {
  readonly start: number
  readonly end: number
  readonly crc: number
}

/** The deletes of one object; the directory is read once, sections on demand. */
export class EpochDeletes {
  readonly #bytes: Buffer
  readonly #sections = new Map<string, Section>()

  /** @throws PipelineError CHECKPOINT_CORRUPT when the directory fails its checksum */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const buffer = this.#bytes
    if (buffer.length < HEADER_BYTES + 4 || buffer.readUInt32LE(0) !== MAGIC) corrupt('header')
    const base = HEADER_BYTES + buffer.readUInt32LE(4)
    if (base > buffer.length) corrupt('directory')
    const directory = buffer.subarray(HEADER_BYTES, base)
    if (crc32(directory) !== buffer.readUInt32LE(8)) corrupt('directory')
    const count = directory.readUInt32LE(0)
    let at = 4
    for (let index = 0; index < count; index++) {
      const nameEnd = at + 4 + directory.readUInt32LE(at)
      const name = directory.toString('utf8', at + 4, nameEnd)
      const start = base + directory.readUInt32LE(nameEnd)
      const end = start + directory.readUInt32LE(nameEnd + 4)
      this.#sections.set(name, { start, end, crc: directory.readUInt32LE(nameEnd + 8) })
      at = nameEnd + 12
    }
  }

  tables(): readonly string[] {
    return [...this.#sections.keys()]
  }

  /**
   * @returns bitmaps by file id, the caller's to dispose; empty when the table has no deletes
   * @throws PipelineError CHECKPOINT_CORRUPT
   */
  read(table: string): Map<number, RoaringBitmap32> {
    const deletes = new Map<number, RoaringBitmap32>()
    const place = this.#sections.get(table)
    if (place === undefined) return deletes
    if (place.end > this.#bytes.length) corrupt(`part of table ${table}`)
    const section = this.#bytes.subarray(place.start, place.end)
    if (crc32(section) !== place.crc) corrupt(`part of table ${table}`)
    const count = section.readUInt32LE(0)
    let payload = 4 + 12 * count
    for (let at = 4; at < 4 + 12 * count; at += 12) {
      const bytes = section.readUInt32LE(at + 8)
      const positions = section.subarray(payload, payload + bytes)
      deletes.set(section.readUInt32LE(at), bitmapOf(section.readUInt32LE(at + 4), positions))
      payload += bytes
    }
    return deletes
  }
}

function bitmapOf(kind: number, payload: Uint8Array): RoaringBitmap32 {
  if (kind === KIND_ROARING) return RoaringBitmap32.deserialize('portable', payload)
  // Copied, because the payload need not lie on a multiple of four. `slice` would not do: on a
  // Buffer it is a view, and its `buffer` the whole object.
  return new RoaringBitmap32(new Uint32Array(new Uint8Array(payload).buffer))
}

/**
 * Reads the deletes of one table; for several tables of one object keep an `EpochDeletes`.
 *
 * @returns bitmaps by file id, the caller's to dispose; empty when the table has no deletes
 * @throws PipelineError CHECKPOINT_CORRUPT
 */
export function readEpochDeletes(bytes: Uint8Array, table: string): Map<number, RoaringBitmap32> {
  return new EpochDeletes(bytes).read(table)
}

function corrupt(part: string): never {
  throw new PipelineError('CHECKPOINT_CORRUPT', `the deletes of an epoch are damaged: ${part}`, {
    detail: 'An object of the state folder that a checkpoint names fails its checksum.',
  })
}
