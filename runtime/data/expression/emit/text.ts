// Operators of texts: || and LIKE.

import type { ConstantIr, OperationIr } from '../ir.ts'
import { LikeColumn, likePattern } from '../kernels/like.ts'
import { free, guarded } from './arithmetic.ts'
import type { Emitter, Value } from './emitter.ts'

export function emitConcat(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  return guarded(emitter, node.type, args, ({ parts: [bytes, start, end] }) => {
    emitter.line(`${start} = scratch.length`)
    for (const { parts } of args) emitter.line(`scratch.append(${parts.join(', ')})`)
    emitter.line(`${end} = scratch.length`)
    emitter.line(`${bytes} = scratch.bytes`)
  })
}

export function emitLike(emitter: Emitter, node: OperationIr, args: readonly Value[]): Value {
  const ignoreCase = node.detail.startsWith('I')
  const escape = node.detail.slice(1)
  const [operand, pattern] = args
  const constant = constantText(node.args[1] as ConstantIr)
  const compiled = constant === null ? null : likePattern(constant, ignoreCase, escape)
  if (compiled !== null && operand !== undefined) {
    const name = emitter.constant(`like ${node.id}`, () => compiled)
    return free(emitter, [operand], `${name}.matches(${operand.parts.join(', ')})`)
  }
  const name = emitter.constant(`like ${node.id}`, () => new LikeColumn(ignoreCase, escape))
  const ranges = [...(operand?.parts ?? []), ...(pattern?.parts ?? [])].join(', ')
  return guarded(emitter, node.type, args, ({ parts: [value], error }) => {
    const result = emitter.name('m', `${name}.matches(${ranges})`)
    const site = emitter.site(node, 'the pattern ends with its escape character')
    emitter.line(`if (${result} < 0) ${error} = ${site}`)
    emitter.line(`else ${value} = ${result} === 1`)
  })
}

function constantText(node: ConstantIr): string | null {
  return node.kind === 'constant' && typeof node.value === 'string' ? node.value : null
}
