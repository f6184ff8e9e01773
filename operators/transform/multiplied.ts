// Rows of a batch that leave several times, or without values, gathered column by column.

import { BATCH_BYTES_MAX, type ChangeBatch } from '../../runtime/data/batch.ts'
import { appendRows } from '../../runtime/data/column/append.ts'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { widthOf } from '../../runtime/data/type.ts'

/** @param selection  rows in any order, each any number of times; below 0: a row that is null */
export function gatherOrNull(column: Column, selection: Int32Array): Column {
  const builder = columnBuilder(column.type, selection.length)
  const rows = selection.length
  builder.reserveRows(rows)
  for (let from = 0; from < rows;) {
    if ((selection[from] as number) < 0) {
      builder.setNull(from++)
      continue
    }
    let to = from + 1
    while (to < rows && (selection[to] as number) >= 0) to++
    appendRows(builder, from, column, to - from, selection.subarray(from, to))
    from = to
  }
  return builder.view(rows)
}

/** Where batches of rows that leave end: what a row holds may leave as often as it has elements. */
export class BatchEnds {
  private readonly rowBytes: Float64Array
  private readonly selection: Int32Array
  private readonly rows: number

  /**
   * @param left  column that does not leave with its row
   * @param selection  ascending; the first `rows` count
   */
  constructor(
    { columns, rows: all }: ChangeBatch,
    left: number,
    selection: Int32Array,
    rows: number,
  ) {
    this.selection = selection
    this.rows = rows
    this.rowBytes = new Float64Array(all)
    for (const [index, column] of columns.entries()) {
      if (index !== left) addBytes(this.rowBytes, column)
    }
  }

  /** @returns the end of the batch that begins with leaving row `from` */
  endOf(from: number, rowsMax: number): number {
    const most = Math.min(this.rows, from + rowsMax)
    let bytes = 0
    for (let at = from; at < most; at++) {
      bytes += this.rowBytes[this.selection[at] as number] as number
      if (bytes > BATCH_BYTES_MAX && at > from) return at
    }
    return most
  }
}

function addBytes(rowBytes: Float64Array, column: Column): void {
  const width = widthOf(column.layout)
  for (let row = 0; row < rowBytes.length; row++) {
    let bytes = width
    if (column.layout === 'bytes') {
      bytes += (column.offsets[row + 1] as number) - (column.offsets[row] as number)
    }
    rowBytes[row] = (rowBytes[row] as number) + bytes
  }
}
