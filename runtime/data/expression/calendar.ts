// Days, months and years of the proleptic Gregorian calendar, over all dates that 32 bits hold.
// Algorithm: years begin in March, so that the day that leaps is the last one (Howard Hinnant,
// "chrono-Compatible Low-Level Date Algorithms").

export const US_PER_SECOND = 1_000_000
export const US_PER_DAY = 86_400_000_000
export const SECONDS_PER_DAY = 86_400

const DAYS_PER_ERA = 146_097

/** A date in parts. Kernels have one each and fill it again for every row. */
export interface CivilDate {
  year: number
  /** 1...12. */
  month: number
  /** 1...31. */
  day: number
}

/** Fills `date` from days since 1970-01-01. */
export function setCivil(date: CivilDate, days: number): void {
  const shifted = days + 719_468
  const era = Math.floor(shifted / DAYS_PER_ERA)
  const dayOfEra = shifted - era * DAYS_PER_ERA
  const leaps =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365)
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  date.day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  date.month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  date.year = yearOfEra + era * 400 + (date.month <= 2 ? 1 : 0)
}

/** @returns days since 1970-01-01; `month` is 1...12, `day` may lie outside of its month */
export function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * DAYS_PER_ERA + dayOfEra - 719_468
}

export function isLeapYear(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** @returns days of a month, 28...31 */
export function daysInMonth(year: number, month: number): number {
  return month === 2 && isLeapYear(year) ? 29 : (MONTH_DAYS[month - 1] ?? 0)
}

/** @returns Monday 1 ... Sunday 7, as ISO 8601 counts */
export function isoDayOfWeek(days: number): number {
  return ((((days + 3) % 7) + 7) % 7) + 1
}

/** @returns days of the Monday that begins the first ISO week of `year` */
export function isoYearStart(year: number): number {
  const fourth = daysFromCivil(year, 1, 4)
  return fourth - (isoDayOfWeek(fourth) - 1)
}
