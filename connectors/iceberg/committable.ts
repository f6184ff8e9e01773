// What a writer hands to the committer, by way of the checkpoint: plain JSON data. Delete positions
// are not inlined; they stand in the writer's epoch file, which the checkpoint names.

/** Metrics of a data file as manifests want them; maps from field id (as text) to a value. */
export interface FileMetricsRecord {
  readonly columnSizes: Readonly<Record<string, number>>
  readonly valueCounts: Readonly<Record<string, number>>
  readonly nullCounts: Readonly<Record<string, number>>
  readonly nanCounts: Readonly<Record<string, number>>
  /** Iceberg single-value serialisation, base64. */
  readonly lowerBounds: Readonly<Record<string, string>>
  readonly upperBounds: Readonly<Record<string, string>>
  readonly splitOffsets: readonly number[]
}

export interface DataFileRecord {
  /** u32, unique in the pipeline for life; the name of the file begins with it in hex. */
  readonly fileId: number
  /** Path relative to the warehouse. */
  readonly path: string
  readonly schemaVersion: number
  readonly rows: number
  readonly bytes: number
  readonly metrics: FileMetricsRecord
}

/** One writer's part of one table in one epoch. */
export interface IcebergCommittable {
  readonly table: string
  readonly writer: number
  /** All that the table held before this epoch (and before the truncate in it) is removed. */
  readonly truncated: boolean
  /** New data files in the order of their schema versions. All are fsynced, folders included. */
  readonly files: readonly DataFileRecord[]
  /**
   * Rows to delete, by file id, files of this epoch included: object of the state store that holds
   * them (`readEpochDeletes`), or `null` when there are none.
   */
  readonly deletes: string | null
}
