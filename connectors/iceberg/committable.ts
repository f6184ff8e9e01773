// What a writer hands to the committer, by way of the checkpoint: plain JSON data. Delete positions
// are not inlined; they stand in the writer's epoch file, which the checkpoint names.

import type { DataFileRecord } from '../parquet/table/data-file-record.ts'
import type { PartitionSpec } from './partition-spec.ts'

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
  /** How `files` are partitioned. None: they are not. */
  readonly spec?: PartitionSpec
}
