// The text that people read.
import { expect, test } from 'vitest'
import type { ScenarioResult } from '../../bench/figures.ts'
import { formatFloor, formatResult, formatTable } from '../../bench/report/text.ts'

const MIB = 1024 * 1024

const result: ScenarioResult = {
  scenario: 'mysql-log',
  title: 'MySQL 9.7',
  figures: [
    {
      name: 'millrace run --once',
      kind: 'ours',
      rows: 2_000_000,
      bytesPerRow: 200,
      command: 'node main.ts run FILE --once',
      samples: [1, 2, 4].map((seconds) => ({
        seconds: seconds + 1,
        cpuSeconds: 3,
        steadySeconds: seconds,
        steadyCpuSeconds: 2,
        peakRssBytes: seconds * 100 * MIB,
        serverCpuSeconds: 0.5,
        threads: [],
        memory: [],
      })),
    },
  ],
  floors: [
    {
      claim: 'rate',
      limit: 500_000,
      bound: 'at least',
      unit: 'rows/s',
      steady: 1_000_000,
      whole: 666_667,
    },
  ],
  notes: ['a note'],
}

test('a result shows medians, spread, worst memory, floors, notes and commands', () => {
  const text = formatResult(result)
  expect(text).toContain('mysql-log: MySQL 9.7')
  const row = text.split('\n').find((line) => line.includes('millrace run --once [1]'))
  // 2,000,000, 1,000,000 and 500,000 rows/s.
  expect(row?.trim().split(/\s{2,}/)).toEqual([
    'millrace run --once [1]',
    '1,000,000',
    '200',
    '150 %',
    '666,667',
    '1.00',
    '1.50',
    '0.25',
    '400 MiB',
    '3',
  ])
  expect(text).toContain(
    '  PASS: rate at least 500,000 rows/s: 1,000,000 rows/s, 666,667 rows/s with start and end',
  )
  expect(text).toContain('  a note')
  expect(text).toContain('  [1] node main.ts run FILE --once')
})

test('a result without figures has no table', () => {
  const text = formatResult({ ...result, figures: [], floors: [] })
  expect(text).toBe('mysql-log: MySQL 9.7\n  a note\n')
})

test('a floor that only the steady rate reaches is marked', () => {
  const [floor] = result.floors
  expect(formatFloor({ ...floor!, whole: 1 })).toContain('PASS (steady): ')
  expect(formatFloor({ ...floor!, steady: 1 })).toContain('FAIL: ')
})

test('numbers stand under each other', () => {
  const table = [
    ['', 'rows/s'],
    ['a', '1'],
    ['bcd', '1,000'],
  ]
  expect(formatTable(table)).toEqual(['       rows/s', '  a         1', '  bcd   1,000'])
})
