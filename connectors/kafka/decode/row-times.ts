// When the rows of one topic happened: by a column of theirs, or by the timestamp of their record.
// A row that has no time is no row, as one that cannot be decoded; what the others say is kept by
// partition until the rows have been handed out, for a watermark must not run ahead of its rows.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { nearestName } from '../../../runtime/base/nearest.ts'
import { Op } from '../../../runtime/data/batch.ts'
import type { ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import {
  firstOutside,
  scanEventTimes,
  TIME_KINDS,
  TimeScan,
  UNIT_US,
  type EventTimes,
  type EventTimeUnit,
} from '../../../runtime/data/event-times.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { TimeZone } from '../../../runtime/data/time-zone.ts'
import { formatType } from '../../../runtime/data/type.ts'
import type { DecodeFault } from '../format.ts'
import type { RecordSet } from '../records.ts'
import type { RowBuffer } from './row-buffer.ts'

const DAY_US = 86_400_000_000
const US_PER_MS = 1000

export interface RowTimesOptions {
  /** A column of the table; `null`: the timestamp of the record. */
  readonly field: string | null
  /** Of a column of numbers; `null`: it has times or dates. */
  readonly unit: EventTimeUnit | null
  /** Of columns without a zone. */
  readonly zone: TimeZone
  /** Later than the clock by more: the row moves no watermark. */
  readonly maxFutureMs: number
  /** What becomes of such a row. */
  readonly future: 'pass' | 'dlq'
  /**
   * What becomes of rows of a table that are too late to be written; `null`: all are written.
   *
   * @param table  `tableKey`
   */
  lateOf(table: string): 'dlq' | 'drop' | null
  /** The column may come with a later record; until then no row has a time. */
  readonly fieldMayCome: boolean
}

/** The first row that cannot stay, and why. */
export interface Untimely {
  readonly row: number
  readonly fault: DecodeFault
  readonly fate: Fate
}

/**
 * fault: it is as if it could not be decoded. dlq: it is set aside, whatever happens to what cannot
 * be. drop: it is passed over.
 */
export type Fate = 'fault' | 'dlq' | 'drop'

export class RowTimes {
  private readonly table: string
  private readonly options: RowTimesOptions
  /** Place of the column; `null`: the timestamps of the records count · -1: it has not come. */
  private index: number | null
  private readonly late: 'dlq' | 'drop' | null
  /** Rows before are too late, on the column's own clock. */
  private earliestUs = -Infinity
  private unitUs = 1
  /** The column has the clock of a zone, not instants. */
  private isLocal = false
  private readonly scans = new Map<number, TimeScan>()
  /** Partitions that have rows in the scans. */
  private readonly touched = new Set<number>()
  /** By partition: the latest time that was told. */
  private readonly told = new Map<number, number>()

  constructor(table: string, options: RowTimesOptions) {
    this.table = table
    this.options = options
    this.index = options.field === null ? null : -1
    this.late = options.lateOf(table)
  }

  /** Rows before are too late from now on; asked before each run of records. */
  judgeLate(bound: (table: string) => bigint | null): void {
    if (this.late !== null) this.earliestUs = Number(bound(this.table) ?? -Infinity)
  }

  /**
   * Rows have this structure from now on.
   *
   * @throws PipelineError CONFIG_VALUE: the table has no such column, or it tells no time
   */
  follow({ fields }: TableSchema): void {
    const { field, unit, fieldMayCome } = this.options
    if (field === null) return
    const fault = (message: string): PipelineError =>
      new PipelineError('CONFIG_VALUE', `source.event_time: ${message}`)
    this.index = fields.findIndex(({ name }) => name === field)
    const type = fields[this.index]?.type
    if (type === undefined) {
      if (fieldMayCome) return
      const names = fields.map(({ name }) => name)
      const near = nearestName(field, names)
      const suggested =
        near === null ? `; it has ${names.join(', ')}` : ` (did you mean "${near}"?)`
      throw fault(`table "${this.table}" has no column "${field}"${suggested}`)
    }
    const isNumber = type.kind === 'long' || type.kind === 'int'
    if (!isNumber && !TIME_KINDS.has(type.kind)) {
      throw fault(
        `column "${field}" of "${this.table}" is ${formatType(type)}, which tells no time`,
      )
    }
    if (isNumber !== (unit !== null)) {
      const what = isNumber ? 'needs `unit`: s, ms or us' : 'has its unit already: leave out `unit`'
      throw fault(`column "${field}" of "${this.table}" (${formatType(type)}) ${what}`)
    }
    this.unitUs = unit === null ? (type.kind === 'date' ? DAY_US : 1) : UNIT_US[unit]
    this.isLocal = type.kind === 'timestamp' || type.kind === 'date'
  }

  /**
   * @param clockMs  of whoever fetched the records, milliseconds since 1970
   * @returns the first of rows [from, to) of the buffer that cannot stay; `null`: all can
   */
  firstUntimely(
    buffer: RowBuffer,
    set: RecordSet,
    from: number,
    to: number,
    clockMs: number,
  ): Untimely | null {
    const { index, options } = this
    const diverts = options.future === 'dlq'
    const latestUs = diverts ? this.limitUs(set, clockMs) : Infinity
    const row =
      index === null
        ? firstRecordOutside(buffer, set, from, to, latestUs)
        : index < 0
          ? firstTelling(buffer, from, to)
          : this.firstOfColumn(buffer, index, from, to, latestUs)
    return row < 0 ? null : this.judged(buffer, set, row)
  }

  private firstOfColumn(
    buffer: RowBuffer,
    index: number,
    from: number,
    to: number,
    latestUs: number,
  ): number {
    const builder = buffer.columns[index]!
    // Most rows of most topics have a time, and nothing more is asked of them.
    const { earliestUs, unitUs } = this
    const anyTime = latestUs === Infinity && earliestUs === -Infinity
    if (anyTime && builder.firstNull(from, to) < 0) return -1
    return firstOutside(builder.view(to), buffer.ops, from, to, earliestUs, latestUs, unitUs)
  }

  private judged(buffer: RowBuffer, set: RecordSet, row: number): Untimely {
    const { index, options, late, earliestUs } = this
    const scan = this.scanOf(set.partition)
    // A partition that has only such rows is not idle.
    scan.rows++
    const isMissing =
      index === null
        ? (set.timestamps[buffer.record[row]!] ?? -1) < 0
        : index < 0 || buffer.columns[index]!.firstNull(row, row + 1) >= 0
    const what =
      options.field === null ? 'the timestamp of the record' : `column "${options.field}"`
    if (isMissing) {
      scan.missing++
      const message = `${what}, which source.event_time names, has no value`
      return { row, fault: { name: 'EVENT_TIME_MISSING', message, byteOffset: 0 }, fate: 'fault' }
    }
    const isLate =
      late !== null && this.firstOfColumn(buffer, index ?? 0, row, row + 1, Infinity) === row
    if (isLate) {
      scan.late++
      const before = new Date(earliestUs / US_PER_MS).toISOString()
      const message = `${what} is before ${before}, and its partition was announced as whole`
      return { row, fault: { name: 'ROW_LATE', message, byteOffset: 0 }, fate: late }
    }
    scan.future++
    const message = `${what} is further ahead of the clock than source.event_time.max_future`
    return { row, fault: { name: 'EVENT_TIME_FUTURE', message, byteOffset: 0 }, fate: 'dlq' }
  }

  private scanOf(partition: number): TimeScan {
    this.touched.add(partition)
    const known = this.scans.get(partition)
    if (known !== undefined) return known
    const scan = new TimeScan()
    this.scans.set(partition, scan)
    return scan
  }

  /** Takes note of rows [from, to) of the buffer, which stay. */
  note(buffer: RowBuffer, set: RecordSet, from: number, to: number, clockMs: number): void {
    const { index } = this
    if (from === to || (index !== null && index < 0)) return
    const scan = this.scanOf(set.partition)
    const limitUs = this.limitUs(set, clockMs)
    if (index === null) scanRecords(buffer, set, from, to, limitUs, scan)
    else {
      const column = (buffer.columns[index] as ColumnBuilder).view(to)
      scanEventTimes(column, buffer.ops, from, to, limitUs, scan, this.unitUs)
    }
  }

  /** Rows of this partition have been noted, and not been told. */
  waits(partition: number): boolean {
    return this.touched.has(partition)
  }

  /** The rows that wait go on by more than `us`, or are the first of their partition. */
  hasLeapt(partition: number, us: number): boolean {
    if (!this.touched.has(partition)) return false
    const maxUs = this.scans.get(partition)?.maxUs ?? -Infinity
    return maxUs > (this.told.get(partition) ?? -Infinity) + us
  }

  /** What the rows of each partition say, once they have been handed out. */
  take(splitOf: (partition: number) => string): EventTimes[] {
    const taken = [...this.touched].map((partition) => {
      const scan = this.scans.get(partition) ?? new TimeScan()
      const times = scan.timesOf(this.table, splitOf(partition))
      this.told.set(partition, Math.max(scan.maxUs, this.told.get(partition) ?? -Infinity))
      scan.reset()
      const { maxUs } = times
      const isPlain = maxUs === null || !this.isLocal
      return isPlain ? times : { ...times, maxUs: this.options.zone.instantOf(maxUs) }
    })
    this.touched.clear()
    return taken
  }

  /** @returns the clock and `max_future`, on the column's own clock */
  private limitUs(set: RecordSet, clockMs: number): number {
    const { maxFutureMs, zone } = this.options
    // The broker's own clock where it stamps the records.
    const appendedMs = set.appendTime ? (set.timestamps[set.count - 1] ?? -1) : -1
    const limitUs = ((appendedMs < 0 ? clockMs : appendedMs) + maxFutureMs) * US_PER_MS
    return this.isLocal ? Number(zone.localOf(BigInt(Math.round(limitUs)))) : limitUs
  }
}

function tells({ ops }: RowBuffer, row: number): boolean {
  return ops[row] !== Op.delete && ops[row] !== Op.read
}

function firstTelling(buffer: RowBuffer, from: number, to: number): number {
  for (let row = from; row < to; row++) if (tells(buffer, row)) return row
  return -1
}

function firstRecordOutside(
  buffer: RowBuffer,
  { timestamps }: RecordSet,
  from: number,
  to: number,
  latestUs: number,
): number {
  const { record } = buffer
  for (let row = from; row < to; row++) {
    const ms = timestamps[record[row]!]!
    if ((ms < 0 || ms * US_PER_MS > latestUs) && tells(buffer, row)) return row
  }
  return -1
}

function scanRecords(
  buffer: RowBuffer,
  { timestamps }: RecordSet,
  from: number,
  to: number,
  limitUs: number,
  scan: TimeScan,
): void {
  const { record } = buffer
  for (let row = from; row < to; row++) {
    if (!tells(buffer, row)) continue
    scan.rows++
    const time = timestamps[record[row]!]! * US_PER_MS
    if (time > limitUs) scan.future++
    else if (time > scan.maxUs) scan.maxUs = time
  }
}
