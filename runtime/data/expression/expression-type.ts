// Types of expressions: those of columns, and two that no column has: `null`, which has no type of
// its own, and `interval`, which is always a constant. Here is what two types have in common, and
// the precision and scale of decimal results, which must be the same on every run of a pipeline.

import { formatType, type ColumnType, type PrimitiveType } from '../type.ts'

export type ExpressionType = ColumnType | { readonly kind: 'null' } | { readonly kind: 'interval' }

export const BOOLEAN: PrimitiveType = { kind: 'boolean' }
export const INT: PrimitiveType = { kind: 'int' }
export const LONG: PrimitiveType = { kind: 'long' }
export const FLOAT: PrimitiveType = { kind: 'float' }
export const DOUBLE: PrimitiveType = { kind: 'double' }
export const STRING: PrimitiveType = { kind: 'string' }
export const JSON_TEXT: PrimitiveType = { kind: 'string', json: true }
export const BINARY: PrimitiveType = { kind: 'binary' }
export const UUID: PrimitiveType = { kind: 'uuid' }
export const DATE: PrimitiveType = { kind: 'date' }
export const TIME: PrimitiveType = { kind: 'time' }
export const TIMESTAMP: PrimitiveType = { kind: 'timestamp' }
export const TIMESTAMPTZ: PrimitiveType = { kind: 'timestamptz' }

export type DecimalType = Extract<PrimitiveType, { kind: 'decimal' }>

/** A length of time as a constant: months and days have no fixed length, so there are three. */
export interface Interval {
  readonly months: number
  readonly days: number
  readonly us: bigint
}

export const DECIMAL_DIGITS_MAX = 38
/** What is kept of the scale when a result would have more than 38 digits. */
const SCALE_KEPT = 6

/** @returns the type as messages have it */
export function typeName(type: ExpressionType): string {
  if (type.kind === 'null' || type.kind === 'interval') return type.kind
  if (type.kind === 'string' && type.json === true) return 'json'
  return formatType(type)
}

export function sameExpressionType(left: ExpressionType, right: ExpressionType): boolean {
  return typeName(left) === typeName(right)
}

export function isInteger(type: ExpressionType): boolean {
  return type.kind === 'int' || type.kind === 'long'
}

/** int, long, decimal: numbers that are what they are, digit by digit. */
export function isExact(type: ExpressionType): boolean {
  return isInteger(type) || type.kind === 'decimal'
}

export function isFloating(type: ExpressionType): boolean {
  return type.kind === 'float' || type.kind === 'double'
}

export function isNumeric(type: ExpressionType): boolean {
  return isExact(type) || isFloating(type)
}

/** @returns the decimal that holds every value of an exact type */
export function asDecimal(type: ExpressionType): DecimalType {
  switch (type.kind) {
    case 'decimal':
      return type
    case 'int':
      return decimal(10, 0)
    default:
      return decimal(19, 0)
  }
}

export function decimal(precision: number, scale: number): DecimalType {
  return { kind: 'decimal', precision, scale }
}

/** Above 38 digits scale is given up, down to six digits, for digits before the point. */
function limited(precision: number, scale: number): DecimalType {
  if (precision <= DECIMAL_DIGITS_MAX) return decimal(precision, scale)
  const whole = precision - scale
  const kept = Math.max(DECIMAL_DIGITS_MAX - whole, Math.min(scale, SCALE_KEPT))
  return decimal(DECIMAL_DIGITS_MAX, kept)
}

export type DecimalOperator = '+' | '-' | '*' | '/' | '%'

/** @returns the type of an operation on two decimals */
export function decimalResult(op: DecimalOperator, a: DecimalType, b: DecimalType): DecimalType {
  const scale = Math.max(a.scale, b.scale)
  const [wholeA, wholeB] = [a.precision - a.scale, b.precision - b.scale]
  switch (op) {
    case '+':
    case '-':
      return limited(Math.max(wholeA, wholeB) + scale + 1, scale)
    case '*':
      return limited(a.precision + b.precision, a.scale + b.scale)
    case '/': {
      const divided = Math.max(6, a.scale + b.precision + 1)
      return limited(wholeA + b.scale + divided, divided)
    }
    case '%':
      return limited(Math.max(1, Math.min(wholeA, wholeB) + scale), scale)
  }
}

/**
 * @returns the type that both widen to without being asked: `null` takes any, numbers widen to
 *          larger ones, a date to its midnight; `null` when there is none, so that texts are never
 *          compared with numbers
 */
export function commonType(a: ExpressionType, b: ExpressionType): ExpressionType | null {
  if (sameExpressionType(a, b)) return a
  if (a.kind === 'null') return b
  if (b.kind === 'null') return a
  if (isNumeric(a) && isNumeric(b)) return commonNumber(a, b)
  if (a.kind === 'string' && b.kind === 'string') return STRING
  const kinds = [a.kind, b.kind]
  if (kinds.includes('date') && kinds.includes('timestamp')) return TIMESTAMP
  return null
}

function commonNumber(a: ExpressionType, b: ExpressionType): ExpressionType {
  if (isFloating(a) || isFloating(b)) return a.kind === b.kind ? a : DOUBLE
  if (isInteger(a) && isInteger(b)) return LONG
  const [left, right] = [asDecimal(a), asDecimal(b)]
  const scale = Math.max(left.scale, right.scale)
  const whole = Math.max(left.precision - left.scale, right.precision - right.scale)
  return limited(whole + scale, scale)
}

/** @returns true when every value of `from` is one of `to`, so that it may be taken for it */
export function widens(from: ExpressionType, to: ExpressionType): boolean {
  const common = commonType(from, to)
  return common !== null && sameExpressionType(common, to)
}
