// Rows that cannot be computed and are set aside: which ones, why, and the batch without them.

import type { RowFailure } from '../../runtime/data/expression/failures.ts'
import type { DeadRow } from '../../runtime/operator.ts'

/** What can be told of a row: a failure of a program, or of what comes in front of it. */
export type RowFault = Pick<RowFailure, 'row' | 'error' | 'message' | 'expression'>

/** By row of the batch: the first thing that was wrong with it. */
export class DeadRows {
  private readonly found = new Map<number, DeadRow>()

  get count(): number {
    return this.found.size
  }

  /** @param column  that was to be computed; `null`: the filter */
  add({ row, error, message, expression }: RowFault, column: string | null): void {
    if (!this.found.has(row)) this.found.set(row, { row, error, message, expression, column })
  }

  has(row: number): boolean {
    return this.found.has(row)
  }

  /** @returns the rows, ascending */
  list(): DeadRow[] {
    return [...this.found.values()].sort((a, b) => a.row - b.row)
  }

  /**
   * @param selection  ascending; `null`: all `rows` rows of the batch
   * @returns those of the selection that live
   */
  without(selection: Int32Array | null, rows: number): Int32Array {
    const all = selection ?? Int32Array.from({ length: rows }, (_, row) => row)
    return all.filter((row) => !this.found.has(row))
  }
}
