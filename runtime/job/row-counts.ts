// What became of the rows of each table since the last barrier, on the source's thread.

import type { SourceCounts } from '../checkpoint/trace.ts'
import { Op, type ChangeBatch } from '../data/batch.ts'

type Counts = { -readonly [Name in keyof Omit<SourceCounts, 'table'>]-?: number }

export class RowCounts {
  private readonly tables = new Map<string, Counts>()

  of(table: string): Counts {
    const known = this.tables.get(table)
    if (known !== undefined) return known
    const counts = { taken: 0, made: 0, sent: 0, united: 0, skipped: 0, filtered: 0, dead: 0 }
    this.tables.set(table, counts)
    return counts
  }

  /** The batch cannot go on: what has left already stays taken, and all of it counts as skipped. */
  gaveUp({ table, rows }: ChangeBatch): void {
    const counts = this.of(table)
    const { sent, united, filtered, dead, made } = counts
    counts.taken = sent + united + filtered + dead - made
    counts.skipped += rows
  }

  /** Rows have left for the writers, as those of `union` where that is another table. */
  left(table: string, union: string, rows: number): void {
    this.of(union).sent += rows
    if (table === union) return
    this.of(table).united += rows
    this.of(union).made += rows
  }

  /** @returns what is counted; it begins anew */
  end(): SourceCounts[] {
    const counts = [...this.tables].map(([table, { united, ...each }]) => ({
      table,
      ...each,
      ...(united > 0 && { united }),
    }))
    this.tables.clear()
    return counts
  }
}

/** @returns rows of the batch, those not counted that others have replaced */
export function changesOf({ ops }: ChangeBatch): number {
  return ops.reduce((changes, op) => (op === Op.before ? changes : changes + 1), 0)
}
