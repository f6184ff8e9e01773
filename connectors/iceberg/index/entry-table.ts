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
  /** Of these, tombstones: whoever writes entries by hand counts them too. */
  tombstones = 0
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
    if (entries[to + words] === TOMBSTONE) this.tombstones--
    if (file === TOMBSTONE) this.tombstones++
    entries[to + words] = file
    entries[to + words + 1] = position
  }

  /**
   * Makes room for `room` more entries.
   *
   * @param keepTombstones  false where no run can hold an older entry of a deleted key
   */
  grow(keepTombstones: boolean, room = 1): void {
    if (!keepTombstones) {
      this.used -= this.tombstones
      this.tombstones = 0
    }
    const slots = slotsFor(this.used + room)
    const next = new Int32Array(slots * this.stride)
    if (this.words === 2) copy2(this.entries, next, slots - 1, keepTombstones)
    else copy4(this.entries, next, slots - 1, keepTombstones)
    this.entries = next
    this.mask = slots - 1
    this.limit = limitOf(slots)
  }

  /** Forgets all entries and the memory. */
  clear(): void {
    this.entries = new Int32Array(SLOTS_AT_START * this.stride)
    this.mask = SLOTS_AT_START - 1
    this.limit = limitOf(SLOTS_AT_START)
    this.used = 0
    this.tombstones = 0
  }
}

function limitOf(slots: number): number {
  return (slots >> 2) * 3
}

/** Half full after growing, so that the next growth is as far away as the last. */
export function slotsFor(entries: number): number {
  let slots = SLOTS_AT_START
  while (slots < entries * 1.5) slots *= 2
  return limitOf(slots) > entries ? slots : slots * 2
}

/**
 * Copies the entries of 2-word keys into an empty table. The old slots are read in order, so that
 * the new ones are written in two streams, one half of the table each.
 */
function copy2(from: Int32Array, to: Int32Array, mask: number, keepTombstones: boolean): void {
  for (let at = 0; at < from.length; at += 4) {
    const file = from[at + 2]!
    if (file === EMPTY || (file === TOMBSTONE && !keepTombstones)) continue
    const h1 = from[at + 1]!
    let slot = h1 & mask
    while (to[slot * 4 + 2] !== EMPTY) slot = (slot + 1) & mask
    const next = slot * 4
    to[next] = from[at]!
    to[next + 1] = h1
    to[next + 2] = file
    to[next + 3] = from[at + 3]!
  }
}

function copy4(from: Int32Array, to: Int32Array, mask: number, keepTombstones: boolean): void {
  for (let at = 0; at < from.length; at += 6) {
    const file = from[at + 4]!
    if (file === EMPTY || (file === TOMBSTONE && !keepTombstones)) continue
    let slot = from[at + 1]! & mask
    while (to[slot * 6 + 4] !== EMPTY) slot = (slot + 1) & mask
    const next = slot * 6
    for (let word = 0; word < 6; word++) to[next + word] = from[at + word]!
  }
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
