// Keys by their hashes, with a fixed number of words beside each, in typed arrays: what a
// comparison holds of a table of any size. Open addressing over entries that never move.

import type { HashWords } from '../../data/key-hash.ts'

const CHUNK_BITS = 14
const CHUNK_ENTRIES = 1 << CHUNK_BITS
const SLOTS_AT_START = 1024

export class KeyTable {
  readonly keyWords: HashWords
  count = 0
  private readonly width: number
  private readonly chunks: Int32Array[] = []
  /** Entry + 1; 0: free. A power of two long, at most three quarters full. */
  private slots = new Int32Array(SLOTS_AT_START)

  /** @param payloadWords  words beside each key */
  constructor(keyWords: HashWords, payloadWords: number) {
    this.keyWords = keyWords
    this.width = keyWords + payloadWords
  }

  /** @returns the entry of the key at keys[at]; -1: there is none */
  find(keys: Int32Array, at: number): number {
    return (this.slots[this.slotOf(keys, at)] ?? 0) - 1
  }

  /** @returns the entry of the key at keys[at]; one that is new has zeros as its payload */
  add(keys: Int32Array, at: number): number {
    const slot = this.slotOf(keys, at)
    const known = (this.slots[slot] ?? 0) - 1
    if (known >= 0) return known
    const entry = this.count
    if ((entry & (CHUNK_ENTRIES - 1)) === 0) {
      this.chunks.push(new Int32Array(CHUNK_ENTRIES * this.width))
    }
    const chunk = this.chunkOf(entry)
    const to = this.offsetOf(entry)
    for (let word = 0; word < this.keyWords; word++) chunk[to + word] = keys[at + word] ?? 0
    this.slots[slot] = entry + 1
    this.count++
    if (this.count * 4 > this.slots.length * 3) this.grow()
    return entry
  }

  /** Stores the words at source[at] as the payload of `entry`. */
  setPayload(entry: number, source: Int32Array, at: number): void {
    const chunk = this.chunkOf(entry)
    const to = this.offsetOf(entry) + this.keyWords
    const words = this.width - this.keyWords
    for (let word = 0; word < words; word++) chunk[to + word] = source[at + word] ?? 0
  }

  hasPayload(entry: number, source: Int32Array, at: number): boolean {
    const chunk = this.chunkOf(entry)
    const from = this.offsetOf(entry) + this.keyWords
    const words = this.width - this.keyWords
    for (let word = 0; word < words; word++) {
      if (chunk[from + word] !== source[at + word]) return false
    }
    return true
  }

  /** The words of a key, to be found elsewhere; a view. */
  keyOf(entry: number): Int32Array {
    const from = this.offsetOf(entry)
    return this.chunkOf(entry).subarray(from, from + this.keyWords)
  }

  private chunkOf(entry: number): Int32Array {
    return this.chunks[entry >>> CHUNK_BITS] ?? NOTHING
  }

  private offsetOf(entry: number): number {
    return (entry & (CHUNK_ENTRIES - 1)) * this.width
  }

  /** The slot that holds the key, or the free one where it belongs. */
  private slotOf(keys: Int32Array, at: number): number {
    const mask = this.slots.length - 1
    for (let slot = (keys[at] ?? 0) & mask; ; slot = (slot + 1) & mask) {
      const entry = (this.slots[slot] ?? 0) - 1
      if (entry < 0 || this.isKey(entry, keys, at)) return slot
    }
  }

  private isKey(entry: number, keys: Int32Array, at: number): boolean {
    const chunk = this.chunkOf(entry)
    const from = this.offsetOf(entry)
    for (let word = 0; word < this.keyWords; word++) {
      if (chunk[from + word] !== keys[at + word]) return false
    }
    return true
  }

  private grow(): void {
    this.slots = new Int32Array(this.slots.length * 2)
    for (let entry = 0; entry < this.count; entry++) {
      this.slots[this.slotOf(this.chunkOf(entry), this.offsetOf(entry))] = entry + 1
    }
  }
}

const NOTHING = new Int32Array(0)
