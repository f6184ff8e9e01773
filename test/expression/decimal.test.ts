// Decimal arithmetic against fractions of bigints: scales, rounding half away from zero, and errors
// beyond 38 digits, also where scale was given up for digits before the point.

import { expect, test } from 'vitest'
import type { ColumnValue } from '../../runtime/data/expression/column-value.ts'
import { INPUT_ROWS, inputs, inputValues } from './inputs.ts'
import { evaluateOurs } from './oracle.ts'

const values = inputValues(Number(process.env['ORACLE_SEED'] ?? 1))

interface Operand {
  readonly name: string
  readonly precision: number
  readonly scale: number
}

/** Two exact integers with their fraction as (numerator, denominator), by operator. */
type Fraction = (a: bigint, b: bigint, x: Operand, y: Operand) => readonly [bigint, bigint] | null

const power = (digits: number): bigint => 10n ** BigInt(digits)

const FRACTIONS: Readonly<Record<string, Fraction>> = {
  '+': (a, b, x, y) => [a * power(y.scale) + b * power(x.scale), power(x.scale + y.scale)],
  '-': (a, b, x, y) => [a * power(y.scale) - b * power(x.scale), power(x.scale + y.scale)],
  '*': (a, b, x, y) => [a * b, power(x.scale + y.scale)],
  '/': (a, b, x, y) => (b === 0n ? null : [a * power(y.scale), b * power(x.scale)]),
  '%': (a, b, x, y) =>
    b === 0n ? null : [(a * power(y.scale)) % (b * power(x.scale)), power(x.scale + y.scale)],
}

/** Half away from zero. */
function rounded(numerator: bigint, denominator: bigint): bigint {
  const negative = numerator < 0n !== denominator < 0n
  const [n, d] = [
    numerator < 0n ? -numerator : numerator,
    denominator < 0n ? -denominator : denominator,
  ]
  const quotient = (2n * n + d) / (2n * d)
  return negative ? -quotient : quotient
}

/** The rule of docs/expressions.md. */
function resultType(op: string, x: Operand, y: Operand): { precision: number; scale: number } {
  const scale = Math.max(x.scale, y.scale)
  const [wholeX, wholeY] = [x.precision - x.scale, y.precision - y.scale]
  const natural = {
    '+': [Math.max(wholeX, wholeY) + scale + 1, scale],
    '-': [Math.max(wholeX, wholeY) + scale + 1, scale],
    '*': [x.precision + y.precision, x.scale + y.scale],
    '/': [
      wholeX + y.scale + Math.max(6, x.scale + y.precision + 1),
      Math.max(6, x.scale + y.precision + 1),
    ],
    '%': [Math.min(wholeX, wholeY) + scale, scale],
  }[op] as [number, number]
  const [precision, digits] = natural
  if (precision <= 38) return { precision, scale: digits }
  return { precision: 38, scale: Math.max(38 - (precision - digits), Math.min(digits, 6)) }
}

function operand(name: string): Operand {
  const type = inputs.find((column) => column.name === name)!.type
  if (type.kind !== 'decimal') throw new TypeError(`${name} is no decimal`)
  return { name, precision: type.precision, scale: type.scale }
}

function valuesOf(name: string): readonly ColumnValue[] {
  return values[inputs.findIndex((column) => column.name === name)]!
}

const PAIRS = ['p q', 'q p', 'w v', 'v w', 'p p', 'q w', 'v v', 'p v'].map((pair) =>
  pair.split(' '),
)
const CASES = Object.keys(FRACTIONS).flatMap((op) => PAIRS.map(([x, y]) => [x!, op, y!] as const))

test.each(CASES)('%s %s %s is the fraction, rounded once', (left, op, right) => {
  const [x, y] = [operand(left), operand(right)]
  const ours = evaluateOurs(`${left} ${op} ${right}`)
  const { precision, scale } = resultType(op, x, y)
  expect(ours.type).toEqual({ kind: 'decimal', precision, scale })
  for (let row = 0; row < INPUT_ROWS; row++) {
    const [a, b] = [valuesOf(left)[row]!, valuesOf(right)[row]!]
    if (a === null || b === null) {
      expect(ours.values[row]).toBe(null)
      continue
    }
    const fraction = FRACTIONS[op]!(a as bigint, b as bigint, x, y)
    const exact = fraction === null ? null : rounded(fraction[0] * power(scale), fraction[1])
    const fits = exact !== null && exact < power(precision) && exact > -power(precision)
    const own = ours.failed.has(row) ? 'error' : ours.values[row]
    if (own !== (fits ? exact : 'error')) expect(`${a} ${b}: ${own}`).toBe(`${a} ${b}: ${exact}`)
  }
})
