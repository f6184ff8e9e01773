// Encodes columns into the bytes of one Parquet file. It does no I/O: row groups come out as chunks
// to be written in order, one group at a time, and the footer last, so that a file may stay open
// over checkpoints and be continued from a saved state.
// Source: https://github.com/apache/parquet-format (2.11)

import type { Column } from '../../../runtime/data/column/column.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { encodeChunk, type PageOptions } from './chunk.ts'
import { codecs, type Compression } from './compress.ts'
import { leavesOf, type Leaf, type ParquetField } from './leaf.ts'
import {
  encodeFooter,
  encodeOffsetIndex,
  type ChunkIndexPlaces,
  type ChunkMetadata,
  type IndexPlace,
  type RowGroupMetadata,
} from './metadata.ts'
import {
  addChunk,
  emptyMetrics,
  fileMetrics,
  type FileMetrics,
  type LeafMetrics,
} from './metrics.ts'
import { RowGroupBuffer } from './row-group.ts'
import { RowGroupMemory } from './row-group-memory.ts'

export interface ParquetOptions {
  readonly compression?: Compression
  /** Rows of a row group; default 256 Ki. */
  readonly rowGroupRowsMax?: number
  /** Bytes of a row group in memory, before encoding; default 128 MiB. A batch may exceed it. */
  readonly rowGroupBytesMax?: number
  /** Rows of a page; default 64 Ki, rounded up to a multiple of 8. */
  readonly pageRowsMax?: number
  /** Bytes of a page before compression; default 1 MiB. */
  readonly pageBytesMax?: number
  /** For the footer, such as `iceberg.schema`. */
  readonly keyValues?: Readonly<Record<string, string>>
  readonly createdBy?: string
  /** Where the row group's memory comes from and goes to; default: from nowhere, to nobody. */
  readonly memory?: RowGroupMemory
}

export interface EncodedRowGroup {
  /** To be written in this order. The first group of a file begins with the magic. */
  readonly chunks: readonly Uint8Array[]
  readonly rows: number
  /** Sum of the chunks. */
  readonly bytes: number
}

export interface EncodedFooter {
  readonly chunks: readonly Uint8Array[]
  readonly bytes: number
  readonly metrics: FileMetrics
}

/** What a file consists of so far, apart from buffered rows. Structured-cloneable. */
export interface ParquetEncoderState {
  /** Encoded so far: where the next row group begins. */
  readonly bytes: number
  readonly rowGroups: readonly RowGroupMetadata[]
  readonly metrics: readonly Readonly<LeafMetrics>[]
}

/** Where a row of the file is while it is still in memory. */
export interface BufferedRow {
  readonly group: RowGroupBuffer
  readonly row: number
}

const ROW_GROUP_ROWS_MAX = 256 * 1024
const ROW_GROUP_BYTES_MAX = 128 * 1024 * 1024
const PAGE_ROWS_MAX = 64 * 1024
const PAGE_BYTES_MAX = 1024 * 1024
const MAGIC = new TextEncoder().encode('PAR1')

export class ParquetEncoder {
  readonly fields: readonly ParquetField[]
  private readonly leaves: readonly Leaf[]
  private readonly pages: PageOptions
  private readonly rowsMax: number
  private readonly bytesMax: number
  private readonly keyValues: Readonly<Record<string, string>>
  private readonly createdBy: string
  private readonly rowGroups: RowGroupMetadata[]
  private readonly metrics: LeafMetrics[]
  private fileBytes: number
  private encodedRows: number
  private readonly memory: RowGroupMemory
  /** The row group that is being filled. */
  private readonly group: RowGroupBuffer
  private finished = false

  /**
   * @param state  of a file that is continued; its first `state.bytes` bytes are already written
   */
  constructor(
    fields: readonly ParquetField[],
    options: ParquetOptions = {},
    state: ParquetEncoderState | null = null,
  ) {
    this.fields = fields
    this.leaves = leavesOf(fields)
    this.pages = {
      compression: options.compression ?? 'zstd',
      pageRowsMax: ((options.pageRowsMax ?? PAGE_ROWS_MAX) + 7) & ~7,
      pageBytesMax: options.pageBytesMax ?? PAGE_BYTES_MAX,
    }
    this.rowsMax = options.rowGroupRowsMax ?? ROW_GROUP_ROWS_MAX
    this.bytesMax = options.rowGroupBytesMax ?? ROW_GROUP_BYTES_MAX
    this.keyValues = options.keyValues ?? {}
    this.createdBy = options.createdBy ?? 'millrace'
    this.rowGroups = [...(state?.rowGroups ?? [])]
    this.metrics = this.leaves.map((_, at) => ({ ...(state?.metrics[at] ?? emptyMetrics()) }))
    this.fileBytes = state?.bytes ?? 0
    this.encodedRows = this.rowGroups.reduce((rows, group) => rows + group.rows, 0)
    this.memory = options.memory ?? new RowGroupMemory()
    this.group = new RowGroupBuffer(fields, this.memory.take(fields.map(({ type }) => type)))
  }

  /** Encoded and buffered rows: the position that the next row gets in the file. */
  get rowCount(): number {
    return this.encodedRows + this.bufferedRows
  }

  /** Encoded ones. */
  get rowGroupCount(): number {
    return this.rowGroups.length
  }

  get bufferedRows(): number {
    return this.group.rows
  }

  get bufferedBytes(): number {
    return this.group.bytes
  }

  /** Of the file so far, buffered rows left out. */
  get bytes(): number {
    return this.fileBytes
  }

  /**
   * Copies rows in, cutting row groups at the limits.
   *
   * @param columns    a field each; see `RowGroupBuffer.append`
   * @param selection  row numbers of `columns`, `count` of them; `null` means rows 0...count - 1
   * @returns the row groups that became full, to be written in this order
   */
  append(
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): readonly EncodedRowGroup[] {
    assert(!this.finished, 'a finished file takes no rows')
    const { group } = this
    const full: EncodedRowGroup[] = []
    let start = 0
    while (start < count) {
      const rows = Math.min(count - start, this.rowsMax - group.rows)
      if (start === 0 && rows === count) {
        group.append(columns, count, selection)
      } else {
        group.append(columns, rows, rowRange(selection, start, start + rows))
      }
      start += rows
      const isFull = group.rows >= this.rowsMax || group.bytes >= this.bytesMax
      if (isFull) full.push(this.encodeRowGroup())
    }
    return full
  }

  /**
   * @param position  row number in the file
   * @returns where the row is buffered; `null` when it is encoded already
   */
  bufferedRow(position: number): BufferedRow | null {
    const { group } = this
    const row = position - this.encodedRows
    return row >= 0 && row < group.rows ? { group, row } : null
  }

  /** Encodes the buffered rows as a row group, full or not. At least one row must be buffered. */
  encodeRowGroup(): EncodedRowGroup {
    assert(!this.finished, 'a finished file takes no row groups')
    const { group } = this
    const { rows } = group
    assert(rows > 0, 'a row group has rows')
    const chunks: Uint8Array[] = []
    const bytesBefore = this.fileBytes
    if (this.fileBytes === 0) this.emit(chunks, MAGIC)
    const offset = this.fileBytes
    const encoded: ChunkMetadata[] = []
    let bytesUncompressed = 0
    const before = this.rowGroups.at(-1)
    for (const [at, leaf] of this.leaves.entries()) {
      const last = before?.chunks[at] ?? null
      const chunk = encodeChunk(leaf, group.column(at), this.pages, this.fileBytes, last)
      for (const part of chunk.parts) this.emit(chunks, part)
      addChunk(this.metrics[at]!, leaf, chunk)
      encoded.push(chunk.metadata)
      bytesUncompressed += chunk.metadata.bytesUncompressed
    }
    const bytes = this.fileBytes - offset
    this.rowGroups.push({ rows, offset, bytes, bytesUncompressed, chunks: encoded })
    this.encodedRows += rows
    group.reset()
    return { chunks, rows, bytes: this.fileBytes - bytesBefore }
  }

  /** Ends the file: page index and footer. All buffered rows must be encoded before. */
  finish(): EncodedFooter {
    assert(!this.finished, 'a file is finished once')
    assert(this.bufferedRows === 0, 'buffered rows are encoded before the footer')
    this.finished = true
    this.memory.give(this.group.builders)
    const chunks: Uint8Array[] = []
    const bytesBefore = this.fileBytes
    if (this.fileBytes === 0) this.emit(chunks, MAGIC)
    const footer = encodeFooter({
      leaves: this.leaves,
      codec: codecs[this.pages.compression],
      rows: this.encodedRows,
      rowGroups: this.rowGroups,
      indexes: this.emitIndexes(chunks),
      keyValues: this.keyValues,
      createdBy: this.createdBy,
    })
    this.emit(chunks, footer)
    const length = new Uint8Array(4)
    new DataView(length.buffer).setInt32(0, footer.length, true)
    this.emit(chunks, length)
    this.emit(chunks, MAGIC)
    const metrics = fileMetrics(this.leaves, this.metrics, {
      rowCount: this.encodedRows,
      bytes: this.fileBytes,
      splitOffsets: this.rowGroups.map((group) => group.offset),
    })
    return { chunks, bytes: this.fileBytes - bytesBefore, metrics }
  }

  /** @returns the state after the last encoded row group. Buffered rows are not part of it. */
  save(): ParquetEncoderState {
    return {
      bytes: this.fileBytes,
      rowGroups: [...this.rowGroups],
      metrics: this.metrics.map((metrics) => ({ ...metrics })),
    }
  }

  /**
   * Gives the row group's memory back; the file can be gone on with from what `save` says. No row
   * may be buffered.
   */
  release(): ParquetEncoderState {
    assert(this.bufferedRows === 0, 'buffered rows are encoded before their memory is given back')
    assert(!this.finished, 'a finished file has given its memory back')
    this.finished = true
    this.memory.give(this.group.builders)
    return this.save()
  }

  private emit(chunks: Uint8Array[], bytes: Uint8Array): void {
    chunks.push(bytes)
    this.fileBytes += bytes.length
  }

  /**
   * All column indexes, then all offset indexes: a reader that prunes fetches each kind at once.
   */
  private emitIndexes(chunks: Uint8Array[]): ChunkIndexPlaces[][] {
    const place = (bytes: Uint8Array): IndexPlace => {
      const offset = this.fileBytes
      this.emit(chunks, bytes)
      return { offset, bytes: bytes.length }
    }
    const columnIndexes = this.rowGroups.map((group) =>
      group.chunks.map((chunk) => (chunk.columnIndex === null ? null : place(chunk.columnIndex))),
    )
    return this.rowGroups.map((group, ordinal) =>
      group.chunks.map((chunk, at) => ({
        columnIndex: columnIndexes[ordinal]![at]!,
        offsetIndex: place(encodeOffsetIndex(chunk.pages)),
      })),
    )
  }
}

function rowRange(selection: Int32Array | null, start: number, end: number): Int32Array {
  if (selection !== null) return selection.subarray(start, end)
  const rows = new Int32Array(end - start)
  for (let at = 0; at < rows.length; at++) rows[at] = start + at
  return rows
}
