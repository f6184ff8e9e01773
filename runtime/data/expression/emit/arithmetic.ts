// Arithmetic. Long and decimal results are checked where they can leave their type: narrow code
// leaves for the wide form beyond 2^53, wide code makes an error of the row.

import { DECIMAL_DIGITS_MAX, isFloating } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { OperationIr } from '../ir.ts'
import { anyNull, firstError, NEVER, NO_ERROR, shapeOf } from './emitter.ts'
import type { Emitter, Value } from './emitter.ts'

const SYMBOLS = { add: '+', subtract: '-', multiply: '*', divide: '/', modulo: '%' } as const

/** @returns the value of an operation that never fails and may compute with fillers */
export function free(emitter: Emitter, args: readonly Value[], expression: string): Value {
  const parts = [emitter.name('v', expression)]
  return { parts, nulls: anyNull(args), error: firstError(args) }
}

/**
 * Writes an operation that must see only values: `body` runs where no operand is null or an error.
 */
export function guarded(
  emitter: Emitter,
  type: ColumnType,
  args: readonly Value[],
  body: (target: Value) => void,
): Value {
  const error = firstError(args)
  const nulls = anyNull(args)
  const target = emitter.declare(type)
  if (error !== NO_ERROR) emitter.line(`${target.error} = ${error}`)
  if (nulls !== NEVER) emitter.line(`${target.nulls} = ${nulls}`)
  if (error === NO_ERROR && nulls === NEVER) body(target)
  else emitter.block(`if (${target.error} === 0 && !${target.nulls})`, () => body(target))
  return target
}

export function emitArithmetic(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  const { type } = node
  if (isFloating(type)) return floating(emitter, node, args)
  if (node.op === 'negate') return negate(emitter, node, args)
  if (type.kind === 'decimal') return decimals(emitter, node, args)
  const op = SYMBOLS[node.op as keyof typeof SYMBOLS]
  if (op === '/' || op === '%') return integerDivision(emitter, node, args, op)
  const [left, right] = args.map(({ parts }) => parts[0])
  if (!emitter.wide) {
    const value = free(emitter, args, `${left} ${op} ${right}`)
    emitter.exact(value.parts[0] ?? '')
    return value
  }
  return guarded(emitter, type, args, ({ parts: [name], error }) => {
    emitter.line(`${name} = ${left} ${op} ${right}`)
    emitter.line(
      `if (${outsideLong(name)}) ${error} = ${emitter.site(node, 'the result is no long')}`,
    )
  })
}

export function outsideLong(name: string | undefined): string {
  return `${name} > 9223372036854775807n || ${name} < -9223372036854775808n`
}

function floating(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  const [left, right] = args.map(({ parts }) => parts[0])
  const expression =
    node.op === 'negate'
      ? `-${left}`
      : `${left} ${SYMBOLS[node.op as keyof typeof SYMBOLS]} ${right}`
  const rounded = node.type.kind === 'float' ? `Math.fround(${expression})` : expression
  return free(emitter, args, rounded)
}

function negate(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  const [operand] = args.map(({ parts }) => parts[0])
  if (!emitter.wide || node.type.kind === 'decimal') return free(emitter, args, `-${operand}`)
  return guarded(emitter, node.type, args, ({ parts: [name], error }) => {
    emitter.line(`${name} = -${operand}`)
    emitter.line(
      `if (${outsideLong(name)}) ${error} = ${emitter.site(node, 'the result is no long')}`,
    )
  })
}

function integerDivision(
  emitter: Emitter,
  node: OperationIr,
  args: readonly Value[],
  op: '/' | '%',
): Value {
  const [left, right] = args.map(({ parts }) => parts[0])
  const big = emitter.wide && shapeOf(node.type) === 'exact'
  const zero = big ? '0n' : '0'
  return guarded(emitter, node.type, args, ({ parts: [name], error }) => {
    const site = emitter.site(node, 'division by zero')
    // Both the remainder and the quotient of what is left are exact in doubles.
    const quotient = big ? `${left} / ${right}` : `(${left} - ${left} % ${right}) / ${right}`
    emitter.line(`if (${right} === ${zero}) ${error} = ${site}`)
    emitter.line(`else ${name} = ${op === '%' ? `${left} % ${right}` : quotient}`)
    if (big && op === '/') {
      const outside = emitter.site(node, 'the result is no long')
      emitter.line(`if (${outsideLong(name)}) ${error} = ${outside}`)
    }
  })
}

const POWERS_NARROW_MAX = 15

/** @returns `value` times 10^digits, checked in narrow code */
export function scaledUp(emitter: Emitter, value: string, digits: number): string {
  if (digits === 0) return value
  const factor = 10n ** BigInt(digits)
  if (emitter.wide) return emitter.name('v', `${value} * ${factor}n`)
  // Anything but 0 times a factor beyond 2^53 leaves it as well.
  const expression =
    digits > POWERS_NARROW_MAX ? `(${value} === 0 ? 0 : NaN)` : `${value} * ${factor}`
  const name = emitter.name('v', expression)
  emitter.exact(name)
  return name
}

/** @returns `value` divided by 10^digits, rounded half away from zero */
export function scaledDown(emitter: Emitter, value: string, digits: number): string {
  if (digits <= 0) return value
  const factor = 10n ** BigInt(digits)
  return emitter.wide
    ? `${emitter.kernel('roundDivideWide')}(${value}, ${factor}n)`
    : `${emitter.kernel('roundDivide')}(${value}, ${Number(factor)})`
}

/** Writes the error of a decimal that has more digits than its type. */
export function checkDigits(
  emitter: Emitter,
  node: OperationIr,
  name: string,
  error: string,
  precision: number,
): void {
  // Within 2^53 there are at most 16 digits.
  if (!emitter.wide && precision > 16) return
  const limit = 10n ** BigInt(precision)
  const bound = emitter.integer(limit)
  const site = emitter.site(node, `the result has more than ${precision} digits`)
  emitter.line(`if (${name} >= ${bound} || ${name} <= -${bound}) ${error} = ${site}`)
}

function scaleOf(type: ColumnType | undefined): number {
  return type?.kind === 'decimal' ? type.scale : 0
}

function decimals(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  const [leftScale, rightScale] = node.args.map((arg) => scaleOf(arg.type))
  const [left = '', right = ''] = args.map(({ parts }) => parts[0] ?? '')
  const [a, b] = [leftScale ?? 0, rightScale ?? 0]
  const scale = scaleOf(node.type)
  const precision = node.type.kind === 'decimal' ? node.type.precision : DECIMAL_DIGITS_MAX
  return guarded(emitter, node.type, args, ({ parts: [name = ''], error }) => {
    const natural = node.op === 'multiply' ? a + b : Math.max(a, b)
    if (node.op === 'divide') {
      divide(emitter, node, [name, error], [left, right], scale - a + b)
    } else if (node.op === 'multiply') {
      const product = emitter.name('v', `${left} * ${right}`)
      emitter.exact(product)
      emitter.line(`${name} = ${scaledDown(emitter, product, natural - scale)}`)
    } else {
      const x = scaledUp(emitter, left, natural - a)
      const y = scaledUp(emitter, right, natural - b)
      if (node.op === 'modulo') modulo(emitter, node, [name, error], [x, y], natural - scale)
      else {
        const sum = emitter.name('v', `${x} ${SYMBOLS[node.op as 'add' | 'subtract']} ${y}`)
        emitter.exact(sum)
        emitter.line(`${name} = ${scaledDown(emitter, sum, natural - scale)}`)
      }
    }
    if (precision === DECIMAL_DIGITS_MAX) checkDigits(emitter, node, name, error, precision)
  })
}

type Target = readonly [name: string, error: string]

function divide(
  emitter: Emitter,
  node: OperationIr,
  [name, error]: Target,
  [left, right]: readonly [string, string],
  digits: number,
): void {
  const zero = emitter.wide ? '0n' : '0'
  const site = emitter.site(node, 'division by zero')
  const up = 10n ** BigInt(Math.max(digits, 0))
  const down = 10n ** BigInt(Math.max(-digits, 0))
  emitter.block(`if (${right} === ${zero})`, () => emitter.line(`${error} = ${site}`))
  emitter.block('else', () => {
    if (emitter.wide) {
      const round = emitter.kernel('roundDivideWide')
      emitter.line(`${name} = ${round}(${left} * ${up}n, ${right} * ${down}n)`)
      return
    }
    if (down !== 1n) emitter.narrowHolds = false
    emitter.line(`${name} = ${emitter.kernel('divideDecimal')}(${left}, ${up}n, ${right})`)
    emitter.exact(name)
  })
}

function modulo(
  emitter: Emitter,
  node: OperationIr,
  [name, error]: Target,
  [left, right]: readonly [string, string],
  digits: number,
): void {
  const zero = emitter.wide ? '0n' : '0'
  emitter.line(`if (${right} === ${zero}) ${error} = ${emitter.site(node, 'division by zero')}`)
  emitter.line(`else ${name} = ${scaledDown(emitter, `${left} % ${right}`, digits)}`)
}
