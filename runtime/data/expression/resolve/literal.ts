// Literals. A number is the smallest of int, long and decimal that has all its digits; with an
// exponent it is a double. Texts of dates and times are read when the expression is compiled.

import { DECIMAL_DIGITS_MAX, DOUBLE, INT, LONG, decimal } from '../expression-type.ts'
import type { Interval } from '../expression-type.ts'
import type { Ast } from '../parse/ast.ts'
import { moment, readDate, readTime, readTimestamp } from '../kernels/time-text.ts'
import type { ConstantIr, Ir } from '../ir.ts'
import type { Span } from '../place.ts'
import { zoneNamed } from '../zone.ts'
import { refuse, type Resolving, type Untyped } from './context.ts'

const US_PER_DAY = 86_400_000_000n

export function numberConstant(context: Resolving, text: string, span: Span): Ir {
  const { factory } = context
  if (/[eE]/.test(text)) {
    const value = Number(text)
    if (!Number.isFinite(value)) throw refuse(context, span, `${text} is no double`)
    return factory.constant(DOUBLE, value, span)
  }
  const [whole = '', fraction = ''] = text.split('.')
  const digits = `${whole}${fraction}`.replace(/^0+(?=\d)/, '')
  if (digits.length > DECIMAL_DIGITS_MAX) {
    const hint = 'Write it with an exponent, as 1.5e40, for a double.'
    throw refuse(context, span, 'a number has more than 38 digits', hint)
  }
  const value = BigInt(digits)
  if (!text.includes('.')) return integerConstant(context, value, span)
  const precision = Math.max(digits.length, fraction.length, 1)
  return factory.constant(decimal(precision, fraction.length), value, span)
}

/** @returns an int, a long or a decimal, by size */
export function integerConstant(context: Resolving, value: bigint, span: Span): ConstantIr {
  const { factory } = context
  if (value === BigInt.asIntN(32, value)) return factory.constant(INT, value, span)
  if (value === BigInt.asIntN(64, value)) return factory.constant(LONG, value, span)
  const digits = String(value).replace('-', '').length
  return factory.constant(decimal(digits, 0), value, span)
}

/** `-` before a number: -9223372036854775808 is a long, though what it negates is none. */
export function negatedConstant(context: Resolving, node: Ir, span: Span): Ir | null {
  if (node.kind !== 'constant' || typeof node.value !== 'bigint') return null
  const { kind } = node.type
  if (kind === 'int' || kind === 'long' || (kind === 'decimal' && node.type.scale === 0)) {
    return integerConstant(context, -node.value, span)
  }
  return kind === 'decimal' ? context.factory.constant(node.type, -node.value, span) : null
}

export function typedConstant(context: Resolving, ast: Extract<Ast, { kind: 'typed' }>): Ir {
  const { type, text } = ast
  const value = readTyped(context, type.kind, new TextEncoder().encode(text))
  if (value !== null) return context.factory.constant(type, value, ast)
  const form =
    { date: '2026-01-31', time: '23:59:59' }[type.kind as 'date'] ?? '2026-01-31 23:59:59'
  throw refuse(context, ast, `'${text}' is no ${type.kind}`, `Write it as ${form}.`)
}

function readTyped(context: Resolving, kind: string, bytes: Uint8Array): bigint | null {
  const end = bytes.length
  if (kind === 'date') return readDate(bytes, 0, end) ? BigInt(moment.days) : null
  if (kind === 'time') return readTime(bytes, 0, end) ? BigInt(moment.us) : null
  if (!readTimestamp(bytes, 0, end)) return null
  const us = BigInt(moment.days) * US_PER_DAY + BigInt(moment.us)
  if (kind === 'timestamp') return Number.isNaN(moment.offset) ? us : null
  if (!Number.isNaN(moment.offset)) return us - BigInt(moment.offset) * 1_000_000n
  const local = moment.days * 86_400 + Math.floor(moment.us / 1e6)
  const utc = zoneNamed(context.factory.zone)?.toUtc(local) ?? local
  return us + BigInt(utc - local) * 1_000_000n
}

const DAY_UNITS: Readonly<Record<string, number>> = { day: 1, week: 7 }
const MONTH_UNITS: Readonly<Record<string, number>> = { month: 1, quarter: 3, year: 12 }
const US_UNITS: Readonly<Record<string, bigint>> = {
  microsecond: 1n,
  millisecond: 1000n,
  second: 1_000_000n,
  minute: 60_000_000n,
  hour: 3_600_000_000n,
}
const ALL_UNITS = [...Object.keys(US_UNITS), ...Object.keys(DAY_UNITS), ...Object.keys(MONTH_UNITS)]

export function intervalConstant(
  context: Resolving,
  ast: Extract<Ast, { kind: 'interval' }>,
): Untyped {
  const unit = ast.unit.replace(/s$/, '')
  const count = /^\s*[+-]?\d{1,9}\s*$/.test(ast.text) ? Number(ast.text) : null
  const interval = count === null ? null : intervalOf(count, unit)
  if (interval !== null) return { kind: 'interval', interval, start: ast.start, end: ast.end }
  const hint = `Write an integer and one of ${ALL_UNITS.join(', ')}: INTERVAL '5' MINUTE.`
  throw refuse(context, ast, 'this is no interval', hint)
}

function intervalOf(count: number, unit: string): Interval | null {
  const none: Interval = { months: 0, days: 0, us: 0n }
  const [months, days, us] = [MONTH_UNITS[unit], DAY_UNITS[unit], US_UNITS[unit]]
  if (months !== undefined) return { ...none, months: count * months }
  if (days !== undefined) return { ...none, days: count * days }
  return us === undefined ? null : { ...none, us: BigInt(count) * us }
}
