// Every row that the source read is accounted for before its epoch is committed: per table,
//   taken + made = sent + united + filtered + dead                of its operators,
//   sent = read                                                   of the way to the writers,
//   read = written + stale + absorbed + parked + held(now) - held(before)   of the writers.
// An epoch whose rows do not add up is not committed; a counter that lies is found the same day.

import { PipelineError } from '../base/errors.ts'
import type { TableCounts } from '../sink.ts'
import { SinkTables } from './sink-parts.ts'

/** Rows of one table that the source thread has sent (and skipped) since the last barrier. */
export interface SourceCounts {
  readonly table: string
  /** Rows that operators were given, those not counted that an update has replaced. */
  readonly taken: number
  /** Rows that went on as rows of a table that this one is a part of. None: it is no part. */
  readonly united?: number
  /** Rows that operators made beside them: elements, dead letters; those of its parts. */
  readonly made: number
  readonly sent: number
  /** Rows of a parked table that were skipped at the source. */
  readonly skipped: number
  /** Rows that a filter has taken out before they were sent. */
  readonly filtered: number
  /** Rows that could not be computed: as many were sent to the table of dead letters. */
  readonly dead: number
}

/** Holds what must be carried from epoch to epoch: rows held back for their backfill row. */
export class Trace {
  private readonly heldBefore: Map<string, number>
  private readonly names: SinkTables

  /** @param names  a table of the source is counted once in each of its sinks */
  constructor(held: Readonly<Record<string, number>>, names: SinkTables = new SinkTables(null)) {
    this.heldBefore = new Map(Object.entries(held))
    this.names = names
  }

  /** What the next epoch begins with; goes into the checkpoint. */
  held(): Record<string, number> {
    return Object.fromEntries([...this.heldBefore].filter(([, rows]) => rows > 0))
  }

  /** @throws PipelineError TRACE_BROKEN */
  check(
    epoch: number,
    source: readonly SourceCounts[],
    writers: readonly (readonly TableCounts[])[],
  ): void {
    const totals = sumByTable(writers.flat())
    for (const counts of source) {
      const { table: own, sent, taken, made, filtered, dead, united = 0 } = counts
      if (taken + made !== sent + united + filtered + dead) {
        const left = `${sent + united} were sent, ${filtered} filtered and ${dead} set aside`
        throw broken(epoch, own, `${taken} rows were taken and ${made} made, ${left}`)
      }
      for (const table of this.names.of(own)) {
        const read = totals.get(table)?.read ?? 0
        if (read !== sent) throw broken(epoch, table, `${sent} rows were sent and ${read} arrived`)
      }
    }
    for (const [table, total] of totals) {
      const held = this.heldBefore.get(table) ?? 0
      const { written, stale, absorbed, parked } = total
      const accounted = written + stale + absorbed + parked + total.held - held
      if (total.read !== accounted) {
        throw broken(epoch, table, `${total.read} rows were read, ${accounted} are accounted for`)
      }
      this.heldBefore.set(table, total.held)
    }
  }
}

function broken(epoch: number, table: string, detail: string): PipelineError {
  return new PipelineError('TRACE_BROKEN', `table "${table}" does not add up in epoch ${epoch}`, {
    detail: `${detail}. Nothing of the epoch was committed.`,
  })
}

interface Totals {
  read: number
  written: number
  stale: number
  absorbed: number
  parked: number
  held: number
}

function sumByTable(counts: readonly TableCounts[]): Map<string, Totals> {
  const totals = new Map<string, Totals>()
  for (const { table, read, written, stale, absorbed, parked, held } of counts) {
    const total = totals.get(table)
    if (total === undefined) {
      totals.set(table, { read, written, stale, absorbed, parked, held })
      continue
    }
    total.read += read
    total.written += written
    total.stale += stale
    total.absorbed += absorbed
    total.parked += parked
    total.held += held
  }
  return totals
}
