// Functions of lists. Elements are copied from column to column; those that are null are values of
// the list like any other, unless a function says that it skips them.

import { appendRows } from '../../column/append.ts'
import type { BytesBuilder, FixedBuilder, ListBuilder } from '../../column/builder.ts'
import { isNull, type Column, type ListColumn } from '../../column/column.ts'
import type { ColumnType } from '../../type.ts'
import { BOOLEAN, LONG, STRING } from '../expression-type.ts'
import { compareValues } from '../kernels/value-order.ts'
import {
  Refusal,
  type Binding,
  type FunctionSpec,
  type Kernel,
  type KernelCall,
} from './function.ts'
import { appendBytes, bytesArgument, longAt, rowKernel, wordsArgument } from './rows.ts'
import { zoneArgument } from './time.ts'
import { hasText, valueAppender } from './value-text.ts'

function listArgument(call: KernelCall, index: number): ListColumn {
  return call.args[index] as ListColumn
}

/** Appends elements of a column to the list that is being written. */
function appendElements(out: ListBuilder, child: Column, elements: Int32Array): void {
  appendRows(out.child, out.childLength, child, elements.length, elements)
  out.childLength += elements.length
}

function listOf([type]: readonly ColumnType[]): ColumnType {
  // A list in a list has no type; `prepare` refuses it.
  return { kind: 'list', element: type === undefined || type.kind === 'list' ? STRING : type }
}

/** @throws Refusal */
function made({ types }: Binding): Kernel {
  if (types[0]?.kind === 'list') throw new Refusal(0, 'a list has no lists in it')
  return (call) => {
    const out = call.out as ListBuilder
    const one = new Int32Array(1)
    for (let row = 0; row < call.rows; row++) {
      if (call.live[row] === 0) {
        out.setNull(row)
        continue
      }
      one[0] = row
      for (const column of call.args) appendElements(out, column, one)
      out.endRow(row)
    }
  }
}

const cardinality: Kernel = rowKernel((call) => {
  const { offsets } = listArgument(call, 0)
  const values = (call.out as FixedBuilder).values as BigInt64Array
  return (row) => {
    values[row] = BigInt(offsets[row + 1]! - offsets[row]!)
  }
})

/** @returns the place of the first element that equals the row's value, from 1; 0: there is none */
function placeOf({ offsets, child }: ListColumn, wanted: Column, row: number): number {
  for (let at = offsets[row]!; at < offsets[row + 1]!; at++) {
    if (!isNull(child, at) && compareValues(child, at, wanted, row) === 0) {
      return at - offsets[row]! + 1
    }
  }
  return 0
}

const contains: Kernel = rowKernel((call) => {
  const [list, wanted] = [listArgument(call, 0), call.args[1]!]
  const values = (call.out as FixedBuilder).values as Uint8Array
  return (row) => {
    values[row] = Number(placeOf(list, wanted, row) > 0)
  }
})

const position: Kernel = rowKernel((call) => {
  const [list, wanted] = [listArgument(call, 0), call.args[1]!]
  const values = (call.out as FixedBuilder).values as BigInt64Array
  return (row) => {
    values[row] = BigInt(placeOf(list, wanted, row))
  }
})

/** @param choose  places of the child that the result has, from those of the row's list */
function chosen(
  choose: (call: KernelCall) => (start: number, end: number, row: number) => Int32Array,
): Kernel {
  return rowKernel((call) => {
    const { offsets, child } = listArgument(call, 0)
    const out = call.out as ListBuilder
    const places = choose(call)
    return (row) => {
      appendElements(out, child, places(offsets[row]!, offsets[row + 1]!, row))
      out.endRow(row)
    }
  })
}

function range(from: number, to: number): Int32Array {
  return Int32Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at)
}

const slice: Kernel = chosen((call) => {
  const [first, last] = [wordsArgument(call, 1), wordsArgument(call, 2)]
  return (start, end, row) =>
    range(
      start + Math.min(end - start, Math.max(0, longAt(first, row) - 1)),
      start + Math.max(0, Math.min(end - start, longAt(last, row))),
    )
})

/** Nulls are the greatest, and equal. */
function compareElements(child: Column, left: number, right: number): number {
  const [none, other] = [isNull(child, left), isNull(child, right)]
  if (none || other) return Number(none) - Number(other)
  return compareValues(child, left, child, right)
}

const sorted: Kernel = chosen((call) => {
  const { child } = listArgument(call, 0)
  return (start, end) =>
    // A tie goes to the one that came first, so that -0 and 0 keep their places.
    range(start, end).sort((a, b) => compareElements(child, a, b) || a - b)
})

const distinct: Kernel = chosen((call) => {
  const { child } = listArgument(call, 0)
  return (start, end) => {
    const order = range(start, end).sort((a, b) => compareElements(child, a, b) || a - b)
    const first = order.filter(
      (place, at) => at === 0 || compareElements(child, order[at - 1]!, place) !== 0,
    )
    return first.sort()
  }
})

const concat: Kernel = rowKernel((call) => {
  const lists = call.args as readonly ListColumn[]
  const out = call.out as ListBuilder
  return (row) => {
    for (const { offsets, child } of lists) {
      appendElements(out, child, range(offsets[row]!, offsets[row + 1]!))
    }
    out.endRow(row)
  }
})

/** @throws Refusal */
function join(binding: Binding): Kernel {
  const [list] = binding.types
  if (list?.kind === 'list' && !hasText(list.element)) {
    throw new Refusal(0, `a ${list.element.kind} has no text`)
  }
  const zone = zoneArgument(binding, 2)
  return rowKernel((call) => {
    const { offsets, child } = listArgument(call, 0)
    const separator = bytesArgument(call, 1)
    const append = valueAppender(child, zone)
    const out = call.out as BytesBuilder
    return (row) => {
      let any = false
      for (let at = offsets[row]!; at < offsets[row + 1]!; at++) {
        if (isNull(child, at)) continue
        if (any) {
          const { offsets: ends, bytes } = separator
          appendBytes(out, bytes, ends[row]!, ends[row + 1]!)
        }
        any = true
        append(out, at)
      }
      out.endRow(row)
    }
  })
}

function sameList([list]: readonly ColumnType[]): ColumnType {
  return list ?? { kind: 'list', element: STRING }
}

/** @throws Refusal */
function joined({ types }: Binding): Kernel {
  if (types.every(({ kind }) => kind === 'list')) return concat
  throw new Refusal(0, 'list_concat joins lists', 'concat(...) joins texts.')
}

export const listFunctions: readonly FunctionSpec[] = [
  {
    name: 'list',
    group: 'list',
    usage: 'list(x...)',
    summary: 'The values as a list, nulls included.',
    overloads: [
      {
        parameters: ['same'],
        variadic: true,
        nulls: 'kernel',
        neverNull: true,
        result: listOf,
        prepare: made,
      },
    ],
  },
  {
    name: 'cardinality',
    group: 'list',
    usage: 'cardinality(l)',
    summary: 'How many elements a list has.',
    overloads: [{ parameters: ['list'], result: LONG, prepare: () => cardinality }],
  },
  {
    name: 'list_contains',
    group: 'list',
    usage: 'list_contains(l, x)',
    summary: 'True when an element equals `x`; elements that are null equal nothing.',
    overloads: [{ parameters: ['list', 'element'], result: BOOLEAN, prepare: () => contains }],
  },
  {
    name: 'list_position',
    group: 'list',
    usage: 'list_position(l, x)',
    summary: 'The place of the first element that equals `x`, from 1; 0 when there is none.',
    overloads: [{ parameters: ['list', 'element'], result: LONG, prepare: () => position }],
  },
  {
    name: 'list_slice',
    group: 'list',
    usage: 'list_slice(l, a, b)',
    summary: 'The elements from place `a` to place `b`, which count from 1; outside are none.',
    overloads: [{ parameters: ['list', 'long', 'long'], result: sameList, prepare: () => slice }],
  },
  {
    name: 'list_distinct',
    group: 'list',
    usage: 'list_distinct(l)',
    summary: 'Each element once, where it stands first; null is one of them.',
    overloads: [{ parameters: ['list'], result: sameList, prepare: () => distinct }],
  },
  {
    name: 'list_sort',
    group: 'list',
    usage: 'list_sort(l)',
    summary: 'The elements from least to greatest, nulls last.',
    overloads: [{ parameters: ['list'], result: sameList, prepare: () => sorted }],
  },
  {
    name: 'list_join',
    group: 'list',
    usage: 'list_join(l, sep)',
    summary: 'The elements that are not null as texts, with `sep` between them.',
    overloads: [{ parameters: ['list', 'string'], result: STRING, prepare: join }],
  },
  {
    name: 'list_concat',
    group: 'list',
    usage: 'list_concat(a, b)',
    summary: 'The elements of both lists, which are of one type.',
    overloads: [{ parameters: ['same', 'same'], result: sameList, prepare: joined }],
  },
]
