// Functions of numbers. What does not fit its type is an error, never a wrap; doubles follow IEEE.

import type { FixedBuilder } from '../../column/builder.ts'
import { DOUBLE, INT, LONG, FLOAT } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { FunctionSpec, Kernel } from './function.ts'
import { doubleArgument, doubleKernel, int32Argument, int64Argument } from './rows.ts'

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
]
