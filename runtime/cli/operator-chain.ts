// Two plans of one table, one behind the other: what leaves the first is what the second is for.

import { PipelineError } from '../base/errors.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { SourceTable } from '../data/schema.ts'
import type { Operator, OperatorOutput, OperatorPlan } from '../operator.ts'

/** @returns `null` when there is neither */
export function chained(
  first: OperatorPlan | null,
  second: OperatorPlan | null,
): OperatorPlan | null {
  if (first === null || second === null) return first ?? second
  return {
    semantics: JSON.stringify([first.semantics, second.semantics]),
    plan: (table) => new Chain(first, second, table),
  }
}

class Chain implements Operator {
  readonly output: SourceTable
  readonly readsOldRows: boolean
  private readonly first: Operator
  private readonly second: Operator

  constructor(first: OperatorPlan, second: OperatorPlan, table: SourceTable) {
    this.first = first.plan(table)
    this.second = second.plan(this.first.output)
    this.output = this.second.output
    this.readsOldRows = this.first.readsOldRows === true
  }

  onBatch(batch: ChangeBatch, out: OperatorOutput): void {
    const between: ChangeBatch[] = []
    let [filtered, more] = [0, 0]
    const made = (rows: number): void => {
      more += rows
    }
    let bury = (): void => undefined
    this.first.onBatch(batch, {
      emit: (batch) => between.push(batch),
      made,
      filtered: (rows) => {
        filtered += rows
      },
      dead: (rows, secret) => {
        bury = () => out.dead(rows, secret)
      },
    })
    const left: ChangeBatch[] = []
    for (const part of between) {
      this.second.onBatch(part, {
        emit: (each) => left.push(each),
        made,
        filtered: (rows) => {
          filtered += rows
        },
        // Its rows are those of the first, which the receiver does not know.
        dead: () => {
          throw new PipelineError('INTERNAL', 'the second of two operators sets no rows aside')
        },
      })
    }
    // All or nothing: the second may have failed on what the first had given already.
    bury()
    if (filtered > 0) out.filtered(filtered)
    if (more > 0) out.made?.(more)
    for (const each of left) out.emit(each)
  }
}
