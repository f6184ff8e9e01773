// What a writer is given. Paths are relative to their stores.

import type { Log } from '../../../runtime/base/log.ts'
import type { CatalogTable } from '../../../runtime/catalog.ts'
import type { PartitionField } from '../../../runtime/data/partition/transform.ts'
import { namesOf } from '../../../runtime/data/schema.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { WriterState } from '../../../runtime/sink.ts'
import type { ParquetOptions } from '../../parquet/encode/encoder.ts'
import type { TableMode } from '../../parquet/table/fields.ts'

export interface IcebergWriterOptions {
  /** Number of this writer, 0...count - 1. */
  readonly index: number
  readonly count: number
  readonly mode: TableMode
  /** Holds the data files. */
  readonly warehouse: ObjectStore
  /** Holds the index and the delete positions. */
  readonly state: ObjectStore
  /** Of all writers of the checkpoint, in order; their count may have been another. */
  readonly states: readonly WriterState[]
  /** This writer's data files get the ids firstFileId, firstFileId + count, ...: u32, above 0. */
  readonly firstFileId: number
  /** Part of each file name of this start; lowercase letters, digits and `_`. */
  readonly fileSuffix: string
  /** Where a source table lies in the catalog; default: the same names. */
  readonly targetOf?: (table: string) => CatalogTable
  /** How a table is partitioned that has none of its rows yet; default: no table is. */
  readonly partitionBy?: (table: string) => readonly PartitionField[]
  /** Memory of the primary-key index; default 512 MiB. */
  readonly indexMemoryBytes?: number
  /** Memory of rows that wait to be encoded, over all tables; default 256 MiB. */
  readonly bufferBytesMax?: number
  /** Data files that are open at once; default 512. */
  readonly openFilesMax?: number
  /** A data file is ended when it is this large; default 256 MiB. */
  readonly fileBytesMax?: number
  readonly parquet?: ParquetOptions
  readonly log?: Log
}

/** @returns the lake table of a source table: the same names */
export function targetOf(table: string): CatalogTable {
  return namesOf(table)
}
