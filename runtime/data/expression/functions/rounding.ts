// ceil, floor, round and trunc to whole numbers. Exact numbers stay exact; halves go away from
// zero. rounding-digits.ts has round and trunc with digits.

import type { FixedBuilder } from '../../column/builder.ts'
import type { ColumnType } from '../../type.ts'
import { DOUBLE, decimal, FLOAT, INT, LONG } from '../expression-type.ts'
import { roundDivideWide } from '../kernels/exact.ts'
import { floorDivide } from '../kernels/moments.ts'
import type { Binding, FunctionSpec, Kernel } from './function.ts'
import { digitOverloads, type RoundingMode } from './rounding-digits.ts'
import { doubleArgument, doubleKernel, int32Argument, int64Argument, rowKernel } from './rows.ts'

interface Mode extends RoundingMode {
  readonly name: string
  readonly summary: string
  /** It takes a number of digits, too. */
  readonly digits?: true
}

function roundAway(x: number): number {
  const whole = Math.trunc(x)
  return Math.abs(x - whole) >= 0.5 ? whole + Math.sign(x) : whole
}

const MODES: readonly Mode[] = [
  {
    name: 'ceil',
    summary: 'The least whole number that is not less.',
    double: Math.ceil,
    exact: (value, divisor) => -floorDivide(-value, divisor),
  },
  {
    name: 'floor',
    summary: 'The greatest whole number that is not greater.',
    double: Math.floor,
    exact: floorDivide,
  },
  {
    name: 'round',
    summary:
      'The nearest number with `n` digits behind the point, 0 by default; halves go away from zero.',
    digits: true,
    double: roundAway,
    exact: roundDivideWide,
  },
  {
    name: 'trunc',
    summary: 'The number without the digits behind the `n`th one behind the point, 0 by default.',
    digits: true,
    double: Math.trunc,
    exact: (value, divisor) => value / divisor,
  },
]

const sameInt: Kernel = rowKernel((call) => {
  const x = int32Argument(call, 0)
  const values = (call.out as FixedBuilder).values as Int32Array
  return (row) => {
    values[row] = x[row]!
  }
})

const sameLong: Kernel = rowKernel((call) => {
  const x = int64Argument(call, 0)
  const values = (call.out as FixedBuilder).values as BigInt64Array
  return (row) => {
    values[row] = x[row]!
  }
})

function scaleOf(type: ColumnType | undefined): number {
  return type?.kind === 'decimal' ? type.scale : 0
}

/** One digit more than before the point: 9.9 may become 10. */
function wholeType(type: ColumnType | undefined): ColumnType {
  const precision = type?.kind === 'decimal' ? type.precision : 38
  return decimal(Math.min(38, precision - scaleOf(type) + 1), 0)
}

function wholeDecimal({ exact }: Mode, { types, result }: Binding): Kernel {
  const [from, to] = [types[0], result].map((type) =>
    type?.kind === 'decimal' && type.precision > 18 ? 2 : 1,
  )
  const divisor = 10n ** BigInt(scaleOf(types[0]))
  return rowKernel((call) => {
    const x = int64Argument(call, 0)
    const values = (call.out as FixedBuilder).values as BigInt64Array
    return (row) => {
      const value =
        from === 2 ? (x[2 * row + 1]! << 64n) | BigInt.asUintN(64, x[2 * row]!) : x[row]!
      const whole = exact(value, divisor)
      if (to === 1) values[row] = whole
      else {
        values[2 * row] = BigInt.asIntN(64, whole)
        values[2 * row + 1] = whole >> 64n
      }
    }
  })
}

const floats = (step: (x: number) => number): Kernel =>
  rowKernel((call) => {
    const x = doubleArgument(call, 0)
    const values = (call.out as FixedBuilder).values
    return (row) => {
      values[row] = step(x[row]!)
    }
  })

function rounding(mode: Mode): FunctionSpec {
  return {
    name: mode.name,
    group: 'numeric',
    usage: mode.digits === true ? `${mode.name}(x[, n])` : `${mode.name}(x)`,
    summary: mode.summary,
    overloads: [
      { parameters: ['int'], result: INT, prepare: () => sameInt },
      { parameters: ['long'], result: LONG, prepare: () => sameLong },
      {
        parameters: ['decimal'],
        result: ([type]) => wholeType(type),
        prepare: (binding) => wholeDecimal(mode, binding),
      },
      { parameters: ['float'], result: FLOAT, prepare: () => floats(mode.double) },
      { parameters: ['double'], result: DOUBLE, prepare: () => doubleKernel(mode.double) },
      ...(mode.digits === true ? digitOverloads(mode) : []),
    ],
  }
}

export const roundingFunctions: readonly FunctionSpec[] = MODES.map(rounding)
