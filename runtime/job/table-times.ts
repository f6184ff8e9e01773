// Event time in the source thread: which watermark each table has, by whatever its source goes by.
//
//   commit time   a database's log is in commit order, and its heartbeats tell the time: the running
//                 maximum of the commit times is the watermark of every table
//   a column      its rows, with the disorder that is allowed for; the log's own time says how long
//                 a table has been quiet
//   splits        the source reads the rows' times itself, and says how each split is
//
// A table has none before it is handed over: rows of a backfill are of any time.

import type { SavedTimes } from '../checkpoint/manifest.ts'
import type { ChangeBatch } from '../data/batch.ts'
import { scanEventTimes, TIME_KINDS, TimeScan, type EventTimes } from '../data/event-times.ts'
import type { TableSchema } from '../data/schema.ts'
import { TimeZone } from '../data/time-zone.ts'
import { inHandOver, type TableRecord } from '../flow/tables.ts'
import { Watermarks, type TimeSpread } from '../flow/watermark.ts'
import type { SplitTimes } from '../source.ts'

export interface EventTimeOptions {
  /** The source has splits, and tells the times of its rows itself. */
  readonly splits: boolean
  /**
   * Of a database: the column that tells the time; tables without it go by commit time, as all do
   * with `null`. A source with splits knows its own.
   */
  readonly column: string | null
  /** Of columns without a zone. */
  readonly timeZone: string
  readonly maxOutOfOrderMs: number
  /** Rows whose time is later than the source's clock by more move no watermark. */
  readonly maxFutureMs: number
  /** `null`: a split is never idle. */
  readonly idleMs: number | null
  readonly allIdle: 'hold' | 'advance'
  /** `null`: no split waits for the others. */
  readonly maxDriftMs: number | null
}

export const COMMIT_TIME: EventTimeOptions = {
  splits: false,
  column: null,
  timeZone: 'UTC',
  maxOutOfOrderMs: 0,
  maxFutureMs: 600_000,
  idleMs: null,
  allIdle: 'hold',
  maxDriftMs: null,
}

/** A database's log, as a split. */
const LOG = 'log'

export class TableTimes {
  readonly #options: EventTimeOptions
  readonly #watermarks: Watermarks
  readonly #zone: TimeZone
  readonly #scan = new TimeScan()

  constructor(options: EventTimeOptions, saved: SavedTimes | null) {
    this.#options = options
    this.#zone = new TimeZone(options.timeZone)
    const { maxOutOfOrderMs, maxDriftMs, idleMs, allIdle } = options
    this.#watermarks = new Watermarks(
      {
        maxOutOfOrderUs: microseconds(maxOutOfOrderMs),
        maxDriftUs: maxDriftMs === null ? null : microseconds(maxDriftMs),
        idleMs,
        allIdle,
      },
      saved?.splits ?? null,
    )
  }

  /** Rows of a database's log, or of a chunk, which say nothing. */
  batchRead(batch: ChangeBatch, schema: TableSchema, sourceTimeUs: bigint): void {
    const index = timeColumnOf(schema, this.#options.column)
    const column = index === null ? undefined : batch.columns[index]
    if (column === undefined) return
    const isLocal = column.type.kind !== 'timestamptz'
    const commitUs = batch.transactions.timeUs[batch.transactions.count - 1] ?? 0n
    const clockUs = commitUs > sourceTimeUs ? commitUs : sourceTimeUs
    const limitUs = clockUs + microseconds(this.#options.maxFutureMs)
    this.#scan.reset()
    const limit = Number(isLocal ? this.#zone.localOf(limitUs) : limitUs)
    scanEventTimes(column, batch.ops, 0, batch.rows, limit, this.#scan)
    const times = this.#scan.timesOf(batch.table, LOG)
    const { maxUs } = times
    const instant = maxUs === null || !isLocal ? maxUs : this.#zone.instantOf(maxUs)
    this.#watermarks.observe({ ...times, maxUs: instant })
  }

  timesRead(times: EventTimes): void {
    this.#watermarks.observe(times)
  }

  /**
   * Everything that was read so far has been told.
   *
   * @param splits  of the source; `null`: it has one log, which has been read up to `sourceTimeUs`
   */
  look(
    splits: readonly SplitTimes[] | null,
    records: ReadonlyMap<string, TableRecord>,
    sourceTimeUs: bigint,
    nowMs: number,
  ): void {
    if (splits !== null) this.#watermarks.look(splits, nowMs)
    else if (this.#options.column !== null) this.#lookAtLog(records, sourceTimeUs)
  }

  /** The log's own time passes: a table is quiet for as long as commits of others say it is. */
  #lookAtLog(records: ReadonlyMap<string, TableRecord>, sourceTimeUs: bigint): void {
    const tables = [...records.values()].filter(({ schema }) => this.#readsColumn(schema))
    const names = tables.map(({ schema }) => schema.table)
    const log = { split: LOG, tables: names, state: 'at-end', clockUs: sourceTimeUs } as const
    this.#watermarks.look([log], Number(sourceTimeUs / 1000n))
  }

  #readsColumn(schema: TableSchema): boolean {
    return timeColumnOf(schema, this.#options.column) !== null
  }

  watermarkOf(record: TableRecord, sourceTimeUs: bigint): bigint | null {
    if (inHandOver(record) || record.phase !== 'streaming') return null
    if (this.#options.splits || this.#readsColumn(record.schema)) {
      return this.#watermarks.watermarkOf(record.schema.table)
    }
    return sourceTimeUs === 0n ? null : sourceTimeUs
  }

  /** @returns `null`: the table goes by the clock of its source, or nothing is known yet */
  spreadOf({ schema }: TableRecord): TimeSpread | null {
    const read = this.#options.splits || this.#readsColumn(schema)
    return read ? this.#watermarks.spreadOf(schema.table) : null
  }

  ahead(): ReadonlySet<string> {
    return this.#watermarks.ahead()
  }

  save(records: ReadonlyMap<string, TableRecord>, sourceTimeUs: bigint): SavedTimes {
    const tables: [string, bigint][] = []
    for (const [table, record] of records) {
      const watermark = this.watermarkOf(record, sourceTimeUs)
      if (watermark !== null) tables.push([table, watermark])
    }
    return { splits: this.#watermarks.save(), tables }
  }
}

function timeColumnOf({ fields }: TableSchema, name: string | null): number | null {
  if (name === null) return null
  const index = fields.findIndex((field) => field.name === name)
  return index >= 0 && TIME_KINDS.has(fields[index]?.type.kind ?? '') ? index : null
}

function microseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1000))
}
