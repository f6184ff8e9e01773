// Encodes one column of a row group: an optional dictionary page, then data pages of version 1,
// each about one MiB before compression, with the statistics of every page and of the whole.

import type { Column } from '../../../runtime/data/column/column.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { comparePlain, lowerBound, signZero, upperBound } from './bounds.ts'
import { compress, type Compression } from './compress.ts'
import { dictionaryOf, type Dictionary } from './dictionary.ts'
import { writeHybrid } from './hybrid.ts'
import type { Leaf } from './leaf.ts'
import { levelsOf, type Levels } from './levels.ts'
import {
  encodeColumnIndex,
  encodeDataPageHeader,
  encodeDictionaryPageHeader,
  Encoding,
  type BoundaryOrder,
  type Bounds,
  type ChunkMetadata,
  type PageLocation,
} from './metadata.ts'
import { plainBytes, plainValue, writeDictionary, writePlain } from './plain.ts'
import { PageBody } from './scratch.ts'
import { extremesOf, mergeExtremes, type Extremes } from './statistics.ts'
import { leafValues, type LeafValues } from './values.ts'

export interface PageOptions {
  readonly compression: Compression
  /** A multiple of 8. Smaller pages prune better, but each costs 30 us of compressor setup. */
  readonly pageRowsMax: number
  /** Before compression. A page has at least eight rows, whatever they weigh. */
  readonly pageBytesMax: number
}

/** Code points or bytes of a bound in Parquet's own statistics. */
const BOUND_LENGTH = 64
/** A bound that cannot be shortened is left out beyond this. */
const BOUND_BYTES_MAX = 4096

/** The smallest and largest value of a chunk, whole, in the form of `plainValue`. */
export interface ChunkExtremes {
  readonly min: Uint8Array
  readonly max: Uint8Array
}

export interface EncodedChunk {
  /** Headers and pages in their order, in memory of their own. */
  readonly parts: readonly Uint8Array[]
  readonly metadata: ChunkMetadata
  /** `null` when no row has a value other than NaN. */
  readonly extremes: ChunkExtremes | null
  readonly nans: number
}

interface Page {
  readonly rowStart: number
  readonly rowEnd: number
  readonly valueStart: number
  readonly valueEnd: number
}

const body = new PageBody()

/**
 * @param column  all rows of the row group; none is unchanged
 * @param offset  of the chunk in the file
 * @param before  the chunk of this leaf in the row group before: tells how well it compresses
 */
export function encodeChunk(
  leaf: Leaf,
  column: Column,
  options: PageOptions,
  offset: number,
  before: ChunkMetadata | null = null,
): EncodedChunk {
  const levels = levelsOf(leaf, column)
  const values = leafValues(leaf, column.layout === 'list' ? column.child : column)
  const dictionary = dictionaryOf(leaf, values)
  const pages = planPages(levels, values, dictionary, options)
  const last = pages[pages.length - 1]!
  assert(last.valueEnd === values.count, 'the pages of a chunk hold each of its values once')

  const output = new ChunkOutput(options.compression, offset, before)
  if (dictionary !== null) {
    body.length = 0
    body.reserve(dictionary.bytes)
    writeDictionary(body, values, dictionary)
    output.dictionaryPage(dictionary.count)
  }
  const extremes: Extremes[] = []
  for (const page of pages) {
    writePage(levels, values, dictionary, page)
    const entries = levels.entriesBefore(page.rowEnd) - levels.entriesBefore(page.rowStart)
    output.dataPage(entries, dictionary !== null, page.rowStart)
    extremes.push(extremesOf(values, dictionary, page.valueStart, page.valueEnd))
  }
  return finishChunk(leaf, levels, values, pages, extremes, output)
}

/** Cuts the rows into pages; each row belongs to one. */
function planPages(
  levels: Levels,
  values: LeafValues,
  dictionary: Dictionary | null,
  options: PageOptions,
): Page[] {
  const { pageRowsMax, pageBytesMax } = options
  const bytesOf = (start: number, end: number): number =>
    dictionary === null
      ? plainBytes(values, start, end)
      : Math.ceil(((end - start) * dictionary.width) / 8)
  const pagesByBytes = Math.ceil(bytesOf(0, values.count) / (pageBytesMax * 0.95))
  const rowsPerPage = Math.ceil(levels.rows / Math.max(1, pagesByBytes))
  const rowsTarget = Math.min(pageRowsMax, (rowsPerPage + 7) & ~7)
  const pages: Page[] = []
  let rowStart = 0
  let valueStart = 0
  while (rowStart < levels.rows) {
    let rows = Math.min(rowsTarget, levels.rows - rowStart)
    let count = levels.values(rowStart, rowStart + rows)
    while (rows > 8 && bytesOf(valueStart, valueStart + count) > pageBytesMax) {
      rows = Math.max(8, (rows >> 1) & ~7)
      count = levels.values(rowStart, rowStart + rows)
    }
    const valueEnd = valueStart + count
    pages.push({ rowStart, rowEnd: rowStart + rows, valueStart, valueEnd })
    rowStart += rows
    valueStart = valueEnd
  }
  return pages
}

function writePage(
  levels: Levels,
  values: LeafValues,
  dictionary: Dictionary | null,
  page: Page,
): void {
  body.length = 0
  levels.write(body, page.rowStart, page.rowEnd)
  if (dictionary === null) {
    writePlain(body, values, page.valueStart, page.valueEnd)
    return
  }
  body.reserve(1)
  body.bytes[body.length++] = dictionary.width
  writeHybrid(body, dictionary.indexes, page.valueStart, page.valueEnd, dictionary.width)
}

/** Collects the pages of one chunk and what the footer says about them. */
class ChunkOutput {
  readonly locations: PageLocation[] = []
  dictionaryOffset: number | null = null
  bytes = 0
  bytesUncompressed = 0
  private readonly compression: Compression
  private readonly offset: number
  readonly parts: Uint8Array[] = []
  /** Of the last page that was compressed. */
  private ratio: number

  constructor(compression: Compression, offset: number, before: ChunkMetadata | null) {
    this.compression = compression
    this.offset = offset
    this.ratio = before === null ? 1 : before.bytes / before.bytesUncompressed
  }

  dictionaryPage(count: number): void {
    this.dictionaryOffset = this.offset
    const page = this.compressed()
    this.push(encodeDictionaryPageHeader(count, body.length, page.length), page)
  }

  dataPage(entries: number, indexed: boolean, firstRow: number): void {
    const page = this.compressed()
    const encoding = indexed ? Encoding.rleDictionary : Encoding.plain
    const header = encodeDataPageHeader(entries, encoding, body.length, page.length)
    const bytes = header.length + page.length
    this.locations.push({ offset: this.offset + this.bytes, bytes, firstRow })
    this.push(header, page)
  }

  private compressed(): Uint8Array {
    const page = body.bytes.subarray(0, body.length)
    // Without compression the page lies in memory that the next page overwrites.
    if (this.compression === 'none') return page.slice()
    const compressed = compress(this.compression, page, this.ratio)
    if (page.length > 0) this.ratio = compressed.length / page.length
    return compressed
  }

  private push(header: Uint8Array, page: Uint8Array): void {
    this.parts.push(header, page)
    this.bytes += header.length + page.length
    this.bytesUncompressed += header.length + body.length
  }
}

function finishChunk(
  leaf: Leaf,
  levels: Levels,
  values: LeafValues,
  pages: readonly Page[],
  extremes: readonly Extremes[],
  output: ChunkOutput,
): EncodedChunk {
  const whole = extremes.reduce((left, right) => mergeExtremes(values, left, right))
  const nulls = pages.map(
    (page) =>
      levels.entriesBefore(page.rowEnd) -
      levels.entriesBefore(page.rowStart) -
      (page.valueEnd - page.valueStart),
  )
  const metadata: ChunkMetadata = {
    entries: levels.entries,
    nulls: levels.entries - values.count,
    bytes: output.bytes,
    bytesUncompressed: output.bytesUncompressed,
    dictionaryOffset: output.dictionaryOffset,
    dataOffset: output.locations[0]!.offset,
    dataPages: pages.length,
    bounds: boundsOf(leaf, values, whole),
    pages: output.locations,
    columnIndex: columnIndexOf(leaf, values, pages, extremes, nulls),
  }
  const found =
    whole.min < 0
      ? null
      : { min: plainValue(values, whole.min), max: plainValue(values, whole.max) }
  return { parts: output.parts, metadata, extremes: found, nans: whole.nans }
}

/**
 * @returns Parquet's bounds; `null` without values, and with NaN, which readers order in two ways
 */
function boundsOf(leaf: Leaf, values: LeafValues, extremes: Extremes): Bounds | null {
  if (extremes.min < 0 || extremes.nans > 0) return null
  const smallest = signZero(leaf, plainValue(values, extremes.min), 'min')
  const largest = signZero(leaf, plainValue(values, extremes.max), 'max')
  const min = lowerBound(leaf.type, smallest, BOUND_LENGTH)
  const max = upperBound(leaf.type, largest, BOUND_LENGTH) ?? largest
  if (max.length > BOUND_BYTES_MAX) return null
  return {
    min,
    max,
    minExact: min.length === smallest.length,
    maxExact: max === largest,
  }
}

/** @returns the encoded ColumnIndex; `null` when a page has values but no bounds */
function columnIndexOf(
  leaf: Leaf,
  values: LeafValues,
  pages: readonly Page[],
  extremes: readonly Extremes[],
  nulls: readonly number[],
): Uint8Array | null {
  const bounds: (Bounds | null)[] = []
  for (const [at, page] of pages.entries()) {
    const found = boundsOf(leaf, values, extremes[at]!)
    if (found === null && page.valueEnd > page.valueStart) return null
    bounds.push(found)
  }
  return encodeColumnIndex(bounds, nulls, boundaryOrder(leaf, bounds))
}

function boundaryOrder(leaf: Leaf, bounds: readonly (Bounds | null)[]): BoundaryOrder {
  let ascends = true
  let descends = true
  let before: Bounds | null = null
  for (const page of bounds) {
    if (page === null) continue
    if (before !== null) {
      const min = comparePlain(leaf, before.min, page.min)
      const max = comparePlain(leaf, before.max, page.max)
      if (min > 0 || max > 0) ascends = false
      if (min < 0 || max < 0) descends = false
    }
    before = page
  }
  return ascends ? 1 : descends ? 2 : 0
}
