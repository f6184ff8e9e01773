// What resolving an expression goes by, and the two steps that every operation takes: a value
// without a type gets one, a narrower type is widened.

import { sameExpressionType, typeName, widens } from '../expression-type.ts'
import type { ExpressionType, Interval } from '../expression-type.ts'
import type { PipelineError } from '../../../base/errors.ts'
import type { ColumnType } from '../../type.ts'
import type { Ir, IrFactory, OperationIr } from '../ir.ts'
import { invalid, type SourceText, type Span } from '../place.ts'
import { castFails } from './cast-rules.ts'
import type { Scope } from './scope.ts'
import type { EventTimeColumn } from './times.ts'

export interface Resolving {
  readonly factory: IrFactory
  readonly source: SourceText
  readonly scope: Scope
  /** @returns the constant that an operation on constants is; anything else as it is */
  readonly fold: (node: Ir) => Ir
  /** `null`: rows have no event time. */
  readonly eventTime: EventTimeColumn | null
}

/** NULL and intervals: they exist only until something gives them a type or takes them. */
export type Untyped = Span &
  ({ readonly kind: 'null' } | { readonly kind: 'interval'; readonly interval: Interval })
export type Resolved = Ir | Untyped

export function isTyped(operand: Resolved): operand is Ir {
  return operand.kind !== 'null' && operand.kind !== 'interval'
}

export function typeOf(operand: Resolved): ExpressionType {
  return isTyped(operand) ? operand.type : { kind: operand.kind }
}

export function refuse(
  context: Resolving,
  span: Span,
  message: string,
  hint?: string,
): PipelineError {
  return invalid(context.source, span, message, hint)
}

/** Makes a node; one whose operands are all constants becomes a constant. */
export function operation(
  context: Resolving,
  draft: Pick<OperationIr, 'op' | 'type' | 'args' | 'nullable' | 'fails'> &
    Span & { detail?: string },
): Ir {
  return context.fold(context.factory.operation(draft))
}

export function anyNullable(args: readonly Ir[]): boolean {
  return args.some(({ nullable }) => nullable)
}

export function anyFails(args: readonly Ir[]): boolean {
  return args.some(({ fails }) => fails)
}

/** @returns the operand as `type`, to which it widens; NULL takes any type */
export function widened(context: Resolving, operand: Resolved, type: ColumnType): Ir {
  if (operand.kind === 'null') return context.factory.constant(type, null, operand)
  if (operand.kind === 'interval') throw wrongType(context, operand, type)
  if (sameExpressionType(operand.type, type)) return operand
  if (!widens(operand.type, type)) throw wrongType(context, operand, type)
  return conversion(context, operand, type, false)
}

/** A cast without a look at what the user may write: `cast-rules.ts` does that. */
export function conversion(
  context: Resolving,
  operand: Ir,
  type: ColumnType,
  tried: boolean,
  span: Span = operand,
): Ir {
  const fails = castFails(operand.type, type)
  return operation(context, {
    op: 'cast',
    type,
    args: [operand],
    nullable: operand.nullable || (tried && fails),
    fails: operand.fails || (!tried && fails),
    detail: tried ? 'try' : '',
    start: span.start,
    end: span.end,
  })
}

export function wrongType(context: Resolving, operand: Resolved, type: ExpressionType): Error {
  const found = typeName(typeOf(operand))
  const name = typeName(type)
  const hint = found === 'interval' ? undefined : `Write CAST(... AS ${name}) if that is meant.`
  return refuse(context, operand, `${articled(name)} is expected, not ${articled(found)}`, hint)
}

export function articled(name: string): string {
  return /^[aeio]/.test(name) ? `an ${name}` : `a ${name}`
}
