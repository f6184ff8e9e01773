// Values of any type as texts, as CAST(x AS string) has them.

import type { BytesBuilder } from '../../column/builder.ts'
import type { BytesColumn, Column } from '../../column/column.ts'
import { floatText } from '../kernels/exact.ts'
import { dateText, instantText, timestampText, timeText } from '../kernels/moments.ts'
import { formatDecimal, formatDouble } from '../kernels/number-text.ts'
import { uuidText } from '../kernels/uuid-text.ts'
import type { ColumnType } from '../../type.ts'
import type { Zone } from '../zone.ts'
import { appendBytes, appendText } from './rows.ts'

/** Binary has no text that is right for all, and lists have none. */
export function hasText(type: ColumnType): boolean {
  return type.kind !== 'binary' && type.kind !== 'list'
}

/** Appends the value at `row`, which is not null. */
export type AppendValue = (out: BytesBuilder, row: number) => void

/** @param zone  whose clock and offset instants are shown with */
export function valueAppender(column: Column, zone: Zone): AppendValue {
  if (column.layout === 'bytes') {
    const { offsets, bytes }: BytesColumn = column
    return (out, row) => appendBytes(out, bytes, offsets[row]!, offsets[row + 1]!)
  }
  const text = valueText(column, zone)
  return (out, row) => appendText(out, text(row))
}

function valueText(column: Column, zone: Zone): (row: number) => string {
  const { type } = column
  const scale = type.kind === 'decimal' ? type.scale : 0
  switch (column.layout) {
    case 'bool8':
      return (row) => (column.values[row] === 1 ? 'true' : 'false')
    case 'int32':
      if (type.kind === 'date') return (row) => dateText(column.values[row]!)
      return (row) => String(column.values[row])
    case 'float32':
      return (row) => floatText(column.values[row]!)
    case 'float64':
      return (row) => formatDouble(column.values[row]!)
    case 'int128':
      return (row) => {
        const value =
          (column.values[2 * row + 1]! << 64n) | BigInt.asUintN(64, column.values[2 * row]!)
        return formatDecimal(value, scale)
      }
    case 'uuid16':
      return (row) => uuidText(column.values, row * 16)
    case 'int64':
      if (type.kind === 'time') return (row) => timeText(column.values[row]!)
      if (type.kind === 'timestamp') return (row) => timestampText(column.values[row]!)
      if (type.kind === 'timestamptz') return (row) => instantText(column.values[row]!, zone)
      return (row) => formatDecimal(column.values[row]!, scale)
    case 'bytes':
    case 'list':
      return () => ''
  }
}
