// Functions of dates and times. A zone is an argument, else that of the pipeline; a timestamp
// without a zone has none to be converted from, so there it is refused.

import type { FixedBuilder } from '../../column/builder.ts'
import { isoDayOfWeek, isoYearStart, setCivil, daysFromCivil, type CivilDate } from '../calendar.ts'
import { SECONDS_PER_DAY, US_PER_DAY } from '../calendar.ts'
import { LONG, TIMESTAMP, TIMESTAMPTZ } from '../expression-type.ts'
import { zoneNamed, type Zone } from '../zone.ts'
import {
  Refusal,
  textConstant,
  type Binding,
  type FunctionSpec,
  type Kernel,
  type KernelCall,
} from './function.ts'
import { int32Argument, putLong, wordsArgument } from './rows.ts'

/** Days and microseconds of the day of one row, of any date that 64 bits hold. */
export interface Moment {
  days: number
  us: number
}

const US_PER_DAY_BIG = BigInt(US_PER_DAY)

/** Fills `moment` from microseconds since 1970 at `row`, exactly. */
export function setMoment(moment: Moment, words: Int32Array, row: number): void {
  const high = words[2 * row + 1]!
  const low = words[2 * row]! >>> 0
  if (high >= -0x20_0000 && high < 0x20_0000) {
    const us = high * 0x1_0000_0000 + low
    moment.days = Math.floor(us / US_PER_DAY)
    moment.us = us - moment.days * US_PER_DAY
    return
  }
  const us = (BigInt(high) << 32n) | BigInt(low)
  const rest = ((us % US_PER_DAY_BIG) + US_PER_DAY_BIG) % US_PER_DAY_BIG
  moment.days = Number((us - rest) / US_PER_DAY_BIG)
  moment.us = Number(rest)
}

/** Moves `moment` from UTC to local clocks of `zone`. */
export function toLocal(moment: Moment, zone: Zone): void {
  if (zone.isUtc) return
  const seconds = moment.days * SECONDS_PER_DAY + Math.floor(moment.us / 1e6)
  addSeconds(moment, zone.offsetAt(seconds))
}

/** Moves `moment` from local clocks of `zone` to UTC. */
export function toUtc(moment: Moment, zone: Zone): void {
  if (zone.isUtc) return
  const local = moment.days * SECONDS_PER_DAY + Math.floor(moment.us / 1e6)
  addSeconds(moment, zone.toUtc(local) - local)
}

function addSeconds(moment: Moment, seconds: number): void {
  const us = moment.us + seconds * 1e6
  const days = Math.floor(us / US_PER_DAY)
  moment.days += days
  moment.us = us - days * US_PER_DAY
}

/** @returns false when the moment lies beyond 64 bits */
export function putMoment(words: Int32Array, row: number, moment: Moment): boolean {
  const us = moment.days * US_PER_DAY + moment.us
  if (Math.abs(us) < Number.MAX_SAFE_INTEGER) {
    putLong(words, row, us)
    return true
  }
  const exact = BigInt(moment.days) * US_PER_DAY_BIG + BigInt(moment.us)
  if (exact !== BigInt.asIntN(64, exact)) return false
  words[2 * row] = Number(BigInt.asIntN(32, exact))
  words[2 * row + 1] = Number(exact >> 32n)
  return true
}

/** @throws Refusal */
export function zoneArgument(binding: Binding, index: number): Zone {
  const name = textConstant(binding, index) ?? binding.zone
  const zone = zoneNamed(name)
  if (zone !== null) return zone
  const hint = 'Write a name of the IANA database, as Europe/Berlin, or an offset, as +02:00.'
  throw new Refusal(index, `there is no time zone "${name}"`, hint)
}

/** Fills the two from one row. */
type ReadMoment = (moment: Moment, row: number) => void

/** @returns how rows of a date, timestamp or timestamptz argument are read as local moments */
export function momentReader(call: KernelCall, index: number, zone: Zone): ReadMoment {
  const type = call.args[index]?.type.kind
  if (type === 'date') {
    const days = int32Argument(call, index)
    return (moment, row) => {
      moment.days = days[row]!
      moment.us = 0
    }
  }
  const words = wordsArgument(call, index)
  if (type !== 'timestamptz') return (moment, row) => setMoment(moment, words, row)
  return (moment, row) => {
    setMoment(moment, words, row)
    toLocal(moment, zone)
  }
}

const date: CivilDate = { year: 0, month: 0, day: 0 }

/** Of a local moment; the date comes from `date`, filled before. */
const PARTS: Readonly<Record<string, (moment: Moment) => number>> = {
  year: () => date.year,
  quarter: () => Math.ceil(date.month / 3),
  month: () => date.month,
  day: () => date.day,
  hour: ({ us }) => Math.floor(us / 3_600_000_000),
  minute: ({ us }) => Math.floor(us / 60_000_000) % 60,
  second: ({ us }) => Math.floor(us / 1_000_000) % 60,
  millisecond: ({ us }) => Math.floor(us / 1000) % 60_000,
  microsecond: ({ us }) => us % 60_000_000,
  day_of_week: ({ days }) => isoDayOfWeek(days),
  isodow: ({ days }) => isoDayOfWeek(days),
  day_of_year: ({ days }) => days - daysFromCivil(date.year, 1, 1) + 1,
  doy: ({ days }) => days - daysFromCivil(date.year, 1, 1) + 1,
  week: ({ days }) => Math.floor((days - isoYearStart(isoYear(days))) / 7) + 1,
  isoyear: ({ days }) => isoYear(days),
}

function isoYear(days: number): number {
  if (days >= isoYearStart(date.year + 1)) return date.year + 1
  return days < isoYearStart(date.year) ? date.year - 1 : date.year
}

/** @throws Refusal */
function datePart(binding: Binding): Kernel {
  const unit = textConstant(binding, 0)?.toLowerCase() ?? ''
  const part = PARTS[unit]
  if (part === undefined) {
    const hint = `Units are ${Object.keys(PARTS).join(', ')}.`
    throw new Refusal(0, `there is no unit "${unit}"`, hint)
  }
  return partKernel(part, zoneArgument(binding, 2), 1)
}

/** @param at  the argument that the part is of */
function partKernel(part: (moment: Moment) => number, zone: Zone, at: number): Kernel {
  const moment: Moment = { days: 0, us: 0 }
  return (call) => {
    const read = momentReader(call, at, zone)
    const out = call.out as FixedBuilder
    for (let row = 0; row < call.rows; row++) {
      if (call.live[row] === 0) {
        out.setNull(row)
        continue
      }
      read(moment, row)
      setCivil(date, moment.days)
      putLong(out.pairs, row, part(moment))
    }
  }
}

/** @returns the kernel that moves moments by the offset of a zone, `toward` local or UTC */
function atZone(toward: typeof toLocal): (binding: Binding) => Kernel {
  return (binding) => {
    const zone = zoneArgument(binding, 1)
    const moment: Moment = { days: 0, us: 0 }
    return (call) => {
      const words = wordsArgument(call, 0)
      const out = call.out as FixedBuilder
      for (let row = 0; row < call.rows; row++) {
        if (call.live[row] === 0) {
          out.setNull(row)
          continue
        }
        setMoment(moment, words, row)
        toward(moment, zone)
        if (!putMoment(out.pairs, row, moment)) call.fail(row, 'the time is out of range')
      }
    }
  }
}

/** Parts that have a function of their name. */
const NAMED_PARTS: readonly (readonly [name: string, summary: string])[] = [
  ['year', 'The year.'],
  ['quarter', 'The quarter, 1 to 4.'],
  ['month', 'The month, 1 to 12.'],
  ['day', 'The day of the month.'],
  ['hour', 'The hour, 0 to 23.'],
  ['minute', 'The minute.'],
  ['second', 'The whole second of the minute.'],
  ['week', 'The week of ISO 8601, 1 to 53.'],
  ['day_of_week', 'The day of the week, from Monday 1 to Sunday 7.'],
  ['day_of_year', 'The day of the year, from 1.'],
]

function namedPart([name, summary]: readonly [string, string]): FunctionSpec {
  const part = PARTS[name] ?? ((): number => 0)
  const clock = ['hour', 'minute', 'second'].includes(name)
  const shared = {
    result: LONG,
    prepare: (binding: Binding) => partKernel(part, zoneArgument(binding, 1), 0),
  }
  return {
    name,
    group: 'time',
    usage: `${name}(t[, z])`,
    summary,
    overloads: [
      ...(clock ? [] : [{ parameters: ['date'] as const, ...shared }]),
      { parameters: ['timestamp'], ...shared },
      { parameters: ['timestamptz', 'constant string'], optional: 1, ...shared },
    ],
  }
}

export const timeFunctions: readonly FunctionSpec[] = [
  ...NAMED_PARTS.map(namedPart),
  {
    name: 'date_part',
    group: 'time',
    usage: 'date_part(unit, t[, z])',
    summary:
      'A part of a date or time, as EXTRACT(unit FROM t); weeks and weekdays are those of ISO.',
    overloads: (['date', 'timestamp', 'timestamptz'] as const).map((kind) => ({
      parameters: ['constant string', kind, 'constant string'],
      optional: 1,
      result: LONG,
      prepare: datePart,
    })),
  },
  {
    name: 'at_zone',
    group: 'time',
    usage: 'at_zone(t, z)',
    summary: 'The local time of an instant, or the instant of a local time, as t AT TIME ZONE z.',
    overloads: [
      {
        parameters: ['timestamp', 'constant string'],
        result: TIMESTAMPTZ,
        fails: true,
        prepare: atZone(toUtc),
      },
      {
        parameters: ['timestamptz', 'constant string'],
        result: TIMESTAMP,
        fails: true,
        prepare: atZone(toLocal),
      },
    ],
  },
]
