// The four columns that a `changelog` table has beside its own, and those of its own as it shows
// them.

import { Op, type ChangeBatch } from '../../../runtime/data/batch.ts'
import {
  opColumn,
  positionColumn,
  timeColumn,
  transactionColumn,
} from '../../../runtime/data/change-columns.ts'
import { bitmapBytes, type Column } from '../../../runtime/data/column/column.ts'

/** @returns `_op`, `_pos`, `_ts` and `_tx` of all rows, in the order of `CHANGELOG_FIELDS` */
export function changelogColumns(batch: ChangeBatch): Column[] {
  return [opColumn(batch), positionColumn(batch), timeColumn(batch), transactionColumn(batch)]
}

/**
 * The columns of a batch as a changelog shows them: what a delete does not carry is null.
 *
 * @returns `null` when a row that is not a delete lacks a value: nothing here could supply it
 */
export function knownColumns(batch: ChangeBatch): readonly Column[] | null {
  const columns: Column[] = []
  for (const column of batch.columns) {
    if (column.unchanged === null) {
      columns.push(column)
      continue
    }
    for (let row = 0; row < batch.rows; row++) {
      const bit = (column.unchanged[row >> 3] as number) & (1 << (row & 7))
      if (bit !== 0 && batch.ops[row] !== Op.delete) return null
    }
    const validity = new Uint8Array(bitmapBytes(batch.rows))
    for (let at = 0; at < validity.length; at++) {
      const valid = column.validity === null ? 0xff : (column.validity[at] as number)
      validity[at] = valid & ~(column.unchanged[at] as number)
    }
    columns.push({ ...column, validity, unchanged: null })
  }
  return columns
}
