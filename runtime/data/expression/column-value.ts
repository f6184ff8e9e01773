// Single values in and out of columns: constants of expressions, results of folding. Not for the
// data path, where nothing is a value by itself.

import { BytesBuilder, columnBuilder, ListBuilder } from '../column/builder.ts'
import type { ColumnBuilder, FixedBuilder } from '../column/builder.ts'
import { isNull, type Column } from '../column/column.ts'
import type { Literal } from '../literal.ts'
import type { ColumnType } from '../type.ts'

export type ColumnValue = Literal | readonly (Literal | null)[] | null

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Appends a value as `row`, which must be the next. */
export function putValue(builder: ColumnBuilder, row: number, value: ColumnValue): void {
  builder.reserveRows(row + 1)
  if (value === null) builder.setNull(row)
  else if (builder instanceof ListBuilder) {
    for (const element of value as readonly (Literal | null)[]) {
      putValue(builder.child, builder.childLength, element)
      builder.childLength++
    }
    builder.endRow(row)
  } else if (builder instanceof BytesBuilder) {
    const bytes = typeof value === 'string' ? encoder.encode(value) : value
    const array = bytes as Uint8Array
    builder.setBytes(row, array, 0, array.length)
  } else putFixed(builder, row, value as Literal)
}

function putFixed(builder: FixedBuilder, row: number, value: Literal): void {
  const { values } = builder
  switch (builder.layout) {
    case 'int64':
      ;(values as BigInt64Array)[row] = value as bigint
      break
    case 'int128': {
      const wide = values as BigInt64Array
      wide[2 * row] = BigInt.asIntN(64, value as bigint)
      wide[2 * row + 1] = (value as bigint) >> 64n
      break
    }
    case 'uuid16':
      ;(values as Uint8Array).set(value as Uint8Array, row * 16)
      break
    default:
      ;(values as Float64Array)[row] = Number(value)
  }
}

/** @returns a column of `rows` times the same value */
export function constantColumn(type: ColumnType, value: ColumnValue, rows: number): Column {
  const builder = columnBuilder(type)
  for (let row = 0; row < rows; row++) putValue(builder, row, value)
  return builder.view(rows)
}

/** @returns the value of one row */
export function valueAt(column: Column, row: number): ColumnValue {
  if (isNull(column, row)) return null
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1
    case 'int32':
      return BigInt(column.values[row] ?? 0)
    case 'int64':
      return column.values[row] ?? 0n
    case 'float32':
    case 'float64':
      return column.values[row] ?? 0
    case 'int128': {
      const high = column.values[2 * row + 1] ?? 0n
      return (high << 64n) | BigInt.asUintN(64, column.values[2 * row] ?? 0n)
    }
    case 'uuid16':
      return column.values.slice(row * 16, row * 16 + 16)
    case 'bytes': {
      const bytes = column.bytes.slice(column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0)
      return column.type.kind === 'string' ? decoder.decode(bytes) : bytes
    }
    case 'list': {
      const [start, end] = [column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0]
      return Array.from({ length: end - start }, (_, at) => {
        return valueAt(column.child, start + at) as Literal | null
      })
    }
  }
}
