// Latencies against histories that are written down here.
import { expect, test } from 'vitest'
import { Lag } from '../../bench/latency/lag.ts'
import { rowsOf } from '../../bench/latency/lake-watch.ts'
import { transactionRows } from '../../bench/latency/offer.ts'
import { nextRate, outcomeOf, type Outcome } from '../../bench/latency/sustained.ts'
import type { LatencyStep, ScenarioResult } from '../../bench/figures.ts'
import { formatResult } from '../../bench/report/text.ts'
import { latencyPlot } from '../../bench/report/plots.ts'

function byPercentile(lag: Lag): Record<number, number> {
  return Object.fromEntries(lag.percentiles().map(({ percentile, ms }) => [percentile, ms]))
}

test('a row is visible once the lake shows all rows until the end of its transaction', () => {
  const lag = new Lag(10)
  lag.sent(90, 1000)
  lag.sent(10, 1500)
  lag.visible(99, 1600)
  expect(lag.isDrained).toBe(false)
  lag.visible(100, 1700)
  expect(lag.isDrained).toBe(false)
  lag.visible(110, 2500)
  expect(lag.isDrained).toBe(true)
  // 90 rows of 700 ms, 10 rows of 1,000 ms.
  expect(byPercentile(lag)).toEqual({ 50: 700, 90: 700, 99: 1000, 99.9: 1000, 100: 1000 })
})

test('rows that are seen before the source has answered have a latency all the same', () => {
  const lag = new Lag(0)
  lag.sent(1, 1000)
  lag.visible(1, 1000)
  expect(byPercentile(lag)[100]).toBe(0)
})

test('percentiles keep three digits up to an hour', () => {
  const lag = new Lag(0)
  for (let ms = 1; ms <= 100_000; ms++) {
    lag.sent(1, 0)
    lag.visible(ms, ms)
  }
  for (const { percentile, ms } of lag.percentiles()) {
    expect(Math.abs(ms / (percentile * 1000) - 1)).toBeLessThan(0.002)
  }
})

function offer(offered: number, achieved: number, p99: number): Parameters<typeof outcomeOf>[0] {
  return { offered, achieved, percentiles: [{ percentile: 99, ms: p99 }] }
}

test('a lag beyond the interval and a second is ours, too few rows are the source', () => {
  expect(outcomeOf(offer(1000, 1000, 11_000), 10_000)).toBe('kept')
  expect(outcomeOf(offer(1000, 1000, 11_001), 10_000)).toBe('lag')
  expect(outcomeOf(offer(1000, 951, 900), 1000)).toBe('kept')
  expect(outcomeOf(offer(1000, 949, 900), 1000)).toBe('source')
  expect(outcomeOf(offer(1000, 500, 2001), 1000)).toBe('lag')
})

test.each([130, 3000, 47_000, 1_234_567])('the search finds what keeps %i rows/s', (capacity) => {
  const tried: { offered: number; outcome: Outcome }[] = []
  let rate: number | null = 10_000
  while (rate !== null) {
    tried.push({ offered: rate, outcome: rate <= capacity ? 'kept' : 'lag' })
    rate = nextRate(tried)
  }
  const best = Math.max(...tried.filter((each) => each.outcome === 'kept').map((e) => e.offered))
  expect(best).toBeLessThanOrEqual(capacity)
  expect(best).toBeGreaterThan(capacity / 1.2)
  expect(tried.length).toBeLessThan(20)
})

test('the search gives up where nothing is kept', () => {
  expect(nextRate([{ offered: 1000, outcome: 'lag' }])).toBe(500)
  expect(nextRate([{ offered: 90, outcome: 'lag' }])).toBe(null)
})

test('a hundred transactions a second, of one to a thousand rows', () => {
  expect([1, 1000, 12_345, 1e6].map(transactionRows)).toEqual([1, 10, 123, 1000])
})

test('what the lake shows is said by the newest snapshot', () => {
  const snapshot = (id: number, rows: string): object => ({
    'snapshot-id': id,
    summary: { 'total-records': rows },
  })
  const snapshots = [snapshot(1, '5'), snapshot(2, '17')]
  expect(rowsOf(JSON.stringify({ 'current-snapshot-id': 2, snapshots }))).toBe(17)
  expect(rowsOf('{}')).toBe(0)
})

const step: LatencyStep = {
  offered: 10_000,
  achieved: 9990,
  rows: 100_000,
  percentiles: [
    { percentile: 50, ms: 600 },
    { percentile: 99, ms: 1250 },
    { percentile: 100, ms: 1400 },
  ],
  outcome: 'kept',
  cpuSeconds: 0.5,
  serverCpuSeconds: 0.25,
}

test('a step is a row of the text and a line of the plot', () => {
  const result: ScenarioResult = {
    scenario: 'mysql-latency',
    title: 'MySQL',
    figures: [],
    floors: [],
    latencies: [step],
    notes: [],
  }
  const [, head = '', row = ''] = formatResult(result).split('\n')
  expect(
    head
      .trim()
      .split(/\s{2,}/)
      .slice(2, 5),
  ).toEqual(['p50 ms', 'p99 ms', 'max ms'])
  const cells = ['10,000', '9,990', '600', '1,250', '1,400', '5.00', '2.50', 'kept']
  expect(row.trim().split(/\s{2,}/)).toEqual(cells)
  const { picture, legend } = latencyPlot([step])
  expect(legend).toEqual([{ name: '10,000 rows/s', look: 'look-0' }])
  expect(picture).toContain('10,000 rows/s, p99: 1,250 ms')
  expect(picture).not.toContain('NaN')
})
