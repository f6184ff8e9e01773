// A data file while it is written: rows go into the encoder's row group, full groups are encoded
// and written while the next one fills, and nobody sees the file before `finish`.

import { assert } from '../../../runtime/base/assert.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import type { ObjectStore, ObjectWriter } from '../../../runtime/object-store.ts'
import type { ParquetOptions } from '../../parquet/encode/encoder.ts'
import { ParquetEncoder } from '../../parquet/encode/encoder.ts'
import type { ParquetField } from '../../parquet/encode/leaf.ts'
import type { FileMetrics } from '../../parquet/encode/metrics.ts'
import type { DataFileRecord, FileMetricsRecord } from '../committable.ts'

export interface DataFileOptions {
  readonly store: ObjectStore
  /** u32, above 0. */
  readonly fileId: number
  readonly path: string
  readonly schemaVersion: number
  readonly parquet: ParquetOptions
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
  readonly encoder: ParquetEncoder
  private readonly store: ObjectStore
  private writer: ObjectWriter | null = null
  /** The writes so far, one after the other; rejects with the first failure. */
  private writes: Promise<void> = Promise.resolve()
  private pendingWrites = 0

  constructor(fields: readonly Field[], options: DataFileOptions) {
    this.fields = fields
    this.fileId = options.fileId
    this.path = options.path
    this.schemaVersion = options.schemaVersion
    this.store = options.store
    this.encoder = new ParquetEncoder(parquetFields(fields), options.parquet)
  }

  /** Position of the next row. */
  get rows(): number {
    return this.encoder.rowCount
  }

  /** Encoded bytes so far. */
  get bytes(): number {
    return this.encoder.bytes
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
    const full = this.encoder.append(columns, count, selection)
    for (const { chunks } of full) this.enqueue(chunks)
    return this.backlog()
  }

  /** Encodes what is buffered, to free its memory; the file stays open. */
  relieve(): Promise<void> | undefined {
    if (this.encoder.bufferedRows > 0) this.enqueue(this.encoder.encodeRowGroup().chunks)
    return this.backlog()
  }

  /** One row group may wait while the next is filled; more would be memory without a bound. */
  private backlog(): Promise<void> | undefined {
    return this.pendingWrites > 1 ? this.writes : undefined
  }

  private enqueue(chunks: readonly Uint8Array[]): void {
    this.pendingWrites++
    this.writes = this.writes.then(async () => {
      this.writer ??= await this.store.create(this.path)
      for (const chunk of chunks) await this.writer.write(chunk)
      this.pendingWrites--
    })
    // Awaited by the next flush or by `finish`; until then nobody listens.
    this.writes.catch(() => undefined)
  }

  /** Ends the file and makes it durable. It must have rows. */
  async finish(): Promise<DataFileRecord> {
    assert(this.rows > 0, 'a data file has rows')
    if (this.encoder.bufferedRows > 0) this.enqueue(this.encoder.encodeRowGroup().chunks)
    const { rows } = this
    const footer = this.encoder.finish()
    this.enqueue(footer.chunks)
    await this.writes
    await this.writer?.finish()
    return {
      fileId: this.fileId,
      path: this.path,
      schemaVersion: this.schemaVersion,
      rows,
      bytes: this.encoder.bytes,
      metrics: metricsRecord(footer.metrics),
    }
  }

  /** Throws the file away. */
  async abort(): Promise<void> {
    await this.writes.catch(() => undefined)
    await this.writer?.abort()
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
