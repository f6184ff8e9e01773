// Functions of the bits of integers, as two's complement of 32 (int) or 64 bits (long).

import type { FixedBuilder } from '../../column/builder.ts'
import { INT, LONG } from '../expression-type.ts'
import type { FunctionSpec, Kernel, Overload } from './function.ts'
import { int32Argument, rowKernel, wordsArgument } from './rows.ts'

type Combine = (left: number, right: number) => number

function combined(combine: Combine): readonly Overload[] {
  const ints: Kernel = rowKernel((call) => {
    const [left, right] = [int32Argument(call, 0), int32Argument(call, 1)]
    const values = (call.out as FixedBuilder).values as Int32Array
    return (row) => {
      values[row] = combine(left[row]!, right[row]!)
    }
  })
  const longs: Kernel = rowKernel((call) => {
    const [left, right] = [wordsArgument(call, 0), wordsArgument(call, 1)]
    const words = (call.out as FixedBuilder).pairs
    return (row) => {
      words[2 * row] = combine(left[2 * row]!, right[2 * row]!)
      words[2 * row + 1] = combine(left[2 * row + 1]!, right[2 * row + 1]!)
    }
  })
  return [
    { parameters: ['int', 'int'], result: INT, prepare: () => ints },
    { parameters: ['long', 'long'], result: LONG, prepare: () => longs },
  ]
}

const notInt: Kernel = rowKernel((call) => {
  const x = int32Argument(call, 0)
  const values = (call.out as FixedBuilder).values as Int32Array
  return (row) => {
    values[row] = ~x[row]!
  }
})

const notLong: Kernel = rowKernel((call) => {
  const x = wordsArgument(call, 0)
  const words = (call.out as FixedBuilder).pairs
  return (row) => {
    words[2 * row] = ~x[2 * row]!
    words[2 * row + 1] = ~x[2 * row + 1]!
  }
})

/** @returns how many of 32 bits are set */
function setBits(word: number): number {
  let rest = word - ((word >>> 1) & 0x5555_5555)
  rest = (rest & 0x3333_3333) + ((rest >>> 2) & 0x3333_3333)
  return Math.imul((rest + (rest >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}

const countInt: Kernel = rowKernel((call) => {
  const x = int32Argument(call, 0)
  const values = (call.out as FixedBuilder).values as Int32Array
  return (row) => {
    values[row] = setBits(x[row]!)
  }
})

const countLong: Kernel = rowKernel((call) => {
  const x = wordsArgument(call, 0)
  const values = (call.out as FixedBuilder).values as Int32Array
  return (row) => {
    values[row] = setBits(x[2 * row]!) + setBits(x[2 * row + 1]!)
  }
})

export const bitFunctions: readonly FunctionSpec[] = [
  {
    name: 'bit_and',
    group: 'numeric',
    usage: 'bit_and(x, y)',
    summary: 'Bits that are set in both.',
    overloads: combined((left, right) => left & right),
  },
  {
    name: 'bit_or',
    group: 'numeric',
    usage: 'bit_or(x, y)',
    summary: 'Bits that are set in either.',
    overloads: combined((left, right) => left | right),
  },
  {
    name: 'bit_xor',
    group: 'numeric',
    usage: 'bit_xor(x, y)',
    summary: 'Bits that are set in one of the two.',
    overloads: combined((left, right) => left ^ right),
  },
  {
    name: 'bit_not',
    group: 'numeric',
    usage: 'bit_not(x)',
    summary: 'Each bit the other way.',
    overloads: [
      { parameters: ['int'], result: INT, prepare: () => notInt },
      { parameters: ['long'], result: LONG, prepare: () => notLong },
    ],
  },
  {
    name: 'bit_count',
    group: 'numeric',
    usage: 'bit_count(x)',
    summary: 'How many bits are set.',
    overloads: [
      { parameters: ['int'], result: INT, prepare: () => countInt },
      { parameters: ['long'], result: INT, prepare: () => countLong },
    ],
  },
]
