// Kernels for date, time, timestamp and timestamptz in both wire forms. The session speaks ISO and
// UTC. Infinity and years before Christ have no place in the lake; a timestamp is microseconds in
// 64 bits since 1970, which ends on 294247-01-10, thirty years before PostgreSQL's does.

import type { FixedBuilder } from '../../../runtime/data/column/builder.ts'
import { storeInt64, storeWide } from './number.ts'
import { UnrepresentableValue } from './unrepresentable.ts'

const ZERO = 0x30
const DASH = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const LETTER_C = 0x43
const DAY_SECONDS = 86_400
/** Below this many seconds, microseconds are exact in a double. */
const SECONDS_EXACT = 9_000_000_000
/** The last whole second whose microseconds fit 63 bits. */
const SECONDS_MAX = 9_223_372_036_854
const MICROSECONDS_LAST = 775_807

/** Days from 1970-01-01 to a day of the proleptic Gregorian calendar; year 1 or later. */
export function daysOf(year: number, month: number, day: number): number {
  // Years begin in March here, so that the leap day is the last one.
  // Source: https://howardhinnant.github.io/date_algorithms.html, days_from_civil
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)
  return era * 146_097 + yearOfEra * 365 + leapDays + dayOfYear - 719_468
}

/** Where `readDate` stopped: behind the day. */
let dateEnd = 0

/**
 * The date that was read last: most rows of a log are of its own day. As yyyymmdd, and its days.
 */
let lastDate = 19_700_101
let lastDays = 0

/** Reads YYYY-MM-DD (the year may be longer) and sets `dateEnd`. @returns days since 1970 */
function readDate(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[end - 1] === LETTER_C) throw new UnrepresentableValue(start, 'a year before Christ')
  if (bytes[start]! - ZERO > 9 || bytes[start] === DASH) {
    throw new UnrepresentableValue(start, 'infinity is no point in time')
  }
  let at = start
  let year = 0
  for (; at < end && bytes[at] !== DASH; at++) year = year * 10 + (bytes[at]! - ZERO)
  dateEnd = at + 6
  const month = twoDigits(bytes, at + 1)
  const day = twoDigits(bytes, at + 4)
  const date = year * 10_000 + month * 100 + day
  if (date !== lastDate) {
    lastDate = date
    lastDays = daysOf(year, month, day)
  }
  return lastDays
}

function twoDigits(bytes: Uint8Array, at: number): number {
  return (bytes[at]! - ZERO) * 10 + (bytes[at + 1]! - ZERO)
}

export function putDateText(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  ;(builder.values as Int32Array)[row] = readDate(bytes, start, end)
}

/** Where `readTime` stopped, and the microseconds behind the whole second. */
let timeEnd = 0
let microseconds = 0

/** Reads HH:MM:SS[.ffffff]. @returns seconds; the rest is in `microseconds` */
function readTime(bytes: Uint8Array, start: number, end: number): number {
  const seconds =
    twoDigits(bytes, start) * 3600 + twoDigits(bytes, start + 3) * 60 + twoDigits(bytes, start + 6)
  let at = start + 8
  microseconds = 0
  if (at < end && bytes[at] === POINT) {
    let unit = 100_000
    for (at++; at < end; at++, unit /= 10) {
      const digit = bytes[at]! - ZERO
      // Stops at the zone's sign, which is below 0 here.
      if (digit < 0) break
      microseconds += digit * unit
    }
  }
  timeEnd = at
  return seconds
}

export function putTimeText(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const seconds = readTime(bytes, start, end)
  if (seconds >= DAY_SECONDS) throw new UnrepresentableValue(start, '24:00:00 is not in the day')
  storeInt64(builder.pairs, row, seconds * 1e6 + microseconds)
}

export function putTimestampText(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const days = readDate(bytes, start, end)
  const seconds = days * DAY_SECONDS + readTime(bytes, dateEnd + 1, end)
  storeInstant(builder.pairs, row, seconds, start)
}

export function putTimestamptzText(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const days = readDate(bytes, start, end)
  const local = days * DAY_SECONDS + readTime(bytes, dateEnd + 1, end)
  storeInstant(builder.pairs, row, local - zoneSeconds(bytes, timeEnd, end), start)
}

/** Reads +HH[:MM[:SS]]; the session is in UTC, so this is +00 unless a proxy changed it. */
function zoneSeconds(bytes: Uint8Array, start: number, end: number): number {
  let seconds = twoDigits(bytes, start + 1) * 3600
  if (end > start + 3) seconds += twoDigits(bytes, start + 4) * 60
  if (end > start + 6) seconds += twoDigits(bytes, start + 7)
  return bytes[start] === PLUS ? seconds : -seconds
}

/** Stores seconds and `microseconds` as microseconds since 1970. */
function storeInstant(pairs: Int32Array, row: number, seconds: number, at: number): void {
  if (seconds < SECONDS_EXACT && seconds > -SECONDS_EXACT) {
    storeInt64(pairs, row, seconds * 1e6 + microseconds)
    return
  }
  if (seconds > SECONDS_MAX || (seconds === SECONDS_MAX && microseconds > MICROSECONDS_LAST)) {
    throw new UnrepresentableValue(at, 'a time after 294247-01-10 has no 64-bit microseconds')
  }
  const negative = seconds < 0
  // -(s - f) seconds: the fraction counts upwards also before 1970.
  const borrow = negative && microseconds > 0
  const whole = negative ? -seconds - (borrow ? 1 : 0) : seconds
  const rest = borrow ? 1e6 - microseconds : microseconds
  const thousands = Math.floor(whole / 1000)
  storeWide(pairs, row, thousands, (whole - thousands * 1000) * 1e6 + rest, negative)
}

// The binary forms count from 2000-01-01; the largest and smallest values mean infinity.
// Source: src/include/datatype/timestamp.h, src/include/utils/date.h (PostgreSQL 18).
export const DAYS_TO_2000 = 10_957
export const DAYS_YEAR_1 = -719_162
export const INT32_MAX = 0x7fff_ffff
const INT32_MIN = -0x8000_0000
const TWO_32 = 0x1_0000_0000
const US_TO_2000 = DAYS_TO_2000 * DAY_SECONDS * 1e6
export const US_TO_2000_HIGH = Math.floor(US_TO_2000 / TWO_32)
export const US_TO_2000_LOW = US_TO_2000 % TWO_32
/** 0001-01-01 in seconds and then microseconds since 1970: a multiple of 2^12, exact as double. */
const US_YEAR_1 = DAYS_YEAR_1 * DAY_SECONDS * 1e6
export const US_YEAR_1_HIGH = Math.floor(US_YEAR_1 / TWO_32)
const US_YEAR_1_LOW = US_YEAR_1 - US_YEAR_1_HIGH * TWO_32

function int32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

export function putDateBinary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  const days = int32At(bytes, start)
  if (days === INT32_MAX || days === INT32_MIN) {
    throw new UnrepresentableValue(start, 'infinity is no point in time')
  }
  if (days + DAYS_TO_2000 < DAYS_YEAR_1) {
    throw new UnrepresentableValue(start, 'a year before Christ')
  }
  ;(builder.values as Int32Array)[row] = days + DAYS_TO_2000
}

export function putTimeBinary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  const value = int32At(bytes, start) * TWO_32 + (int32At(bytes, start + 4) >>> 0)
  if (value >= DAY_SECONDS * 1e6) {
    throw new UnrepresentableValue(start, '24:00:00 is not in the day')
  }
  storeInt64(builder.pairs, row, value)
}

export function putTimestampBinary(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
): void {
  const upper = int32At(bytes, start)
  const lower = int32At(bytes, start + 4) >>> 0
  if ((upper === INT32_MAX && lower === 0xffff_ffff) || (upper === INT32_MIN && lower === 0)) {
    throw new UnrepresentableValue(start, 'infinity is no point in time')
  }
  const sum = lower + US_TO_2000_LOW
  const low = sum >= TWO_32 ? sum - TWO_32 : sum
  const high = upper + US_TO_2000_HIGH + (sum >= TWO_32 ? 1 : 0)
  if (high > INT32_MAX) {
    throw new UnrepresentableValue(start, 'a time after 294247-01-10 has no 64-bit microseconds')
  }
  if (high < US_YEAR_1_HIGH || (high === US_YEAR_1_HIGH && low < US_YEAR_1_LOW)) {
    throw new UnrepresentableValue(start, 'a year before Christ')
  }
  const at = row << 1
  builder.pairs[at] = low
  builder.pairs[at + 1] = high
}
