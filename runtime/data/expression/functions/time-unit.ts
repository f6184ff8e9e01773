// Units of time by name: those of the calendar, which have no fixed length, and those of the clock.

import { daysFromCivil, isoDayOfWeek, setCivil, type CivilDate } from '../calendar.ts'
import { US_PER_DAY } from '../calendar.ts'
import { Refusal } from './function.ts'

export interface Unit {
  readonly name: string
  /** Months that it is a multiple of; 0: it is one of days or of the clock. */
  readonly months: number
  /** 0: it is shorter than a day. */
  readonly days: number
  /** 0: it is a day or longer. */
  readonly us: number
}

function unit(name: string, months: number, days: number, us: number): readonly [string, Unit] {
  return [name, { name, months, days, us }]
}

const UNITS: ReadonlyMap<string, Unit> = new Map([
  unit('year', 12, 0, 0),
  unit('quarter', 3, 0, 0),
  unit('month', 1, 0, 0),
  unit('week', 0, 7, 0),
  unit('day', 0, 1, 0),
  unit('hour', 0, 0, 3_600_000_000),
  unit('minute', 0, 0, 60_000_000),
  unit('second', 0, 0, 1_000_000),
  unit('millisecond', 0, 0, 1000),
  unit('microsecond', 0, 0, 1),
])

/** @throws Refusal @param dates  the value is a date, which has no clock */
export function unitNamed(name: string, dates: boolean): Unit {
  const known = [...UNITS.values()].filter(({ us }) => us === 0 || !dates)
  const found = known.find((one) => one.name === name.toLowerCase())
  if (found !== undefined) return found
  const names = known.map((one) => one.name).join(', ')
  throw new Refusal(
    0,
    `there is no unit "${name}" of a ${dates ? 'date' : 'time'}`,
    `It is one of ${names}.`,
  )
}

const civil: CivilDate = { year: 0, month: 0, day: 0 }

/** @returns months since the year 0 */
export function monthOf(days: number): number {
  setCivil(civil, days)
  return civil.year * 12 + civil.month - 1
}

/** @returns the first day of a month, which is counted since the year 0 */
export function firstOfMonth(month: number): number {
  const year = Math.floor(month / 12)
  return daysFromCivil(year, month - year * 12 + 1, 1)
}

/** @returns the number of a day's week; weeks begin on Mondays */
export function weekOf(days: number): number {
  return Math.floor((days + 3) / 7)
}

/** @returns the first day of the unit that a day is in; itself for units of the clock */
export function firstDay({ months, days: length }: Unit, days: number): number {
  if (months > 0) return firstOfMonth(Math.floor(monthOf(days) / months) * months)
  return length === 7 ? days - isoDayOfWeek(days) + 1 : days
}

/** @returns how many of the unit a day has */
export function perDay({ us }: Unit): number {
  return US_PER_DAY / us
}
