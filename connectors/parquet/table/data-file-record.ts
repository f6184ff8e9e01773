// What is known of a data file once it is written: plain data, which goes from the writer by way of
// the checkpoint to the committer, and is the same for every sink that writes Parquet.

import { partitionKey, type PartitionTuple } from '../../../runtime/data/partition/value.ts'

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
  /** Values of the table's partition fields, the same for all rows of the file. None: unpartitioned. */
  readonly partition?: PartitionTuple
}

/** What of a file its partition grows by. */
export type AddedFile = Pick<DataFileRecord, 'partition' | 'rows' | 'bytes'>

/** What an epoch adds to one partition of a table. */
export interface PartitionTotal {
  /** In the order of the spec's fields. */
  readonly partition: PartitionTuple
  files: number
  rows: number
  bytes: number
}

/**
 * What committables of one table, of all its writers and of one or several epochs, add to its
 * partitions. An unpartitioned table is one partition without values.
 *
 * @returns by `partitionKey`
 */
export function partitionTotals(
  committables: readonly { readonly files: readonly AddedFile[] }[],
): Map<string, PartitionTotal> {
  const totals = new Map<string, PartitionTotal>()
  for (const { files } of committables) {
    for (const { partition = [], rows, bytes } of files) {
      const key = partitionKey(partition)
      const total = totals.get(key) ?? { partition, files: 0, rows: 0, bytes: 0 }
      total.files++
      total.rows += rows
      total.bytes += bytes
      totals.set(key, total)
    }
  }
  return totals
}
