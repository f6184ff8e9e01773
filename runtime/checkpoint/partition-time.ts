// Partitions of time, by number: hours, days, months or years since 1970, as the transforms of the
// lake count them. Which instants a number stands for depends on the clock that the times were read
// from: a day in Berlin may have 23 or 25 hours.

import { present } from '../base/assert.ts'
import { monthOfDay, timeRangeOf } from '../data/partition/time-range.ts'
import type { TimeUnit } from '../data/partition/transform.ts'
import { floorTo, type TimeZone } from '../data/time-zone.ts'

const HOUR_US = 3_600_000_000n
const DAY_US = 24n * HOUR_US

/** @returns the first instant of a partition, microseconds since 1970 */
export function partitionStart(unit: TimeUnit, number: number, zone: TimeZone): bigint {
  return zone.instantOf(localStart(unit, number))
}

/** @returns the partition that an instant lies in */
export function partitionAt(unit: TimeUnit, instantUs: bigint, zone: TimeZone): number {
  const local = zone.localOf(instantUs)
  if (unit === 'hour') return Number(floorTo(local, HOUR_US) / HOUR_US)
  const day = Number(floorTo(local, DAY_US) / DAY_US)
  if (unit === 'day') return day
  return unit === 'month' ? monthOfDay(day) : Math.floor(monthOfDay(day) / 12)
}

/** @returns what people read, as the lake's own tools print it: `2026-11-20-07` */
export function partitionLabel(unit: TimeUnit, number: number): string {
  const text = new Date(Number(localStart(unit, number) / 1000n)).toISOString()
  switch (unit) {
    case 'hour':
      return `${text.slice(0, 10)}-${text.slice(11, 13)}`
    case 'day':
      return text.slice(0, 10)
    case 'month':
      return text.slice(0, 7)
    case 'year':
      return text.slice(0, 4)
  }
}

/** Numbers outside stand for no time that a clock shows; they are never announced. */
export function isAnnounceable(unit: TimeUnit, number: number): boolean {
  const us = localStart(unit, number)
  return us >= FIRST_US && us < LAST_US
}

const FIRST_US = BigInt(Date.UTC(1000, 0, 1)) * 1000n
const LAST_US = BigInt(Date.UTC(9999, 0, 1)) * 1000n

/** @returns where a partition begins, on the clock that its times were read from */
export function localStart(unit: TimeUnit, number: number): bigint {
  const range = timeRangeOf({ kind: unit }, { kind: 'timestamp' }, number)
  return present(range, 'every unit of time has its range').startUs
}
