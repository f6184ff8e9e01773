// Functions of numbers. What does not fit its type is an error, never a wrap; doubles follow IEEE.

import type { FixedBuilder } from '../../column/builder.ts'
import { BOOLEAN, DOUBLE, INT, LONG, FLOAT } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { FunctionSpec, Kernel } from './function.ts'
import { doubleArgument, doubleKernel, int32Argument, int64Argument, rowKernel } from './rows.ts'
import { wordsArgument } from './rows.ts'

const INT_MIN = -0x8000_0000
const LONG_MIN = -0x8000_0000_0000_0000n

const absInt: Kernel = (call) => {
  const x = int32Argument(call, 0)
  const out = call.out as FixedBuilder
  const values = out.values as Int32Array
  for (let row = 0; row < call.rows; row++) {
    if (call.live[row] === 0) out.setNull(row)
    else if (x[row] === INT_MIN) call.fail(row, 'the absolute value is no int')
    else values[row] = Math.abs(x[row]!)
  }
}

const absLong: Kernel = (call) => {
  const x = int64Argument(call, 0)
  const out = call.out as FixedBuilder
  const values = out.values as BigInt64Array
  for (let row = 0; row < call.rows; row++) {
    if (call.live[row] === 0) out.setNull(row)
    else if (x[row] === LONG_MIN) call.fail(row, 'the absolute value is no long')
    else values[row] = x[row]! < 0n ? -x[row]! : x[row]!
  }
}

/** Of 19 digits and more: two words a value, the higher one has the sign. */
const absWide: Kernel = (call) => {
  const x = int64Argument(call, 0)
  const out = call.out as FixedBuilder
  const values = out.values as BigInt64Array
  for (let row = 0; row < call.rows; row++) {
    if (call.live[row] === 0) {
      out.setNull(row)
      continue
    }
    const value = (x[2 * row + 1]! << 64n) | BigInt.asUintN(64, x[2 * row]!)
    const positive = value < 0n ? -value : value
    values[2 * row] = BigInt.asIntN(64, positive)
    values[2 * row + 1] = positive >> 64n
  }
}

const absFloat: Kernel = (call) => {
  const x = doubleArgument(call, 0)
  const out = call.out as FixedBuilder
  const values = out.values as Float64Array
  for (let row = 0; row < call.rows; row++) {
    if (call.live[row] === 0) out.setNull(row)
    else values[row] = Math.abs(x[row]!)
  }
}

const sqrt: Kernel = (call) => {
  const x = doubleArgument(call, 0)
  const out = call.out as FixedBuilder
  const values = out.values as Float64Array
  for (let row = 0; row < call.rows; row++) {
    if (call.live[row] === 0) out.setNull(row)
    else if (x[row]! < 0) call.fail(row, 'the square root of a negative number')
    else values[row] = Math.sqrt(x[row]!)
  }
}

/** @returns the kernel of a logarithm, which numbers from 0 down do not have */
function logarithm(step: (x: number) => number): Kernel {
  return rowKernel((call) => {
    const x = doubleArgument(call, 0)
    const values = (call.out as FixedBuilder).values as Float64Array
    return (row) => {
      if (x[row]! <= 0) call.fail(row, 'the logarithm of a number that is not positive')
      else values[row] = step(x[row]!)
    }
  })
}

const isNan: Kernel = rowKernel((call) => {
  const x = doubleArgument(call, 0)
  const values = (call.out as FixedBuilder).values as Uint8Array
  return (row) => {
    values[row] = Number.isNaN(x[row]!) ? 1 : 0
  }
})

const signInt: Kernel = rowKernel((call) => {
  const x = int32Argument(call, 0)
  const values = (call.out as FixedBuilder).values as Int32Array
  return (row) => {
    values[row] = Math.sign(x[row]!)
  }
})

/** The higher word has the sign; of decimals beyond 18 digits it is one of four. */
function signWords(wordsPerValue: number): Kernel {
  return rowKernel((call) => {
    const x = wordsArgument(call, 0)
    const values = (call.out as FixedBuilder).values as Int32Array
    return (row) => {
      const start = row * wordsPerValue
      let bits = 0
      for (let at = start; at < start + wordsPerValue; at++) bits |= x[at]!
      values[row] = x[start + wordsPerValue - 1]! < 0 ? -1 : Number(bits !== 0)
    }
  })
}

function sameAsArgument(types: readonly ColumnType[]): ColumnType {
  return types[0] ?? DOUBLE
}

export const numericFunctions: readonly FunctionSpec[] = [
  {
    name: 'abs',
    group: 'numeric',
    usage: 'abs(x)',
    summary: 'The absolute value, of the same type.',
    overloads: [
      { parameters: ['int'], result: INT, fails: true, prepare: () => absInt },
      { parameters: ['long'], result: LONG, fails: true, prepare: () => absLong },
      {
        parameters: ['decimal'],
        result: sameAsArgument,
        prepare: ({ result }) =>
          result.kind === 'decimal' && result.precision > 18 ? absWide : absLong,
      },
      { parameters: ['float'], result: FLOAT, prepare: () => absFloat },
      { parameters: ['double'], result: DOUBLE, prepare: () => absFloat },
    ],
  },
  {
    name: 'sqrt',
    group: 'numeric',
    usage: 'sqrt(x)',
    summary: 'The square root; of a negative number an error.',
    overloads: [{ parameters: ['double'], result: DOUBLE, fails: true, prepare: () => sqrt }],
  },
  {
    name: 'exp',
    group: 'numeric',
    usage: 'exp(x)',
    summary: 'e to the power of `x`.',
    overloads: [{ parameters: ['double'], result: DOUBLE, prepare: () => doubleKernel(Math.exp) }],
  },
  {
    name: 'ln',
    group: 'numeric',
    usage: 'ln(x)',
    summary: 'The natural logarithm; of 0 and negative numbers an error.',
    overloads: [
      { parameters: ['double'], result: DOUBLE, fails: true, prepare: () => logarithm(Math.log) },
    ],
  },
  {
    name: 'log10',
    group: 'numeric',
    usage: 'log10(x)',
    summary: 'The logarithm to base 10; of 0 and negative numbers an error.',
    overloads: [
      {
        parameters: ['double'],
        result: DOUBLE,
        fails: true,
        prepare: () => logarithm(Math.log10),
      },
    ],
  },
  {
    name: 'sign',
    group: 'numeric',
    usage: 'sign(x)',
    summary: '-1, 0 or 1; of NaN NaN.',
    overloads: [
      { parameters: ['int'], result: INT, prepare: () => signInt },
      { parameters: ['long'], result: INT, prepare: () => signWords(2) },
      {
        parameters: ['decimal'],
        result: INT,
        prepare: ({ types: [type] }) =>
          signWords(type?.kind === 'decimal' && type.precision > 18 ? 4 : 2),
      },
      { parameters: ['double'], result: DOUBLE, prepare: () => doubleKernel(Math.sign) },
    ],
  },
  {
    name: 'is_nan',
    group: 'numeric',
    usage: 'is_nan(x)',
    summary: 'True when a float or double is NaN.',
    overloads: [
      { parameters: ['float'], result: BOOLEAN, prepare: () => isNan },
      { parameters: ['double'], result: BOOLEAN, prepare: () => isNan },
    ],
  },
]
