// A row is too late exactly where its partition has been announced: the source thread, which keeps
// it out, and the main thread, which announces, decide alike without a word between them.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TableReadiness } from '../../runtime/checkpoint/readiness.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import { LateRows } from '../../runtime/job/late-rows.ts'

const HOUR_US = 3_600_000_000
const UNIT_US = { hour: HOUR_US, day: 24 * HOUR_US }
const ZONES = ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kolkata'].map(
  (name) => new TimeZone(name),
)
/** Both changes of the clock in Berlin lie within. */
const FROM_US = Date.UTC(2026, 0, 1) * 1000
const TO_US = Date.UTC(2026, 11, 31) * 1000

const cases = fc.record({
  unit: fc.constantFrom('hour' as const, 'day' as const),
  zone: fc.constantFrom(...ZONES),
  delayUs: fc.constantFrom(0, 1, 900_000_000, 2 * HOUR_US),
  watermarkUs: fc.integer({ min: FROM_US, max: TO_US }),
  /** Of a row, on the clock of its column, in quarters of its partition around the watermark. */
  quarters: fc.integer({ min: -40, max: 8 }),
  aside: fc.constantFrom(-1, 0, 1),
})

test('a row is late exactly where its partition was announced at the last barrier', () => {
  fc.assert(
    fc.property(cases, ({ unit, zone, delayUs, watermarkUs, quarters, aside }) => {
      const watermark = BigInt(watermarkUs)
      const rule = { unit, zone, delayUs: BigInt(delayUs) }
      const late = new LateRows((table) => (table === 't' ? rule : null))
      expect(late.before('t')).toBeNull()
      late.passed([
        ['t', watermark],
        ['other', watermark],
      ])
      expect(late.before('other')).toBeNull()
      const local = Number(zone.localOf(watermark))
      const quarter = UNIT_US[unit] / 4
      const time = (Math.floor(local / quarter) + quarters) * quarter + aside
      const number = Math.floor(time / UNIT_US[unit])
      const readiness = new TableReadiness({ table: 't', notifiers: ['one'], ...rule }, null)
      const change = { number, files: 1, rows: 1, bytes: 1 }
      readiness.decide(
        1,
        { watermarkUs: watermark, changes: [change], all: false, openFrom: null },
        0,
      )
      const announced = readiness.save().partitions.some(([one, generation]) => {
        return one === number && generation > 0
      })
      expect(time < Number(late.before('t'))).toBe(announced)
    }),
    { numRuns: 5000, interruptAfterTimeLimit: 3000 },
  )
})
