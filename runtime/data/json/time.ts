// Kernels for dates and times as ISO 8601 text. What the column cannot hold exactly is refused: a
// zone that would be dropped or guessed, digits below the microsecond, a day that its month does
// not have. Numbers are another form: putInt64 and putInt32 read them.

import type { FixedBuilder } from '../column/builder.ts'
import { refuse } from './fault.ts'
import { QUOTE, ZERO } from './grammar.ts'
import { storeInt64 } from './number.ts'
import { openText, text } from './text.ts'

const DASH = 0x2d
const PLUS = 0x2b
const COLON = 0x3a
const POINT = 0x2e
const SPACE = 0x20
const LETTER_T = 0x54
const LETTER_Z = 0x5a
const DAY_SECONDS = 86_400
/** Up to this many, microseconds are exact in a double. */
const EXACT_SECONDS = 9_000_000_000

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Where the functions below stopped reading, and what they read besides what they return. */
let next = 0
let seconds = 0
let micros = 0

const NO = -0x8000_0000

/** Two digits at text[next]; NO when they are none. */
function twoDigits(): number {
  const { bytes, end } = text
  const tens = bytes[next]! - ZERO
  const ones = bytes[next + 1]! - ZERO
  if (next + 2 > end || !(tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9)) return NO
  next += 2
  return tens * 10 + ones
}

function takes(byte: number): boolean {
  if (next >= text.end || text.bytes[next] !== byte) return false
  next++
  return true
}

/** YYYY-MM-DD. @returns days since 1970; NO when it is none */
function readDate(): number {
  const century = twoDigits()
  const rest = twoDigits()
  if (century < 0 || rest < 0 || !takes(DASH)) return NO
  const year = century * 100 + rest
  const month = twoDigits()
  if (!takes(DASH)) return NO
  const day = twoDigits()
  if (month < 1 || month > 12 || day < 1 || year < 1) return NO
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (day > MONTH_DAYS[month - 1]! + (leap && month === 2 ? 1 : 0)) return NO
  return daysOf(year, month, day)
}

/**
 * Days from 1970-01-01. Years begin in March, so that the leap day is the last one.
 * Source: https://howardhinnant.github.io/date_algorithms.html, days_from_civil
 */
function daysOf(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const century = Math.floor(shifted / 100)
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const leapDays = (shifted >> 2) - century + (century >> 2)
  return shifted * 365 + leapDays + dayOfYear - 719_468
}

/** HH:MM[:SS[.fraction]] into `seconds` and `micros`. @returns why it is none, or null */
function readClock(): string | null {
  const hour = twoDigits()
  if (!takes(COLON)) return NO_TIME
  const minute = twoDigits()
  let second = 0
  micros = 0
  if (takes(COLON)) {
    second = twoDigits()
    if (takes(POINT) && !readFraction()) return 'it has digits below the microsecond'
  }
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
    return NO_TIME
  }
  seconds = hour * 3600 + minute * 60 + second
  return null
}

const NO_TIME = 'it is no time of day'

/** Digits behind the point; more than six must be zeros. */
function readFraction(): boolean {
  let unit = 100_000
  const from = next
  for (; next < text.end; next++) {
    const digit = text.bytes[next]! - ZERO
    if (digit < 0 || digit > 9) break
    if (unit < 1 && digit > 0) return false
    if (unit >= 1) micros += digit * unit
    unit /= 10
  }
  return next > from
}

/** Z, +HH, +HHMM or +HH:MM. @returns seconds east of Greenwich; NO when it is none */
function readZone(): number {
  if (takes(LETTER_Z) || takes(LETTER_Z + 0x20)) return 0
  const sign = takes(PLUS) ? 1 : takes(DASH) ? -1 : 0
  const hours = sign === 0 ? NO : twoDigits()
  if (hours < 0 || hours > 23) return NO
  if (next === text.end) return sign * hours * 3600
  takes(COLON)
  const minutes = twoDigits()
  if (minutes < 0 || minutes > 59) return NO
  return sign * (hours * 3600 + minutes * 60)
}

function open(bytes: Uint8Array, start: number, end: number, number: string): boolean {
  if (bytes[start] !== QUOTE) return refuse(start, number)
  if (!openText(bytes, start, end)) return false
  next = text.start
  return true
}

const NUMBER = 'it is not text; a number needs its `unit`'

export function putDate(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!open(bytes, start, end, NUMBER)) return false
  const days = readDate()
  if (days === NO || next !== text.end) return refuse(start, 'it is no date as 2026-01-31')
  ;(builder.values as Int32Array)[row] = days
  return true
}

export function putTime(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!open(bytes, start, end, NUMBER)) return false
  const reason = readClock()
  if (reason !== null || next !== text.end) return refuse(start, reason ?? NO_TIME)
  storeInt64(builder.pairs, row, seconds * 1e6 + micros)
  return true
}

/** Date and time in `seconds` and `micros`, up to the zone. */
function readInstant(start: number): boolean {
  const days = readDate()
  const divided = takes(LETTER_T) || takes(LETTER_T + 0x20) || takes(SPACE)
  if (days === NO || !divided) return refuse(start, NO_INSTANT)
  const reason = readClock()
  if (reason !== null) return refuse(start, reason)
  seconds += days * DAY_SECONDS
  return true
}

const NO_INSTANT = 'it is no time as 2026-01-31T12:00:00'

export function putTimestamp(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!open(bytes, start, end, NUMBER) || !readInstant(start)) return false
  if (next !== text.end) {
    const zoned = readZone() !== NO && next === text.end
    return refuse(start, zoned ? 'it has a zone: declare the column as timestamptz' : NO_INSTANT)
  }
  storeMicros(builder.pairs, row)
  return true
}

export function putTimestamptz(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!open(bytes, start, end, NUMBER) || !readInstant(start)) return false
  if (next === text.end) return refuse(start, 'it has no zone: declare the column as timestamp')
  takes(SPACE)
  const zone = readZone()
  if (zone === NO || next !== text.end) return refuse(start, NO_INSTANT)
  seconds -= zone
  storeMicros(builder.pairs, row)
  return true
}

/** Years 1 to 9999, most of whose microseconds a double does not hold. */
function storeMicros(pairs: Int32Array, row: number): void {
  if (seconds < EXACT_SECONDS && seconds > -EXACT_SECONDS) {
    storeInt64(pairs, row, seconds * 1e6 + micros)
    return
  }
  // (high * 2^16 + low) * 10^6 + micros, each product below 2^53.
  const high = Math.floor(seconds / 65_536)
  const low = (seconds - high * 65_536) * 1e6 + micros
  const upper = high * 1e6 + Math.floor(low / 65_536)
  const upperHigh = Math.floor(upper / 65_536)
  const at = row << 1
  pairs[at] = ((upper - upperHigh * 65_536) << 16) | (low - Math.floor(low / 65_536) * 65_536)
  pairs[at + 1] = upperHigh
}

/** [-]H...H:MM:SS[.fraction] of any size as microseconds: MySQL's TIME. */
export function putDuration(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (!open(bytes, start, end, 'it is no time as 12:00:00')) return false
  const negative = takes(DASH)
  const colon = text.bytes.indexOf(COLON, next)
  const hundreds = colon - next === 3 ? text.bytes[next++]! - ZERO : 0
  if (!(hundreds >= 0 && hundreds <= 8)) return refuse(start, NO_TIME)
  const hours = twoDigits()
  if (hours < 0 || !takes(COLON)) return refuse(start, NO_TIME)
  const minutes = twoDigits()
  if (!takes(COLON)) return refuse(start, NO_TIME)
  const whole = twoDigits()
  micros = 0
  if (minutes < 0 || minutes > 59 || whole < 0 || whole > 59) return refuse(start, NO_TIME)
  if (takes(POINT) && !readFraction()) return refuse(start, 'it has digits below the microsecond')
  if (next !== text.end) return refuse(start, NO_TIME)
  const total = ((hundreds * 100 + hours) * 3600 + minutes * 60 + whole) * 1e6 + micros
  storeInt64(builder.pairs, row, negative ? -total : total)
  return true
}
