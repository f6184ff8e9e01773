// Powers, and shifts of the bits of a long. What has no value is an error; a power that is too
// large for a double is infinite, as it is for every operator of doubles.

import type { FixedBuilder } from '../../column/builder.ts'
import { DOUBLE, LONG } from '../expression-type.ts'
import type { FunctionSpec, Kernel } from './function.ts'
import { doubleArgument, longAt, rowKernel, wordsArgument } from './rows.ts'

const power: Kernel = rowKernel((call) => {
  const [x, y] = [doubleArgument(call, 0), doubleArgument(call, 1)]
  const values = (call.out as FixedBuilder).values as Float64Array
  return (row) => {
    const [base, exponent] = [x[row]!, y[row]!]
    if (base === 0 && exponent < 0) call.fail(row, 'zero has no negative power')
    else if (base < 0 && base > -Infinity && Number.isFinite(exponent) && exponent % 1 !== 0) {
      call.fail(row, 'a negative number has no such power')
    } else values[row] = powerOf(base, exponent)
  }
})

/** 1 to any power is 1, as for IEEE and all databases; JavaScript has NaN for some of them. */
function powerOf(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Infinity)) return 1
  return base ** exponent
}

const BITS = 64

/** Moves `words` by n bits; each word is computed from the two that its bits come from. */
function shift(left: boolean): Kernel {
  return rowKernel((call) => {
    const [x, n] = [wordsArgument(call, 0), wordsArgument(call, 1)]
    const words = (call.out as FixedBuilder).pairs
    return (row) => {
      const count = longAt(n, row)
      if (count < 0) {
        call.fail(row, 'a shift by a negative number of bits')
        return
      }
      const [low, high] = [x[2 * row]!, x[2 * row + 1]!]
      const bits = Math.min(count, BITS)
      words[2 * row] = left ? lowOfLeft(low, bits) : lowOfRight(low, high, bits)
      words[2 * row + 1] = left ? highOfLeft(low, high, bits) : high >> Math.min(bits, 31)
    }
  })
}

function lowOfLeft(low: number, bits: number): number {
  return bits < 32 ? low << bits : 0
}

function highOfLeft(low: number, high: number, bits: number): number {
  if (bits === 0) return high
  if (bits < 32) return (high << bits) | (low >>> (32 - bits))
  return bits < BITS ? low << (bits - 32) : 0
}

function lowOfRight(low: number, high: number, bits: number): number {
  if (bits === 0) return low
  if (bits < 32) return (low >>> bits) | (high << (32 - bits))
  return high >> Math.min(bits - 32, 31)
}

export const powerFunctions: readonly FunctionSpec[] = [
  {
    name: 'power',
    group: 'numeric',
    usage: 'power(x, y)',
    summary: '`x` to the power of `y`; an error where there is none.',
    overloads: [
      { parameters: ['double', 'double'], result: DOUBLE, fails: true, prepare: () => power },
    ],
  },
  {
    name: 'shift_left',
    group: 'numeric',
    usage: 'shift_left(x, n)',
    summary: 'The 64 bits of a long moved by `n` places; those that leave it are gone.',
    overloads: [
      { parameters: ['long', 'long'], result: LONG, fails: true, prepare: () => shift(true) },
    ],
  },
  {
    name: 'shift_right',
    group: 'numeric',
    usage: 'shift_right(x, n)',
    summary: 'The 64 bits of a long moved by `n` places; the sign comes in from the left.',
    overloads: [
      { parameters: ['long', 'long'], result: LONG, fails: true, prepare: () => shift(false) },
    ],
  },
]
