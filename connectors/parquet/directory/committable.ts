// What a writer of a directory hands to the committer, by way of the checkpoint: plain JSON data.

import type { DataFileRecord } from '../table/data-file-record.ts'

export interface DirectoryFile extends Pick<
  DataFileRecord,
  'fileId' | 'schemaVersion' | 'rows' | 'bytes' | 'partition'
> {
  /** Where readers will find it, relative to the lake. */
  readonly path: string
  /** Where it is until its epoch is committed. */
  readonly staged: string
}

/** One writer's part of one table in one epoch. */
export interface DirectoryCommittable {
  readonly table: string
  readonly writer: number
  /** A first copy began again: what the table held before this epoch is removed. */
  readonly truncated: boolean
  /** All are fsynced, folders included. */
  readonly files: readonly DirectoryFile[]
  /** Where the log emptied the table; see `Manifest`. */
  readonly emptied: readonly string[]
  /** The runtime knows committables by it: a directory deletes no rows. */
  readonly deletes: null
}
