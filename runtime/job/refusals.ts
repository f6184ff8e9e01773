// What the corridor says of tables that it does not take.

import { PipelineError } from '../base/errors.ts'
import { LETTER_TYPE } from '../data/dead-letters.ts'
import type { Unmappable } from '../data/evolution.ts'
import { tableKey, type SourceTable } from '../data/schema.ts'

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

/** Of two tables that would be one in the lake. */
export function routeTaken(table: string, taken: string): PipelineError {
  return new PipelineError('ROUTE_TAKEN', `table "${table}" and table "${taken}" are routed to one`)
}
