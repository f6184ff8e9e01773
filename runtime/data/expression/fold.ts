// Constant folding: an operation whose operands are all constants is computed once, by the same
// code that would compute it for every row. One that fails stays as it is: it is an error only of
// the rows that need it.

import { valueAt } from './column-value.ts'
import { asDecimal, isInteger } from './expression-type.ts'
import type { ConstantIr, Ir, IrFactory, OperationIr } from './ir.ts'
import { Program } from './program.ts'

/** @returns the constant that the node is, or the node */
export function folded(factory: IrFactory, node: Ir): Ir {
  if (node.kind !== 'operation' && node.kind !== 'call') return node
  if (!node.args.every(({ kind }) => kind === 'constant')) return node
  const widened = node.kind === 'operation' ? widenedInteger(factory, node) : null
  if (widened !== null) return widened
  const program = new Program(factory, [], null, [node])
  program.begin([], 1, null)
  const [column] = program.project()
  if (column === undefined || program.failures.count > 0) return node
  return factory.constant(node.type, valueAt(column, 0), node)
}

/** The most common one needs no code: long lists of integers beside a long or a decimal. */
function widenedInteger(factory: IrFactory, { op, args, type, ...span }: OperationIr): Ir | null {
  const [arg] = args as readonly ConstantIr[]
  if (op !== 'cast' || arg === undefined || typeof arg.value !== 'bigint') return null
  if (!isInteger(arg.type)) return null
  if (type.kind === 'long') return factory.constant(type, arg.value, span)
  if (type.kind !== 'decimal' || type.precision - type.scale < asDecimal(arg.type).precision) {
    return null
  }
  return factory.constant(type, arg.value * 10n ** BigInt(type.scale), span)
}
