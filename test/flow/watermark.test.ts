import { expect, test } from 'vitest'
import { Watermarks, type WatermarkOptions } from '../../runtime/flow/watermark.ts'
import type { SplitState, SplitTimes } from '../../runtime/source.ts'

const MINUTE_MS = 60_000
const HOLD: WatermarkOptions = {
  maxOutOfOrderUs: 0n,
  idleMs: 5 * MINUTE_MS,
  allIdle: 'hold',
  maxDriftUs: null,
}

function minute(count: number): bigint {
  return BigInt(count) * 60_000_000n
}

function rows(
  watermarks: Watermarks,
  split: string,
  maxUs: bigint | null,
  faults: { future?: number; missing?: number } = {},
): void {
  const { future = 0, missing = 0 } = faults
  watermarks.observe({ table: 'clicks', split, maxUs, rows: 1, future, missing, late: 0 })
}

function look(
  watermarks: Watermarks,
  atMinute: number,
  states: Record<string, SplitState>,
  clockUs: bigint | null = null,
): bigint | null {
  const splits = Object.entries(states).map(([split, state]): SplitTimes => {
    return { split, tables: ['clicks'], state, clockUs }
  })
  watermarks.look(splits, atMinute * MINUTE_MS)
  return watermarks.watermarkOf('clicks')
}

test('a split without rows for long enough is idle, and its old rows are late when it wakes', () => {
  const watermarks = new Watermarks(HOLD)
  rows(watermarks, 'p0', minute(10))
  rows(watermarks, 'p1', minute(10))
  expect(look(watermarks, 0, { p0: 'reading', p1: 'at-end' })).toBe(minute(10))
  rows(watermarks, 'p0', minute(15))
  expect(look(watermarks, 4, { p0: 'reading', p1: 'at-end' })).toBe(minute(10))
  rows(watermarks, 'p0', minute(16))
  expect(look(watermarks, 6, { p0: 'reading', p1: 'at-end' })).toBe(minute(16))
  rows(watermarks, 'p1', minute(-4))
  expect(look(watermarks, 7, { p0: 'reading', p1: 'reading' })).toBe(minute(16))
  rows(watermarks, 'p0', minute(30))
  // It takes part again: the table waits for it.
  expect(look(watermarks, 8, { p0: 'reading', p1: 'reading' })).toBe(minute(16))
  rows(watermarks, 'p1', minute(20))
  expect(look(watermarks, 9, { p0: 'reading', p1: 'reading' })).toBe(minute(20))
})

test('a split that is not being read is not idle, however long that takes', () => {
  const watermarks = new Watermarks(HOLD)
  rows(watermarks, 'p0', minute(10))
  rows(watermarks, 'p1', minute(10))
  look(watermarks, 0, { p0: 'reading', p1: 'at-end' })
  look(watermarks, 4, { p0: 'reading', p1: 'at-end' })
  rows(watermarks, 'p0', minute(40))
  for (const at of [5, 15, 30]) {
    expect(look(watermarks, at, { p0: 'reading', p1: 'blocked' })).toBe(minute(10))
  }
  // The half hour does not count; with the four minutes of before, one more makes it idle.
  expect(look(watermarks, 31, { p0: 'reading', p1: 'at-end' })).toBe(minute(10))
  expect(look(watermarks, 32, { p0: 'reading', p1: 'at-end' })).toBe(minute(40))
  // And once it is not read any more, nobody can say that it has nothing.
  rows(watermarks, 'p0', minute(50))
  expect(look(watermarks, 33, { p0: 'reading', p1: 'blocked' })).toBe(minute(40))
})

test('new splits lower nothing, finished ones leave, one without a row counts as any other', () => {
  const watermarks = new Watermarks(HOLD)
  for (const split of ['p0', 'p1']) rows(watermarks, split, minute(60))
  look(watermarks, 0, { p0: 'reading', p1: 'reading' })
  rows(watermarks, 'p2', minute(20))
  const grown = { p0: 'reading', p1: 'reading', p2: 'reading', p3: 'at-end' } as const
  expect(look(watermarks, 1, grown)).toBe(minute(60))
  for (const split of ['p0', 'p1', 'p2']) rows(watermarks, split, minute(70))
  // Of p3 nobody knows how far back its first row goes.
  expect(look(watermarks, 2, grown)).toBe(minute(60))
  expect(look(watermarks, 7, grown)).toBe(minute(70))
  for (const split of ['p0', 'p2']) rows(watermarks, split, minute(80))
  expect(look(watermarks, 8, { ...grown, p1: 'finished' })).toBe(minute(80))
})

test('times of 2099 and rows without one move nothing, and one of 1970 is only late', () => {
  const watermarks = new Watermarks(HOLD)
  rows(watermarks, 'p0', minute(100))
  look(watermarks, 0, { p0: 'reading' })
  rows(watermarks, 'p0', null, { future: 1 })
  rows(watermarks, 'p0', null, { missing: 1 })
  rows(watermarks, 'p0', 0n)
  expect(look(watermarks, 1, { p0: 'reading' })).toBe(minute(100))
  rows(watermarks, 'p0', minute(101))
  expect(look(watermarks, 2, { p0: 'reading' })).toBe(minute(101))
  expect(watermarks.faultsOf('clicks')).toEqual({ future: 1, missing: 1, late: 0 })
})

test('where all are idle the table holds, or follows the clock of its source', () => {
  for (const [allIdle, expected] of [
    ['hold', minute(10)],
    ['advance', minute(120 - 5 - 2)],
  ] as const) {
    const watermarks = new Watermarks({ ...HOLD, allIdle, maxOutOfOrderUs: minute(2) })
    rows(watermarks, 'p0', minute(12))
    look(watermarks, 0, { p0: 'at-end', p1: 'at-end' }, minute(60))
    look(watermarks, 1, { p0: 'at-end', p1: 'at-end' }, minute(61))
    look(watermarks, 6, { p0: 'reading', p1: 'at-end' }, minute(66))
    look(watermarks, 7, { p0: 'at-end', p1: 'at-end' }, minute(67))
    expect(look(watermarks, 60, { p0: 'at-end', p1: 'at-end' }, minute(120))).toBe(expected)
  }
})

test('a split that runs ahead is told to stop, one that is idle keeps nobody waiting', () => {
  const watermarks = new Watermarks({ ...HOLD, maxDriftUs: minute(5) })
  rows(watermarks, 'fast', minute(20))
  rows(watermarks, 'slow', minute(0))
  rows(watermarks, 'quiet', minute(-60))
  const states = { fast: 'reading', slow: 'reading', quiet: 'at-end' } as const
  look(watermarks, 0, states)
  expect([...watermarks.ahead()].sort()).toEqual(['fast', 'slow'])
  rows(watermarks, 'slow', minute(1))
  look(watermarks, 6, states)
  expect([...watermarks.ahead()]).toEqual(['fast'])
  // It stopped, which does not make it idle: the table waits for the slow one alone.
  look(watermarks, 30, { ...states, fast: 'blocked' })
  expect(watermarks.watermarkOf('clicks')).toBe(minute(1))
  rows(watermarks, 'slow', minute(15))
  look(watermarks, 31, { ...states, fast: 'blocked' })
  expect([...watermarks.ahead()]).toEqual([])
})

test('after a restart all splits are active, and the table is where it was', () => {
  const watermarks = new Watermarks(HOLD)
  rows(watermarks, 'p0', minute(40))
  rows(watermarks, 'p1', minute(10))
  look(watermarks, 0, { p0: 'reading', p1: 'at-end' })
  look(watermarks, 6, { p0: 'reading', p1: 'at-end' })
  expect(watermarks.watermarkOf('clicks')).toBe(minute(40))
  const again = new Watermarks(HOLD, watermarks.save())
  expect(again.watermarkOf('clicks')).toBe(minute(40))
  rows(again, 'p0', minute(50))
  expect(look(again, 1, { p0: 'reading', p1: 'at-end' })).toBe(minute(40))
  expect(look(again, 6, { p0: 'reading', p1: 'at-end' })).toBe(minute(50))
  // A split that went while nobody looked holds nothing.
  const less = new Watermarks(HOLD, again.save())
  rows(less, 'p0', minute(60))
  expect(look(less, 0, { p0: 'reading' })).toBe(minute(60))
})
