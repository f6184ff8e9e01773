// Merges the deltas of many epochs into one: of each key the last entry stays, and what a run holds
// by now goes. Without it a pipeline with a checkpoint a second would keep a file for each of them.

import { assert } from '../../../runtime/base/assert.ts'
import type { HashWords } from '../../../runtime/data/key-hash.ts'
import { ChunkKind, type DeltaChunk, type DeltaWriter } from './delta.ts'
import { EntryTable } from './entry-table.ts'

/** Entries of one table, and the resets before them. */
interface MergedTable {
  table: EntryTable
  readonly resets: { readonly words: HashWords; readonly start: number; readonly end: number }[]
}

/** Entries handed to the writer at a time. */
const CHUNK_ENTRIES = 64 * 1024

export class DeltaMerge {
  private readonly tables = new Map<string, MergedTable>()

  /**
   * Takes the next chunk; chunks come oldest first.
   *
   * A reset stays only where the entries of its delta are needed. Behind a later fold it would
   * void the run that holds them: the merged delta ends after the fold, so a restart replays it,
   * and the entries before the fold are no longer in it.
   *
   * @param keep  false for a segment (top 8 bits) whose entries are not needed any more
   */
  add({ kind, table, words, payload }: DeltaChunk, keep: (segment: number) => boolean): void {
    let merged = this.tables.get(table)
    if (merged === undefined) {
      merged = { table: new EntryTable(words), resets: [] }
      this.tables.set(table, merged)
    }
    if (kind === ChunkKind.reset) {
      const [start = 0, end = 0] = payload
      for (const range of rangesOf(start, end, keep)) merged.resets.push({ words, ...range })
      merged.table = without(merged.table, start, end)
      return
    }
    if (merged.table.words !== words) {
      assert(merged.table.used === 0, 'the hash of a key changes only behind a reset')
      merged.table = new EntryTable(words)
    }
    const stride = words + 2
    const needed = new Uint8Array(256)
    for (let segment = 0; segment < 256; segment++) needed[segment] = keep(segment) ? 1 : 0
    for (let at = 0; at < payload.length; at += stride) {
      if (needed[payload[at]! >>> 24] === 0) continue
      merged.table.put(payload, at, payload[at + words]!, payload[at + words + 1]!)
    }
  }

  /** Hands everything to a new delta. */
  write(delta: DeltaWriter): void {
    for (const [name, { table, resets }] of this.tables) {
      for (const { words, start, end } of resets) delta.reset(name, words, start, end)
      const { entries, stride, words } = table
      const buffer = new Int32Array(Math.min(table.used, CHUNK_ENTRIES) * stride)
      let length = 0
      for (let at = 0; at < entries.length; at += stride) {
        if (entries[at + words] === 0) continue
        buffer.set(entries.subarray(at, at + stride), length)
        length += stride
        if (length < buffer.length) continue
        delta.entries(name, words, buffer)
        length = 0
      }
      if (length > 0) delta.entries(name, words, buffer.subarray(0, length))
    }
  }
}

/** @returns the parts of [start, end) that are kept, ascending, neighbours united */
function rangesOf(
  start: number,
  end: number,
  keep: (segment: number) => boolean,
): { readonly start: number; readonly end: number }[] {
  const ranges: { readonly start: number; readonly end: number }[] = []
  let from = start
  for (let segment = start; segment <= end; segment++) {
    if (segment < end && keep(segment)) continue
    if (segment > from) ranges.push({ start: from, end: segment })
    from = segment + 1
  }
  return ranges
}

function without(table: EntryTable, start: number, end: number): EntryTable {
  const { entries, stride, words } = table
  const kept = new EntryTable(words)
  for (let at = 0; at < entries.length; at += stride) {
    const segment = entries[at]! >>> 24
    if (entries[at + words] === 0 || (segment >= start && segment < end)) continue
    kept.put(entries, at, entries[at + words]!, entries[at + words + 1]!)
  }
  return kept
}
