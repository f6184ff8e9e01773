// Fetches values of rows by file and position: from the row group that is still in memory, or from
// the data file, read once for all rows of a batch.

import { present } from '../../../runtime/base/assert.ts'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { appendRows } from '../../../runtime/data/column/append.ts'
import { columnBuilder } from '../../../runtime/data/column/builder.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import type { BufferedRow } from '../../parquet/encode/encoder.ts'
import type { RowPlaces } from '../index/table-index.ts'
import type { DataFile } from '../../parquet/table/data-file.ts'
import { setRaw, type RawValue } from './raw-values.ts'
import type { ReadBack } from './read-back.ts'
import type { TableFiles } from './table-files.ts'

/** Values of the rows in the order in which they were asked for. */
export interface FetchedRows {
  /** @param index  of the field, one of those that were asked for */
  column(index: number): Column
}

export interface FetchParts {
  readonly files: TableFiles
  readonly readBack: ReadBack
  /** Path of a data file of an earlier epoch. @throws PipelineError when nobody knows the id */
  readonly pathOf: (fileId: number) => string
}

/**
 * @param rows    files and positions
 * @param fields  of the table
 * @param wanted  indexes of the fields to fetch
 */
export async function fetchRows(
  parts: FetchParts,
  rows: RowPlaces,
  fields: readonly Field[],
  wanted: readonly number[],
): Promise<FetchedRows> {
  const places = placesByFile(rows)
  const buffered = new Map<number, BufferedRow>()
  const read = new Map<number, RawValue[][]>()
  const wantedFields = wanted.map((index) => present(fields[index], 'a wanted field exists'))
  // The row in memory first: ending its file would move it.
  for (const [fileId, places_] of places) {
    const file = parts.files.find(fileId)
    if (file !== null && fromMemory(file, rows, places_, buffered)) places.delete(fileId)
  }
  for (const [fileId, places_] of places) {
    const file = parts.files.find(fileId)
    if (file !== null) await parts.files.finished(fileId)
    const path = file?.path ?? parts.pathOf(fileId)
    const positions = places_.map((place) => (rows.positions[place] as number) >>> 0)
    const values = await parts.readBack.read(path, wantedFields, positions)
    for (const [at, place] of places_.entries()) {
      read.set(
        place,
        values.map((column) => [column[at] ?? null]),
      )
    }
  }
  const count = rows.files.length
  const columns = wanted.map((index, at) =>
    buildColumn(present(fields[index], 'so'), index, at, count, buffered, read),
  )
  return { column: (index) => present(columns[wanted.indexOf(index)], 'the field was fetched') }
}

/** Numbers of the rows by file, each file's in the order of their positions. */
function placesByFile({ files, positions }: RowPlaces): Map<number, number[]> {
  const places = new Map<number, number[]>()
  for (let place = 0; place < files.length; place++) {
    const file = (files[place] as number) >>> 0
    const known = places.get(file)
    if (known === undefined) places.set(file, [place])
    else known.push(place)
  }
  const at = (place: number): number => (positions[place] as number) >>> 0
  for (const list of places.values()) list.sort((left, right) => at(left) - at(right))
  return places
}

/** @returns false when one of the rows is encoded already */
function fromMemory(
  file: DataFile,
  { positions }: RowPlaces,
  places: readonly number[],
  buffered: Map<number, BufferedRow>,
): boolean {
  const found = places.map((place) => file.bufferedRow((positions[place] as number) >>> 0))
  if (found.includes(null)) return false
  for (const [index, row] of found.entries()) {
    if (row !== null) buffered.set(places[index] as number, row)
  }
  return true
}

function buildColumn(
  field: Field,
  index: number,
  at: number,
  count: number,
  buffered: ReadonlyMap<number, BufferedRow>,
  read: ReadonlyMap<number, RawValue[][]>,
): Column {
  const builder = columnBuilder(field.type)
  const selection = new Int32Array(1)
  for (let place = 0; place < count; place++) {
    const row = buffered.get(place)
    if (row === undefined) {
      const values = present(read.get(place), 'a row is in memory or was read')
      setRaw(builder, place, values[at]?.[0] ?? null)
      continue
    }
    selection[0] = row.row
    appendRows(builder, place, row.group.column(index), 1, selection)
  }
  return builder.view(count)
}

/** @returns the error for a file id that no checkpoint explains */
export function unknownFile(table: string, fileId: number): PipelineError {
  return new PipelineError('CHECKPOINT_CORRUPT', `the index of "${table}" names an unknown file`, {
    detail: `File id ${fileId} belongs to no start of this pipeline that a checkpoint knows.`,
  })
}
