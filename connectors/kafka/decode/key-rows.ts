// The keys of a run of records, decoded into columns of their own: exactly one row a record, so
// that the rows of the values, of which a record may have several or none, find theirs by number.

import { appendRows } from '../../../runtime/data/column/append.ts'
import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import type { DecodeFault, FormatTable, RecordDecoder, RowSink } from '../format.ts'
import type { RecordSet } from '../records.ts'
import { RunView } from './run-view.ts'

export class KeyRows implements RowSink {
  readonly decoder: RecordDecoder
  /** Of the structure that `builders` are made for. */
  readonly table: FormatTable
  readonly builders: readonly ColumnBuilder[]
  rows = 0
  ops: Uint8Array = new Uint8Array(0)
  record: Int32Array = new Int32Array(0)
  /** Why the last run ended before its end; both `null`: it did not. */
  stop: 'structure' | 'load' | null = null
  fault: DecodeFault | null = null
  private faultAt = -1
  private first = 0
  private selection = new Int32Array(0)
  private readonly view = new RunView()

  constructor(decoder: RecordDecoder) {
    this.decoder = decoder
    this.table = decoder.table
    this.builders = decoder.table.columns.map(({ type }) => columnBuilder(type))
  }

  reserve(rows: number): void {
    for (const builder of this.builders) builder.reserveRows(rows)
    if (rows <= this.ops.length) return
    const capacity = Math.max(rows, 2 * this.ops.length, 1024)
    const [ops, record] = [new Uint8Array(capacity), new Int32Array(capacity)]
    ops.set(this.ops)
    record.set(this.record)
    this.ops = ops
    this.record = record
  }

  dirty(record: number, fault: DecodeFault): void {
    for (const builder of this.builders) builder.truncate(this.rows)
    if (this.faultAt >= 0) return
    this.faultAt = record
    this.fault = fault
  }

  /**
   * Decodes the keys of records [from, to), and forgets those of before.
   *
   * @returns behind the last record whose key is here; `stop` or `fault` say why it is not `to`
   */
  decode(set: RecordSet, from: number, to: number): number {
    for (const builder of this.builders) builder.reset()
    this.rows = 0
    this.first = from
    this.stop = null
    this.fault = null
    this.faultAt = -1
    const { keyStart } = set
    let index = from
    while (index < to) {
      if (keyStart[index]! < 0) {
        this.addNull(index++)
        continue
      }
      let end = index + 1
      while (end < to && keyStart[end]! >= 0) end++
      const { next, stop } = this.decoder.decode(this.view.of(set, end), index, end - index, this)
      if (this.faultAt >= 0) return this.faultAt
      if (this.rows !== next - from) {
        this.fault = { name: 'RECORD_CORRUPT', message: 'the key is not one row', byteOffset: 0 }
        return from + this.wholeRows()
      }
      index = next
      if (stop === 'structure' || stop === 'load') {
        this.stop = stop
        break
      }
    }
    return index
  }

  /** @returns how many records from the first on have one row each */
  private wholeRows(): number {
    const { record, rows, first } = this
    let count = 0
    while (count < rows && record[count] === first + count && record[count + 1] !== first + count) {
      count++
    }
    return count
  }

  private addNull(record: number): void {
    this.reserve(this.rows + 1)
    for (const builder of this.builders) builder.setNull(this.rows)
    this.record[this.rows] = record
    this.rows++
  }

  /**
   * Appends the keys of rows [from, to) to a column.
   *
   * @param column  of the key
   * @param record  by row: its record
   */
  fill(builder: ColumnBuilder, column: number, record: Int32Array, from: number, to: number): void {
    const count = to - from
    const keys = this.builders[column]!.view(this.rows)
    appendRows(builder, from, keys, count, this.selected(record, from, count))
  }

  /** @returns `null`: each record has one row, so that the keys lie as the rows do */
  private selected(record: Int32Array, from: number, count: number): Int32Array | null {
    if (this.selection.length < count) this.selection = new Int32Array(2 * count)
    const { selection, first } = this
    let aligned = true
    for (let row = 0; row < count; row++) {
      selection[row] = record[from + row]! - first
      if (selection[row] !== row) aligned = false
    }
    return aligned ? null : selection
  }
}
