// The port of what stands between source and exchange and changes rows: an operator is planned for
// one structure of a table, and then given that table's batches, in order, on the source's thread.
//
// Laws, held by test/operator-laws.ts for every operator:
//   cuts          the same rows in other batches give the same rows
//   order         rows of one key leave in the order in which they came
//   determinism   what leaves depends on what came and on the configuration, on nothing else
//   conservation  every row that came has left, or is counted under a reason

import type { ChangeBatch } from './data/batch.ts'
import { tableKey, type SourceTable } from './data/schema.ts'

export interface Operator {
  /** Structure of the rows that leave: what the lake's table follows. */
  readonly output: SourceTable
  /**
   * Takes a batch and its buffers; calls `out` before it returns.
   *
   * @throws PipelineError EXPRESSION_FAILED, SCRIPT_FAILED, UNCHANGED_VALUE_MISSING: none of the
   *   batch was emitted
   */
  onBatch(batch: ChangeBatch, out: OperatorOutput): void
}

export interface OperatorOutput {
  /** The batch is the receiver's, and lies in memory of its own. Its schema version is filled in. */
  emit(batch: ChangeBatch): void
  /** Rows that a filter has taken out. */
  filtered(rows: number): void
}

export interface OperatorPlan {
  /** Changes with the configuration where the same rows would become others. */
  readonly semantics: string
  /**
   * Pure: two calls with one structure give two operators that do the same.
   *
   * @throws PipelineError EXPRESSION_INVALID, OPERATOR_REFUSED: it cannot be applied to this table
   */
  plan(input: SourceTable): Operator
}

/** Names of a table in the source. */
interface TableNames {
  readonly namespace: string
  readonly name: string
}

/** What a pipeline does with its tables. */
export interface OperatorPlans {
  /** @returns `null`: rows of the table pass as they are */
  of(table: TableNames): OperatorPlan | null
  /** @returns the table's name in the sink, as `tableKey` writes it; two tables cannot share one */
  target(table: TableNames): string
}

export const NO_OPERATORS: OperatorPlans = { of: () => null, target: tableKey }
