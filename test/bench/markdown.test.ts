// The report as a page of the documentation.
import { expect, test } from 'vitest'
import type { Report } from '../../bench/figures.ts'
import { formatMarkdown } from '../../bench/report/markdown.ts'

const report: Report = {
  machine: {
    cpu: 'Some CPU',
    cores: 8,
    memoryGib: 32,
    kernel: '6.1',
    node: 'v24.0.0',
    commit: 'abcdef123456',
    uncommitted: 0,
  },
  command: 'npm run bench',
  begun: '2026-01-01T00:00:00.000Z',
  results: [
    {
      scenario: 'mysql-log',
      title: 'MySQL 9',
      figures: [
        {
          name: 'ours | theirs',
          kind: 'ours',
          rows: 1_000_000,
          bytesPerRow: 150,
          command: 'node main.ts',
          samples: [
            {
              seconds: 3,
              cpuSeconds: 4,
              steadySeconds: 2,
              steadyCpuSeconds: 3,
              peakRssBytes: 100 * 1024 * 1024,
              serverCpuSeconds: 1,
              threads: [],
              memory: [],
            },
          ],
        },
      ],
      floors: [
        { claim: 'rate', limit: 1, bound: 'at least', unit: 'rows/s', steady: 2, whole: null },
      ],
      notes: ['a note'],
    },
  ],
}

test('the page has the machine, the command, a table with its floors, and notes', () => {
  const lines = formatMarkdown(report).split('\n')
  expect(lines).toContain('`npm run bench`, 2026-01-01')
  expect(lines.some((line) => line.includes('Some CPU') && line.includes('abcdef123456'))).toBe(
    true,
  )
  const at = lines.indexOf('## mysql-log')
  expect(lines.slice(at, at + 6)).toEqual([
    '## mysql-log',
    '',
    'MySQL 9.',
    '',
    '|  | rows/s | MB/s | spread | whole run | CPU s/M | whole run | server CPU s/M | peak RSS | runs |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
  ])
  // A bar of its own would be one more column.
  expect(lines[at + 6]).toBe(
    '| ours \\| theirs | 500,000 | 75 | - | 333,333 | 3.00 | 4.00 | 1.00 | 100 MiB | 1 |',
  )
  expect(lines).toContain('- PASS: rate at least 1 rows/s: 2 rows/s')
  expect(lines).toContain('a note')
})
