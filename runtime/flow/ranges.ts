// What there is to copy: each table in a few ranges of its key, each range for one reader at a
// time.

import type { Source } from '../source.ts'
import type { Backfill, BackfillRange, TableRecord } from './tables.ts'

/** A range of a table that a reader has taken. */
export interface RangeTask {
  readonly record: TableRecord
  readonly backfill: Backfill
  readonly range: BackfillRange
}

/** What becomes of a table that cannot be cut. @throws what ends the attempt */
type OnTrouble = (record: TableRecord, error: unknown, signal: AbortSignal) => Promise<void>

export class Ranges {
  private readonly source: Source
  private readonly tables: ReadonlyMap<string, TableRecord>
  private readonly readers: number
  private readonly onTrouble: OnTrouble
  private readonly taken = new Set<BackfillRange>()
  private readonly cutting = new Set<string>()

  constructor(
    source: Source,
    tables: ReadonlyMap<string, TableRecord>,
    readers: number,
    onTrouble: OnTrouble,
  ) {
    this.source = source
    this.tables = tables
    this.readers = readers
    this.onTrouble = onTrouble
  }

  /** @returns `null`: there is nothing to read now */
  async take(signal: AbortSignal): Promise<RangeTask | null> {
    for (const record of this.tables.values()) {
      const { backfill } = record
      if (record.phase !== 'backfilling' || backfill === null) continue
      if (backfill.ranges === null) await this.cut(record, backfill, signal)
      const range = backfill.ranges?.find((range) => !range.done && !this.taken.has(range))
      if (range === undefined) continue
      this.taken.add(range)
      return { record, backfill, range }
    }
    return null
  }

  /** The reader has read a chunk of it, or failed to. */
  giveBack({ range }: RangeTask): void {
    this.taken.delete(range)
  }

  /** Cuts a table into ranges, one a reader; the first reader that comes along does it. */
  private async cut(record: TableRecord, backfill: Backfill, signal: AbortSignal): Promise<void> {
    const { schema } = record
    if (this.cutting.has(schema.table)) return
    this.cutting.add(schema.table)
    try {
      backfill.rowsEstimated = await this.source.estimateRows(schema.table)
      const pieces = schema.key === null ? 1 : this.readers
      const bounds = pieces > 1 ? await this.source.splitKeys(schema, pieces) : []
      backfill.ranges = [null, ...bounds].map((after, index) => ({
        after,
        until: bounds[index] ?? null,
        done: false,
      }))
    } catch (error) {
      if (signal.aborted) return
      await this.onTrouble(record, error, signal)
    } finally {
      this.cutting.delete(schema.table)
    }
  }
}
