// One step in front of filter and projection, for one structure of a table.

import type { ChangeBatch } from '../../runtime/data/batch.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import type { DeadRows } from './dead-rows.ts'

export interface Part {
  /** In memory of its own. */
  readonly batch: ChangeBatch
  /** By row: the row that it comes from; `null`: they are the same. */
  readonly parents: Int32Array | null
}

export interface Stage {
  readonly output: SourceTable
  /**
   * @param dead  takes rows that cannot be computed; the stage goes on as if they were null
   * @throws PipelineError EXPRESSION_FAILED, UNCHANGED_VALUE_MISSING
   */
  take(batch: ChangeBatch, dead: DeadRows): readonly Part[]
  /**
   * @param secret  identities of the columns of `output` whose values nobody is to see
   * @returns the same of the columns that it is given
   */
  secretBefore(secret: ReadonlySet<string>): ReadonlySet<string>
}
