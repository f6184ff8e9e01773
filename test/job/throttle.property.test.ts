// The throttle against the clock: in any span of time no more rows pass than the rate, a second's
// worth and the batch that went over, and no fewer where there are enough; the log is never held by
// chunks.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { NO_LIMITS, type Limits } from '../../runtime/job/limits.ts'
import { Throttle } from '../../runtime/job/throttle.ts'
import { batchOf, field, schemaOf } from '../writer/batches.ts'
import { ManualClock } from './manual-clock.ts'

const SCHEMA = schemaOf('shop.orders', 0, [field(1, 'id', { kind: 'long' })])

function batch(rows: number, table = 'shop.orders'): ChangeBatch {
  const values = Array.from({ length: rows }, (_, id) => ({ op: Op.insert, values: { id } }))
  return batchOf({ ...SCHEMA, table }, values, 1n)
}

/** Time that was waited for, in steps of what the throttle says. */
async function logDelay(throttle: Throttle, clock: ManualClock): Promise<number> {
  let waited = 0
  for (let delay = throttle.logDelayMs(); delay > 0; delay = throttle.logDelayMs()) {
    await clock.pass(delay)
    waited += delay
  }
  return waited
}

test('the log passes at its rate, neither faster nor slower', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 5, maxLength: 25 })
  const rates = fc.integer({ min: 5, max: 500 })
  await fc.assert(
    fc.asyncProperty(rates, sizes, fc.boolean(), async (rate, rows, ofTable) => {
      const clock = new ManualClock()
      const own = { rowsPerSecond: rate, bytesPerSecond: null }
      const limits: Limits = ofTable
        ? { ...NO_LIMITS, tables: [{ pattern: 'shop.*', ...own }] }
        : { ...own, tables: [] }
      const throttle = new Throttle(clock, false, limits)
      let passed = 0
      let waited = 0
      for (const count of rows) {
        throttle.takeLog(batch(count))
        passed += count
        waited += await logDelay(throttle, clock)
        const due = ((passed - rate) / rate) * 1000
        expect(waited).toBeGreaterThanOrEqual(due - 1)
        // Each wait is rounded up to a millisecond.
        expect(waited).toBeLessThanOrEqual(Math.max(0, due) + rows.length * 2)
      }
    }),
    { numRuns: 25 },
  )
})

test('chunks yield to the log, and never hold it', async () => {
  const clock = new ManualClock()
  const throttle = new Throttle(clock, false, { ...NO_LIMITS, rowsPerSecond: 10 })
  let paid = 0
  const chunk = throttle.pay(batch(30), new AbortController().signal).then(() => paid++)
  expect(throttle.logDelayMs()).toBe(0)
  expect(throttle.state()?.held).toBe(true)
  throttle.takeLog(batch(10))
  // 40 rows at 10 a second, less the second's worth of the start.
  await clock.pass(2900)
  expect(paid).toBe(0)
  await clock.pass(200)
  expect(paid).toBe(1)
  await chunk
})

test('a table over its limit holds itself where the source can, else the log', async () => {
  const limit = { pattern: 'shop.slow', rowsPerSecond: 1, bytesPerSecond: null }
  for (const pauses of [true, false]) {
    const throttle = new Throttle(new ManualClock(), pauses, { ...NO_LIMITS, tables: [limit] })
    throttle.takeLog(batch(5, 'shop.fast'))
    expect([throttle.logDelayMs(), [...throttle.heldTables()]]).toEqual([0, []])
    throttle.takeLog(batch(5, 'shop.slow'))
    expect([throttle.logDelayMs() > 0, [...throttle.heldTables()]]).toEqual([
      !pauses,
      ['shop.slow'],
    ])
  }
})

test('a limit that is lifted counts for those who wait already', async () => {
  const clock = new ManualClock()
  const throttle = new Throttle(clock, false, { ...NO_LIMITS, bytesPerSecond: 1024 })
  let paid = 0
  void throttle.pay(batch(100_000), new AbortController().signal).then(() => paid++)
  await clock.pass(1000)
  expect(paid).toBe(0)
  throttle.limit(NO_LIMITS)
  await clock.pass(100)
  expect([paid, throttle.state()]).toEqual([1, null])
})
