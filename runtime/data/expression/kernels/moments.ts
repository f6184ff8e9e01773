// Dates and times between their types, over zones and by intervals. Narrow forms take and give
// numbers, NaN where the result leaves 2^53; wide forms take and give bigints, and the caller
// checks that 64 bits hold them.

import { daysFromCivil, daysInMonth, setCivil, type CivilDate } from '../calendar.ts'
import { SECONDS_PER_DAY, US_PER_DAY } from '../calendar.ts'
import type { Zone } from '../zone.ts'
import { formatDate, formatOffset, formatTime, formatTimestamp, moment } from './time-text.ts'

const DAY = BigInt(US_PER_DAY)
const SECOND = 1_000_000n

export function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor
  return value % divisor < 0n ? quotient - 1n : quotient
}

/** Fills `moment` from microseconds since 1970. */
function split(us: number | bigint): void {
  if (typeof us === 'number') {
    moment.days = Math.floor(us / US_PER_DAY)
    moment.us = us - moment.days * US_PER_DAY
    return
  }
  const days = floorDivide(us, DAY)
  moment.days = Number(days)
  moment.us = Number(us - days * DAY)
}

/** @returns `moment` as microseconds since 1970; NaN beyond 2^53 */
export function joined(): number {
  const us = moment.days * US_PER_DAY + moment.us
  return Number.isSafeInteger(us) ? us : Number.NaN
}

export function joinedWide(): bigint {
  return BigInt(moment.days) * DAY + BigInt(moment.us)
}

export function dayOf(us: number | bigint): number {
  split(us)
  return moment.days
}

export function timeOf(us: number | bigint): number {
  split(us)
  return moment.us
}

function secondsOf(us: number | bigint): number {
  split(us)
  return moment.days * SECONDS_PER_DAY + Math.floor(moment.us / 1e6)
}

/** @returns microseconds on local clocks */
export function localOf(us: number, zone: Zone): number {
  return us + zone.offsetAt(secondsOf(us)) * 1e6
}

export function localOfWide(us: bigint, zone: Zone): bigint {
  return us + BigInt(zone.offsetAt(secondsOf(us))) * SECOND
}

/** @returns microseconds in UTC */
export function utcOf(us: number, zone: Zone): number {
  const local = secondsOf(us)
  return us + (zone.toUtc(local) - local) * 1e6
}

export function utcOfWide(us: bigint, zone: Zone): bigint {
  const local = secondsOf(us)
  return us + BigInt(zone.toUtc(local) - local) * SECOND
}

/** `moment` as read from a text: its own offset, or that of the zone. */
export function instantOf(zone: Zone): number {
  const us = joined()
  return Number.isNaN(moment.offset) ? utcOf(us, zone) : us - moment.offset * 1e6
}

export function instantOfWide(zone: Zone): bigint {
  const { offset } = moment
  const us = joinedWide()
  return Number.isNaN(offset) ? utcOfWide(us, zone) : us - BigInt(offset) * SECOND
}

const civil: CivilDate = { year: 0, month: 0, day: 0 }

/** @returns days since 1970; the day of the month is cut to the last of the month */
export function shiftDays(days: number, months: number, plus: number): number {
  if (months === 0) return days + plus
  setCivil(civil, days)
  const month = civil.year * 12 + civil.month - 1 + months
  const year = Math.floor(month / 12)
  const inYear = month - year * 12 + 1
  return daysFromCivil(year, inYear, Math.min(civil.day, daysInMonth(year, inYear))) + plus
}

/**
 * Adds an interval: months and days on local clocks, microseconds on the clock of the world.
 *
 * @returns NaN beyond 2^53
 */
export function shiftMoment(
  us: number,
  months: number,
  days: number,
  plus: number,
  zone: Zone,
): number {
  let shifted = us
  if (months !== 0 || days !== 0) {
    split(localOf(us, zone))
    moment.days = shiftDays(moment.days, months, days)
    const local = joined()
    if (Number.isNaN(local)) return local
    shifted = utcOf(local, zone)
  }
  shifted += plus
  return Number.isSafeInteger(shifted) ? shifted : Number.NaN
}

export function shiftMomentWide(
  us: bigint,
  months: number,
  days: number,
  plus: bigint,
  zone: Zone,
): bigint {
  if (months === 0 && days === 0) return us + plus
  split(localOfWide(us, zone))
  moment.days = shiftDays(moment.days, months, days)
  return utcOfWide(joinedWide(), zone) + plus
}

export function dateText(days: number): string {
  return formatDate(days)
}

export function timeText(us: number | bigint): string {
  return formatTime(Number(us))
}

export function timestampText(us: number | bigint): string {
  split(us)
  return formatTimestamp(moment.days, moment.us)
}

/** With the offset of the zone behind it, so that the text is an instant. */
export function instantText(us: number | bigint, zone: Zone): string {
  const offset = zone.offsetAt(secondsOf(us))
  const local = typeof us === 'number' ? us + offset * 1e6 : us + BigInt(offset) * SECOND
  return timestampText(local) + formatOffset(offset)
}
