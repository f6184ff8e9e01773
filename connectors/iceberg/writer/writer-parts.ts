// What the tables of one writer share.

import type { RowGroups } from '../../../runtime/data/partition/groups.ts'
import type { KeyIndex } from '../index/key-index.ts'
import type { OpenFiles } from './open-files.ts'
import type { IcebergWriterOptions } from './options.ts'
import type { ReadBack } from './read-back.ts'
import type { TableSpecs } from './table-specs.ts'
import type { UpsertScratch } from './upsert-rows.ts'

export interface WriterParts {
  readonly options: IcebergWriterOptions
  readonly keyIndex: KeyIndex
  readonly openFiles: OpenFiles
  readonly scratch: UpsertScratch
  readonly readBack: ReadBack
  readonly specs: TableSpecs
  readonly groups: RowGroups
  /** Path of a data file of an earlier epoch; `null`: no checkpoint knows the id. */
  readonly pathOf: (table: string, fileId: number) => string | null
}
