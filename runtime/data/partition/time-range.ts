// Partition values of time as stretches of time, and the calendar behind both directions: months
// and days are counted from 1970-01, years of the proleptic Gregorian calendar.

import type { PrimitiveType } from '../type.ts'
import type { TimeUnit, Transform } from './transform.ts'
import type { PartitionValue } from './value.ts'

const DAY_US = 86_400_000_000n
const HOUR_US = 3_600_000_000n

/** Microseconds since 1970, half open; of a `timestamp` without a zone: of its own clock. */
export interface TimeRange {
  readonly startUs: bigint
  readonly endUs: bigint
}

/**
 * @param transform  of an event-time column of type `source`
 * @param value      of the partition, as files and commits state it
 * @returns the times that fall into the partition; `null`: it is that of rows without a time, or the
 *          transform parts by something else
 */
export function timeRangeOfPartition(
  transform: Transform,
  source: PrimitiveType,
  value: PartitionValue,
): TimeRange | null {
  if (value === null) return null
  const bytes = Buffer.from(value, 'base64')
  return bytes.length === 4 ? timeRangeOf(transform, source, bytes.readInt32LE()) : null
}

/**
 * @param transform  of an event-time column of type `source`
 * @param value      of the partition, as the transform gives it: hours, days, months or years since
 *                   1970; for `identity` of a date, days
 * @returns the times that fall into the partition; `null`: the transform parts by something else
 */
export function timeRangeOf(
  transform: Transform,
  source: PrimitiveType,
  value: number,
): TimeRange | null {
  const isTime = source.kind === 'timestamp' || source.kind === 'timestamptz'
  const unit = transform.kind === 'identity' && source.kind === 'date' ? 'day' : transform.kind
  if (!isTime && source.kind !== 'date') return null
  switch (unit) {
    case 'hour':
    case 'day':
    case 'month':
    case 'year':
      return { startUs: startUs(unit, value), endUs: startUs(unit, value + 1) }
    default:
      return null
  }
}

function startUs(unit: TimeUnit, value: number): bigint {
  switch (unit) {
    case 'hour':
      return BigInt(value) * HOUR_US
    case 'day':
      return BigInt(value) * DAY_US
    case 'month':
      return BigInt(daysOfMonth(value)) * DAY_US
    case 'year':
      return BigInt(daysOfMonth(value * 12)) * DAY_US
  }
}

const DAYS_PER_ERA = 146_097
/** From 0000-03-01, where the eras of 400 years begin, to 1970-01-01. */
const EPOCH_DAYS = 719_468

/**
 * @param days  since 1970-01-01
 * @returns months since 1970-01
 */
export function monthOfDay(days: number): number {
  const shifted = days + EPOCH_DAYS
  const era = Math.floor(shifted / DAYS_PER_ERA)
  const dayOfEra = shifted - era * DAYS_PER_ERA
  const leaps =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365)
  const daysBefore = 365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)
  const marchMonth = Math.floor((5 * (dayOfEra - daysBefore) + 2) / 153)
  return (yearOfEra + era * 400 - 1970) * 12 + marchMonth + 2
}

/**
 * @param month  since 1970-01
 * @returns days from 1970-01-01 to its first day
 */
export function daysOfMonth(month: number): number {
  const march = month - 2 + 1970 * 12
  const year = Math.floor(march / 12)
  const marchMonth = march - year * 12
  const era = Math.floor(year / 400)
  const yearOfEra = year - era * 400
  const daysBefore = 365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)
  return era * DAYS_PER_ERA + daysBefore + Math.floor((153 * marchMonth + 2) / 5) - EPOCH_DAYS
}
