// What makes keys or values of rows, for a table of one structure.

import type { ChangeBatch } from '../../../runtime/data/batch.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import type { Bytes } from './record-batch.ts'

export interface RowEncoder {
  /**
   * @param nowMs  the time of writing
   * @returns the bytes of a row, valid until the next one is asked for; `null`: a column has no
   *          value that could be told
   */
  encode(batch: ChangeBatch, row: number, nowMs: number): Bytes | null
}

/** The two sides of a record. */
export interface RecordEncoder {
  readonly key: RowEncoder
  readonly value: RowEncoder
}

export function columnAt(columns: readonly Column[], index: number): Column {
  const column = columns[index]
  if (column === undefined) throw new RangeError(`a batch has no column ${index}`)
  return column
}
