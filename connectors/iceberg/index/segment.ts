// A piece of one table's index: the keys whose top 8 hash bits lie in a range. Entries put since
// the last fold are in memory; older ones in a run on disk, which memory overrides.

import type { HashWords } from '../../../runtime/data/key-hash.ts'
import { EntryTable, slotsFor, TOMBSTONE } from './entry-table.ts'
import type { Run } from './run.ts'
import { compareKeys, orderByHash } from './sort.ts'

/** A segment with more keys than this is split, until it is one of 256. */
export const SEGMENT_ENTRIES_MAX = 64 * 1024

/** `dirtySince` of a segment whose run has everything; `foldedThrough` of one without a fold. */
export const CLEAN = -1

export class Segment extends EntryTable {
  /** Top 8 bits of word 0: [start, end). */
  readonly start: number
  readonly end: number
  /** May hold keys outside the range: a segment that was split or moved shares its parent's run. */
  run: Run | null = null
  /** The run holds everything up to this epoch. */
  foldedThrough: number
  /** Epoch of the oldest entry that is not in the run, or CLEAN. */
  dirtySince = CLEAN

  constructor(words: HashWords, start: number, end: number, foldedThrough: number, slots?: number) {
    super(words, slots)
    this.start = start
    this.end = end
    this.foldedThrough = foldedThrough
  }

  /** True when a key that is not in memory cannot exist. */
  get complete(): boolean {
    return this.run === null
  }

  /** Entries in memory and in the run; keys that are in both count twice. */
  get size(): number {
    return this.used + (this.run?.place.entries ?? 0)
  }

  /** Makes room for `rows` more entries. */
  reserve(rows: number): void {
    if (this.used + rows > this.limit) this.grow(!this.complete, rows)
  }

  /** One segment for each value of the top 8 bits. The caller forgets this one. */
  split(): Segment[] {
    const parts: Segment[] = []
    const slots = slotsFor(Math.ceil(this.used / (this.end - this.start)))
    for (let value = this.start; value < this.end; value++) {
      const part = new Segment(this.words, value, value + 1, this.foldedThrough, slots)
      part.run = this.run
      part.dirtySince = this.dirtySince
      parts.push(part)
    }
    const { entries, stride, words } = this
    for (let at = 0; at < entries.length; at += stride) {
      const file = entries[at + words]!
      if (file === 0 || (file === TOMBSTONE && this.complete)) continue
      const part = parts[(entries[at]! >>> 24) - this.start]!
      part.put(entries, at, file, entries[at + words + 1]!)
    }
    return parts
  }

  /**
   * @returns segments that cover this one, those in [start, end) empty: a delta voided their keys
   * @param last  last epoch of that delta, which may hold entries behind the reset
   */
  without(start: number, end: number, last: number): Segment[] {
    const from = Math.max(start, this.start)
    const to = Math.min(end, this.end)
    const parts: Segment[] = []
    if (this.start < from) parts.push(this.part(this.start, from))
    const empty = new Segment(this.words, from, to, last - 1)
    empty.dirtySince = last
    parts.push(empty)
    if (to < this.end) parts.push(this.part(to, this.end))
    return parts
  }

  /** A copy of the keys in [start, end), over the same run. */
  private part(start: number, end: number): Segment {
    const part = new Segment(this.words, start, end, this.foldedThrough)
    part.run = this.run
    part.dirtySince = this.dirtySince
    const { entries, stride, words } = this
    for (let at = 0; at < entries.length; at += stride) {
      const value = entries[at]! >>> 24
      const file = entries[at + words]!
      if (file === 0 || value < start || value >= end) continue
      part.put(entries, at, file, entries[at + words + 1]!)
    }
    return part
  }

  /** @returns all live entries, run included, sorted; the caller owns the array */
  merge(): Int32Array {
    const { stride } = this
    const starts = this.starts()
    const order = orderByHash(this.entries, this.words, stride, starts, starts.length)
    if (this.run === null) return gather(this.entries, order, stride)
    return this.mergeWith(this.run.readSegments(this.start, this.end), order)
  }

  /** Where entries begin, tombstones left out where no run needs them. */
  private starts(): Int32Array {
    const { entries, stride, words, complete } = this
    const starts = new Int32Array(this.used)
    let count = 0
    for (let at = 0; at < entries.length; at += stride) {
      const file = entries[at + words]!
      if (file !== 0 && !(file === TOMBSTONE && complete)) starts[count++] = at
    }
    return starts.subarray(0, count)
  }

  private mergeWith(old: Int32Array, order: Int32Array): Int32Array {
    const { entries, stride, words } = this
    const merged = new Int32Array(old.length + order.length * stride)
    let to = 0
    let from = 0
    for (let rank = 0; rank < order.length; rank++) {
      const at = order[rank]!
      let comparison = -1
      while (from < old.length && (comparison = compareKeys(old, from, entries, at, words)) < 0) {
        for (let word = 0; word < stride; word++) merged[to++] = old[from++]!
      }
      if (from < old.length && comparison === 0) from += stride
      if (entries[at + words] === TOMBSTONE) continue
      for (let word = 0; word < stride; word++) merged[to++] = entries[at + word]!
    }
    merged.set(old.subarray(from), to)
    return merged.subarray(0, to + old.length - from)
  }

  /** After a fold: memory is empty, and `run` holds everything through `epoch`. */
  folded(run: Run | null, epoch: number): void {
    this.clear()
    this.run = run
    this.foldedThrough = epoch
    this.dirtySince = CLEAN
  }
}

function gather(entries: Int32Array, order: Int32Array, stride: number): Int32Array {
  const gathered = new Int32Array(order.length * stride)
  let to = 0
  for (let rank = 0; rank < order.length; rank++) {
    const at = order[rank]!
    for (let word = 0; word < stride; word++) gathered[to++] = entries[at + word]!
  }
  return gathered
}
