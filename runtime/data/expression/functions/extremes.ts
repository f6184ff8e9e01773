// greatest and least of several values. Nulls are skipped; NaN is the greatest number.

import { appendRows } from '../../column/append.ts'
import { isNull, type BytesColumn, type Column } from '../../column/column.ts'
import type { ColumnType } from '../../type.ts'
import { STRING } from '../expression-type.ts'
import { compareBytes } from '../kernels/bytes.ts'
import { Refusal, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { rowKernel } from './rows.ts'

/** @returns less than, equal to or greater than 0 */
type Compare = (left: Column, right: Column, row: number) => number

function compareDoubles(left: number, right: number): number {
  if (left < right) return -1
  if (left > right) return 1
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right))
}

function compareWide(left: BigInt64Array, right: BigInt64Array, row: number): number {
  const [high, otherHigh] = [left[2 * row + 1]!, right[2 * row + 1]!]
  if (high !== otherHigh) return high < otherHigh ? -1 : 1
  const [low, otherLow] = [left[2 * row]!, right[2 * row]!].map((word) => BigInt.asUintN(64, word))
  return low! < otherLow! ? -1 : Number(low! > otherLow!)
}

function compareTexts(left: BytesColumn, right: BytesColumn, row: number): number {
  const [start, end] = [left.offsets[row]!, left.offsets[row + 1]!]
  const [otherStart, otherEnd] = [right.offsets[row]!, right.offsets[row + 1]!]
  return compareBytes(left.bytes, start, end, right.bytes, otherStart, otherEnd)
}

/** Both columns are of one type. */
const compare: Compare = (left, right, row) => {
  switch (left.layout) {
    case 'bool8':
    case 'int32':
    case 'float32':
    case 'float64':
      return compareDoubles(left.values[row]!, (right as typeof left).values[row]!)
    case 'int64': {
      const [value, other] = [left.values[row]!, (right as typeof left).values[row]!]
      return value < other ? -1 : Number(value > other)
    }
    case 'int128':
      return compareWide(left.values, (right as typeof left).values, row)
    case 'uuid16': {
      const [start, end] = [row * 16, row * 16 + 16]
      return compareBytes(left.values, start, end, (right as typeof left).values, start, end)
    }
    case 'bytes':
      return compareTexts(left, right as BytesColumn, row)
    case 'list':
      return 0
  }
}

/** @param sign  1 for the greatest, -1 for the least */
function extreme(sign: 1 | -1): (binding: Binding) => Kernel {
  return ({ types }) => {
    if (types[0]?.kind === 'list') throw new Refusal(0, 'lists have no order')
    const place = new Int32Array(1)
    return rowKernel((call) => (row) => {
      let best: Column | null = null
      for (const column of call.args) {
        if (isNull(column, row)) continue
        if (best === null || sign * compare(column, best, row) > 0) best = column
      }
      if (best === null) call.out.setNull(row)
      else {
        place[0] = row
        appendRows(call.out, row, best, 1, place)
      }
    })
  }
}

function spec(name: string, summary: string, sign: 1 | -1): FunctionSpec {
  return {
    name,
    group: 'numeric',
    usage: `${name}(x...)`,
    summary,
    overloads: [
      {
        parameters: ['same'],
        variadic: true,
        nulls: 'kernel',
        result: ([type]): ColumnType => type ?? STRING,
        prepare: extreme(sign),
      },
    ],
  }
}

export const extremeFunctions: readonly FunctionSpec[] = [
  spec('greatest', 'The greatest value that is not null, of any type with an order.', 1),
  spec('least', 'The least value that is not null, of any type with an order.', -1),
]
