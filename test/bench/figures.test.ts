// Medians, paired ratios, and what counts as reached.
import { expect, test } from 'vitest'
import {
  cpuPerMillion,
  median,
  peakRssMebibytes,
  rateRatio,
  rates,
  spread,
  verdictOf,
  type Figure,
  type Floor,
  type Sample,
} from '../../bench/figures.ts'

const MIB = 1024 * 1024

function sample(values: Partial<Sample>): Sample {
  return {
    seconds: 2,
    cpuSeconds: 3,
    steadySeconds: 1,
    steadyCpuSeconds: 2,
    peakRssBytes: 100 * MIB,
    serverCpuSeconds: 1,
    threads: [],
    memory: [],
    ...values,
  }
}

function figure(rows: number, samples: readonly Partial<Sample>[]): Figure {
  return {
    name: 'f',
    kind: 'ours',
    rows,
    bytesPerRow: 1,
    command: 'c',
    samples: samples.map(sample),
  }
}

function floor(values: Partial<Floor>): Floor {
  return {
    claim: 'c',
    limit: 100,
    bound: 'at least',
    unit: 'rows/s',
    steady: 100,
    whole: null,
    ...values,
  }
}

test('the median of an even count lies between the two in the middle', () => {
  expect(median([9, 1, 3])).toBe(3)
  expect(median([9, 1, 3, 5])).toBe(4)
  expect(() => median([])).toThrow('no values')
})

test('the spread is the range as a share of the median', () => {
  expect(spread([90, 100, 110])).toBeCloseTo(0.2)
  expect(spread([5])).toBe(0)
})

test('rates and CPU time come with and without start and end', () => {
  const found = figure(1000, [{}, { seconds: 4, steadySeconds: 2 }])
  expect(rates(found)).toEqual({ steady: [1000, 500], whole: [500, 250] })
  expect(cpuPerMillion(found)).toEqual({ steady: [2000, 2000], whole: [3000, 3000] })
})

test('the memory of a figure is that of its worst run', () => {
  expect(peakRssMebibytes(figure(1, [{}, { peakRssBytes: 300 * MIB }, {}]))).toBe(300)
})

test('a ratio pairs the runs of one round, so a slow minute of the machine cancels out', () => {
  const ours = figure(100, [{ steadySeconds: 1 }, { steadySeconds: 10 }, { steadySeconds: 2 }])
  const other = figure(100, [{ steadySeconds: 2 }, { steadySeconds: 20 }, { steadySeconds: 4 }])
  expect(rateRatio(ours, other).steady).toBeCloseTo(2)
  // Ours whole, start included, against the other's steady part.
  expect(rateRatio(ours, other).whole).toBeCloseTo(2)
})

test('figures of different row counts are compared by their rates', () => {
  const ours = figure(1000, [{ steadySeconds: 1 }])
  const other = figure(10, [{ steadySeconds: 1 }])
  expect(rateRatio(ours, other).steady).toBe(100)
})

test('a floor is reached at its limit, and missed beyond it', () => {
  expect(verdictOf(floor({}))).toBe('PASS')
  expect(verdictOf(floor({ steady: 99.9 }))).toBe('FAIL')
  expect(verdictOf(floor({ bound: 'at most' }))).toBe('PASS')
  expect(verdictOf(floor({ bound: 'at most', steady: 100.1 }))).toBe('FAIL')
})

test('a floor that only the steady rate reaches says so', () => {
  expect(verdictOf(floor({ whole: 99 }))).toBe('steady')
  expect(verdictOf(floor({ whole: 100 }))).toBe('PASS')
  expect(verdictOf(floor({ steady: 90, whole: 120 }))).toBe('FAIL')
})

test('what cannot be measured is not reached', () => {
  expect(verdictOf(floor({ steady: Number.NaN }))).toBe('FAIL')
  expect(verdictOf(floor({ steady: Number.NaN, bound: 'at most' }))).toBe('FAIL')
})
