// l[n]: elements count from 1; outside of the list is null.

import { appendRows } from '../../column/append.ts'
import { isNull, type ListColumn } from '../../column/column.ts'
import { DOUBLE } from '../expression-type.ts'
import type { FunctionSpec, Kernel } from './function.ts'
import { longAt, wordsArgument } from './rows.ts'

const listElement: Kernel = (call) => {
  const { offsets, child } = call.args[0] as ListColumn
  const words = wordsArgument(call, 1)
  const one = new Int32Array(1)
  for (let row = 0; row < call.rows; row++) {
    const place = call.live[row] === 0 ? 0 : longAt(words, row)
    const element = offsets[row]! + place - 1
    if (place < 1 || element >= offsets[row + 1]! || isNull(child, element)) call.out.setNull(row)
    else {
      one[0] = element
      appendRows(call.out, row, child, 1, one)
    }
  }
}

export const listElementFunctions: readonly FunctionSpec[] = [
  {
    name: 'list_element',
    group: 'list',
    usage: 'list_element(l, n)',
    summary: 'The element at a place, as `l[n]`; places count from 1, outside is null.',
    overloads: [
      {
        parameters: ['list', 'long'],
        result: ([list]) => (list?.kind === 'list' ? list.element : DOUBLE),
        nullable: true,
        prepare: () => listElement,
      },
    ],
  },
]
