// Comparison. NaN equals itself and is greater than all numbers, -0 equals 0, texts compare by
// bytes, decimals of different scales by their values.

import { isFloating } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { ConstantIr, Ir, OperationIr } from '../ir.ts'
import { ByteSet } from '../kernels/bytes.ts'
import { free, scaledUp } from './arithmetic.ts'
import { anyNull, firstError, NEVER, NO_ERROR, shapeOf } from './emitter.ts'
import type { Emitter, Value } from './emitter.ts'

type Comparison = 'equal' | 'unequal' | 'less' | 'lessEqual' | 'greater' | 'greaterEqual'

const SYMBOLS: Readonly<Record<Comparison, string>> = {
  equal: '===',
  unequal: '!==',
  less: '<',
  lessEqual: '<=',
  greater: '>',
  greaterEqual: '>=',
}

export function emitComparison(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  return free(emitter, args, test(emitter, node.op as Comparison, node.args, args))
}

/** `IS DISTINCT FROM`: null is a value like others. */
export function emitDistinct(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  const unequal = test(emitter, 'unequal', node.args, args)
  const [left, right] = args.map(({ nulls }) => nulls)
  const either = anyNull(args)
  const expression = either === NEVER ? unequal : `${either} ? ${left} !== ${right} : ${unequal}`
  return { parts: [emitter.name('v', expression)], nulls: NEVER, error: firstError(args) }
}

/** @returns a boolean expression over values that are not null */
function test(
  emitter: Emitter,
  op: Comparison,
  nodes: readonly Ir[],
  args: readonly Value[],
): string {
  const type = nodes[0]?.type
  if (type === undefined) return 'false'
  const [left, right] = args
  if (left === undefined || right === undefined) return 'false'
  if (shapeOf(type) === 'bytes') return testBytes(emitter, op, left, right)
  const [a = '', b = ''] = aligned(emitter, nodes, args)
  if (isFloating(type)) return testDoubles(op, a, b)
  return `${a} ${SYMBOLS[op]} ${b}`
}

function testBytes(emitter: Emitter, op: Comparison, left: Value, right: Value): string {
  const ranges = [...left.parts, ...right.parts].join(', ')
  if (op === 'equal') return `${emitter.kernel('sameBytes')}(${ranges})`
  if (op === 'unequal') return `!${emitter.kernel('sameBytes')}(${ranges})`
  return `${emitter.kernel('compareBytes')}(${ranges}) ${SYMBOLS[op]} 0`
}

function testDoubles(op: Comparison, a: string, b: string): string {
  switch (op) {
    case 'equal':
      return `(${a} === ${b} || (${a} !== ${a} && ${b} !== ${b}))`
    case 'unequal':
      return `(${a} !== ${b} && (${a} === ${a} || ${b} === ${b}))`
    case 'less':
      return `(${a} < ${b} || (${b} !== ${b} && ${a} === ${a}))`
    case 'lessEqual':
      return `(${a} <= ${b} || ${b} !== ${b})`
    case 'greater':
      return `(${a} > ${b} || (${a} !== ${a} && ${b} === ${b}))`
    case 'greaterEqual':
      return `(${a} >= ${b} || ${a} !== ${a})`
  }
}

/** Decimals with as many digits behind the point as the longer one has. */
function aligned(
  emitter: Emitter,
  nodes: readonly Ir[],
  args: readonly Value[],
): readonly string[] {
  const scales = nodes.map(({ type }) => scaleOf(type))
  const scale = Math.max(...scales)
  return args.map(({ parts }, index) => {
    const name = emitter.name('v', parts[0] ?? '')
    return scaledUp(emitter, name, scale - (scales[index] ?? 0))
  })
}

function scaleOf(type: ColumnType): number {
  return type.kind === 'decimal' ? type.scale : 0
}

/** A long IN list of constants. A JavaScript set has our rules: NaN is NaN, -0 is 0. */
export function emitIn(emitter: Emitter, node: OperationIr, [operand]: readonly Value[]): Value {
  if (operand === undefined) return { parts: ['false'], nulls: NEVER, error: NO_ERROR }
  const constants = node.args.slice(1) as readonly ConstantIr[]
  const shape = shapeOf(node.args[0]?.type ?? node.type)
  const set = emitter.constant(`in ${node.id} ${emitter.wide}`, () => {
    const values = constants.map(({ value }) => value)
    if (shape === 'bytes') return new ByteSet(values.map(bytesOf))
    if (shape === 'boolean' || (shape === 'exact' && emitter.wide)) return new Set(values)
    return new Set(values.map(Number))
  })
  if (shape === 'exact' && constants.some(({ value }) => !Number.isSafeInteger(Number(value)))) {
    emitter.narrowHolds = false
  }
  return free(emitter, [operand], `${set}.has(${operand.parts.join(', ')})`)
}

function bytesOf(value: ConstantIr['value']): Uint8Array {
  return typeof value === 'string' ? new TextEncoder().encode(value) : (value as Uint8Array)
}
