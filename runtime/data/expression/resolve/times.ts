// When a row was committed, and when what it tells of happened: columns that the batches have,
// under the names that whoever makes them gives.

import type { EventTimeUnit } from '../../event-times.ts'
import { STRING } from '../expression-type.ts'
import type { Ir } from '../ir.ts'
import type { Span } from '../place.ts'
import { refuse, type Resolved, type Resolving } from './context.ts'

/** What `event_time()` stands for. */
export interface EventTimeColumn {
  readonly column: string
  /** Of numbers since 1970; `null`: the column has times or dates. */
  readonly unit: EventTimeUnit | null
}

export const COMMIT_TIME_COLUMN = '__commit_time__'

type Call = (context: Resolving, name: string, args: readonly Resolved[], span: Span) => Ir

export function commitTime(context: Resolving, _: readonly Resolved[], span: Span): Ir {
  const found = columnOf(context, COMMIT_TIME_COLUMN, span)
  if (found !== null) return found
  throw refuse(context, span, 'commit_time has no value here', 'It is of the rows of databases.')
}

export function eventTime(context: Resolving, _: readonly Resolved[], span: Span, call: Call): Ir {
  const { eventTime: event } = context
  const found = event === null ? null : columnOf(context, event.column, span)
  if (found === null || event === null) {
    const hint = 'Say by `source.event_time` when rows of topics happened.'
    throw refuse(context, span, 'event_time has no value here', hint)
  }
  if (event.unit === null) return found
  const unit = context.factory.constant(STRING, event.unit, span)
  return call(context, 'from_unix', [found, unit], span)
}

function columnOf({ scope, factory }: Resolving, name: string, span: Span): Ir | null {
  const index = scope.columns.findIndex((column) => column.name === name)
  const column = scope.columns[index]
  return column === undefined ? null : factory.column(index, column.type, column.nullable, span)
}
