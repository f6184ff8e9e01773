// The rows of a row group before they are encoded: one builder a column, filled from batches.
// Unchanged values stop here: a sink fills them from the old row first.

import { appendRows } from '../../../runtime/data/column/append.ts'
import type { ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { isNull, isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { sameType, widthOf } from '../../../runtime/data/type.ts'
import type { ParquetField } from './leaf.ts'

export class RowGroupBuffer {
  readonly fields: readonly ParquetField[]
  readonly builders: readonly ColumnBuilder[]
  rows = 0
  private readonly views: (Column | null)[]

  /** @param builders  one of each field's type, empty */
  constructor(fields: readonly ParquetField[], builders: readonly ColumnBuilder[]) {
    this.fields = fields
    this.builders = builders
    this.views = fields.map(() => null)
  }

  /** Bytes that the rows take in memory, bitmaps left out. Cost: O(columns). */
  get bytes(): number {
    let bytes = 0
    for (const builder of this.builders) bytes += builderBytes(builder, this.rows)
    return bytes
  }

  /**
   * Copies rows in.
   *
   * @param columns    a field each, in the order and of the types of `fields`; no row is unchanged,
   *   and no row of a required field is null
   * @param selection  row numbers of `columns`, `count` of them; `null` means rows 0...count - 1
   */
  append(columns: readonly Column[], count: number, selection: Int32Array | null): void {
    assert(columns.length === this.fields.length, 'a batch has a column for each field')
    for (const [at, field] of this.fields.entries()) {
      const column = columns[at]!
      assert(sameType(column.type, field.type), 'a column has the type of its field')
      assert(!anyUnchanged(column, count, selection), 'unchanged values never reach a file')
      assert(!field.required || !anyNull(column, count, selection), 'a required field has no nulls')
      appendRows(this.builders[at]!, this.rows, column, count, selection)
      this.views[at] = null
    }
    this.rows += count
  }

  /**
   * @param field  index of the field
   * @returns the buffered rows of one column, over the buffer's own memory: valid until the next
   *   append or reset. `isNull(column, row)` and `appendRows` read a single row of it.
   */
  column(field: number): Column {
    return (this.views[field] ??= this.builders[field]!.view(this.rows))
  }

  /** Forgets the rows and keeps the memory. */
  reset(): void {
    for (const builder of this.builders) builder.reset()
    this.views.fill(null)
    this.rows = 0
  }
}

function builderBytes(builder: ColumnBuilder, rows: number): number {
  if (builder.layout === 'bytes') return builder.bytesLength + 4 * rows
  if (builder.layout === 'list') {
    return builderBytes(builder.child, builder.childLength) + 4 * rows
  }
  return widthOf(builder.layout) * rows
}

function anyUnchanged(column: Column, count: number, selection: Int32Array | null): boolean {
  if (column.unchanged === null) return false
  for (let at = 0; at < count; at++) {
    if (isUnchanged(column, selection === null ? at : selection[at]!)) return true
  }
  return false
}

function anyNull(column: Column, count: number, selection: Int32Array | null): boolean {
  if (column.validity === null) return false
  for (let at = 0; at < count; at++) {
    if (isNull(column, selection === null ? at : selection[at]!)) return true
  }
  return false
}
