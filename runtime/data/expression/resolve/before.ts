// What a row was before an update. The columns with those values are beside the others, without
// names of their own; whoever makes the batches says which.

import { BOOLEAN } from '../expression-type.ts'
import type { Ir } from '../ir.ts'
import type { Span } from '../place.ts'
import { caseOf } from './conditional.ts'
import { refuse, type Resolved, type Resolving } from './context.ts'
import { comparison } from './operators.ts'
import type { ExpressionColumn } from './scope.ts'

/** `before(col)`: the value that an update has replaced; null for rows that are none. */
export function before(context: Resolving, [arg]: readonly Resolved[], span: Span): Ir {
  const { old, column } = oldOf(context, 'before', arg, span)
  return context.factory.column(old.value, column.type, true, span)
}

/** `is_changed(col)`: null for rows that are no updates. */
export function isChanged(context: Resolving, [arg]: readonly Resolved[], span: Span): Ir {
  const { old, column, ir } = oldOf(context, 'is_changed', arg, span)
  const { factory } = context
  const was = factory.column(old.value, column.type, true, span)
  const updated = factory.column(old.updated, BOOLEAN, false, span)
  const differs = comparison(context, 'distinct', was, ir, span)
  return caseOf(context, [updated, differs, { ...span, kind: 'null' }], span)
}

interface Found {
  readonly ir: Ir
  readonly column: ExpressionColumn
  readonly old: NonNullable<ExpressionColumn['old']>
}

/** @throws PipelineError EXPRESSION_INVALID */
function oldOf(context: Resolving, name: string, arg: Resolved | undefined, span: Span): Found {
  if (arg?.kind !== 'column') {
    const hint = `Compute with what it gives, as in ${name}(price) and not ${name}(price * 2).`
    throw refuse(context, arg ?? span, `${name} takes a column as it is`, hint)
  }
  const column = context.scope.columns[arg.index]
  const { old } = column ?? {}
  if (column !== undefined && old !== undefined) return { ir: arg, column, old }
  const hint = 'It takes columns of a table that has a key, in a pipeline; no metadata.'
  throw refuse(context, arg, `${name} has no value of "${column?.name ?? ''}"`, hint)
}
