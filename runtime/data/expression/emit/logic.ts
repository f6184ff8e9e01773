// Three-valued logic with errors, and what evaluates only one of its branches. FALSE AND error is
// FALSE, TRUE OR error is TRUE, whichever comes first; else an error passes on.

import type { Ir, OperationIr } from '../ir.ts'
import { firstError, NEVER, NO_ERROR, type Emitter, type Value } from './emitter.ts'

/** Writes a node and returns its value; emit.ts has it. */
export type EmitNode = (node: Ir) => Value

/**
 * AND and OR. The cheapest operand comes first, since one FALSE (of OR: TRUE) decides; the error
 * that passes on is the first one as written, so that no result depends on that order.
 */
export function emitJunction(emitter: Emitter, node: OperationIr, emit: EmitNode): Value {
  const target = emitter.declare(node.type)
  const {
    parts: [name = ''],
    nulls,
    error,
  } = target
  const label = emitter.fresh('junction')
  const decisive = node.op === 'or'
  const order = [...node.args.keys()].sort((a, b) => cost(node.args[a]) - cost(node.args[b]))
  const reordered = order.some((index, at) => index !== at)
  const errors = new Map<number, string>()
  if (reordered) {
    for (const [index, arg] of node.args.entries()) {
      if (!arg.fails) continue
      const one = emitter.fresh('x')
      emitter.line(`let ${one} = 0`)
      errors.set(index, one)
    }
  }
  emitter.line(`${name} = ${!decisive}`)
  emitter.block(`${label}:`, () => {
    for (const index of order) {
      const value = emit(node.args[index] as Ir)
      const decided = [
        ...(value.error === NO_ERROR ? [] : [`${value.error} === 0`]),
        ...(value.nulls === NEVER ? [] : [`!${value.nulls}`]),
        decisive ? value.parts[0] : `!${value.parts[0]}`,
      ].join(' && ')
      const result = `${name} = ${decisive}; ${nulls} = false; ${error} = 0`
      emitter.line(`if (${decided}) { ${result}; break ${label} }`)
      const own = errors.get(index)
      if (value.error !== NO_ERROR && own !== undefined) emitter.line(`${own} = ${value.error}`)
      else if (value.error !== NO_ERROR)
        emitter.line(`if (${error} === 0) ${error} = ${value.error}`)
      if (value.nulls !== NEVER) emitter.line(`if (${value.nulls}) ${nulls} = true`)
    }
    if (errors.size > 0) emitter.line(`${error} = ${[...errors.values()].join(' || ')}`)
  })
  return target
}

/** Work of an operand, by what it does with texts; calls have been made before. */
function cost(node: Ir | undefined): number {
  if (node === undefined || node.kind !== 'operation') return 0
  const own =
    { like: 20, concat: 20, cast: 10, in: 4, divide: 4, modulo: 4 }[node.op as string] ?? 1
  const text = node.args.some(({ type }) => type.kind === 'string') ? 4 : 0
  return node.args.reduce((sum, arg) => sum + cost(arg), own + text)
}

export function emitNot(emitter: Emitter, [operand]: readonly Value[]): Value {
  if (operand === undefined) return { parts: ['false'], nulls: NEVER, error: NO_ERROR }
  return { ...operand, parts: [emitter.name('v', `!${operand.parts[0]}`)] }
}

export function emitIsNull([operand]: readonly Value[]): Value {
  if (operand === undefined) return { parts: ['false'], nulls: NEVER, error: NO_ERROR }
  return { parts: [operand.nulls], nulls: NEVER, error: operand.error }
}

/** `IS TRUE` and `IS FALSE`. */
export function emitIsTruth(
  emitter: Emitter,
  node: OperationIr,
  [operand]: readonly Value[],
): Value {
  if (operand === undefined) return { parts: ['false'], nulls: NEVER, error: NO_ERROR }
  const test = node.detail === '1' ? operand.parts[0] : `!${operand.parts[0]}`
  const known = operand.nulls === NEVER ? test : `(!${operand.nulls} && ${test})`
  return { parts: [emitter.name('v', known ?? 'false')], nulls: NEVER, error: operand.error }
}

export function emitCase(emitter: Emitter, node: OperationIr, emit: EmitNode): Value {
  const target = emitter.declare(node.type)
  const label = emitter.fresh('case')
  const otherwise = node.args.length - 1
  emitter.block(`${label}:`, () => {
    for (let at = 0; at < otherwise; at += 2) {
      const when = emit(node.args[at] as Ir)
      if (when.error !== NO_ERROR) {
        emitter.line(`if (${when.error} !== 0) { ${target.error} = ${when.error}; break ${label} }`)
      }
      const taken = when.nulls === NEVER ? '' : ` && !${when.nulls}`
      emitter.block(`if (${when.parts[0]}${taken})`, () => {
        emitter.assign(target, emit(node.args[at + 1] as Ir))
        emitter.line(`break ${label}`)
      })
    }
    emitter.assign(target, emit(node.args[otherwise] as Ir))
  })
  return target
}

export function emitCoalesce(emitter: Emitter, node: OperationIr, emit: EmitNode): Value {
  const target = emitter.declare(node.type)
  const label = emitter.fresh('coalesce')
  emitter.block(`${label}:`, () => {
    for (const [index, arg] of node.args.entries()) {
      const value = emit(arg)
      if (index === node.args.length - 1 || value.nulls === NEVER) {
        emitter.assign(target, value)
        break
      }
      const failed = value.error === NO_ERROR ? '' : `${value.error} !== 0 || `
      emitter.block(`if (${failed}!${value.nulls})`, () => {
        // Not the null of a row that has an error: it would be set, and the error is what counts.
        emitter.assign(target, { ...value, nulls: NEVER })
        emitter.line(`break ${label}`)
      })
    }
  })
  return target
}

/** First value, and whether it equals the second. */
export function emitNullif(emitter: Emitter, [first, equal]: readonly Value[]): Value {
  if (first === undefined || equal === undefined) throw new TypeError('nullif has two operands')
  const same = equal.nulls === NEVER ? equal.parts[0] : `(!${equal.nulls} && ${equal.parts[0]})`
  const nulls = first.nulls === NEVER ? same : `(${first.nulls} || ${same})`
  return {
    parts: first.parts,
    nulls: emitter.name('n', nulls ?? NEVER),
    error: firstError([equal]),
  }
}

export function emitTry(emitter: Emitter, [operand]: readonly Value[]): Value {
  if (operand === undefined) return { parts: ['false'], nulls: NEVER, error: NO_ERROR }
  if (operand.error === NO_ERROR) return operand
  const nulls = `${operand.error} !== 0${operand.nulls === NEVER ? '' : ` || ${operand.nulls}`}`
  return { ...operand, nulls: emitter.name('n', nulls), error: NO_ERROR }
}
