// Puts and deletes of one table that are not in its index yet. An index is larger than a cache, so
// one change costs a wait for memory; many at once, sorted by segment, wait together.

import { Op } from '../../../runtime/data/batch.ts'
import { SEGMENTS, type HashWords } from '../../../runtime/data/key-hash.ts'
import { entryWords, TOMBSTONE } from './entry-table.ts'
import { grown } from './growth.ts'

const WORDS_AT_START = 256
/** Larger arrays go from table to table. */
const OWN_WORDS_MAX = 4096

/** The largest array that a table has given back. */
let spare: Int32Array = new Int32Array(0)

export class ChangeBuffer {
  /** Key hash, file or TOMBSTONE, position: `stride` words a change. */
  entries: Int32Array = new Int32Array(0)
  count = 0
  private readonly words: HashWords
  private readonly stride: number

  constructor(words: HashWords) {
    this.words = words
    this.stride = entryWords(words)
  }

  get bytes(): number {
    return this.entries.byteLength
  }

  /** Adds rows in their order. Parameters as of `TableIndex.apply`. */
  append(
    hashes: Int32Array,
    ops: Uint8Array,
    selection: Int32Array | null,
    count: number,
    file: number,
    position: number,
  ): void {
    this.reserve(count)
    const { entries, words } = this
    let next = position
    let at = this.count * this.stride
    for (let index = 0; index < count; index++) {
      const row = selection === null ? index : selection[index]!
      const key = row * words
      const isDelete = ops[row] === Op.delete
      for (let word = 0; word < words; word++) entries[at++] = hashes[key + word]!
      entries[at++] = isDelete ? TOMBSTONE : file
      entries[at++] = isDelete ? 0 : next++
    }
    this.count += count
  }

  /** As `append`, of rows that go to several files. Parameters as of `TableIndex.applyPlaced`. */
  appendPlaced(
    hashes: Int32Array,
    ops: Uint8Array,
    selection: Int32Array | null,
    count: number,
    places: { readonly files: Int32Array; readonly positions: Int32Array },
  ): void {
    this.reserve(count)
    const { entries, words } = this
    const { files, positions } = places
    let at = this.count * this.stride
    for (let index = 0; index < count; index++) {
      const row = selection === null ? index : selection[index]!
      const key = row * words
      const isDelete = ops[row] === Op.delete
      for (let word = 0; word < words; word++) entries[at++] = hashes[key + word]!
      entries[at++] = isDelete ? TOMBSTONE : files[row]!
      entries[at++] = isDelete ? 0 : positions[row]!
    }
    this.count += count
  }

  private reserve(count: number): void {
    const needed = (this.count + count) * this.stride
    if (needed <= this.entries.length) return
    if (needed <= OWN_WORDS_MAX || needed > spare.length) {
      this.entries = grown(this.entries, Math.max(needed, WORDS_AT_START))
      return
    }
    spare.set(this.entries.subarray(0, this.count * this.stride))
    this.entries = spare
    spare = new Int32Array(0)
  }

  clear(): void {
    this.count = 0
    if (this.entries.length <= OWN_WORDS_MAX) return
    if (this.entries.length > spare.length) spare = this.entries
    this.entries = new Int32Array(0)
  }
}

/** Changes in the order of the segments that they go to; one for all tables of a thread. */
export class SortedChanges {
  entries: Int32Array = new Int32Array(0)
  /** By top 8 bits of the hash: the change behind the last that has them. */
  readonly ends = new Int32Array(SEGMENTS)

  /** Changes with the same top 8 bits keep their order. Cost: 10 ns a change. */
  sort({ entries: from, count }: ChangeBuffer, words: HashWords): void {
    const stride = entryWords(words)
    if (count * stride > this.entries.length) {
      this.entries = new Int32Array(Math.max(count * stride, this.entries.length * 2))
    }
    const { entries, ends } = this
    ends.fill(0)
    for (let at = 0; at < count * stride; at += stride) ends[from[at]! >>> 24]!++
    let changes = 0
    for (let value = 0; value < SEGMENTS; value++) {
      const here = ends[value]!
      ends[value] = changes
      changes += here
    }
    // What were the starts are the ends afterwards.
    for (let at = 0; at < count * stride; at += stride) {
      let to = ends[from[at]! >>> 24]!++ * stride
      for (let word = 0; word < stride; word++) entries[to++] = from[at + word]!
    }
  }
}
