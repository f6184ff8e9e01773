// Writes the rows of cells into a sink, column by column. A row with a value that does not fit is
// told with its record, and the rows of that record are left out: the others are written as if it
// had never been there.

import type { ColumnFill } from '../../../runtime/data/json/fill.ts'
import type { CellFault, Cells } from '../../../runtime/data/json/cells.ts'
import type { RowSink } from '../format.ts'

/** Columns in the order of the sink's builders. */
export function writeRows(cells: Cells, fills: readonly ColumnFill[], sink: RowSink): void {
  const before = cells.faults.length
  sink.reserve(sink.rows + cells.count)
  fillColumns(cells, fills, sink)
  if (cells.faults.length > before) {
    cells.dropRefused()
    tell(cells, sink)
    fillColumns(cells, fills, sink)
  }
  const { rows, ops, record } = sink
  for (let row = 0; row < cells.count; row++) {
    ops[rows + row] = cells.ops[row] ?? 0
    record[rows + row] = cells.record[row] ?? 0
  }
  sink.rows = rows + cells.count
  if (cells.faults.length > 0) tell(cells, sink)
}

function fillColumns(cells: Cells, fills: readonly ColumnFill[], sink: RowSink): void {
  for (const [index, { fill }] of fills.entries()) {
    const builder = sink.builders[index]
    if (builder !== undefined) fill(cells, builder, sink.rows)
  }
}

/** Each record once, with the first thing that is wrong with it. Takes back what was filled. */
function tell(cells: Cells, sink: RowSink): void {
  const first = new Map<number, CellFault>()
  for (const fault of cells.faults) {
    const told = first.get(fault.record)
    if (told === undefined || fault.byteOffset < told.byteOffset) first.set(fault.record, fault)
  }
  for (const fault of [...first.values()].sort((left, right) => left.record - right.record)) {
    const { record, column, reason, byteOffset } = fault
    const message =
      column === null ? `a record is no JSON document: ${reason}` : fits(column, reason)
    sink.dirty(record, { name: 'RECORD_CORRUPT', message, byteOffset })
  }
  cells.faults.length = 0
}

function fits(column: string, reason: string): string {
  return `a value does not fit column "${column}": ${reason}`
}
