// A data file while it is written: rows go into the encoder's row group, full groups are encoded
// and written while the next one fills, and nobody sees the file before `finish`.
//
// It may stay open over checkpoints (`hold`): then all its rows are durable, and what the file
// consists of goes into the checkpoint. A later start begins a file of its own with those bytes; it
// never writes to one of another start, which may be alive still.

import { assert, present } from '../../../runtime/base/assert.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import type { ObjectStore, ObjectWriter } from '../../../runtime/object-store.ts'
import type { BufferedRow, ParquetEncoderState } from '../encode/encoder.ts'
import { ParquetEncoder, type ParquetOptions } from '../encode/encoder.ts'
import type { ParquetField } from '../encode/leaf.ts'
import type { FileMetrics } from '../encode/metrics.ts'
import { storeState } from '../encode/stored-state.ts'
import type { PartitionTuple } from '../../../runtime/data/partition/value.ts'
import type { DataFileRecord, FileMetricsRecord } from './data-file-record.ts'
import type { HeldFile, HeldSource } from './held-file.ts'

export interface Partition {
  /** Differs from that of every other partition of the table. */
  readonly key: string
  readonly tuple: PartitionTuple
  /** Below the table's data folder. */
  readonly folder: string
}

export interface DataFileOptions {
  readonly store: ObjectStore
  /** u32, above 0. */
  readonly fileId: number
  readonly path: string
  readonly schemaVersion: number
  /** Of all its rows; `null`: the table is not partitioned. */
  readonly partition: Partition | null
  readonly parquet: ParquetOptions
  /** A file of an earlier start that this one goes on from. */
  readonly from?: HeldSource
}

/** @returns the fields as Parquet stores them */
export function parquetFields(fields: readonly Field[]): ParquetField[] {
  return fields.map(({ id, elementId, name, type, nullable }) => ({
    id,
    name,
    type,
    required: !nullable,
    ...(elementId === null ? {} : { elementId }),
  }))
}

export class DataFile {
  readonly fileId: number
  readonly path: string
  readonly schemaVersion: number
  readonly fields: readonly Field[]
  readonly partition: Partition | null
  /** `null`: the file is finished, or set aside. Its memory would stay until the end of the epoch. */
  private encoder: ParquetEncoder | null
  /** Of a file that is set aside, and has no memory. */
  private saved: ParquetEncoderState | null = null
  private finalRows = 0
  private finalBytes = 0
  private readonly store: ObjectStore
  private readonly parquet: ParquetOptions
  private writer: ObjectWriter | null = null
  /** The writes so far, one after the other; rejects with the first failure. */
  private writes: Promise<void> = Promise.resolve()
  private pendingWrites = 0
  /** Bytes that are durable. */
  private syncedBytes = 0
  /** Where they are, once a checkpoint may name them. */
  private heldAt: string | null = null

  constructor(fields: readonly Field[], options: DataFileOptions) {
    this.fields = fields
    this.fileId = options.fileId
    this.path = options.path
    this.schemaVersion = options.schemaVersion
    this.partition = options.partition
    this.store = options.store
    this.parquet = options.parquet
    const { from } = options
    if (from === undefined) {
      this.encoder = this.newEncoder(null)
      return
    }
    // Set aside: most files that are gone on with get no rows before they are ended.
    this.encoder = null
    this.saved = from.state
    this.countSaved(from.state)
    this.afterwards((writer) => from.copyTo(writer))
  }

  private newEncoder(state: ParquetEncoderState | null): ParquetEncoder {
    return new ParquetEncoder(parquetFields(this.fields), this.parquet, state)
  }

  /** Position of the next row. */
  get rows(): number {
    return this.encoder?.rowCount ?? this.finalRows
  }

  /** Encoded bytes so far. */
  get bytes(): number {
    return this.encoder?.bytes ?? this.finalBytes
  }

  /** Bytes of rows that are not encoded yet. */
  get bufferedBytes(): number {
    return this.encoder?.bufferedBytes ?? 0
  }

  /** What is remembered of encoded row groups: column chunks. */
  get chunks(): number {
    return (this.encoder?.rowGroupCount ?? this.saved?.rowGroups.length ?? 0) * this.fields.length
  }

  /** Where a row is while it is in memory; `null`: it is encoded already. */
  bufferedRow(position: number): BufferedRow | null {
    return this.encoder?.bufferedRow(position) ?? null
  }

  private get open(): ParquetEncoder {
    if (this.saved !== null) {
      this.encoder = this.newEncoder(this.saved)
      this.saved = null
    }
    return present(this.encoder, 'a finished file takes no rows')
  }

  /**
   * Appends rows, whose positions are `rows` and following.
   *
   * @returns a promise when so much waits for the disk that the caller must wait too
   */
  append(
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<void> | undefined {
    const full = this.open.append(columns, count, selection)
    for (const { chunks } of full) this.enqueue(chunks)
    return this.backlog()
  }

  /** Encodes what is buffered, to free its memory; the file stays open. */
  relieve(): Promise<void> | undefined {
    this.encodeBuffered()
    return this.backlog()
  }

  private encodeBuffered(): void {
    const { encoder } = this
    if (encoder !== null && encoder.bufferedRows > 0) this.enqueue(encoder.encodeRowGroup().chunks)
  }

  /** Gives its memory back, now; the next row takes it again. It must have rows. */
  async setAside(): Promise<void> {
    this.encodeBuffered()
    this.saved = this.open.release()
    this.encoder = null
    this.countSaved(this.saved)
    await this.writes
  }

  private countSaved({ bytes, rowGroups }: ParquetEncoderState): void {
    this.finalBytes = bytes
    this.finalRows = rowGroups.reduce((rows, group) => rows + group.rows, 0)
  }

  /**
   * Makes all rows durable; the file stays open. It must have rows.
   *
   * @returns what a later start needs to go on with it
   */
  async hold(table: string): Promise<HeldFile> {
    assert(this.rows > 0, 'a data file has rows')
    this.encodeBuffered()
    const state = present(this.saved ?? this.encoder?.save() ?? null, 'a file that is held is open')
    const { path, schemaVersion, partition } = this
    if (state.bytes > this.syncedBytes) {
      this.afterwards((writer) => writer.sync())
      this.syncedBytes = state.bytes
    }
    await this.writes
    const { unfinished } = present(this.writer, 'a file with rows is being written')
    this.heldAt = unfinished
    const fields = this.fields.map((field) => ({ ...field, initialDefault: null }))
    const parquet = storeState(state)
    return { table, path, unfinished, schemaVersion, fields, partition, parquet }
  }

  /** One row group may wait while the next is filled; more would be memory without a bound. */
  private backlog(): Promise<void> | undefined {
    return this.pendingWrites > 1 ? this.writes : undefined
  }

  private enqueue(chunks: readonly Uint8Array[]): void {
    this.afterwards(async (writer) => {
      for (const chunk of chunks) await writer.write(chunk)
    })
  }

  /** Has a handle only meanwhile: files are open for long, thousands of them. */
  private afterwards(work: (writer: ObjectWriter) => Promise<void>): void {
    this.pendingWrites++
    this.writes = this.writes.then(async () => {
      this.writer ??= await this.store.create(this.path)
      await work(this.writer)
      await this.writer.pause()
      this.pendingWrites--
    })
    // Awaited by the next flush or by `finish`; until then nobody listens.
    this.writes.catch(() => undefined)
  }

  /** Ends the file and makes it durable. It must have rows. */
  async finish(): Promise<DataFileRecord> {
    assert(this.rows > 0, 'a data file has rows')
    const { open, rows, partition } = this
    this.encodeBuffered()
    const footer = open.finish()
    this.finalRows = rows
    this.finalBytes = open.bytes
    this.encoder = null
    this.enqueue(footer.chunks)
    await this.writes
    await this.writer?.finish()
    return {
      fileId: this.fileId,
      path: this.path,
      schemaVersion: this.schemaVersion,
      rows,
      bytes: this.finalBytes,
      metrics: metricsRecord(footer.metrics),
      ...(partition === null ? {} : { partition: partition.tuple }),
    }
  }

  /**
   * Throws the file away.
   *
   * @returns paths of what a checkpoint may still name, to be deleted when none does
   */
  async abort(): Promise<string[]> {
    await this.writes.catch(() => undefined)
    if (this.heldAt === null) {
      await this.writer?.abort()
      return []
    }
    return [this.heldAt, this.path]
  }

  /** Throws a finished file away. @returns as `abort` does */
  async remove(): Promise<string[]> {
    if (this.heldAt !== null) return [this.heldAt, this.path]
    await this.store.delete(this.path)
    return []
  }

  /** Stops writing it: what a checkpoint names of it stays. */
  async leave(): Promise<void> {
    if (this.heldAt === null) await this.abort()
    else await this.writes.catch(() => undefined)
  }
}

function metricsRecord(metrics: FileMetrics): FileMetricsRecord {
  const counts = (map: ReadonlyMap<number, number>): Record<string, number> =>
    Object.fromEntries(map)
  const bounds = (map: ReadonlyMap<number, Uint8Array>): Record<string, string> =>
    Object.fromEntries([...map].map(([id, bytes]) => [id, Buffer.from(bytes).toString('base64')]))
  return {
    columnSizes: counts(metrics.columnSizes),
    valueCounts: counts(metrics.valueCounts),
    nullCounts: counts(metrics.nullCounts),
    nanCounts: counts(metrics.nanCounts),
    lowerBounds: bounds(metrics.lowerBounds),
    upperBounds: bounds(metrics.upperBounds),
    splitOffsets: metrics.splitOffsets,
  }
}
