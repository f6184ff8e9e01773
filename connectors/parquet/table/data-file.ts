// A data file while it is written: rows go into the encoder's row group, full groups are encoded
// and written while the next one fills, and nobody sees the file before `finish`.

import { assert, present } from '../../../runtime/base/assert.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import type { ObjectStore, ObjectWriter } from '../../../runtime/object-store.ts'
import type { BufferedRow, ParquetOptions } from '../encode/encoder.ts'
import { ParquetEncoder } from '../encode/encoder.ts'
import type { ParquetField } from '../encode/leaf.ts'
import type { FileMetrics } from '../encode/metrics.ts'
import type { PartitionTuple } from '../../../runtime/data/partition/value.ts'
import type { DataFileRecord, FileMetricsRecord } from './data-file-record.ts'

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
  /** `null`: the file is finished. Its memory would stay until the end of the epoch. */
  private encoder: ParquetEncoder | null
  private finalRows = 0
  private finalBytes = 0
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
    this.partition = options.partition
    this.store = options.store
    this.encoder = new ParquetEncoder(parquetFields(fields), options.parquet)
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

  /** Where a row is while it is in memory; `null`: it is encoded already. */
  bufferedRow(position: number): BufferedRow | null {
    return this.encoder?.bufferedRow(position) ?? null
  }

  private get open(): ParquetEncoder {
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
    const { open } = this
    if (open.bufferedRows > 0) this.enqueue(open.encodeRowGroup().chunks)
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
    const { open, rows, partition } = this
    if (open.bufferedRows > 0) this.enqueue(open.encodeRowGroup().chunks)
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
