// Numbers the distinct values of a chunk in the order of their first occurrence. A sample decides
// whether it is worth trying; the try is given up as soon as the dictionary does not pay.

import { bitWidth } from './hybrid.ts'
import { Storage, type Leaf } from './leaf.ts'
import { Int32Scratch } from './scratch.ts'
import type { BytesValues, FixedValues, LeafValues, PairValues, WordValues } from './values.ts'

export interface Dictionary {
  /** Distinct values. */
  readonly count: number
  /** Bits an index. */
  readonly width: number
  /** Index of each value of the chunk. */
  readonly indexes: Int32Array
  /** Value number of the first occurrence of each entry. */
  readonly firsts: Int32Array
  /** Bytes of the dictionary page before compression. */
  readonly bytes: number
}

/** Iceberg's default for `write.parquet.dict-size-bytes`. */
const DICTIONARY_BYTES_MAX = 2 * 1024 * 1024
/** A dictionary has to save this part of the plain bytes, since indexes compress less. */
const SAVING_MIN = 0.15
const SAMPLE_WINDOWS = 32
const SAMPLE_WINDOW_VALUES = 64
const SAMPLE_VALUES = SAMPLE_WINDOWS * SAMPLE_WINDOW_VALUES
/** More distinct values than this part of the sample: a dictionary would not pay. */
const SAMPLE_DISTINCT_MAX = { numbers: 0.9, bytes: 0.98 }
/** Values between two looks at whether the dictionary still pays. */
const BLOCK_VALUES = 16 * 1024
const SLOTS_AT_START = 4096
const SLOTS_MIN = 16

const indexScratch = new Int32Scratch()
const firstScratch = new Int32Scratch()

/** @returns the dictionary of `values`, valid until the next call; `null` when it does not pay */
export function dictionaryOf(leaf: Leaf, values: LeafValues): Dictionary | null {
  if (values.storage === Storage.bool || values.count === 0) return null
  const table = new DictionaryTable(values)
  if (values.count > 2 * SAMPLE_VALUES && !samplePays(table)) return null
  table.reset()
  const count = values.count
  for (let start = 0; start < count; start += BLOCK_VALUES) {
    const end = Math.min(count, start + BLOCK_VALUES)
    table.add(start, end)
    const bytes = table.entryBytes()
    if (bytes > DICTIONARY_BYTES_MAX || !pays(leaf, table, bytes, end)) return null
  }
  return {
    count: table.count,
    width: bitWidth(table.count - 1),
    indexes: table.indexes,
    firsts: table.firsts,
    bytes: table.entryBytes(),
  }
}

function samplePays(table: DictionaryTable): boolean {
  const values = table.values
  const stride = Math.floor((values.count - SAMPLE_WINDOW_VALUES) / (SAMPLE_WINDOWS - 1))
  for (let window = 0; window < SAMPLE_WINDOWS; window++) {
    table.add(window * stride, window * stride + SAMPLE_WINDOW_VALUES)
  }
  const part = values.storage === Storage.bytes ? 'bytes' : 'numbers'
  return table.count <= SAMPLE_DISTINCT_MAX[part] * SAMPLE_VALUES
}

/** Judges the first `end` values as if they were the chunk. */
function pays(leaf: Leaf, table: DictionaryTable, entryBytes: number, end: number): boolean {
  const values = table.values
  const plain =
    values.storage === Storage.bytes
      ? values.offsets[end]! - values.offsets[0]! + 4 * end
      : leaf.width * end
  return entryBytes + (bitWidth(table.count - 1) * end) / 8 <= plain * (1 - SAVING_MIN)
}

/** As many as a chunk of so few values needs: files of single rows are made by the thousand. */
function slotsFor(values: number): number {
  let slots = SLOTS_MIN
  while (slots < SLOTS_AT_START && slots < 4 * values) slots *= 2
  return slots
}

/** Open addressing with linear probing; a slot holds entry + 1, 0 is free. */
class DictionaryTable {
  readonly values: LeafValues
  readonly indexes: Int32Array
  firsts: Int32Array
  count = 0
  private slots: Int32Array

  constructor(values: LeafValues) {
    this.values = values
    this.indexes = indexScratch.take(values.count)
    this.firsts = firstScratch.take(values.count)
    this.slots = new Int32Array(slotsFor(values.count))
  }

  reset(): void {
    this.slots.fill(0)
    this.count = 0
  }

  /** Indexes values [start, end). */
  add(start: number, end: number): void {
    // Half full is the limit, also when every value of the step is new.
    for (let at = start; at < end;) {
      const room = (this.slots.length >> 1) - this.count
      if (room <= 0) {
        this.grow()
        continue
      }
      const stop = Math.min(end, at + room)
      this.count = this.addStep(at, stop)
      at = stop
    }
  }

  private addStep(start: number, end: number): number {
    const { values, indexes, firsts, slots, count } = this
    switch (values.storage) {
      case 'word':
        return addWords(values, start, end, indexes, firsts, slots, count)
      case 'pair':
        return addPairs(values, start, end, indexes, firsts, slots, count)
      case 'fixed':
        return addFixed(values, start, end, indexes, firsts, slots, count)
      case 'bytes':
        return addBytes(values, start, end, indexes, firsts, slots, count)
      case 'bool':
        throw new TypeError('booleans have no dictionary')
    }
  }

  private grow(): void {
    const slots = new Int32Array(this.slots.length * 4)
    const mask = slots.length - 1
    for (let entry = 0; entry < this.count; entry++) {
      let slot = hashAt(this.values, this.firsts[entry]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = entry + 1
    }
    this.slots = slots
  }

  entryBytes(): number {
    const values = this.values
    switch (values.storage) {
      case 'word':
        return 4 * this.count
      case 'pair':
        return 8 * this.count
      case 'fixed':
        return values.width * this.count
      case 'bytes': {
        let bytes = 4 * this.count
        for (let entry = 0; entry < this.count; entry++) {
          const first = this.firsts[entry]!
          bytes += values.offsets[first + 1]! - values.offsets[first]!
        }
        return bytes
      }
      case 'bool':
        return 0
    }
  }
}

function hashAt(values: LeafValues, at: number): number {
  switch (values.storage) {
    case 'word':
      return hashWord(values.words[at]!)
    case 'pair':
      return hashPair(values.words[2 * at]!, values.words[2 * at + 1]!)
    case 'fixed':
      return hashFixed(values.bytes, at * values.width, values.width)
    case 'bytes':
      return hashBytes(values.view, values.offsets[at]!, values.offsets[at + 1]!)
    case 'bool':
      return 0
  }
}

function hashWord(word: number): number {
  const mixed = Math.imul(word, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

function hashPair(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

function hashFixed(bytes: Uint8Array, start: number, width: number): number {
  let hash = 0
  for (let at = start; at < start + width; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

/**
 * Eight bytes a step, in two chains that do not wait for each other. The last step overlaps the one
 * before it, so that no length of four or more needs a loop over bytes, and four to eight none.
 */
function hashBytes(view: DataView, start: number, end: number): number {
  const length = end - start
  if (length < 4) return hashPair(shortWord(view, start, length), length)
  let even = Math.imul(length, 0x85ebca6b)
  let odd = 0
  let at = start
  for (; at < end - 8; at += 8) {
    even = Math.imul(even ^ view.getInt32(at, true), 0x9e3779b1)
    odd = Math.imul(odd ^ view.getInt32(at + 4, true), 0xc2b2ae35)
    even ^= even >>> 15
    odd ^= odd >>> 15
  }
  if (length > 8) at = end - 8
  even ^= view.getInt32(at, true)
  odd ^= view.getInt32(end - 4, true)
  const mixed = Math.imul(even ^ Math.imul(odd ^ (odd >>> 15), 0xc2b2ae35), 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** @returns the up to three bytes as a number; 0 for none */
function shortWord(view: DataView, start: number, length: number): number {
  if (length === 0) return 0
  const middle = view.getUint8(start + (length >> 1))
  return view.getUint8(start) | (middle << 8) | (view.getUint8(start + length - 1) << 16)
}

function addWords(
  values: WordValues,
  start: number,
  end: number,
  indexes: Int32Array,
  firsts: Int32Array,
  slots: Int32Array,
  countBefore: number,
): number {
  const words = values.words
  const mask = slots.length - 1
  let count = countBefore
  for (let at = start; at < end; at++) {
    const word = words[at]!
    let slot = hashWord(word) & mask
    let entry = slots[slot]!
    while (entry !== 0 && words[firsts[entry - 1]!] !== word) {
      slot = (slot + 1) & mask
      entry = slots[slot]!
    }
    if (entry === 0) {
      firsts[count++] = at
      slots[slot] = count
      entry = count
    }
    indexes[at] = entry - 1
  }
  return count
}

function addPairs(
  values: PairValues,
  start: number,
  end: number,
  indexes: Int32Array,
  firsts: Int32Array,
  slots: Int32Array,
  countBefore: number,
): number {
  const words = values.words
  const mask = slots.length - 1
  let count = countBefore
  for (let at = start; at < end; at++) {
    const low = words[2 * at]!
    const high = words[2 * at + 1]!
    let slot = hashPair(low, high) & mask
    let entry = slots[slot]!
    while (entry !== 0) {
      const first = 2 * firsts[entry - 1]!
      if (words[first] === low && words[first + 1] === high) break
      slot = (slot + 1) & mask
      entry = slots[slot]!
    }
    if (entry === 0) {
      firsts[count++] = at
      slots[slot] = count
      entry = count
    }
    indexes[at] = entry - 1
  }
  return count
}

function addFixed(
  values: FixedValues,
  start: number,
  end: number,
  indexes: Int32Array,
  firsts: Int32Array,
  slots: Int32Array,
  countBefore: number,
): number {
  const { bytes, width } = values
  const mask = slots.length - 1
  let count = countBefore
  for (let at = start; at < end; at++) {
    let slot = hashFixed(bytes, at * width, width) & mask
    let entry = slots[slot]!
    while (entry !== 0 && !sameFixed(bytes, at * width, firsts[entry - 1]! * width, width)) {
      slot = (slot + 1) & mask
      entry = slots[slot]!
    }
    if (entry === 0) {
      firsts[count++] = at
      slots[slot] = count
      entry = count
    }
    indexes[at] = entry - 1
  }
  return count
}

function sameFixed(bytes: Uint8Array, left: number, right: number, width: number): boolean {
  for (let byte = 0; byte < width; byte++) {
    if (bytes[left + byte] !== bytes[right + byte]) return false
  }
  return true
}

function addBytes(
  values: BytesValues,
  start: number,
  end: number,
  indexes: Int32Array,
  firsts: Int32Array,
  slots: Int32Array,
  countBefore: number,
): number {
  const { offsets, view } = values
  const mask = slots.length - 1
  let count = countBefore
  for (let at = start; at < end; at++) {
    const from = offsets[at]!
    const length = offsets[at + 1]! - from
    let slot = hashBytes(view, from, from + length) & mask
    let entry = slots[slot]!
    while (entry !== 0) {
      const first = offsets[firsts[entry - 1]!]!
      const firstLength = offsets[firsts[entry - 1]! + 1]! - first
      if (firstLength === length && sameBytes(view, from, first, length)) break
      slot = (slot + 1) & mask
      entry = slots[slot]!
    }
    if (entry === 0) {
      firsts[count++] = at
      slots[slot] = count
      entry = count
    }
    indexes[at] = entry - 1
  }
  return count
}

/**
 * The last word overlaps the one before it. Optimised code compares 64-bit words in registers, a
 * fifth of the time of a column less; to hash with them it allocates, which costs three times more.
 */
function sameBytes(view: DataView, left: number, right: number, length: number): boolean {
  if (length < 4) return shortWord(view, left, length) === shortWord(view, right, length)
  if (length < 8) {
    const last = length - 4
    return (
      view.getInt32(left) === view.getInt32(right) &&
      view.getInt32(left + last) === view.getInt32(right + last)
    )
  }
  const last = length - 8
  for (let at = 0; at < last; at += 8) {
    if (view.getBigInt64(left + at) !== view.getBigInt64(right + at)) return false
  }
  return view.getBigInt64(left + last) === view.getBigInt64(right + last)
}
