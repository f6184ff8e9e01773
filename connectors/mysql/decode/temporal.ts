// Dates and times of row images as days and microseconds. Zero dates, dates with a zero part, days
// that their month does not have, and the year 0 have no place in the lake: they are refused here,
// for the log and for backfill alike.

const YEAR_MAX = 9999

/** First days and lengths of months by `year << 4 | month`; length 0: no such month. */
export interface Calendar {
  /** Days from 1970-01-01 to the day before the first of the month. */
  readonly dayBefore: Int32Array
  /** 28...31, or 0. */
  readonly length: Uint8Array
}

let calendar: Calendar | null = null

/** @returns one table for the process, 800 KB, made at the first call */
export function calendarTable(): Calendar {
  calendar ??= makeCalendar()
  return calendar
}

function makeCalendar(): Calendar {
  const entries = (YEAR_MAX + 1) << 4
  const dayBefore = new Int32Array(entries)
  const length = new Uint8Array(entries)
  // 0001-01-01 is day -719162.
  let day = -719_163
  for (let year = 1; year <= YEAR_MAX; year++) {
    const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
    for (let month = 1; month <= 12; month++) {
      const days = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
      const at = (year << 4) | month
      dayBefore[at] = day
      length[at] = days
      day += days
    }
  }
  return { dayBefore, length }
}

/** What `daysOf` gives for a date that does not exist. */
export const NO_DAY = -0x8000_0000

/** @returns days since 1970-01-01, or NO_DAY for zero, partial and impossible dates */
export function daysOf(year: number, month: number, day: number): number {
  const { dayBefore, length } = calendarTable()
  const at = (year << 4) | month
  if (month > 12 || day < 1 || day > (length[at] ?? 0)) return NO_DAY
  return dayBefore[at]! + day
}

/**
 * Writes seconds and microseconds as one little-endian 64-bit number of microseconds: pairs[at] is
 * the lower word. Exact over the whole range of DATETIME, most of which a double cannot hold.
 *
 * @param seconds  whole, any sign
 * @param micros   0...999999
 */
export function writeMicros(pairs: Int32Array, at: number, seconds: number, micros: number): void {
  // (high * 2^16 + low) * 10^6 + micros, each product below 2^53.
  const high = Math.floor(seconds / 65536)
  const low = (seconds - high * 65536) * 1_000_000 + micros
  const carry = Math.floor(low / 65536)
  const upper = high * 1_000_000 + carry
  const upperHigh = Math.floor(upper / 65536)
  pairs[at] = ((upper - upperHigh * 65536) << 16) | (low - carry * 65536)
  pairs[at + 1] = upperHigh
}
