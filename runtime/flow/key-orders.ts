// The order of the last log change of each key, for the tables in hand-over: an open-addressed
// table of typed arrays, because during a backfill under load every log row passes through it.

import type { Order } from '../data/position.ts'

const SLOTS_AT_START = 1024
/** Words of a key in the table: shorter hashes are padded with zeros. */
const KEY_WORDS = 4

/** Words of an order in the table: 128 bits. */
const ORDER_WORDS = 4

export class KeyOrders {
  /** Keys remembered. */
  count = 0
  private slots = SLOTS_AT_START
  private used = new Uint8Array(SLOTS_AT_START)
  private keys = new Int32Array(SLOTS_AT_START * KEY_WORDS)
  private orders = new Uint32Array(SLOTS_AT_START * ORDER_WORDS)
  private readonly scratch = new Uint32Array(ORDER_WORDS)
  private scratchOrder: Order = -1n

  /** Remembers that the key at hashes[at, at + words) changed at `order`, 0...2^128 - 1. */
  put(hashes: Int32Array, at: number, words: number, order: Order): void {
    if ((this.count + 1) * 4 > this.slots * 3) this.resize(this.slots * 2, null)
    const slot = this.find(hashes, at, words)
    if (this.used[slot] === 0) {
      this.used[slot] = 1
      this.count++
      for (let word = 0; word < words; word++) {
        this.keys[slot * KEY_WORDS + word] = hashes[at + word] ?? 0
      }
    }
    this.orders.set(this.wordsOf(order), slot * ORDER_WORDS)
  }

  /** @returns true when the key changed at `order` or later */
  changedSince(hashes: Int32Array, at: number, words: number, order: Order): boolean {
    const slot = this.find(hashes, at, words)
    return this.used[slot] === 1 && this.compare(slot, this.wordsOf(order)) >= 0
  }

  /** Forgets changes older than `order`, when that frees enough to be worth the pass. */
  forgetBefore(order: Order): void {
    if (this.count < SLOTS_AT_START) return
    const limit = this.wordsOf(order)
    let newer = 0
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.used[slot] === 1 && this.compare(slot, limit) >= 0) newer++
    }
    if (newer * 2 > this.count) return
    let slots = SLOTS_AT_START
    while (newer * 2 > slots) slots *= 2
    this.resize(slots, Uint32Array.from(limit))
  }

  clear(): void {
    this.count = 0
    this.slots = SLOTS_AT_START
    this.used = new Uint8Array(SLOTS_AT_START)
    this.keys = new Int32Array(SLOTS_AT_START * KEY_WORDS)
    this.orders = new Uint32Array(SLOTS_AT_START * ORDER_WORDS)
  }

  /** @returns the slot of the key, or the empty one where it belongs */
  private find(hashes: Int32Array, at: number, words: number): number {
    const mask = this.slots - 1
    let slot = (hashes[at + 1] ?? 0) & mask
    while (this.used[slot] === 1) {
      let same = true
      for (let word = 0; word < words; word++) {
        if (this.keys[slot * KEY_WORDS + word] !== hashes[at + word]) same = false
      }
      if (same) return slot
      slot = (slot + 1) & mask
    }
    return slot
  }

  /** Most significant word first. The same order comes for many rows in turn, so it is kept. */
  private wordsOf(order: Order): Uint32Array {
    if (order !== this.scratchOrder) {
      for (let word = 0; word < ORDER_WORDS; word++) {
        this.scratch[word] = Number((order >> BigInt(96 - 32 * word)) & 0xffff_ffffn)
      }
      this.scratchOrder = order
    }
    return this.scratch
  }

  private compare(slot: number, order: Uint32Array): number {
    for (let word = 0; word < ORDER_WORDS; word++) {
      const difference = (this.orders[slot * ORDER_WORDS + word] ?? 0) - (order[word] ?? 0)
      if (difference !== 0) return difference
    }
    return 0
  }

  /** Rebuilds with `slots` slots, without the keys whose order is before `limit`. */
  private resize(slots: number, limit: Uint32Array | null): void {
    const { used, keys, orders, slots: before } = this
    const kept: number[] = []
    for (let slot = 0; slot < before; slot++) {
      if (used[slot] === 1 && (limit === null || this.compare(slot, limit) >= 0)) kept.push(slot)
    }
    this.slots = slots
    this.used = new Uint8Array(slots)
    this.keys = new Int32Array(slots * KEY_WORDS)
    this.orders = new Uint32Array(slots * ORDER_WORDS)
    this.count = kept.length
    for (const slot of kept) {
      const at = slot * KEY_WORDS
      const to = this.find(keys, at, KEY_WORDS)
      this.used[to] = 1
      this.keys.set(keys.subarray(at, at + KEY_WORDS), to * KEY_WORDS)
      this.orders.set(
        orders.subarray(slot * ORDER_WORDS, (slot + 1) * ORDER_WORDS),
        to * ORDER_WORDS,
      )
    }
  }
}
