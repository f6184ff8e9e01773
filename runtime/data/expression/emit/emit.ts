// From a node to the text that computes it for one row.

import type { Ir, OperationIr } from '../ir.ts'
import { zoneNamed } from '../zone.ts'
import { emitArithmetic, guarded, outsideLong } from './arithmetic.ts'
import { emitCast } from './cast.ts'
import { emitComparison, emitDistinct, emitIn } from './compare.ts'
import { NEVER, NO_ERROR, type Emitter, type Value } from './emitter.ts'
import { emitColumn, emitConstant } from './leaf.ts'
import { emitCase, emitCoalesce, emitIsNull, emitIsTruth, emitJunction } from './logic.ts'
import { emitNot, emitNullif, emitTry } from './logic.ts'
import { emitConcat, emitLike } from './text.ts'

/** @param zone  of the pipeline */
export function emitNode(emitter: Emitter, node: Ir, zone: string): Value {
  const known = emitter.known(node)
  if (known !== null) return known
  const value = settled(emitter, node, emitNew(emitter, node, zone))
  emitter.remember(node, value)
  return value
}

/** What the types say that never happens is a constant to whoever reads the value. */
function settled(emitter: Emitter, node: Ir, value: Value): Value {
  const never = !node.nullable && emitter.options.nulls !== 'all'
  return {
    parts: value.parts,
    nulls: never ? NEVER : value.nulls,
    error: node.fails ? value.error : NO_ERROR,
  }
}

function emitNew(emitter: Emitter, node: Ir, zone: string): Value {
  switch (node.kind) {
    case 'column':
    case 'call':
      return emitColumn(emitter, node)
    case 'constant':
      return emitConstant(emitter, node)
    case 'operation':
      return emitOperation(emitter, node, zone)
  }
}

// tidy: table
function emitOperation(emitter: Emitter, node: OperationIr, zone: string): Value {
  const emit = (arg: Ir): Value => emitNode(emitter, arg, zone)
  const args = (): readonly Value[] => node.args.map(emit)
  switch (node.op) {
    case 'add':
    case 'subtract':
    case 'multiply':
    case 'divide':
    case 'modulo':
    case 'negate':
      return emitArithmetic(emitter, node, args())
    case 'equal':
    case 'unequal':
    case 'less':
    case 'lessEqual':
    case 'greater':
    case 'greaterEqual':
      return emitComparison(emitter, node, args())
    case 'distinct':
      return emitDistinct(emitter, node, args())
    case 'and':
    case 'or':
      return emitJunction(emitter, node, emit)
    case 'not':
      return emitNot(emitter, args())
    case 'isNull':
      return emitIsNull(args())
    case 'isTruth':
      return emitIsTruth(emitter, node, args())
    case 'in':
      return emitIn(emitter, node, node.args.slice(0, 1).map(emit))
    case 'like':
      return emitLike(emitter, node, args())
    case 'concat':
      return emitConcat(emitter, node, args())
    case 'case':
      return emitCase(emitter, node, emit)
    case 'coalesce':
      return emitCoalesce(emitter, node, emit)
    case 'nullif':
      return emitNullif(emitter, args())
    case 'try':
      return emitTry(emitter, args())
    case 'cast':
      return emitCast(emitter, node, args(), zone)
    case 'shift':
      return emitShift(emitter, node, args(), zone)
  }
}

/** A date or timestamp plus a constant interval. */
function emitShift(
  emitter: Emitter,
  node: OperationIr,
  args: readonly Value[],
  zone: string,
): Value {
  const [months = '0', days = '0', us = '0'] = node.detail.split(',')
  const [value = ''] = args[0]?.parts ?? []
  const instant = node.type.kind === 'timestamptz'
  const clock = instant ? zone : 'UTC'
  return guarded(emitter, node.type, args, ({ parts: [name = ''], error }) => {
    const outside = emitter.site(node, `the result is no ${node.type.kind}`)
    if (node.type.kind === 'date') {
      emitter.line(`${name} = ${emitter.kernel('shiftDays')}(${value}, ${months}, ${days})`)
      emitter.line(`if (${name} !== (${name} | 0)) ${error} = ${outside}`)
      return
    }
    const zoneName = emitter.constant(`zone ${clock}`, () => zoneNamed(clock))
    const shift = emitter.kernel(emitter.wide ? 'shiftMomentWide' : 'shiftMoment')
    const plus = emitter.integer(BigInt(us))
    emitter.line(`${name} = ${shift}(${value}, ${months}, ${days}, ${plus}, ${zoneName})`)
    if (emitter.wide) emitter.line(`if (${outsideLong(name)}) ${error} = ${outside}`)
    else emitter.exact(name)
  })
}
