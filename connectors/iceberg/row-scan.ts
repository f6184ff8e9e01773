// Reads the live rows of data files into columns, slice by slice, so that memory does not grow with
// the table. For verification: values come back exactly as they are stored.

import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { Field } from '../../runtime/data/schema.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import type { ScannedFile } from './scan.ts'
import { ReadBack } from './writer/read-back.ts'
import { setRaw } from './writer/raw-values.ts'

/** Values of a slice; each is a value of JavaScript on the way from the page to the column. */
const SLICE_VALUES = 500_000
/** Compressed bytes of a slice, by the file's average row: a few large rows are a slice too. */
const SLICE_BYTES = 8 * 1024 * 1024
const SLICE_ROWS_MAX = 65_536

/** Rows of one data file. */
export interface RowSlice {
  readonly file: ScannedFile
  readonly rows: number
  /** Row numbers in the file, ascending. */
  readonly positions: readonly number[]
  /** One a field; valid until the next slice is asked for. */
  readonly columns: readonly Column[]
}

/**
 * @param fields  columns to read, found by their ids; a file that lacks one reads as its default
 * @throws PipelineError LAKE_FORMAT, STORAGE_FAILED
 */
export async function* scanRows(
  warehouse: ObjectStore,
  files: readonly ScannedFile[],
  fields: readonly Field[],
): AsyncGenerator<RowSlice> {
  const readBack = new ReadBack(warehouse)
  const builders = fields.map(({ type }) => columnBuilder(type))
  try {
    for (const file of files) {
      const sliceRows = sliceRowsOf(file, fields.length)
      for (let start = 0; start < file.rows; start += sliceRows) {
        const positions = livePositions(file, start, Math.min(file.rows, start + sliceRows))
        const rows = positions.length
        if (rows === 0) continue
        const values = await readBack.read(file.path, fields, positions)
        const columns = builders.map((builder, index) => {
          builder.reset()
          builder.reserveRows(rows)
          const column = values[index] ?? []
          for (let row = 0; row < rows; row++) setRaw(builder, row, column[row] ?? null)
          return builder.view(rows)
        })
        yield { file, rows, positions, columns }
      }
    }
  } finally {
    readBack.close()
  }
}

function sliceRowsOf({ rows, bytes }: ScannedFile, fields: number): number {
  const byValues = Math.floor(SLICE_VALUES / Math.max(1, fields))
  const byBytes = Math.floor((SLICE_BYTES * rows) / Math.max(1, bytes))
  return Math.max(1, Math.min(SLICE_ROWS_MAX, byValues, byBytes))
}

function livePositions({ deleted }: ScannedFile, start: number, end: number): number[] {
  const positions: number[] = []
  for (let position = start; position < end; position++) {
    if (deleted === null || !deleted.has(position)) positions.push(position)
  }
  return positions
}
