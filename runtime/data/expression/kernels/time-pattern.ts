// Patterns of dates and times, in the letters of LDML (Unicode TR 35): yyyy-MM-dd'T'HH:mm:ss. Names
// are English, since no result depends on a locale. Reading is strict: a text has exactly what its
// pattern has.

import { daysFromCivil, daysInMonth, isoDayOfWeek, isoYearStart } from '../calendar.ts'
import { setCivil, type CivilDate } from '../calendar.ts'
import { formatOffset, moment } from './time-text.ts'

const MONTHS =
  'January February March April May June July August September October November December'.split(' ')
const DAYS = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split(' ')
const SHORT = 3

/** One run of a letter, or a text as it is (`letter` is empty then). */
export interface PatternPart {
  readonly letter: string
  readonly count: number
  readonly text: string
}

/** How often a letter can stand; those of the second list are only written, never read. */
const WIDTHS: Readonly<Record<string, number>> = {
  y: 4,
  M: 4,
  d: 2,
  H: 2,
  h: 2,
  m: 2,
  s: 2,
  S: 6,
  a: 1,
  X: 3,
  x: 3,
}
const WRITTEN_ONLY: Readonly<Record<string, number>> = { Y: 4, w: 2, D: 3, E: 4, Q: 1 }

/** @returns the parts of a pattern; a text says what is wrong with it */
export function readPattern(pattern: string, reads: boolean): readonly PatternPart[] | string {
  const parts: PatternPart[] = []
  const literal = (text: string): void => {
    parts.push({ letter: '', count: 0, text })
  }
  for (const [run, quoted] of pattern.matchAll(/'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'/g)) {
    if (quoted !== undefined) literal(quoted === '' ? "'" : quoted.replaceAll("''", "'"))
    else if (run === "'") return 'a quote has no end'
    else if (!/^[A-Za-z]/.test(run)) literal(run)
    else {
      const letter = run.charAt(0)
      const most = WIDTHS[letter] ?? (reads ? undefined : WRITTEN_ONLY[letter])
      if (most === undefined) return `"${letter}" is no letter of a pattern here`
      if (run.length > most) return `"${run}" is too long`
      if (reads && run === 'yy') return '"yy" does not say which century'
      parts.push({ letter, count: run.length, text: '' })
    }
  }
  const has = (letter: string): boolean => parts.some((part) => part.letter === letter)
  if (reads && !has('y')) return 'it has no year (yyyy)'
  if (reads && has('h') !== has('a')) return '"h" and "a" go together; 24 hours are "H"'
  return parts
}

const civil: CivilDate = { year: 0, month: 0, day: 0 }

/** @param offset  seconds east of UTC of the local moment @returns the text of a pattern */
export function formatPattern(
  parts: readonly PatternPart[],
  days: number,
  us: number,
  offset: number,
): string {
  setCivil(civil, days)
  let text = ''
  for (const part of parts) {
    text += part.letter === '' ? part.text : field(part, days, us, offset)
  }
  return text
}

// tidy: table
function field({ letter, count }: PatternPart, days: number, us: number, offset: number): string {
  const seconds = Math.floor(us / 1e6)
  const hour = Math.floor(seconds / 3600)
  switch (letter) {
    case 'y':
      return yearText(civil.year, count)
    case 'Y':
      return yearText(isoYear(days), count)
    case 'M':
      if (count >= SHORT) return named(MONTHS, civil.month, count)
      return padded(civil.month, count)
    case 'E':
      return named(DAYS, isoDayOfWeek(days), count)
    case 'Q':
      return padded(Math.ceil(civil.month / 3), count)
    case 'w':
      return padded(Math.floor((days - isoYearStart(isoYear(days))) / 7) + 1, count)
    case 'D':
      return padded(days - daysFromCivil(civil.year, 1, 1) + 1, count)
    case 'd':
      return padded(civil.day, count)
    case 'H':
      return padded(hour, count)
    case 'h':
      return padded(hour % 12 === 0 ? 12 : hour % 12, count)
    case 'a':
      return hour < 12 ? 'AM' : 'PM'
    case 'm':
      return padded(Math.floor(seconds / 60) % 60, count)
    case 's':
      return padded(seconds % 60, count)
    case 'S':
      return String(us % 1e6)
        .padStart(6, '0')
        .slice(0, count)
    default:
      return offsetText(letter, count, offset)
  }
}

function isoYear(days: number): number {
  if (days >= isoYearStart(civil.year + 1)) return civil.year + 1
  return days < isoYearStart(civil.year) ? civil.year - 1 : civil.year
}

function yearText(year: number, count: number): string {
  const sign = year < 0 ? '-' : ''
  const text = String(Math.abs(year))
  return count === 2 ? text.padStart(2, '0').slice(-2) : sign + text.padStart(count, '0')
}

function named(names: readonly string[], number: number, count: number): string {
  const name = names[number - 1] ?? ''
  return count === 4 ? name : name.slice(0, SHORT)
}

function padded(value: number, count: number): string {
  return String(value).padStart(count, '0')
}

/** `X` has Z for UTC, `x` has not; one is hours, two hours and minutes, three with a colon. */
function offsetText(letter: string, count: number, offset: number): string {
  if (letter === 'X' && offset === 0) return 'Z'
  const text = formatOffset(offset)
  const full = text.length === 3 ? `${text}:00` : text
  if (count === 3) return full
  if (count === 2) return full.replaceAll(':', '')
  return text.length === 3 ? text : full.replaceAll(':', '')
}

// Reading

const encoder = new TextEncoder()
let bytes: Uint8Array = new Uint8Array(0)
let at = 0
let end = 0

/** A pattern made ready for reading. */
export interface PatternReader {
  readonly parts: readonly (PatternPart & {
    readonly bytes: Uint8Array
    /** Digits of the part, least and most: exact where more digits follow. */
    readonly least: number
    readonly most: number
  })[]
}

const NUMBERS = 'yMdHhmsS'

export function patternReader(parts: readonly PatternPart[]): PatternReader {
  const isNumber = ({ letter, count }: PatternPart): boolean =>
    letter !== '' && NUMBERS.includes(letter) && !(letter === 'M' && count >= SHORT)
  return {
    parts: parts.map((part, index) => {
      const { letter, count } = part
      const next = parts[index + 1]
      const exact = (next !== undefined && isNumber(next)) || letter === 'S' || count === 2
      const most = exact ? count : letter === 'y' ? 6 : 2
      return { ...part, bytes: encoder.encode(part.text), least: count, most }
    }),
  }
}

/** Of the text that is being read; what a pattern leaves out stays as it is here. */
const read = { year: 0, month: 1, day: 1, hour: 0, half: -1, minute: 0, second: 0, us: 0 }

/** @returns false where the text is not of the pattern, or no such time exists; fills `moment` */
export function readByPattern(
  { parts }: PatternReader,
  source: Uint8Array,
  start: number,
  stop: number,
): boolean {
  bytes = source
  at = start
  end = stop
  read.month = 1
  read.day = 1
  read.half = -1
  read.hour = read.minute = read.second = read.us = 0
  moment.offset = Number.NaN
  for (const part of parts) if (!readPart(part)) return false
  if (at !== end) return false
  const { year, month, day, half, minute, second } = read
  if (half >= 0 && (read.hour < 1 || read.hour > 12)) return false
  const hour = half < 0 ? read.hour : (read.hour % 12) + 12 * half
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return false
  if (hour > 23 || minute > 59 || second > 59) return false
  moment.days = daysFromCivil(year, month, day)
  moment.us = ((hour * 60 + minute) * 60 + second) * 1e6 + read.us
  return true
}

type ReadyPart = PatternReader['parts'][number]

// tidy: table
function readPart(part: ReadyPart): boolean {
  const { letter, count } = part
  switch (letter) {
    case '':
      return readText(part.bytes)
    case 'y':
      return (read.year = digits(part)) >= 0
    case 'M':
      if (count >= SHORT) return (read.month = readName(MONTHS, count) + 1) > 0
      return (read.month = digits(part)) >= 0
    case 'd':
      return (read.day = digits(part)) >= 0
    case 'H':
    case 'h':
      return (read.hour = digits(part)) >= 0
    case 'm':
      return (read.minute = digits(part)) >= 0
    case 's':
      return (read.second = digits(part)) >= 0
    case 'S':
      return (read.us = digits(part) * 10 ** (6 - count)) >= 0
    case 'a':
      return (read.half = readName(['AM', 'PM'], 4)) >= 0
    default:
      return readOffset(letter, count)
  }
}

function readText(text: Uint8Array): boolean {
  if (at + text.length > end) return false
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text[index]) return false
  }
  at += text.length
  return true
}

/** @returns -1 where there are too few */
function digits({ least, most }: ReadyPart): number {
  let value = 0
  let count = 0
  for (; at < end && count < most; at++, count++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  return count < least ? -1 : value
}

/** @returns the number of the name that stands here, in any case; -1 for none */
function readName(names: readonly string[], count: number): number {
  return names.findIndex((name) => {
    const length = count === SHORT ? SHORT : name.length
    if (at + length > end) return false
    for (let index = 0; index < length; index++) {
      if ((bytes[at + index]! | 0x20) !== (name.charCodeAt(index) | 0x20)) return false
    }
    at += length
    return true
  })
}

function readOffset(letter: string, count: number): boolean {
  moment.offset = 0
  if (letter === 'X' && bytes[at] === 0x5a && at < end) {
    at++
    return true
  }
  const sign = at < end ? bytes[at++] : 0
  if (sign !== 0x2b && sign !== 0x2d) return false
  const hours = digits(TWO_DIGITS)
  const minutes = hours < 0 ? -1 : nextOfOffset(count === 1, count === 3)
  const seconds = minutes < 0 ? -1 : nextOfOffset(true, count === 3)
  if (hours > 23 || minutes > 59 || seconds < 0 || seconds > 59) return false
  moment.offset = (hours * 3600 + minutes * 60 + seconds) * (sign === 0x2d ? -1 : 1)
  return true
}

const TWO_DIGITS = { letter: '', count: 2, text: '', bytes, least: 2, most: 2 }

/** Local mean times have seconds. @returns -1 where two digits are missing; 0 if none are needed */
function nextOfOffset(optional: boolean, colon: boolean): number {
  const first = colon ? bytes[at + 1] : bytes[at]
  const isMarked = !colon || bytes[at] === 0x3a
  const isThere = at < end && isMarked && first !== undefined && first >= 0x30 && first <= 0x39
  if (!isThere) return optional ? 0 : -1
  if (colon) at++
  return digits(TWO_DIGITS)
}
