// A sorted run: entries of one segment in the order of their keys, immutable, a section of a file
// that holds many. Entries stand in blocks of 256; the directory behind them has the first two
// words of each block's first key and the block's checksum. Only the directory is kept in memory.
//
//   run = entry* directory     directory = (u32 word 0, u32 word 1, u32 crc32 of the block)*
//
// Each block that is read is checked: a flipped bit in a position would delete the wrong row.

import { crc32 } from 'node:zlib'
import { assert } from '../../../runtime/base/assert.ts'
import type { HashWords } from '../../../runtime/data/key-hash.ts'
import { entryWords } from './entry-table.ts'
import { compareKeys } from './sort.ts'
import { damaged, type StateFile } from './state-files.ts'

/** Where a run is and what it holds; plain data of the index manifest. */
export interface RunPlace {
  readonly file: string
  /** Byte offset of its first entry. */
  readonly offset: number
  readonly entries: number
  /** Checksum of the directory. */
  readonly crc: number
}

const BLOCK_ENTRIES = 256
const DIRECTORY_WORDS = 3
/** Blocks that are skipped cost less than a second read. */
const GAP_BLOCKS = 4
/** 1 MiB for short entries. */
const WINDOW_BLOCKS_MAX = 256

/** @returns bytes of a run in its file, directory included */
export function runBytes(entries: number, words: HashWords): number {
  return entries * entryWords(words) * 4 + blocksOf(entries) * DIRECTORY_WORDS * 4
}

function blocksOf(entries: number): number {
  return Math.ceil(entries / BLOCK_ENTRIES)
}

/** @returns the directory of sorted entries, with its own checksum */
export function directoryOf(
  entries: Int32Array,
  words: HashWords,
): { directory: Int32Array; crc: number } {
  const stride = entryWords(words)
  const blocks = blocksOf(entries.length / stride)
  const directory = new Int32Array(blocks * DIRECTORY_WORDS)
  for (let block = 0; block < blocks; block++) {
    const start = block * BLOCK_ENTRIES * stride
    const end = Math.min(start + BLOCK_ENTRIES * stride, entries.length)
    directory[block * DIRECTORY_WORDS] = entries[start]!
    directory[block * DIRECTORY_WORDS + 1] = entries[start + 1]!
    directory[block * DIRECTORY_WORDS + 2] = crc32(bytesOf(entries.subarray(start, end)))
  }
  return { directory, crc: crc32(bytesOf(directory)) }
}

export function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

/** One window of blocks, shared by all runs: each read ends before the next begins. */
let windowWords = new Int32Array(0)

export class Run {
  readonly place: RunPlace
  readonly words: HashWords
  private readonly file: StateFile
  private readonly stride: number
  private readonly blocks: number
  private readonly directory: Int32Array

  /** @param directory  of a run that has just been written; `null`: it is read from the file */
  constructor(file: StateFile, place: RunPlace, words: HashWords, directory: Int32Array | null) {
    this.file = file
    this.place = place
    this.words = words
    this.stride = entryWords(words)
    this.blocks = blocksOf(place.entries)
    this.directory = directory ?? this.readDirectory()
  }

  /** Bytes that the directory takes in memory. */
  get memoryBytes(): number {
    return this.directory.byteLength
  }

  private readDirectory(): Int32Array {
    const { place } = this
    const directory = new Int32Array(this.blocks * DIRECTORY_WORDS)
    this.file.read(place.offset + place.entries * this.stride * 4, bytesOf(directory))
    if (crc32(bytesOf(directory)) !== place.crc) throw damaged(place.file, 'a directory')
    return directory
  }

  /**
   * Looks up keys that are sorted ascending.
   *
   * @param keys       words in which the keys lie
   * @param order      index of each key's first word, ascending by key
   * @param start      first key of `order`
   * @param end        end of the keys in `order`
   * @param files      by key: receives its file id, or 0 when the run does not have it
   * @param positions  by key: receives its position
   * Cost: one read a window of neighbouring blocks, about 100 ns a key besides.
   */
  lookup(
    keys: Int32Array,
    order: Int32Array,
    start: number,
    end: number,
    files: Int32Array,
    positions: Int32Array,
  ): void {
    const blocks = this.blocksOfKeys(keys, order, start, end)
    let next = start
    while (next < end) {
      const first = blocks[next - start]!
      let last = this.lastBlock(keys, order[next]!, first)
      let until = next + 1
      while (until < end && last - first < WINDOW_BLOCKS_MAX) {
        const block = blocks[until - start]!
        if (block - last > GAP_BLOCKS + 1) break
        last = Math.max(last, this.lastBlock(keys, order[until]!, block))
        until++
      }
      const window = this.readWindow(first, last + 1)
      this.search(window, first, blocks, start, keys, order, next, until, files, positions)
      next = until
    }
  }

  /** By key: the last block whose first key is before it; the key may stand at that block's end. */
  private blocksOfKeys(
    keys: Int32Array,
    order: Int32Array,
    start: number,
    end: number,
  ): Int32Array {
    const blocks = new Int32Array(end - start)
    let block = 0
    for (let rank = start; rank < end; rank++) {
      block = this.firstBlock(keys, order[rank]!, block)
      blocks[rank - start] = block
    }
    return blocks
  }

  /**
   * The last block whose first key is before the key, or block 0.
   *
   * @param from  a block that is not after it
   */
  private firstBlock(keys: Int32Array, key: number, from: number): number {
    // Keys come in order, so the block is near the last one: double the step, then halve the gap.
    let low = from
    let step = 1
    while (low + step < this.blocks && this.compareBlock(low + step, keys, key) < 0) {
      low += step
      step *= 2
    }
    let high = Math.min(low + step, this.blocks)
    low++
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.compareBlock(middle, keys, key) < 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The last block whose first key is not after the key: `first`, unless the key begins one. */
  private lastBlock(keys: Int32Array, key: number, first: number): number {
    let last = first
    while (last + 1 < this.blocks && this.compareBlock(last + 1, keys, key) <= 0) last++
    return last
  }

  private compareBlock(block: number, keys: Int32Array, key: number): number {
    return compareKeys(this.directory, block * DIRECTORY_WORDS, keys, key, 2)
  }

  /** Entries of blocks [first, end), unchecked, valid until the next read of any run. */
  private readWindow(first: number, end: number): Int32Array {
    const { place, stride } = this
    const startEntry = first * BLOCK_ENTRIES
    const endEntry = Math.min(end * BLOCK_ENTRIES, place.entries)
    const words = (endEntry - startEntry) * stride
    if (windowWords.length < words) {
      windowWords = new Int32Array(Math.max(words, (GAP_BLOCKS + 1) * BLOCK_ENTRIES * stride))
    }
    const window = windowWords.subarray(0, words)
    this.file.read(place.offset + startEntry * stride * 4, bytesOf(window))
    return window
  }

  private search(
    window: Int32Array,
    first: number,
    blocks: Int32Array,
    blocksStart: number,
    keys: Int32Array,
    order: Int32Array,
    start: number,
    end: number,
    files: Int32Array,
    positions: Int32Array,
  ): void {
    const { stride, words } = this
    const blockWords = BLOCK_ENTRIES * stride
    let checked = first
    for (let rank = start; rank < end; rank++) {
      const key = order[rank]!
      const block = blocks[rank - blocksStart]!
      const last = this.lastBlock(keys, key, block)
      for (checked = Math.max(checked, block); checked <= last; checked++) {
        const from = (checked - first) * blockWords
        this.check(checked, window.subarray(from, from + blockWords))
      }
      const low = (block - first) * BLOCK_ENTRIES
      const high = Math.min((last + 1 - first) * BLOCK_ENTRIES, window.length / stride)
      const at = find(window, low, high, stride, keys, key, words)
      files[rank] = at < 0 ? 0 : window[at + words]!
      positions[rank] = at < 0 ? 0 : window[at + words + 1]!
    }
  }

  private check(block: number, entries: Int32Array): void {
    if ((crc32(bytesOf(entries)) | 0) !== this.directory[block * DIRECTORY_WORDS + 2]) {
      throw damaged(this.place.file, `block ${block} of a run`)
    }
  }

  /**
   * Reads the entries whose segment (top 8 bits of word 0) is in [start, end), in their order, each
   * block checked; the caller owns the array.
   */
  readSegments(start: number, end: number): Int32Array {
    assert(start < end && end <= 256, 'a range of segments is not empty')
    const { stride, place } = this
    const bound = new Int32Array(2)
    bound[0] = start << 24
    const first = this.firstBlock(bound, 0, 0)
    bound[0] = end << 24
    const last = end === 256 ? this.blocks : this.firstBlock(bound, 0, first) + 1
    const entries = new Int32Array(
      (Math.min(last * BLOCK_ENTRIES, place.entries) - first * BLOCK_ENTRIES) * stride,
    )
    this.file.read(place.offset + first * BLOCK_ENTRIES * stride * 4, bytesOf(entries))
    const blockWords = BLOCK_ENTRIES * stride
    for (let block = first; block < last; block++) {
      const from = (block - first) * blockWords
      this.check(block, entries.subarray(from, from + blockWords))
    }
    let low = 0
    let high = entries.length
    while (low < high && entries[low]! >>> 24 < start) low += stride
    while (high > low && entries[high - stride]! >>> 24 >= end) high -= stride
    return entries.subarray(low, high)
  }
}

/**
 * Hashes are spread evenly, so the place of a key is guessed from its value; a few steps then.
 *
 * @returns index of the entry's first word, or -1. `low` and `high` count entries
 */
function find(
  entries: Int32Array,
  low: number,
  high: number,
  stride: number,
  keys: Int32Array,
  key: number,
  words: number,
): number {
  const least = entries[low * stride]! >>> 0
  const most = entries[(high - 1) * stride]! >>> 0
  const wanted = keys[key]! >>> 0
  if (wanted < least || wanted > most) return -1
  const share = most === least ? 0 : (wanted - least) / (most - least)
  let at = low + Math.floor(share * (high - 1 - low))
  let comparison = compareKeys(entries, at * stride, keys, key, words)
  if (comparison < 0) {
    while (comparison < 0 && ++at < high) {
      comparison = compareKeys(entries, at * stride, keys, key, words)
    }
  } else {
    while (comparison > 0 && --at >= low) {
      comparison = compareKeys(entries, at * stride, keys, key, words)
    }
  }
  return comparison === 0 ? at * stride : -1
}
