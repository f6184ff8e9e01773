// What evaluates only some of its operands: CASE, IF, COALESCE, NULLIF, and TRY. An error in a
// branch that a row does not take is none.

import { BOOLEAN, typeName } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { Ir, Operation } from '../ir.ts'
import type { Span } from '../place.ts'
import { anyFails, anyNullable, articled, isTyped, operation, refuse } from './context.ts'
import { typeOf, widened, type Resolved, type Resolving } from './context.ts'
import { comparable, comparison, unified } from './operators.ts'

/** @returns the operand, which has to be a boolean or NULL */
export function condition(context: Resolving, operand: Resolved): Ir {
  const type = typeOf(operand)
  if (type.kind === 'boolean' || type.kind === 'null') return widened(context, operand, BOOLEAN)
  const hint = 'Compare it with something: x <> 0, s IS NOT NULL.'
  const message = `a condition is expected, not ${articled(typeName(type))}`
  throw refuse(context, operand, message, hint)
}

/** AND, OR, NOT. */
export function logic(
  context: Resolving,
  op: 'and' | 'or' | 'not',
  operands: readonly Resolved[],
  span: Span,
): Ir {
  const args = operands.map((operand) => condition(context, operand))
  const flags = { nullable: anyNullable(args), fails: anyFails(args) }
  return operation(context, { op, type: BOOLEAN, args, ...flags, start: span.start, end: span.end })
}

/** `branches`: when, then, when, then, ..., otherwise. */
export function caseOf(context: Resolving, branches: readonly Resolved[], span: Span): Ir {
  const isWhen = (index: number): boolean => index % 2 === 0 && index < branches.length - 1
  const values = branches.filter((_, index) => !isWhen(index))
  const type = unified(context, values, span)
  const args = branches.map((branch, index) =>
    isWhen(index) ? condition(context, branch) : widened(context, branch, type),
  )
  const results = args.filter((_, index) => !isWhen(index))
  return operation(context, {
    op: 'case',
    type,
    args,
    nullable: anyNullable(results),
    fails: anyFails(args),
    start: span.start,
    end: span.end,
  })
}

type Form = (context: Resolving, args: readonly Resolved[], span: Span) => Ir

/** Those that are written like functions, with the least and most arguments that they take. */
export const CONDITIONAL: ReadonlyMap<string, readonly [Form, number, number]> = new Map([
  ['if', [caseOf, 3, 3]],
  ['coalesce', [coalesce, 1, 1000]],
  ['ifnull', [coalesce, 2, 2]],
  ['nullif', [nullif, 2, 2]],
  ['try', [attempt, 1, 1]],
])

function coalesce(context: Resolving, operands: readonly Resolved[], span: Span): Ir {
  const type = unified(context, operands, span)
  const args = operands.map((operand) => widened(context, operand, type))
  const nullable = args.every((arg) => arg.nullable)
  return special(context, 'coalesce', type, args, nullable, anyFails(args), span)
}

/** Null where both are equal; the type is that of the first. */
function nullif(context: Resolving, operands: readonly Resolved[], span: Span): Ir {
  const [first, second] = operands
  if (first === undefined || second === undefined) throw refuse(context, span, 'nullif takes two')
  comparable(context, [first, second], span)
  if (!isTyped(first)) return coalesce(context, [first, second, first].slice(0, 1), span)
  const equal = comparison(context, 'equal', first, second, span)
  return special(context, 'nullif', first.type, [first, equal], true, equal.fails, span)
}

function attempt(context: Resolving, [operand]: readonly Resolved[], span: Span): Ir {
  if (operand === undefined || !isTyped(operand)) throw refuse(context, span, 'try takes a value')
  if (!operand.fails) return operand
  return special(context, 'try', operand.type, [operand], true, false, span)
}

function special(
  context: Resolving,
  op: Operation,
  type: ColumnType,
  args: readonly Ir[],
  nullable: boolean,
  fails: boolean,
  { start, end }: Span,
): Ir {
  return operation(context, { op, type, args, nullable, fails, start, end })
}
