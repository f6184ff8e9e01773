// greatest and least of several values. Nulls are skipped; NaN is the greatest number.

import { appendRows } from '../../column/append.ts'
import { isNull, type Column } from '../../column/column.ts'
import type { ColumnType } from '../../type.ts'
import { STRING } from '../expression-type.ts'
import { compareValues } from '../kernels/value-order.ts'
import { Refusal, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { rowKernel } from './rows.ts'

/** @param sign  1 for the greatest, -1 for the least */
function extreme(sign: 1 | -1): (binding: Binding) => Kernel {
  return ({ types }) => {
    if (types[0]?.kind === 'list') throw new Refusal(0, 'lists have no order')
    const place = new Int32Array(1)
    return rowKernel((call) => (row) => {
      let best: Column | null = null
      for (const column of call.args) {
        if (isNull(column, row)) continue
        if (best === null || sign * compareValues(column, row, best, row) > 0) best = column
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
