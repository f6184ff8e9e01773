// The port of what stands between source and exchange and changes rows: an operator is planned for
// one structure of a table, and then given that table's batches, in order, on the source's thread.
//
// Laws, held by test/operator-laws.ts for every operator:
//   cuts          the same rows in other batches give the same rows
//   order         rows of one key leave in the order in which they came
//   determinism   what leaves depends on what came and on the configuration, on nothing else
//   conservation  rows that came, and those made of them, have left or are counted under a reason

import type { ChangeBatch } from './data/batch.ts'
import { tableKey, type SourceTable } from './data/schema.ts'

export interface Operator {
  /** Structure of the rows that leave: what the lake's table follows. */
  readonly output: SourceTable
  /** Updates are to come with the rows that they replace (`Op.before`), and none of these leaves. */
  readonly readsOldRows?: boolean
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
  /** Rows that are emitted beside those that came: by an operator that makes several of one. */
  made?(rows: number): void
  /**
   * Rows that cannot be computed and are set aside; called once a batch, before `emit`.
   *
   * @param rows  of the batch that the operator was given, ascending
   * @param secret  columns of that batch whose values nobody is to see
   */
  dead(rows: readonly DeadRow[], secret: ReadonlySet<number>): void
}

export interface DeadRow {
  /** Of the batch. */
  readonly row: number
  readonly error: 'EXPRESSION_FAILED'
  readonly message: string
  /** The part of it that failed. */
  readonly expression: string
  /** What was to be computed; `null`: the filter. */
  readonly column: string | null
}

/** Where rows go that operators set aside. */
export interface DeadLetterPlan {
  readonly table: SourceTable
  /** Of one epoch; `null`: any number. */
  readonly rowsMax: number | null
  /** Of the last 10,000 rows; `null`: any share. */
  readonly ratioMax: number | null
  /** Gives what makes ids of rows whose keys are masked; `null`: they are not kept from guesses */
  readonly idKey: () => Uint8Array | null
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

/** Several tables of the source are one in the sink. */
export interface UnionPlan {
  /** `unionKey` of the table in the sink. */
  readonly table: string
  /** No key is in two of them: so says who wrote the file. */
  readonly disjoint: boolean
}

/** What a pipeline does with its tables. */
export interface OperatorPlans {
  /** @returns `null`: rows of the table pass as they are */
  of(table: TableNames): OperatorPlan | null
  /**
   * @returns the table's name in the sink, as `tableKey` writes it; two tables cannot share one
   *   but in a union
   */
  target(table: TableNames): string
  /** Of several sinks: what no other table may be called, one name for each. Missing: `target`. */
  targets?(table: TableNames): readonly string[]
  /** Default: no table is one with others in the sink. @returns `null`: it is not */
  unionOf?(table: TableNames): UnionPlan | null
  /** Default: no operator sets rows aside. */
  readonly deadLetters?: DeadLetterPlan | null
}

export const NO_OPERATORS: OperatorPlans = { of: () => null, target: tableKey }
