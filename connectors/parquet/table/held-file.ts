// A data file that stays open over checkpoints, as a checkpoint has it, and as a file of a later
// start begins with it.

import type { Field } from '../../../runtime/data/schema.ts'
import type { ObjectWriter } from '../../../runtime/object-store.ts'
import type { ParquetEncoderState } from '../encode/encoder.ts'
import type { StoredEncoderState } from '../encode/stored-state.ts'
import type { Partition } from './data-file.ts'

/** JSON form, for the checkpoint. */
export interface HeldFile {
  readonly table: string
  /** Where the file is once it is finished, relative to the warehouse. */
  readonly path: string
  /** Where its bytes are until then. */
  readonly unfinished: string
  readonly schemaVersion: number
  /** Of its columns; without defaults, which may be what JSON cannot say. */
  readonly fields: readonly Field[]
  /** `null`: the table is not partitioned. */
  readonly partition: Partition | null
  readonly parquet: StoredEncoderState
}

/** The durable part of a held file. */
export interface HeldSource {
  readonly state: ParquetEncoderState
  /** Writes its bytes, `state.bytes` of them. */
  readonly copyTo: (writer: ObjectWriter) => Promise<void>
}

export function heldRows({ parquet }: HeldFile): number {
  return parquet.rowGroups.reduce((rows, [inGroup]) => rows + inGroup, 0)
}
