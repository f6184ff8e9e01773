// The primary-key index of one table in one writer: from the hash of a key to the data file and
// position of its row. All calls take batches. Changes wait in a buffer until many are put into
// memory at once; a key that memory does not know while a run on disk may is put blindly and
// remembered. So what a change has replaced is known later: `resolve` tells before the epoch ends.

import { assert } from '../../../runtime/base/assert.ts'
import type { HashWords } from '../../../runtime/data/key-hash.ts'
import { ChangeBuffer, SortedChanges } from './change-buffer.ts'
import { EMPTY, entryWords, find2, find4, TOMBSTONE } from './entry-table.ts'
import { grown } from './growth.ts'
import { ReplacedRows, type Resolved } from './replaced-rows.ts'
import { orderByHash } from './sort.ts'
import { CLEAN, Segment, SEGMENT_ENTRIES_MAX } from './segment.ts'

/** Where rows are, by place in the selection of the call. */
export interface RowPlaces {
  /** File ids (u32 in an int32); 0: nowhere. */
  readonly files: Int32Array
  readonly positions: Int32Array
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

/** Changes whose slots are touched together: their cache misses overlap instead of adding up. */
const GROUP = 64
/** Changes wait until they are this share of the keys in memory, within the bounds. */
const BUFFERED_SHARE = 8
const BUFFERED_MIN = 16 * 1024
const BUFFERED_MAX = 256 * 1024
/** Unresolved rows are words in memory until a run has been read. */
const UNRESOLVED_MAX = 2 * 1024 * 1024
const PENDING_WORDS_KEPT = 256 * 1024
const LOG_WORDS = 64 * 1024

/** Used by the call of `settle` that is running. */
const sorted = new SortedChanges()
const log = new Int32Array(LOG_WORDS)

export class TableIndex {
  readonly name: string
  readonly words: HashWords
  /** Segments of this writer, ascending. */
  segments: Segment[]
  /** By top 8 bits: index in `segments`. */
  private readonly segmentAt = new Uint8Array(256)
  private readonly stride: number
  private readonly changeLog: ChangeLog
  private readonly buffer: ChangeBuffer
  private readonly replaced = new ReplacedRows()
  /** Keys in memory, tombstones included, when the buffer was last settled. */
  private used = 0
  private logLength = 0
  /** Hash and op of each change whose key only a run may know. */
  private pending: Int32Array = new Int32Array(0)
  private pendingLength = 0
  /** Nobody reads it; without it the compiler may leave out the loads of `touch`. */
  private touched = 0

  /** @param segments  cover the writer's range without gap or overlap, ascending */
  constructor(name: string, words: HashWords, segments: Segment[], log: ChangeLog) {
    this.name = name
    this.words = words
    this.stride = entryWords(words)
    this.buffer = new ChangeBuffer(words)
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
    let bytes = this.buffer.bytes + this.replaced.bytes + this.pending.byteLength
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
    this.settle()
    return this.segments.every(({ used, run }) => used === 0 && run === null)
  }

  /** True when `resolve` has something to tell. */
  get isUnresolved(): boolean {
    return this.buffer.count > 0 || this.pendingLength > 0 || !this.replaced.isEmpty
  }

  /** True when `settle` and `takeReplaced` should be called before the next batch. */
  get mustSettle(): boolean {
    const share = this.used / BUFFERED_SHARE
    return this.buffer.count >= Math.max(BUFFERED_MIN, Math.min(BUFFERED_MAX, share))
  }

  /** True when `resolve` must be called before the next batch. */
  get mustResolve(): boolean {
    return this.pendingLength / (this.words + 1) > UNRESOLVED_MAX
  }

  /**
   * Puts and deletes keys in the order of the rows. A row whose op is not a delete takes the next
   * position of `file`; a delete takes none. What they replace, `resolve` and `takeReplaced` tell.
   *
   * @param hashes     `words` a row of the batch
   * @param ops        by row of the batch
   * @param selection  rows of the batch in their order, `count` of them; `null`: rows 0...count - 1
   * @param file       id of the data file that takes the rows
   * @param position   of the first of them
   */
  apply(
    hashes: Int32Array,
    ops: Uint8Array,
    selection: Int32Array | null,
    count: number,
    file: number,
    position: number,
  ): void {
    assert(file !== EMPTY && file >>> 0 !== 0xffff_ffff, 'a file id is neither 0 nor 2^32 - 1')
    this.buffer.append(hashes, ops, selection, count, file, position)
  }

  /**
   * As `apply`, of rows that go to several files.
   *
   * @param places  by row of the batch: where it is; of a delete nothing is asked
   */
  applyPlaced(
    hashes: Int32Array,
    ops: Uint8Array,
    selection: Int32Array | null,
    count: number,
    places: RowPlaces,
  ): void {
    this.buffer.appendPlaced(hashes, ops, selection, count, places)
  }

  /** Puts what is buffered into memory and the change log. Cost: 80-160 ns a change. */
  settle(): void {
    const { buffer, words } = this
    if (buffer.count === 0) return
    sorted.sort(buffer, words)
    buffer.clear()
    let next = 0
    for (const segment of this.segments) {
      const end = sorted.ends[segment.end - 1]!
      while (next < end) {
        const start = next
        next = Math.min(start + GROUP, end)
        this.reserve(segment, next - start)
        if (words === 2) this.settleGroup2(segment, start, next)
        else this.settleGroup4(segment, start, next)
      }
    }
    this.flushLog()
    this.splitLarge()
    this.used = this.segments.reduce((sum, { used }) => sum + used, 0)
  }

  /** Room for `count` more changes, wherever they leave a trace. */
  private reserve(segment: Segment, count: number): void {
    segment.reserve(count)
    this.replaced.reserve(count)
    if (this.logLength + count * this.stride > LOG_WORDS) this.flushLog()
    const pending = this.pendingLength + count * (this.words + 1)
    if (segment.run !== null && pending > this.pending.length) {
      this.pending = grown(this.pending, pending)
    }
  }

  /** As `settleGroup4`, with every word of a short entry written out: this is the hottest loop. */
  private settleGroup2(segment: Segment, start: number, end: number): void {
    const { entries: changes } = sorted
    const { replaced } = this
    const { entries, mask } = segment
    const unknown = segment.run !== null
    this.touched ^= touch(entries, mask, 4, changes, start, end)
    let { used, tombstones } = segment
    let logged = this.logLength
    for (let change = start * 4; change < end * 4; change += 4) {
      const h0 = changes[change]!
      const h1 = changes[change + 1]!
      const file = changes[change + 2]!
      const at = find2(entries, mask, h0, h1)
      const found = entries[at + 2]!
      const isDelete = file === TOMBSTONE
      if (found === EMPTY) {
        if (unknown) this.remember(changes, change, isDelete ? 1 : 0)
        else if (isDelete) {
          replaced.deletesAbsent++
          continue
        }
        entries[at] = h0
        entries[at + 1] = h1
        used++
      } else if (found === TOMBSTONE) {
        if (isDelete) {
          replaced.deletesAbsent++
          continue
        }
        tombstones--
      } else {
        replaced.add(found, entries[at + 3]!)
        if (isDelete) replaced.deletesFound++
      }
      if (isDelete) tombstones++
      const position = changes[change + 3]!
      entries[at + 2] = file
      entries[at + 3] = position
      log[logged] = h0
      log[logged + 1] = h1
      log[logged + 2] = file
      log[logged + 3] = position
      logged += 4
    }
    this.changed(segment, used, tombstones, logged)
  }

  private settleGroup4(segment: Segment, start: number, end: number): void {
    const { entries: changes } = sorted
    const { replaced, stride, words } = this
    const { entries, mask } = segment
    const unknown = segment.run !== null
    this.touched ^= touch(entries, mask, stride, changes, start, end)
    let { used, tombstones } = segment
    let logged = this.logLength
    for (let change = start * stride; change < end * stride; change += stride) {
      const at = find4(entries, mask, changes, change)
      const found = entries[at + words]!
      const isDelete = changes[change + words] === TOMBSTONE
      if (found === EMPTY) {
        if (unknown) this.remember(changes, change, isDelete ? 1 : 0)
        else if (isDelete) {
          replaced.deletesAbsent++
          continue
        }
        used++
      } else if (found === TOMBSTONE) {
        if (isDelete) {
          replaced.deletesAbsent++
          continue
        }
        tombstones--
      } else {
        replaced.add(found, entries[at + words + 1]!)
        if (isDelete) replaced.deletesFound++
      }
      if (isDelete) tombstones++
      for (let word = 0; word < stride; word++) {
        entries[at + word] = changes[change + word]!
        log[logged++] = changes[change + word]!
      }
    }
    this.changed(segment, used, tombstones, logged)
  }

  private changed(segment: Segment, used: number, tombstones: number, logged: number): void {
    segment.used = used
    segment.tombstones = tombstones
    if (logged === this.logLength) return
    if (segment.dirtySince === CLEAN) segment.dirtySince = this.changeLog.epoch
    this.logLength = logged
  }

  private remember(hashes: Int32Array, key: number, isDelete: number): void {
    const { pending, words } = this
    for (let word = 0; word < words; word++) pending[this.pendingLength++] = hashes[key + word]!
    pending[this.pendingLength++] = isDelete
  }

  private flushLog(): void {
    if (this.logLength === 0) return
    this.changeLog.logEntries(this.name, this.words, log.subarray(0, this.logLength))
    this.logLength = 0
  }

  /**
   * Looks keys up without changing them; runs on disk are read at once.
   *
   * @param selection  rows of `hashes`
   * @param places     receives where the rows are
   */
  lookup(hashes: Int32Array, selection: Int32Array, places: RowPlaces): void {
    this.settle()
    const { words } = this
    const missing: number[] = []
    for (let index = 0; index < selection.length; index++) {
      const key = selection[index]! * words
      const segment = this.segments[this.segmentAt[hashes[key]! >>> 24]!]!
      const at = segment.find(hashes, key)
      const file = segment.entries[at + words]!
      places.files[index] = file === TOMBSTONE ? 0 : file
      places.positions[index] = segment.entries[at + words + 1]!
      if (file === EMPTY && segment.run !== null) missing.push(index)
    }
    if (missing.length > 0) this.lookupOnDisk(hashes, selection, missing, places)
  }

  private lookupOnDisk(
    hashes: Int32Array,
    selection: Int32Array,
    indexes: readonly number[],
    places: RowPlaces,
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
      places.files[index] = found.files[rank]!
      places.positions[index] = found.positions[rank]!
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

  /**
   * Reads what the changes so far have replaced. Must be called before a fold and before `prepare`.
   *
   * @returns positions to delete, in no order; each is returned once
   */
  resolve(): Resolved {
    this.settle()
    const { pending, replaced, words } = this
    const count = this.pendingLength / (words + 1)
    const found = this.readRuns(pending, count)
    replaced.reserve(count)
    for (let rank = 0; rank < count; rank++) {
      const isDelete = pending[found.order[rank]! + words] === 1
      if (found.files[rank] === 0) {
        if (isDelete) replaced.deletesAbsent++
        continue
      }
      if (isDelete) replaced.deletesFound++
      replaced.add(found.files[rank]!, found.positions[rank]!)
    }
    this.pendingLength = 0
    if (pending.length > PENDING_WORDS_KEPT) this.pending = new Int32Array(0)
    return replaced.take()
  }

  /** @returns as `resolve`, what is known without reading */
  takeReplaced(): Resolved {
    return this.replaced.take()
  }

  /** Forgets every key: TRUNCATE, or the table is parked. Also what is unresolved. */
  reset(): void {
    const { start } = this.segments[0]!
    const { end } = this.segments[this.segments.length - 1]!
    this.buffer.clear()
    this.replaced.take()
    this.used = 0
    this.changeLog.logReset(this.name, this.words, start, end)
    // What earlier epochs recorded is void; what this one did, the reset in its log voids.
    this.segments = [new Segment(this.words, start, end, this.changeLog.epoch - 1)]
    this.segments[0]!.dirtySince = this.changeLog.epoch
    this.pending = new Int32Array(0)
    this.pendingLength = 0
    this.mapSegments()
  }

  /** Splits segments that have become large. */
  private splitLarge(): void {
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
    this.settle()
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

/** @returns anything: the loads are what it is for */
function touch(
  entries: Int32Array,
  mask: number,
  stride: number,
  changes: Int32Array,
  start: number,
  end: number,
): number {
  let touched = 0
  for (let change = start * stride; change < end * stride; change += stride) {
    touched ^= entries[(changes[change + 1]! & mask) * stride]!
  }
  return touched
}
