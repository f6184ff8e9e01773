// Events that are held back: those of a transaction that is prepared and not yet decided, and those
// that a later ROLLBACK [TO] may take back. Small spools stay in memory, larger ones go to a file
// that is never changed once it is sealed.
//
//   file   magic u32 | event | event | ...      event   length u32 | bytes

import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readSync } from 'node:fs'
import { rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../../runtime/base/assert.ts'
import { randomUuid } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'

const MAGIC = 0x6d78_6131
const LENGTH_BYTES = 4
/** Beyond it a spool lives in its file. */
const MEMORY_BYTES_MAX = 8 * 1024 * 1024
/** A sealed spool up to here lies in the checkpoint itself. */
const INLINE_BYTES_MAX = 64 * 1024
const READ_BYTES = 1024 * 1024
const SUFFIX = '.events'

/** Names sealed events in saved state: the bytes themselves, or a file of the spill folder. */
export type SealedEvents =
  | { readonly kind: 'inline'; readonly base64: string }
  | { readonly kind: 'file'; readonly name: string; readonly bytes: number }

export class EventSpool {
  private readonly folder: string
  private memory: Buffer = Buffer.allocUnsafe(4096)
  /** Bytes in `memory` that are not in the file. */
  private used = 0
  private file: { readonly name: string; readonly descriptor: number; bytes: number } | null = null

  constructor(folder: string) {
    this.folder = folder
  }

  /** Bytes of all events held; also a mark that `truncate` takes. */
  get bytes(): number {
    return this.used + (this.file?.bytes ?? 0)
  }

  /** Copies the event bytes[start, end) in. @throws PipelineError STORAGE_FAILED */
  append(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    const needed = this.used + LENGTH_BYTES + length
    if (needed > this.memory.length) this.grow(needed)
    this.memory.writeUInt32LE(length, this.used)
    this.memory.set(bytes.subarray(start, end), this.used + LENGTH_BYTES)
    this.used += LENGTH_BYTES + length
    if (this.used > MEMORY_BYTES_MAX) this.spill()
  }

  /** Forgets everything behind a mark that `bytes` gave. */
  truncate(mark: number): void {
    assert(mark <= this.bytes, 'a spool is cut at a mark of its own')
    const inFile = this.file?.bytes ?? 0
    if (mark >= inFile) {
      this.used = mark - inFile
      return
    }
    this.used = 0
    const { file } = this
    if (file === null) return
    storage('cut', () => ftruncateSync(file.descriptor, LENGTH_BYTES + mark))
    file.bytes = mark
  }

  /** The events in order, each in memory of its own buffer until the next is asked for. */
  *events(): Generator<Buffer> {
    const { file } = this
    if (file !== null) yield* eventsOfFile(this.folder, file.name, file.bytes)
    yield* eventsOfBytes(this.memory.subarray(0, this.used))
  }

  /** Makes the events durable. The spool must not be used afterwards. @returns what names them */
  seal(): SealedEvents {
    if (this.bytes <= INLINE_BYTES_MAX && this.file === null) {
      return { kind: 'inline', base64: this.memory.toString('base64', 0, this.used) }
    }
    this.spill()
    const file = this.file
    assert(file !== null, 'a large spool has a file')
    storage('sync', () => {
      fsyncSync(file.descriptor)
      closeSync(file.descriptor)
      syncFolder(this.folder)
    })
    this.file = null
    return { kind: 'file', name: file.name, bytes: file.bytes }
  }

  /** Throws the events away. */
  drop(): void {
    const { file } = this
    this.used = 0
    this.file = null
    if (file === null) return
    closeSync(file.descriptor)
    removeSealed(this.folder, file.name)
  }

  private grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.memory.length * 2))
    this.memory.copy(larger, 0, 0, this.used)
    this.memory = larger
  }

  private spill(): void {
    storage('write', () => {
      this.file ??= createFile(this.folder)
      const at = LENGTH_BYTES + this.file.bytes
      writeAll(this.file.descriptor, this.memory.subarray(0, this.used), at)
      this.file.bytes += this.used
    })
    this.used = 0
    // One large event must not keep its size for ever.
    if (this.memory.length > 2 * MEMORY_BYTES_MAX) this.memory = Buffer.allocUnsafe(4096)
  }
}

/** The events that a checkpoint names. @throws PipelineError CHECKPOINT_CORRUPT, STORAGE_FAILED */
export function* sealedEvents(folder: string, sealed: SealedEvents): Generator<Buffer> {
  if (sealed.kind === 'inline') yield* eventsOfBytes(Buffer.from(sealed.base64, 'base64'))
  else yield* eventsOfFile(folder, sealed.name, sealed.bytes)
}

/** Removes the file of sealed events; one that is not there is no error. */
export function removeSealed(folder: string, name: string): void {
  storage('remove', () => rmSync(join(folder, name), { force: true }))
}

/** Rows of the source lie in it. */
const PRIVATE_MODE = 0o600

function createFile(folder: string): { name: string; descriptor: number; bytes: number } {
  mkdirSync(folder, { recursive: true })
  const name = `${randomUuid()}${SUFFIX}`
  const descriptor = openSync(join(folder, name), 'wx', PRIVATE_MODE)
  const magic = Buffer.alloc(LENGTH_BYTES)
  magic.writeUInt32LE(MAGIC)
  writeAll(descriptor, magic, 0)
  return { name, descriptor, bytes: 0 }
}

function writeAll(descriptor: number, bytes: Uint8Array, at: number): void {
  let written = 0
  while (written < bytes.length) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, at + written)
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function* eventsOfBytes(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const length = at + LENGTH_BYTES <= bytes.length ? bytes.readUInt32LE(at) : Infinity
    const start = at + LENGTH_BYTES
    if (start + length > bytes.length) throw damaged('inlined')
    yield bytes.subarray(start, start + length)
    at = start + length
  }
}

function* eventsOfFile(folder: string, name: string, bytes: number): Generator<Buffer> {
  const descriptor = storage('open', () => openSync(join(folder, name), 'r'))
  try {
    const head = readAt(descriptor, 0, LENGTH_BYTES)
    if (head.length < LENGTH_BYTES || head.readUInt32LE() !== MAGIC) throw damaged(name)
    let buffer = Buffer.alloc(0)
    let read = 0
    let at = 0
    for (;;) {
      const left = buffer.length - at
      const length = left >= LENGTH_BYTES ? buffer.readUInt32LE(at) : -1
      if (length >= 0 && left >= LENGTH_BYTES + length) {
        yield buffer.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length)
        at += LENGTH_BYTES + length
        continue
      }
      if (read === bytes && left === 0) return
      const wanted = Math.min(Math.max(READ_BYTES, LENGTH_BYTES + length - left), bytes - read)
      const more = readAt(descriptor, LENGTH_BYTES + read, wanted)
      if (more.length === 0) throw damaged(name)
      buffer = Buffer.concat([buffer.subarray(at), more])
      at = 0
      read += more.length
    }
  } finally {
    closeSync(descriptor)
  }
}

function readAt(descriptor: number, at: number, length: number): Buffer {
  const buffer = Buffer.alloc(length)
  const count = storage('read', () => readSync(descriptor, buffer, 0, length, at))
  return buffer.subarray(0, count)
}

function damaged(name: string): PipelineError {
  return new PipelineError('CHECKPOINT_CORRUPT', `the held-back events ${name} are damaged`)
}

function storage<T>(verb: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof PipelineError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    const name = code === 'ENOSPC' || code === 'EDQUOT' ? 'STORAGE_FULL' : 'STORAGE_FAILED'
    throw new PipelineError(name, `cannot ${verb} held-back events: ${message}`, { cause: error })
  }
}
