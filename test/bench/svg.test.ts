// Plots: the geometry says what the figures say, and no text can become markup.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { barPlot, escaped, linePlot, niceTicks, partedPlot } from '../../bench/report/svg.ts'
import { requireBalanced } from './markup.ts'

/** @returns the attribute of each element of that name, in order */
function numbersOf(svg: string, element: string, attribute: string): number[] {
  const tags = svg.match(new RegExp(`<${element} [^>]*>`, 'g')) ?? []
  return tags.map((tag) => Number(new RegExp(` ${attribute}="([^"]*)"`).exec(tag)?.[1]))
}

test('the lengths of bars are to each other as their values', () => {
  const bar = { label: 'l', text: 't', look: 'ours' }
  const values = [400, 100, 200]
  const bars = values.map((value) => ({ ...bar, value, range: [value, value] as const }))
  const [long = 0, short = 0, middle = 0] = numbersOf(barPlot('t', bars), 'rect', 'width')
  expect(long / short).toBeCloseTo(4)
  expect(long / middle).toBeCloseTo(2)
})

test('a whisker goes from the slowest to the fastest run, and one run has none', () => {
  const bar = { label: 'l', text: 't', look: 'ours', value: 50 }
  expect(barPlot('t', [{ ...bar, range: [50, 50] }])).not.toContain('whisker')
  const plot = barPlot('t', [{ ...bar, range: [25, 100] }])
  const [x = 0] = numbersOf(plot, 'rect', 'x')
  const [width = 0] = numbersOf(plot, 'rect', 'width')
  const [, low, high] = /class="whisker" d="M([\d.]+) [\d.]+H([\d.]+)"/.exec(plot) ?? []
  expect(Number(low) - x).toBeCloseTo(width / 2)
  expect(Number(high) - x).toBeCloseTo(width * 2)
})

test('parts of a bar stand one behind the other without a gap', () => {
  const parts = [3, 1, 2].map((value) => ({ name: 'p', value, look: 'look-0' }))
  const plot = partedPlot('t', [{ label: 'l', text: 't', parts }])
  const starts = numbersOf(plot, 'rect', 'x')
  const widths = numbersOf(plot, 'rect', 'width')
  expect(widths.map((width) => width / (widths[1] ?? 0))).toEqual([3, 1, 2].map(closeTo))
  expect(starts.slice(1)).toEqual(starts.slice(0, 2).map((x, at) => closeTo(x + widths[at]!)))
})

function closeTo(value: number): unknown {
  return expect.closeTo(value, 0.5)
}

test('points of a line lie between the ticks beside them', () => {
  const ticks = [0, 10].map((at) => ({ at, text: String(at) }))
  const points = [0, 5, 10].map((x) => ({ x, y: x, title: String(x) }))
  const line = { name: 'n', look: 'look-0', points }
  const plot = linePlot('t', { label: 'x', ticks }, { label: 'y', ticks }, [line])
  const xs = numbersOf(plot, 'circle', 'cx')
  const ys = numbersOf(plot, 'circle', 'cy')
  expect(xs[1]).toBeCloseTo(((xs[0] ?? 0) + (xs[2] ?? 0)) / 2)
  // Up is less.
  expect(ys[0]).toBeGreaterThan(ys[2] ?? 0)
  expect(numbersOf(plot, 'text', 'x').slice(0, 1)).toEqual([56])
})

test('ticks are few, even, and reach the largest value', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e12, noNaN: true }), (max) => {
      const ticks = niceTicks(max)
      const last = ticks.at(-1) ?? 0
      expect(ticks[0]).toBe(0)
      expect(last).toBeGreaterThanOrEqual(max * (1 - 1e-6))
      expect(last).toBeLessThan(max * 2.1)
      expect(ticks.length).toBeLessThanOrEqual(7)
    }),
  )
  expect(niceTicks(0)).toEqual([0, 0.2])
})

test('whatever a name holds, the markup stays balanced and the name stays text', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      const bar = { label: name, text: name, value: 1, range: [1, 2] as const, look: 'ours' }
      const plot = barPlot(name, [bar])
      requireBalanced(plot)
      expect(plot).toContain(`dy="0.35em">${escaped(name)}</text>`)
    }),
    { examples: [['<script>'], ['a" onload="x'], ['&lt;'], ['</svg>']] },
  )
})
