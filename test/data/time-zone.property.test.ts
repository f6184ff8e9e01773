import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTimeZone, TimeZone } from '../../runtime/data/time-zone.ts'

const HOUR_US = 3_600_000_000n
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Asia/Shanghai',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Africa/Cairo',
  'Pacific/Apia',
]

function local(text: string): bigint {
  return BigInt(Date.parse(`${text}Z`)) * 1000n
}

function hours(zone: TimeZone, from: string, to: string): bigint {
  const [start, end] = [zone.instantOf(local(from)), zone.instantOf(local(to))]
  expect((end - start) % HOUR_US).toBe(0n)
  return (end - start) / HOUR_US
}

test('a day in Berlin has 23, 24 or 25 hours', () => {
  const zone = new TimeZone('Europe/Berlin')
  expect(hours(zone, '2026-03-28T00:00', '2026-03-29T00:00')).toBe(24n)
  expect(hours(zone, '2026-03-29T00:00', '2026-03-30T00:00')).toBe(23n)
  expect(hours(zone, '2026-10-25T00:00', '2026-10-26T00:00')).toBe(25n)
})

test('a local time that exists twice is the earlier one, one that does not lies behind the gap', () => {
  const zone = new TimeZone('Europe/Berlin')
  expect(zone.instantOf(local('2026-10-25T02:30'))).toBe(local('2026-10-25T00:30'))
  expect(zone.instantOf(local('2026-03-29T02:30'))).toBe(local('2026-03-29T01:30'))
  // Where midnight is in the gap, the day begins at its end.
  const cairo = new TimeZone('Africa/Cairo')
  const start = cairo.instantOf(local('2026-04-24T00:00'))
  expect(cairo.localOf(start)).toBe(local('2026-04-24T01:00'))
  expect(cairo.localOf(start - 1n)).toBe(local('2026-04-23T23:59:59.999') + 999n)
})

test('an instant comes back from its local time, or the first instant that had it', () => {
  const range = { min: Number(local('1990-01-01T00:00') / 1000n), max: 4_000_000_000_000 }
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), fc.integer(range), (name, ms) => {
      const zone = new TimeZone(name)
      const instant = BigInt(ms) * 1000n
      const at = zone.localOf(instant)
      const earliest = zone.instantOf(at)
      expect(earliest <= instant).toBe(true)
      expect(zone.localOf(earliest)).toBe(at)
    }),
    { numRuns: 2000, interruptAfterTimeLimit: 2000 },
  )
})

test('names that are no zones are told from those that are', () => {
  expect(ZONES.filter((name) => !isTimeZone(name))).toEqual([])
  expect(['', 'Europe/Berln', 'CEST+2'].filter(isTimeZone)).toEqual([])
})
