// The latest event time of a range of rows: what a split's watermark follows. A time beyond a limit
// does not count, or one producer with a wrong clock would make the rows of all others late.

import type { Column } from './column/column.ts'
import { Op } from './batch.ts'

/** Columns of other types carry no event time. */
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
}

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

  reset(): void {
    this.maxUs = -Infinity
    this.rows = 0
    this.future = 0
    this.missing = 0
  }

  timesOf(table: string, split: string): EventTimes {
    const { maxUs, rows, future, missing } = this
    const latest = maxUs === -Infinity ? null : BigInt(maxUs)
    return { table, split, maxUs: latest, rows, future, missing }
  }
}

/**
 * Adds rows [from, to) of a batch to `scan`.
 *
 * @param column   `timestamp`, `timestamptz` or `date`
 * @param ops      of the batch
 * @param limitUs  the source's clock and `max_future`, on the column's own clock
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
): void {
  if (column.layout === 'int64') scanWords(column, ops, from, to, limitUs, scan)
  else if (column.layout === 'int32') scanDays(column, ops, from, to, limitUs, scan)
}

/** 64-bit values as pairs of words: a BigInt a row would cost more than all the rest. */
function scanWords(
  column: Extract<Column, { layout: 'int64' }>,
  ops: Uint8Array,
  from: number,
  to: number,
  limitUs: number,
  scan: TimeScan,
): void {
  const { values } = column
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2)
  for (let row = from; row < to; row++) {
    if (!counts(column, ops, row, scan)) continue
    const time = words[2 * row + 1]! * WORD + (words[2 * row]! >>> 0)
    if (time > limitUs) scan.future++
    else if (time > scan.maxUs) scan.maxUs = time
  }
}

function scanDays(
  column: Extract<Column, { layout: 'int32' }>,
  ops: Uint8Array,
  from: number,
  to: number,
  limitUs: number,
  scan: TimeScan,
): void {
  const { values } = column
  for (let row = from; row < to; row++) {
    if (!counts(column, ops, row, scan)) continue
    const time = values[row]! * DAY_US
    if (time > limitUs) scan.future++
    else if (time > scan.maxUs) scan.maxUs = time
  }
}

/** An update that left the column out has its time from before: it is no news. */
function counts(column: Column, ops: Uint8Array, row: number, scan: TimeScan): boolean {
  const op = ops[row]
  if (op === Op.delete || op === Op.read) return false
  const { validity, unchanged } = column
  if (unchanged !== null && (unchanged[row >> 3]! & (1 << (row & 7))) !== 0) return false
  scan.rows++
  if (validity === null || (validity[row >> 3]! & (1 << (row & 7))) !== 0) return true
  scan.missing++
  return false
}
