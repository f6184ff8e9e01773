// Dates and times as texts: ISO 8601 with a `T` or a space, years of four to six digits. Digits of a
// second beyond microseconds are cut off. Readers fill `moment` and never allocate.

import { daysInMonth, daysFromCivil, setCivil, type CivilDate } from '../calendar.ts'

/** What was read last: valid after a reader said true. */
export const moment = {
  days: 0,
  /** Of the day. */
  us: 0,
  /** Seconds east of UTC; NaN: the text has none. */
  offset: 0,
}

const ZERO = 0x30
const MINUS = 0x2d
const PLUS = 0x2b
const COLON = 0x3a
const POINT = 0x2e
const SPACE = 0x20
const LETTER_T = 0x54
const LETTER_Z = 0x5a

let text: Uint8Array = new Uint8Array(0)
let at = 0
let limit = 0

/** Begins with the white space cut off at both ends. */
function begin(bytes: Uint8Array, start: number, end: number): void {
  text = bytes
  at = start
  limit = end
  while (at < limit && isSpace(text[at]!)) at++
  while (limit > at && isSpace(text[limit - 1]!)) limit--
}

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 9 && byte <= 13)
}

/** @returns the number of `least` to `most` digits; -1 when there are fewer */
function digits(least: number, most: number): number {
  let value = 0
  let count = 0
  while (at < limit && count < most) {
    const digit = text[at]! - ZERO
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
    at++
    count++
  }
  return count < least ? -1 : value
}

function skip(byte: number): boolean {
  if (at >= limit || text[at] !== byte) return false
  at++
  return true
}

function date(): boolean {
  const negative = skip(MINUS)
  const year = digits(4, 6)
  if (year < 0 || !skip(MINUS)) return false
  const month = digits(1, 2)
  if (month < 1 || month > 12 || !skip(MINUS)) return false
  const day = digits(1, 2)
  const signed = negative ? -year : year
  if (day < 1 || day > daysInMonth(signed, month)) return false
  moment.days = daysFromCivil(signed, month, day)
  return true
}

function time(): boolean {
  const hour = digits(1, 2)
  if (hour < 0 || hour > 23 || !skip(COLON)) return false
  const minute = digits(2, 2)
  if (minute < 0 || minute > 59) return false
  let us = (hour * 60 + minute) * 60_000_000
  if (skip(COLON)) {
    const second = digits(2, 2)
    if (second < 0 || second > 59) return false
    us += second * 1_000_000
    if (skip(POINT)) {
      const start = at
      const fraction = digits(1, 6)
      if (fraction < 0) return false
      us += fraction * 10 ** (6 - (at - start))
      while (at < limit && text[at]! >= ZERO && text[at]! <= ZERO + 9) at++
    }
  }
  moment.us = us
  return true
}

/** `Z`, `+02`, `+0200`, `+02:00`, `+02:00:30`, after a space if need be. */
function offset(): boolean {
  while (skip(SPACE));
  moment.offset = Number.NaN
  if (at >= limit) return true
  moment.offset = 0
  if (skip(LETTER_Z) || skip(LETTER_Z + 0x20)) return true
  const negative = skip(MINUS)
  if (!negative && !skip(PLUS)) return false
  const hours = digits(2, 2)
  if (hours < 0 || hours > 23) return false
  let seconds = hours * 3600
  for (const unit of [60, 1]) {
    const marked = skip(COLON)
    if (!marked && at >= limit) break
    const value = digits(2, 2)
    if (value < 0 || value > 59) return false
    seconds += value * unit
  }
  moment.offset = negative ? -seconds : seconds
  return true
}

export function readDate(bytes: Uint8Array, start: number, end: number): boolean {
  begin(bytes, start, end)
  return date() && at === limit
}

export function readTime(bytes: Uint8Array, start: number, end: number): boolean {
  begin(bytes, start, end)
  moment.days = 0
  return time() && at === limit
}

/** Also takes a date alone, which is its midnight. */
export function readTimestamp(bytes: Uint8Array, start: number, end: number): boolean {
  begin(bytes, start, end)
  if (!date()) return false
  moment.us = 0
  moment.offset = Number.NaN
  if (at === limit) return true
  if (!skip(SPACE) && !skip(LETTER_T) && !skip(LETTER_T + 0x20)) return false
  return time() && offset() && at === limit
}

const civil: CivilDate = { year: 0, month: 0, day: 0 }

export function formatDate(days: number): string {
  setCivil(civil, days)
  const { year, month, day } = civil
  const sign = year < 0 ? '-' : ''
  return `${sign}${String(Math.abs(year)).padStart(4, '0')}-${two(month)}-${two(day)}`
}

export function formatTime(us: number): string {
  const seconds = Math.floor(us / 1_000_000)
  const fraction = us - seconds * 1_000_000
  const minutes = Math.floor(seconds / 60)
  const hms = `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(seconds % 60)}`
  if (fraction === 0) return hms
  return `${hms}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
}

/** @param us  microseconds since 1970 on the clock to be shown */
export function formatTimestamp(days: number, us: number): string {
  return `${formatDate(days)} ${formatTime(us)}`
}

/** `+00`, `+05:30`, as PostgreSQL prints it. */
export function formatOffset(seconds: number): string {
  const sign = seconds < 0 ? '-' : '+'
  const rest = Math.abs(seconds)
  const minutes = Math.floor(rest / 60) % 60
  const tail = rest % 60 === 0 ? '' : `:${two(rest % 60)}`
  const middle = minutes === 0 && tail === '' ? '' : `:${two(minutes)}`
  return `${sign}${two(Math.floor(rest / 3600))}${middle}${tail}`
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}
