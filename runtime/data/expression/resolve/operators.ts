// Types of arithmetic and comparison, and the nodes that they become.

import { BOOLEAN, DATE, DECIMAL_DIGITS_MAX, INT, LONG, STRING } from '../expression-type.ts'
import { asDecimal, commonType, decimalResult, isExact, isFloating } from '../expression-type.ts'
import {
  isInteger,
  isNumeric,
  sameExpressionType,
  TIMESTAMP,
  typeName,
} from '../expression-type.ts'
import { decimal, type DecimalType, type Interval } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { Arithmetic, Comparison } from '../parse/ast.ts'
import type { Ir, Operation } from '../ir.ts'
import type { Span } from '../place.ts'
import { anyFails, anyNullable, articled, conversion, isTyped, operation } from './context.ts'
import { refuse, typeOf, widened, type Resolved, type Resolving } from './context.ts'
import { negatedConstant } from './literal.ts'

const ARITHMETIC: Readonly<Record<Arithmetic, Operation>> = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
  '%': 'modulo',
}

export function arithmetic(
  context: Resolving,
  op: Arithmetic,
  left: Resolved,
  right: Resolved,
  span: Span,
): Ir {
  if (right.kind === 'interval' || left.kind === 'interval') {
    return shift(context, op, left, right, span)
  }
  const [a, b] = [typeOf(left), typeOf(right)]
  for (const [operand, type] of [[left, a] as const, [right, b] as const]) {
    if (type.kind !== 'null' && !isNumeric(type)) throw notANumber(context, operand, op)
  }
  if (isFloating(a) || isFloating(b)) {
    const type = (a.kind === 'null' ? b : b.kind === 'null' ? a : commonType(a, b)) as ColumnType
    return strict(context, ARITHMETIC[op], type, [left, right], span, false)
  }
  if (a.kind === 'decimal' || b.kind === 'decimal') {
    return decimalArithmetic(context, op, left, right, span)
  }
  // int % int is an int; / and the others can leave it.
  const small = op === '%' && a.kind !== 'long' && b.kind !== 'long'
  return strict(context, ARITHMETIC[op], small ? INT : LONG, [left, right], span, true)
}

/** An operation that is null where an operand is, whose operands are all of its type. */
function strict(
  context: Resolving,
  op: Operation,
  type: ColumnType,
  operands: readonly Resolved[],
  span: Span,
  fails: boolean,
): Ir {
  const args = operands.map((operand) => widened(context, operand, type))
  return operation(context, {
    op,
    type,
    args,
    nullable: anyNullable(args),
    fails: fails || anyFails(args),
    start: span.start,
    end: span.end,
  })
}

function decimalArithmetic(
  context: Resolving,
  op: Arithmetic,
  left: Resolved,
  right: Resolved,
  span: Span,
): Ir {
  const args = [left, right].map((operand) => toDecimal(context, operand))
  const [a, b] = args.map(({ type }) => type as DecimalType)
  if (a === undefined || b === undefined) throw notANumber(context, left, op)
  const type = decimalResult(op, a, b)
  return operation(context, {
    op: ARITHMETIC[op],
    type,
    args,
    nullable: anyNullable(args),
    // Where digits were given up, a result may still be too large.
    fails: op === '/' || op === '%' || type.precision === DECIMAL_DIGITS_MAX || anyFails(args),
    start: span.start,
    end: span.end,
  })
}

/** An integer constant becomes a decimal of its own digits: `price * 2` gains one digit, not ten. */
function toDecimal(context: Resolving, operand: Resolved): Ir {
  const type = typeOf(operand)
  if (!isTyped(operand)) return widened(context, operand, decimal(1, 0))
  if (operand.kind === 'constant' && typeof operand.value === 'bigint' && isInteger(type)) {
    const digits = String(operand.value).replace('-', '').length
    return context.factory.constant(decimal(digits, 0), operand.value, operand)
  }
  return conversionIfNeeded(context, operand, asDecimal(type))
}

function conversionIfNeeded(context: Resolving, operand: Ir, type: ColumnType): Ir {
  return sameExpressionType(operand.type, type)
    ? operand
    : conversion(context, operand, type, false)
}

function notANumber(context: Resolving, operand: Resolved, op: string): Error {
  const type = typeOf(operand)
  const temporal = ['date', 'timestamp', 'timestamptz', 'time'].includes(type.kind)
  const hint = temporal
    ? "Use date_diff('day', a, b), or add an INTERVAL '1' DAY."
    : type.kind === 'string'
      ? op === '+'
        ? 'Write || to join texts, or CAST(... AS long).'
        : 'Write CAST(... AS long) or AS decimal(18, 2).'
      : undefined
  const message = `"${op}" takes numbers, not ${articled(typeName(type))}`
  return refuse(context, operand, message, hint)
}

/** `date + INTERVAL '1' DAY` stays a date; with hours it is a timestamp. */
function shift(
  context: Resolving,
  op: Arithmetic,
  left: Resolved,
  right: Resolved,
  span: Span,
): Ir {
  const swap = left.kind === 'interval'
  const [moment, interval] = swap ? [right, left] : [left, right]
  if (interval.kind !== 'interval' || !(op === '+' || (op === '-' && !swap))) {
    throw refuse(context, span, `"${op}" does not take this interval`, 'Write t + INTERVAL.')
  }
  const type = typeOf(moment)
  if (type.kind !== 'date' && type.kind !== 'timestamp' && type.kind !== 'timestamptz') {
    const message = `an interval is added to a date or timestamp, not ${articled(typeName(type))}`
    throw refuse(context, moment, message)
  }
  const { months, days, us } = op === '-' ? negated(interval.interval) : interval.interval
  const result = type.kind === 'date' ? (us === 0n ? DATE : TIMESTAMP) : type
  const arg = widened(context, moment, result)
  return operation(context, {
    op: 'shift',
    type: result,
    args: [arg],
    nullable: arg.nullable,
    fails: true,
    detail: `${months},${days},${us}`,
    start: span.start,
    end: span.end,
  })
}

function negated({ months, days, us }: Interval): Interval {
  return { months: -months, days: -days, us: -us }
}

export function negate(context: Resolving, operand: Resolved, span: Span): Ir | Resolved {
  if (operand.kind === 'interval') return { ...operand, interval: negated(operand.interval) }
  if (!isTyped(operand)) return operand
  if (!isNumeric(operand.type)) throw notANumber(context, operand, '-')
  const constant = negatedConstant(context, operand, span)
  if (constant !== null) return constant
  const type = operand.type.kind === 'int' ? LONG : operand.type
  return strict(
    context,
    'negate',
    type,
    [operand],
    span,
    type.kind === 'long' && operand.type === type,
  )
}

const COMPARISONS: Readonly<Record<Comparison, Operation>> = {
  '=': 'equal',
  '<>': 'unequal',
  '<': 'less',
  '<=': 'lessEqual',
  '>': 'greater',
  '>=': 'greaterEqual',
}

export function compare(
  context: Resolving,
  op: Comparison,
  left: Resolved,
  right: Resolved,
  span: Span,
): Ir {
  return comparison(context, COMPARISONS[op], left, right, span)
}

/** Decimals of different scales stay what they are: a common type may have too many digits. */
export function comparison(
  context: Resolving,
  op: Operation,
  left: Resolved,
  right: Resolved,
  span: Span,
): Ir {
  const args = comparable(context, [left, right], span)
  return operation(context, {
    op,
    type: BOOLEAN,
    args,
    nullable: op !== 'distinct' && anyNullable(args),
    fails: anyFails(args),
    start: span.start,
    end: span.end,
  })
}

/** @returns the operands in one type, or as decimals @throws when they have nothing in common */
export function comparable(
  context: Resolving,
  operands: readonly Resolved[],
  span: Span,
): readonly Ir[] {
  const type = unified(context, operands, span)
  if (type.kind === 'list') throw refuse(context, span, 'lists are not compared')
  const decimals = operands.some((operand) => typeOf(operand).kind === 'decimal')
  if (!decimals || !isExact(type)) return operands.map((one) => widened(context, one, type))
  return operands.map((one) => toDecimal(context, one))
}

/** @returns the type that all operands widen to; a text when all are NULL */
export function unified(context: Resolving, operands: readonly Resolved[], span: Span): ColumnType {
  let type = typeOf(operands[0] ?? { kind: 'null', ...span })
  for (const operand of operands.slice(1)) {
    const next = commonType(type, typeOf(operand))
    if (next === null) throw nothingInCommon(context, type, operand)
    type = next
  }
  if (type.kind === 'interval') throw refuse(context, span, 'an interval is only added')
  return type.kind === 'null' ? STRING : type
}

function nothingInCommon(
  context: Resolving,
  type: ReturnType<typeof typeOf>,
  operand: Resolved,
): Error {
  const other = typeOf(operand)
  const message = `${articled(typeName(type))} and ${articled(typeName(other))} are not compared or mixed`
  const zoned = [type.kind, other.kind].includes('timestamptz')
  const target = other.kind === 'string' ? type : other
  const hint =
    zoned && target.kind !== 'string' && other.kind !== 'string'
      ? "Say the zone: t AT TIME ZONE 'UTC'."
      : `Write CAST(... AS ${typeName(target)})${literalHint(type, other)}.`
  return refuse(context, operand, message, hint)
}

function literalHint(type: { kind: string }, other: { kind: string }): string {
  const kinds = [type.kind, other.kind]
  const temporal = kinds.find((kind) => /^(?:date|time|timestamp|timestamptz)$/.test(kind))
  if (temporal === undefined || !kinds.includes('string')) return ''
  return `, or a literal: ${temporal.toUpperCase()} '...'`
}
