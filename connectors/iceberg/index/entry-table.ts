// An open-addressed table of index entries in one Int32Array: key hash, file, position. Linear
// probing, load at most 0.75, growth by doubling. `file` 0 marks an empty slot, TOMBSTONE a key
// that was deleted; a tombstone hides what a run on disk still says about its key.

import type { HashWords } from '../../../runtime/data/key-hash.ts'

/** `file` of a key that is deleted. No data file has this id. */
export const TOMBSTONE = -1
/** `file` of an empty slot. No data file has this id. */
export const EMPTY = 0

const SLOTS_AT_START = 16

/** @returns words of one entry: the hash, the file id (u32), the position in the file (u32) */
export function entryWords(words: HashWords): number {
  return words + 2
}

export class EntryTable {
  readonly words: HashWords
  /** Words of an entry. */
  readonly stride: number
  entries: Int32Array
  /** Slots - 1; slots are a power of two. */
  mask: number
  /** Slots in use, tombstones included. */
  used = 0
  /** Grow before `used` exceeds this. */
  limit: number

  constructor(words: HashWords, slots: number = SLOTS_AT_START) {
    this.words = words
    this.stride = entryWords(words)
    this.entries = new Int32Array(slots * this.stride)
    this.mask = slots - 1
    this.limit = limitOf(slots)
  }

  get bytes(): number {
    return this.entries.byteLength
  }

  /**
   * @param at  index in `hashes` of the key's first word
   * @returns where the key's entry begins in `entries`, or the empty slot where it belongs
   */
  find(hashes: Int32Array, at: number): number {
    return this.words === 2
      ? find2(this.entries, this.mask, hashes[at]!, hashes[at + 1]!)
      : find4(this.entries, this.mask, hashes, at)
  }

  /** Puts or replaces the entry of the key at hashes[at]. */
  put(hashes: Int32Array, at: number, file: number, position: number): void {
    if (this.used >= this.limit) this.grow(true)
    const { entries, words } = this
    const to = this.find(hashes, at)
    if (entries[to + words] === EMPTY) {
      for (let word = 0; word < words; word++) entries[to + word] = hashes[at + word]!
      this.used++
    }
    entries[to + words] = file
    entries[to + words + 1] = position
  }

  /**
   * Makes room for at least one more entry.
   *
   * @param keepTombstones  false where no run can hold an older entry of a deleted key
   */
  grow(keepTombstones: boolean): void {
    const kept = keepTombstones ? this.used : this.liveCount()
    this.rebuild(slotsFor(kept + 1), keepTombstones)
  }

  liveCount(): number {
    const { entries, stride, words } = this
    let live = 0
    for (let at = words; at < entries.length; at += stride) {
      const file = entries[at]!
      if (file !== EMPTY && file !== TOMBSTONE) live++
    }
    return live
  }

  /** Forgets all entries and the memory. */
  clear(): void {
    this.entries = new Int32Array(SLOTS_AT_START * this.stride)
    this.mask = SLOTS_AT_START - 1
    this.limit = limitOf(SLOTS_AT_START)
    this.used = 0
  }

  private rebuild(slots: number, keepTombstones: boolean): void {
    const { entries, stride, words } = this
    const mask = slots - 1
    const next = new Int32Array(slots * stride)
    let used = 0
    for (let at = 0; at < entries.length; at += stride) {
      const file = entries[at + words]!
      if (file === EMPTY || (file === TOMBSTONE && !keepTombstones)) continue
      let slot = entries[at + 1]! & mask
      while (next[slot * stride + words] !== EMPTY) slot = (slot + 1) & mask
      const to = slot * stride
      for (let word = 0; word < stride; word++) next[to + word] = entries[at + word]!
      used++
    }
    this.entries = next
    this.mask = mask
    this.limit = limitOf(slots)
    this.used = used
  }
}

function limitOf(slots: number): number {
  return (slots >> 2) * 3
}

/** Half full after growing, so that the next growth is as far away as the last. */
function slotsFor(entries: number): number {
  let slots = SLOTS_AT_START
  while (slots < entries * 1.5) slots *= 2
  return limitOf(slots) > entries ? slots : slots * 2
}

/** Word 1 chooses the slot: word 0 has chosen the segment already. */
export function find2(entries: Int32Array, mask: number, h0: number, h1: number): number {
  let slot = h1 & mask
  for (;;) {
    const at = slot * 4
    if (entries[at + 2] === EMPTY || (entries[at] === h0 && entries[at + 1] === h1)) return at
    slot = (slot + 1) & mask
  }
}

export function find4(entries: Int32Array, mask: number, hashes: Int32Array, key: number): number {
  const h0 = hashes[key]!
  const h1 = hashes[key + 1]!
  let slot = h1 & mask
  for (;;) {
    const at = slot * 6
    if (entries[at + 4] === EMPTY) return at
    if (
      entries[at] === h0 &&
      entries[at + 1] === h1 &&
      entries[at + 2] === hashes[key + 2] &&
      entries[at + 3] === hashes[key + 3]
    ) {
      return at
    }
    slot = (slot + 1) & mask
  }
}
