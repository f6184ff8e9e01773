// The latest event time of a range of rows: what a split's watermark follows. A time beyond a limit
// does not count, or one producer with a wrong clock would make the rows of all others late.

import type { Column } from './column/column.ts'
import { Op } from './batch.ts'

/** Columns of other types carry no event time, unless somebody says the unit of their numbers. */
export const TIME_KINDS: ReadonlySet<string> = new Set(['timestamp', 'timestamptz', 'date'])

/** What rows of one split that were yielded say about event time. */
export interface EventTimes {
  readonly table: string
  readonly split: string
  /** Latest usable event time of the rows, microseconds since 1970; `null`: no row had one. */
  readonly maxUs: bigint | null
  readonly rows: number
  /** Rows later than the split's clock and `max_future`: they pass, and move no watermark. */
  readonly future: number
  /** Rows without an event time. */
  readonly missing: number
  /** Rows of a partition that was announced before, which are not written. */
  readonly late: number
}

/** Microseconds of one, by what a column of numbers may count since 1970. */
export const UNIT_US = { s: 1_000_000, ms: 1000, us: 1 } as const

export type EventTimeUnit = keyof typeof UNIT_US

const DAY_US = 86_400_000_000
const WORD = 2 ** 32

/** What `scanEventTimes` found; reused from call to call. */
export class TimeScan {
  /** Microseconds since 1970; -Infinity: no row had a usable time. */
  maxUs = -Infinity
  /** Rows with a time: inserts and updates. Deletes and backfill rows say nothing about time. */
  rows = 0
  /** Of these: later than the limit. */
  future = 0
  /** Of these: without a value. */
  missing = 0
  /** Of these: too late to be written; the scan itself knows none. */
  late = 0

  reset(): void {
    this.maxUs = -Infinity
    this.rows = 0
    this.future = 0
    this.missing = 0
    this.late = 0
  }

  timesOf(table: string, split: string): EventTimes {
    const { maxUs, rows, future, missing, late } = this
    const latest = maxUs === -Infinity ? null : BigInt(maxUs)
    return { table, split, maxUs: latest, rows, future, missing, late }
  }
}

/**
 * Adds rows [from, to) of a batch to `scan`.
 *
 * @param column   `timestamp`, `timestamptz`, `date`, or numbers with their unit
 * @param ops      of the batch
 * @param limitUs  the source's clock and `max_future`, on the column's own clock
 * @param unitUs   microseconds that one of the column's values stands for
 * Cost: one pass; allocates one view. Times are exact up to the year 2255, and behind every limit
 * afterwards.
 */
export function scanEventTimes(
  column: Column,
  ops: Uint8Array,
  from: number,
  to: number,
  limitUs: number,
  scan: TimeScan,
  unitUs = column.type.kind === 'date' ? DAY_US : 1,
): void {
  if (column.layout === 'int64') scanWords(column, ops, from, to, limitUs, unitUs, scan)
  else if (column.layout === 'int32') scanShort(column, ops, from, to, limitUs, unitUs, scan)
}

/**
 * @param latestUs  Infinity: any
 * @param unitUs    as of `scanEventTimes`
 * @returns the first of rows [from, to) that has to have a time and has none in
 *          [earliestUs, latestUs]; -1: all have one
 */
export function firstOutside(
  column: Column,
  ops: Uint8Array,
  from: number,
  to: number,
  earliestUs: number,
  latestUs: number,
  unitUs = column.type.kind === 'date' ? DAY_US : 1,
): number {
  if (column.layout !== 'int64' && column.layout !== 'int32') return -1
  const { validity } = column
  const { buffer, byteOffset, length } = column.values
  const words = column.layout === 'int64' ? new Int32Array(buffer, byteOffset, length * 2) : null
  for (let row = from; row < to; row++) {
    if (!tells(column, ops, row)) continue
    if (validity !== null && (validity[row >> 3]! & (1 << (row & 7))) === 0) return row
    const value =
      words === null
        ? Number(column.values[row])
        : words[2 * row + 1]! * WORD + (words[2 * row]! >>> 0)
    const time = value * unitUs
    if (time < earliestUs || time > latestUs) return row
  }
  return -1
}

/** 64-bit values as pairs of words: a BigInt a row would cost more than all the rest. */
function scanWords(
  column: Extract<Column, { layout: 'int64' }>,
  ops: Uint8Array,
  from: number,
  to: number,
  limitUs: number,
  unitUs: number,
  scan: TimeScan,
): void {
  const { values } = column
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2)
  for (let row = from; row < to; row++) {
    if (!counts(column, ops, row, scan)) continue
    const time = (words[2 * row + 1]! * WORD + (words[2 * row]! >>> 0)) * unitUs
    if (time > limitUs) scan.future++
    else if (time > scan.maxUs) scan.maxUs = time
  }
}

function scanShort(
  column: Extract<Column, { layout: 'int32' }>,
  ops: Uint8Array,
  from: number,
  to: number,
  limitUs: number,
  unitUs: number,
  scan: TimeScan,
): void {
  const { values } = column
  for (let row = from; row < to; row++) {
    if (!counts(column, ops, row, scan)) continue
    const time = values[row]! * unitUs
    if (time > limitUs) scan.future++
    else if (time > scan.maxUs) scan.maxUs = time
  }
}

/** An update that left the column out has its time from before: it is no news. */
function tells({ unchanged }: Column, ops: Uint8Array, row: number): boolean {
  const op = ops[row]
  if (op === Op.delete || op === Op.read || op === Op.before) return false
  return unchanged === null || (unchanged[row >> 3]! & (1 << (row & 7))) === 0
}

function counts(column: Column, ops: Uint8Array, row: number, scan: TimeScan): boolean {
  if (!tells(column, ops, row)) return false
  const { validity } = column
  scan.rows++
  if (validity === null || (validity[row >> 3]! & (1 << (row & 7))) !== 0) return true
  scan.missing++
  return false
}
