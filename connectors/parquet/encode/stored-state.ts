// What an open file consists of so far, as JSON: for a checkpoint that a file stays open over.
// Compact, since every checkpoint has all row groups of all open files: numbers in the order of
// their names, bytes as base64. What is restored equals what was stored.

import type { ParquetEncoderState } from './encoder.ts'
import type { Bounds, ChunkMetadata, PageLocation, RowGroupMetadata } from './metadata.ts'
import type { LeafMetrics } from './metrics.ts'

type StoredBounds = readonly [min: string, max: string, minExact: boolean, maxExact: boolean]

type StoredChunk = readonly [
  entries: number,
  nulls: number,
  bytes: number,
  bytesUncompressed: number,
  dictionaryOffset: number | null,
  dataOffset: number,
  dataPages: number,
  bounds: StoredBounds | null,
  /** Three numbers a page. */
  pages: readonly number[],
  columnIndex: string | null,
]

type StoredGroup = readonly [
  rows: number,
  offset: number,
  bytes: number,
  bytesUncompressed: number,
  chunks: readonly StoredChunk[],
]

type StoredMetrics = readonly [
  bytes: number,
  entries: number,
  nulls: number,
  nans: number,
  min: string | null,
  max: string | null,
]

/** JSON form of `ParquetEncoderState`. */
export interface StoredEncoderState {
  readonly bytes: number
  readonly rowGroups: readonly StoredGroup[]
  readonly metrics: readonly StoredMetrics[]
}

export function storeState({ bytes, rowGroups, metrics }: ParquetEncoderState): StoredEncoderState {
  return { bytes, rowGroups: rowGroups.map(storeGroup), metrics: metrics.map(storeMetrics) }
}

export function restoreState(stored: StoredEncoderState): ParquetEncoderState {
  const { bytes, rowGroups, metrics } = stored
  return { bytes, rowGroups: rowGroups.map(restoreGroup), metrics: metrics.map(restoreMetrics) }
}

function storeGroup(group: RowGroupMetadata): StoredGroup {
  const { rows, offset, bytes, bytesUncompressed, chunks } = group
  return [rows, offset, bytes, bytesUncompressed, chunks.map(storeChunk)]
}

function restoreGroup([rows, offset, bytes, uncompressed, chunks]: StoredGroup): RowGroupMetadata {
  return {
    rows,
    offset,
    bytes,
    bytesUncompressed: uncompressed,
    chunks: chunks.map(restoreChunk),
  }
}

function storeChunk(chunk: ChunkMetadata): StoredChunk {
  const { bounds, columnIndex } = chunk
  return [
    chunk.entries,
    chunk.nulls,
    chunk.bytes,
    chunk.bytesUncompressed,
    chunk.dictionaryOffset,
    chunk.dataOffset,
    chunk.dataPages,
    bounds === null ? null : [text(bounds.min), text(bounds.max), bounds.minExact, bounds.maxExact],
    chunk.pages.flatMap(({ offset, bytes, firstRow }) => [offset, bytes, firstRow]),
    textOrNull(columnIndex),
  ]
}

function restoreChunk(stored: StoredChunk): ChunkMetadata {
  const [entries, nulls, bytes, bytesUncompressed, dictionaryOffset, dataOffset, ...rest] = stored
  const [dataPages, bounds, pages, columnIndex] = rest
  return {
    entries,
    nulls,
    bytes,
    bytesUncompressed,
    dictionaryOffset,
    dataOffset,
    dataPages,
    bounds: bounds === null ? null : restoreBounds(bounds),
    pages: restorePages(pages),
    columnIndex: bytesOrNull(columnIndex),
  }
}

function restoreBounds([min, max, minExact, maxExact]: StoredBounds): Bounds {
  return { min: bytesOf(min), max: bytesOf(max), minExact, maxExact }
}

function restorePages(numbers: readonly number[]): PageLocation[] {
  const pages: PageLocation[] = []
  for (let at = 0; at < numbers.length; at += 3) {
    const [offset = 0, bytes = 0, firstRow = 0] = numbers.slice(at, at + 3)
    pages.push({ offset, bytes, firstRow })
  }
  return pages
}

function storeMetrics(metrics: Readonly<LeafMetrics>): StoredMetrics {
  const { bytes, entries, nulls, nans, min, max } = metrics
  return [bytes, entries, nulls, nans, textOrNull(min), textOrNull(max)]
}

function restoreMetrics([bytes, entries, nulls, nans, min, max]: StoredMetrics): LeafMetrics {
  return { bytes, entries, nulls, nans, min: bytesOrNull(min), max: bytesOrNull(max) }
}

function textOrNull(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : text(bytes)
}

function bytesOrNull(stored: string | null): Uint8Array | null {
  return stored === null ? null : bytesOf(stored)
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function bytesOf(stored: string): Uint8Array {
  return new Uint8Array(Buffer.from(stored, 'base64'))
}
