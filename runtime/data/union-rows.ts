// Rows of one table as rows of the union that it is a part of: its columns in the union's order and
// types, and the defaults of those that it does not have.

import { gatherColumn } from './column/append.ts'
import { columnBuilder, type BytesBuilder, type FixedBuilder } from './column/builder.ts'
import type { Column } from './column/column.ts'
import type { ChangeBatch } from './batch.ts'
import type { Literal } from './literal.ts'
import { packBatch } from './pack.ts'
import type { Field, TableSchema } from './schema.ts'
import { layoutOf, sameType, type ColumnType } from './type.ts'

export class UnionRows {
  readonly from: TableSchema
  readonly to: TableSchema
  /** By field of the union: the part's column, or one row of what it has instead. */
  private readonly inputs: readonly (number | Column)[]
  private readonly isChanged: boolean

  /**
   * @param from  structure of the part's rows
   * @param to  structure of the union, which has all of its columns
   */
  constructor(from: TableSchema, to: TableSchema) {
    this.from = from
    this.to = to
    this.inputs = to.fields.map((field) => {
      const index = from.fields.findIndex(({ name }) => name === field.name)
      return index >= 0 ? index : literalColumn(field)
    })
    this.isChanged = this.inputs.some((input, at) => {
      if (typeof input !== 'number') return true
      const [own, wanted] = [from.fields[input], to.fields[at]]
      return own === undefined || wanted === undefined || !sameType(own.type, wanted.type)
    })
  }

  /** Takes the batch and its buffers. */
  apply(batch: ChangeBatch): ChangeBatch {
    const { to, inputs } = this
    const filled = new Int32Array(batch.rows)
    const columns = to.fields.map(({ type }, at) => {
      const input = inputs[at]
      if (typeof input === 'object') return gatherColumn(input, filled)
      const column = batch.columns[input ?? -1]
      if (column === undefined) throw new RangeError('a batch has all columns of its structure')
      return widened(column, type)
    })
    const { table: origin } = batch
    const united = { ...batch, table: to.table, origin, schemaVersion: to.version, columns }
    return this.isChanged ? packBatch(united) : united
  }
}

/** @returns the values as `type`, to which that of the column widens */
export function widened(column: Column, type: ColumnType): Column {
  if (sameType(column.type, type)) return column
  if (column.layout === 'list' && type.kind === 'list') {
    return { ...column, type, child: widened(column.child, type.element) }
  }
  const layout = layoutOf(type)
  if (column.layout === layout) return { ...column, type }
  const { length, validity, unchanged } = column
  const base = { type, length, validity, unchanged }
  if (column.layout === 'int32' && layout === 'int64') {
    return { ...base, layout, values: BigInt64Array.from(column.values, BigInt) }
  }
  if (column.layout === 'float32' && layout === 'float64') {
    return { ...base, layout, values: Float64Array.from(column.values) }
  }
  if (column.layout === 'int64' && layout === 'int128') {
    const values = new BigInt64Array(2 * length)
    for (let row = 0; row < length; row++) {
      const low = column.values[row] ?? 0n
      values[2 * row] = low
      values[2 * row + 1] = low >> 63n
    }
    return { ...base, layout, values }
  }
  throw new RangeError(`${column.type.kind} does not widen to ${type.kind}`)
}

/** One row of what a column holds where nobody gave it a value. */
function literalColumn({ type, initialDefault }: Field): Column {
  const builder = columnBuilder(type)
  builder.reserveRows(1)
  if (initialDefault === null) builder.setNull(0)
  else if (builder.layout === 'bytes') setBytes(builder, initialDefault)
  else if (builder.layout === 'list') throw new RangeError('a list has no default')
  else setFixed(builder, initialDefault)
  return builder.view(1)
}

function setBytes(builder: BytesBuilder, value: Literal): void {
  const bytes = value instanceof Uint8Array ? value : new TextEncoder().encode(String(value))
  builder.setBytes(0, bytes, 0, bytes.length)
}

function setFixed({ values, layout }: FixedBuilder, value: Literal): void {
  if (values instanceof BigInt64Array) {
    const whole = value as bigint
    values[0] = BigInt.asIntN(64, whole)
    if (layout === 'int128') values[1] = whole >> 64n
  } else if (value instanceof Uint8Array) values.set(value)
  else values[0] = Number(value)
}
