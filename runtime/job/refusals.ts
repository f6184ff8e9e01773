// What the corridor says of tables that it does not take.

import { PipelineError } from '../base/errors.ts'
import { LETTER_TYPE } from '../data/dead-letters.ts'
import type { Unmappable } from '../data/evolution.ts'
import { shownTable, tableKey, type SourceTable } from '../data/schema.ts'
import type { TableRecord } from '../flow/tables.ts'
import type { UnionPlan } from '../operator.ts'

/** Of a table that the lake cannot have. */
export function refusal(table: string, { error, reason, hint }: Unmappable): PipelineError {
  return new PipelineError(error, `table "${table}": ${reason}`, {
    ...(hint !== undefined && { hint }),
  })
}

/** @throws PipelineError ROUTE_TAKEN when a table of the source has the name of dead letters */
export function requireLetters(table: SourceTable): void {
  if (table.columns.every(({ sourceType }) => sourceType === LETTER_TYPE)) return
  const name = tableKey(table)
  throw new PipelineError('ROUTE_TAKEN', `table "${name}" has the name of that of dead letters`, {
    hint: 'Leave it out of `source.tables`, or give the pipeline another name.',
  })
}

/** @throws PipelineError CONFIG_UNSUPPORTED when a table begins or ends to share one of the lake */
export function requireSameRoute(
  { schema: { table }, united, phase }: TableRecord,
  now: UnionPlan | null,
): void {
  if (phase === 'dropped' || (united?.table ?? null) === (now?.table ?? null)) return
  const place = (union: string): string => `one with others in ${shownTable(union)}`
  const before = united === undefined ? 'a table by itself' : place(united.table)
  const after = now === null ? 'one by itself' : place(now.table)
  const message = `table "${table}" was begun as ${before}, and \`route\` makes it ${after}`
  throw new PipelineError('CONFIG_UNSUPPORTED', message, {
    detail:
      'Its rows cannot move from one table of the lake to another. Nothing was read or written.',
    hint:
      'Write `route` as it was; or run `millrace drop FILE` and begin anew; or give the new route a ' +
      'pipeline with a name of its own.',
  })
}

/** Of two tables that would be one in the lake. */
export function routeTaken(table: string, taken: string): PipelineError {
  return new PipelineError('ROUTE_TAKEN', `table "${table}" and table "${taken}" are routed to one`)
}
