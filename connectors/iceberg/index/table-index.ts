// The primary-key index of one table in one writer: from the hash of a key to the data file and
// position of its row. All calls take batches; a key that memory does not know while a run on disk
// may is put blindly and remembered, and `resolve` finds what it replaced before the epoch ends.

import { assert } from '../../../runtime/base/assert.ts'
import { Op } from '../../../runtime/data/batch.ts'
import type { HashWords } from '../../../runtime/data/key-hash.ts'
import { EMPTY, find2, find4, TOMBSTONE } from './entry-table.ts'
import { orderByHash } from './sort.ts'
import { CLEAN, Segment, SEGMENT_ENTRIES_MAX } from './segment.ts'

/** In `Previous.files`: a run may have the key; `resolve` tells. No data file has this id. */
export const UNRESOLVED = -1

/** What `apply` and `lookup` found, by row of the batch (or of the selection). */
export interface Previous {
  /** File id (u32 in an int32) of the row that the key had; 0: it had none; or UNRESOLVED. */
  readonly files: Int32Array
  readonly positions: Int32Array
}

/** Rows that blind puts and deletes replaced. */
export interface Resolved {
  readonly count: number
  readonly files: Int32Array
  readonly positions: Int32Array
  /** Of the unresolved deletes: those whose key was there. */
  readonly deletesFound: number
  /** Of the unresolved deletes: those whose key was not there. */
  readonly deletesAbsent: number
}

/** Where changes are recorded until the epoch's delta is written. */
export interface ChangeLog {
  /** The epoch that is open, or one before it: what is put now belongs to it. */
  readonly epoch: number
  /** Takes `words` int32 of entries; copies them. */
  logEntries(table: string, words: HashWords, entries: Int32Array): void
  /** All earlier entries with a segment in [start, end) are void. */
  logReset(table: string, words: HashWords, start: number, end: number): void
}

/** Rows whose slots are touched together: their cache misses overlap instead of adding up. */
const GROUP = 64
/** Unresolved rows are words in memory until a run has been read. */
const UNRESOLVED_MAX = 2 * 1024 * 1024
const LOG_WORDS_MAX = 256 * 1024
const LOG_WORDS_AT_START = 64

export class TableIndex {
  readonly name: string
  readonly words: HashWords
  /** Segments of this writer, ascending. */
  segments: Segment[]
  /** By top 8 bits: index in `segments`. */
  private readonly segmentAt = new Uint8Array(256)
  private readonly stride: number
  private readonly changeLog: ChangeLog
  private log: Int32Array = new Int32Array(LOG_WORDS_AT_START)
  private logLength = 0
  /** Hash and op of each unresolved row. */
  private pending: Int32Array = new Int32Array(0)
  private pendingLength = 0
  /** Nobody reads it; without it the compiler may leave out the loads of `touch`. */
  private touched = 0

  /** @param segments  cover the writer's range without gap or overlap, ascending */
  constructor(name: string, words: HashWords, segments: Segment[], log: ChangeLog) {
    this.name = name
    this.words = words
    this.stride = words + 2
    this.segments = segments
    this.changeLog = log
    this.mapSegments()
  }

  private mapSegments(): void {
    assert(this.segments.length <= 256, 'a table has at most 256 segments')
    for (const [index, { start, end }] of this.segments.entries()) {
      this.segmentAt.fill(index, start, end)
    }
  }

  /** Bytes in memory: entries, directories and what waits. */
  get bytes(): number {
    let bytes = this.log.byteLength + this.pending.byteLength
    for (const segment of this.segments) bytes += segment.bytes + (segment.run?.memoryBytes ?? 0)
    return bytes
  }

  /** True when one of the entries, from epochs up to `last`, is neither in a run nor void. */
  needs(entries: Int32Array, stride: number, last: number): boolean {
    for (let at = 0; at < entries.length; at += stride) {
      const value = entries[at]! >>> 24
      const { start, end, foldedThrough } = this.segments[this.segmentAt[value]!]!
      if (value >= start && value < end && foldedThrough < last) return true
    }
    return false
  }

  get isEmpty(): boolean {
    return this.segments.every(({ used, run }) => used === 0 && run === null)
  }

  get unresolved(): number {
    return this.pendingLength / (this.words + 1)
  }

  /**
   * Puts and deletes keys in the order of the rows. A row whose op is not a delete takes the next
   * position of `file`; a delete takes none.
   *
   * @param hashes     `words` a row of the batch
   * @param ops        by row of the batch
   * @param selection  rows of the batch in their order, `count` of them; `null`: rows 0...count - 1
   * @param file       id of the data file that takes the rows
   * @param position   of the first of them
   * @param previous   receives, by place in the selection, what the key pointed to before
   * Cost: 60-120 ns a row at ten million keys.
   */
  apply(
    hashes: Int32Array,
    ops: Uint8Array,
    selection: Int32Array | null,
    count: number,
    file: number,
    position: number,
    previous: Previous,
  ): void {
    assert(file !== EMPTY && file >>> 0 !== 0xffff_ffff, 'a file id is neither 0 nor 2^32 - 1')
    let next = position
    for (let start = 0; start < count; start += GROUP) {
      const end = Math.min(start + GROUP, count)
      this.reserve(end - start)
      this.touched ^= this.touch(hashes, selection, start, end)
      next =
        this.words === 2
          ? this.applyGroup2(hashes, ops, selection, start, end, file, next, previous)
          : this.applyGroup4(hashes, ops, selection, start, end, file, next, previous)
    }
  }

  /** Room for `rows` more in the log and in `pending`. */
  private reserve(rows: number): void {
    const needed = rows * this.stride
    const isFull = this.logLength + needed > this.log.length
    if (isFull && this.logLength >= LOG_WORDS_MAX) this.flushLog()
    // Also after a flush, which starts over in a small array: a typed array swallows what is
    // written behind its end, and those entries would be in no delta.
    if (this.logLength + needed > this.log.length) {
      this.log = grown(this.log, this.logLength + needed)
    }
    const pending = this.pendingLength + rows * (this.words + 1)
    if (pending > this.pending.length) this.pending = grown(this.pending, pending)
  }

  private touch(
    hashes: Int32Array,
    selection: Int32Array | null,
    start: number,
    end: number,
  ): number {
    const { segments, segmentAt, stride, words } = this
    let touched = 0
    for (let index = start; index < end; index++) {
      const key = (selection === null ? index : selection[index]!) * words
      const segment = segments[segmentAt[hashes[key]! >>> 24]!]!
      touched ^= segment.entries[(hashes[key + 1]! & segment.mask) * stride]!
    }
    return touched
  }

  /** As `applyGroup4`, with every word of a short entry written out: this is the hottest loop. */
  private applyGroup2(
    hashes: Int32Array,
    ops: Uint8Array,
    selection: Int32Array | null,
    start: number,
    end: number,
    file: number,
    position: number,
    { files, positions }: Previous,
  ): number {
    const { segments, segmentAt, log } = this
    const { epoch } = this.changeLog
    let logged = this.logLength
    let next = position
    for (let index = start; index < end; index++) {
      const row = selection === null ? index : selection[index]!
      const h0 = hashes[2 * row]!
      const h1 = hashes[2 * row + 1]!
      const segment = segments[segmentAt[h0 >>> 24]!]!
      if (segment.used >= segment.limit) segment.grow(segment.run !== null)
      const entries = segment.entries
      const at = find2(entries, segment.mask, h0, h1)
      const found = entries[at + 2]!
      const isDelete = ops[row] === Op.delete
      if (found === EMPTY) {
        const unknown = segment.run !== null
        files[index] = unknown ? UNRESOLVED : 0
        if (unknown) this.remember(hashes, 2 * row, isDelete ? 1 : 0)
        else if (isDelete) continue
        entries[at] = h0
        entries[at + 1] = h1
        segment.used++
      } else {
        files[index] = found === TOMBSTONE ? 0 : found
        positions[index] = entries[at + 3]!
        if (isDelete && found === TOMBSTONE) continue
      }
      if (isDelete) segment.tombstones++
      else if (found === TOMBSTONE) segment.tombstones--
      const newFile = isDelete ? TOMBSTONE : file
      const newPosition = isDelete ? 0 : next++
      entries[at + 2] = newFile
      entries[at + 3] = newPosition
      if (segment.dirtySince === CLEAN) segment.dirtySince = epoch
      log[logged] = h0
      log[logged + 1] = h1
      log[logged + 2] = newFile
      log[logged + 3] = newPosition
      logged += 4
    }
    this.logLength = logged
    return next
  }

  private applyGroup4(
    hashes: Int32Array,
    ops: Uint8Array,
    selection: Int32Array | null,
    start: number,
    end: number,
    file: number,
    position: number,
    previous: Previous,
  ): number {
    const { segments, segmentAt, words } = this
    const { files, positions } = previous
    let next = position
    for (let index = start; index < end; index++) {
      const row = selection === null ? index : selection[index]!
      const key = row * words
      const segment = segments[segmentAt[hashes[key]! >>> 24]!]!
      if (segment.used >= segment.limit) segment.grow(segment.run !== null)
      const { entries, mask } = segment
      const at = find4(entries, mask, hashes, key)
      const found = entries[at + words]!
      const isDelete = ops[row] === Op.delete
      if (found === EMPTY) {
        const unknown = segment.run !== null
        files[index] = unknown ? UNRESOLVED : 0
        if (unknown) this.remember(hashes, key, isDelete ? 1 : 0)
        else if (isDelete) continue
        for (let word = 0; word < words; word++) entries[at + word] = hashes[key + word]!
        segment.used++
      } else {
        files[index] = found === TOMBSTONE ? 0 : found
        positions[index] = entries[at + words + 1]!
        if (isDelete && found === TOMBSTONE) continue
      }
      if (isDelete) segment.tombstones++
      else if (found === TOMBSTONE) segment.tombstones--
      entries[at + words] = isDelete ? TOMBSTONE : file
      entries[at + words + 1] = isDelete ? 0 : next++
      if (segment.dirtySince === CLEAN) segment.dirtySince = this.changeLog.epoch
      this.record(entries, at)
    }
    return next
  }

  private remember(hashes: Int32Array, key: number, isDelete: number): void {
    const { pending, words } = this
    for (let word = 0; word < words; word++) pending[this.pendingLength++] = hashes[key + word]!
    pending[this.pendingLength++] = isDelete
  }

  private record(entries: Int32Array, at: number): void {
    const { log, stride } = this
    let to = this.logLength
    for (let word = 0; word < stride; word++) log[to++] = entries[at + word]!
    this.logLength = to
  }

  /** Hands what was recorded to the change log. */
  flushLog(): void {
    if (this.logLength === 0) return
    this.changeLog.logEntries(this.name, this.words, this.log.subarray(0, this.logLength))
    this.logLength = 0
    if (this.log.length > LOG_WORDS_MAX) this.log = new Int32Array(LOG_WORDS_AT_START)
  }

  /**
   * Looks keys up without changing them; runs on disk are read at once.
   *
   * @param selection  rows of `hashes`
   * @param previous   receives, by place in the selection, where the row is; file 0: nowhere
   */
  lookup(hashes: Int32Array, selection: Int32Array, previous: Previous): void {
    const { words } = this
    const missing: number[] = []
    for (let index = 0; index < selection.length; index++) {
      const key = selection[index]! * words
      const segment = this.segments[this.segmentAt[hashes[key]! >>> 24]!]!
      const at = segment.find(hashes, key)
      const file = segment.entries[at + words]!
      previous.files[index] = file === TOMBSTONE ? 0 : file
      previous.positions[index] = segment.entries[at + words + 1]!
      if (file === EMPTY && segment.run !== null) missing.push(index)
    }
    if (missing.length > 0) this.lookupOnDisk(hashes, selection, missing, previous)
  }

  /** As `lookup`, but of the runs only: what a key had before this epoch's change in memory. */
  lookupBefore(hashes: Int32Array, selection: Int32Array, previous: Previous): void {
    const all = Array.from(selection, (_, index) => index)
    this.lookupOnDisk(hashes, selection, all, previous)
  }

  private lookupOnDisk(
    hashes: Int32Array,
    selection: Int32Array,
    indexes: readonly number[],
    previous: Previous,
  ): void {
    const { words } = this
    const keys = new Int32Array(indexes.length * (words + 1))
    indexes.forEach((index, place) => {
      const key = selection[index]! * words
      keys.set(hashes.subarray(key, key + words), place * (words + 1))
      keys[place * (words + 1) + words] = index
    })
    const found = this.readRuns(keys, indexes.length)
    for (let rank = 0; rank < indexes.length; rank++) {
      const index = keys[found.order[rank]! + words]!
      previous.files[index] = found.files[rank]!
      previous.positions[index] = found.positions[rank]!
    }
  }

  /** @param keys  rows of a hash and one more word */
  private readRuns(
    keys: Int32Array,
    count: number,
  ): { order: Int32Array; files: Int32Array; positions: Int32Array } {
    const order = orderByHash(keys, this.words, this.words + 1, null, count)
    const files = new Int32Array(count)
    const positions = new Int32Array(count)
    let from = 0
    for (const { end: segmentEnd, run } of this.segments) {
      let until = from
      while (until < count && keys[order[until]!]! >>> 24 < segmentEnd) until++
      if (run !== null && until > from) run.lookup(keys, order, from, until, files, positions)
      from = until
    }
    return { order, files, positions }
  }

  /** True when `resolve` must be called before the next batch. */
  get mustResolve(): boolean {
    return this.unresolved > UNRESOLVED_MAX
  }

  /**
   * Reads what the unresolved rows replaced. Must be called before a fold and before `prepare`.
   *
   * @returns positions to delete, in no order; each is returned once
   */
  resolve(): Resolved {
    const { words } = this
    const count = this.unresolved
    const found = this.readRuns(this.pending, count)
    let kept = 0
    let deletesFound = 0
    let deletesAbsent = 0
    for (let rank = 0; rank < count; rank++) {
      const isDelete = this.pending[found.order[rank]! + words] === 1
      if (found.files[rank] === 0) {
        if (isDelete) deletesAbsent++
        continue
      }
      if (isDelete) deletesFound++
      found.files[kept] = found.files[rank]!
      found.positions[kept++] = found.positions[rank]!
    }
    this.pendingLength = 0
    if (this.pending.length > LOG_WORDS_MAX) this.pending = new Int32Array(0)
    const { files, positions } = found
    return { count: kept, files, positions, deletesFound, deletesAbsent }
  }

  /** Forgets every key: TRUNCATE, or the table is parked. Also what is unresolved. */
  reset(): void {
    const { start } = this.segments[0]!
    const { end } = this.segments[this.segments.length - 1]!
    this.flushLog()
    this.changeLog.logReset(this.name, this.words, start, end)
    // What earlier epochs recorded is void; what this one did, the reset in its log voids.
    this.segments = [new Segment(this.words, start, end, this.changeLog.epoch - 1)]
    this.segments[0]!.dirtySince = this.changeLog.epoch
    this.pending = new Int32Array(0)
    this.pendingLength = 0
    this.mapSegments()
  }

  /** Splits segments that have become large. */
  splitLarge(): void {
    const large = (segment: Segment): boolean =>
      segment.size > SEGMENT_ENTRIES_MAX && segment.end - segment.start > 1
    if (!this.segments.some(large)) return
    this.segments = this.segments.flatMap((part) => (large(part) ? part.split() : [part]))
    this.mapSegments()
  }

  /** Replays an entry of a delta; `start` and `end` bound what belongs to this writer. */
  replay(entries: Int32Array, at: number, first: number, last: number): void {
    const segment = this.segments[this.segmentAt[entries[at]! >>> 24]!]!
    if (segment.foldedThrough >= last) return
    const file = entries[at + this.words]!
    if (file === TOMBSTONE && segment.run === null) {
      const found = segment.find(entries, at)
      if (segment.entries[found + this.words] === EMPTY) return
    }
    segment.put(entries, at, file, entries[at + this.words + 1]!)
    if (segment.dirtySince === CLEAN || first < segment.dirtySince) segment.dirtySince = first
  }

  /** Replays the reset of segments [start, end) by a delta whose last epoch is `last`. */
  replayReset(start: number, end: number, last: number): void {
    this.segments = this.segments.flatMap((segment) => {
      const covered = segment.start < end && segment.end > start
      return covered && segment.foldedThrough < last ? segment.without(start, end, last) : [segment]
    })
    this.mapSegments()
  }

  /** Live entries, run included, in any order; for tests and checks. Reads everything. */
  collect(): Int32Array {
    const parts = this.segments.map((segment) => segment.merge())
    const entries = new Int32Array(parts.reduce((words, part) => words + part.length, 0))
    let at = 0
    for (const part of parts) {
      entries.set(part, at)
      at += part.length
    }
    return entries
  }
}

function grown(array: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(Math.max(length, array.length * 2))
  larger.set(array)
  return larger
}
