// round and trunc to digits behind the point, or before it when their number is negative. Exact
// numbers stay exact; a double is rounded by its product with the power of ten, as everywhere.

import type { FixedBuilder } from '../../column/builder.ts'
import type { ColumnType } from '../../type.ts'
import { DECIMAL_DIGITS_MAX, decimal, DOUBLE, LONG } from '../expression-type.ts'
import { Refusal, type Binding, type ConstantArgument, type Kernel } from './function.ts'
import type { Overload } from './function.ts'
import { doubleArgument, int64Argument, rowKernel } from './rows.ts'

export interface RoundingMode {
  readonly double: (x: number) => number
  /** Of the quotient. */
  readonly exact: (value: bigint, divisor: bigint) => bigint
}

/** More digits than any double has, on either side of the point. */
const DIGITS_MAX = 330

/** @throws Refusal */
function digitsOf({ constants }: Pick<Binding, 'constants'>): number {
  const digits = Number(constants[1])
  if (Math.abs(digits) <= DIGITS_MAX) return digits
  throw new Refusal(1, `digits are -${DIGITS_MAX} to ${DIGITS_MAX}`)
}

function longs({ exact }: RoundingMode, binding: Binding): Kernel {
  const digits = digitsOf(binding)
  const divisor = digits < 0 ? 10n ** BigInt(Math.min(-digits, 40)) : 1n
  return rowKernel((call) => {
    const x = int64Argument(call, 0)
    const values = (call.out as FixedBuilder).values as BigInt64Array
    return (row) => {
      const value = exact(x[row]!, divisor) * divisor
      if (value === BigInt.asIntN(64, value)) values[row] = value
      else call.fail(row, 'the rounded number is no long')
    }
  })
}

/** As many digits behind the point as were asked for, and one more before it: 9.9 may become 10. */
function decimalType(
  types: readonly ColumnType[],
  constants: readonly ConstantArgument[],
): ColumnType {
  const [type] = types
  if (type?.kind !== 'decimal') return DOUBLE
  const scale = Math.min(type.scale, Math.max(0, Number(constants[1] ?? 0)))
  const whole = type.precision - type.scale + (Number(constants[1] ?? 0) < type.scale ? 1 : 0)
  return decimal(Math.max(1, Math.min(DECIMAL_DIGITS_MAX, whole + scale)), scale)
}

function decimals({ exact }: RoundingMode, binding: Binding): Kernel {
  const [from] = binding.types
  const { result } = binding
  const digits = digitsOf(binding)
  if (from?.kind !== 'decimal' || result.kind !== 'decimal') throw new RangeError('no decimal')
  const divisor = 10n ** BigInt(Math.max(0, Math.min(from.scale - digits, 80)))
  // Digits before the point become zeros again.
  const factor = digits < 0 ? 10n ** BigInt(Math.min(-digits, 80 - from.scale)) : 1n
  const [wide, wideResult] = [from.precision > 18, result.precision > 18]
  const limit = 10n ** BigInt(result.precision)
  return rowKernel((call) => {
    const x = int64Argument(call, 0)
    const values = (call.out as FixedBuilder).values as BigInt64Array
    return (row) => {
      const value = wide ? (x[2 * row + 1]! << 64n) | BigInt.asUintN(64, x[2 * row]!) : x[row]!
      const rounded = exact(value, divisor) * factor
      if (rounded >= limit || rounded <= -limit) call.fail(row, 'the rounded number is too large')
      else if (wideResult) {
        values[2 * row] = BigInt.asIntN(64, rounded)
        values[2 * row + 1] = rounded >> 64n
      } else values[row] = rounded
    }
  })
}

function doubles({ double }: RoundingMode, binding: Binding): Kernel {
  const digits = digitsOf(binding)
  const power = 10 ** Math.abs(digits)
  return rowKernel((call) => {
    const x = doubleArgument(call, 0)
    const values = (call.out as FixedBuilder).values as Float64Array
    return (row) => {
      values[row] = digits < 0 ? double(x[row]! / power) * power : scaled(double, x[row]!, power)
    }
  })
}

/** A number too large for its product has no digits behind the point. */
function scaled(double: (x: number) => number, x: number, power: number): number {
  const product = x * power
  return Number.isFinite(product) ? double(product) / power : x
}

/** @returns the overloads of a rounding function with digits */
export function digitOverloads(mode: RoundingMode): readonly Overload[] {
  return [
    {
      parameters: ['long', 'constant int'],
      result: LONG,
      fails: true,
      prepare: (binding) => longs(mode, binding),
    },
    {
      parameters: ['decimal', 'constant int'],
      result: decimalType,
      fails: true,
      prepare: (binding) => decimals(mode, binding),
    },
    {
      parameters: ['double', 'constant int'],
      result: DOUBLE,
      prepare: (binding) => doubles(mode, binding),
    },
  ]
}
