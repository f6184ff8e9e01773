// The page of a report: it needs nothing else, and every figure has machine, commit and command.
import { expect, test } from 'vitest'
import type { Figure, Report } from '../../bench/figures.ts'
import { formatPage } from '../../bench/report/page.ts'
import { requireBalanced } from './markup.ts'

const MIB = 1024 * 1024

function figure(name: string, kind: Figure['kind'], seconds: readonly number[]): Figure {
  return {
    name,
    kind,
    rows: 1_000_000,
    bytesPerRow: 1,
    command: `run <${name}> & wait`,
    samples: seconds.map((each) => ({
      seconds: each,
      cpuSeconds: 4,
      steadySeconds: each,
      steadyCpuSeconds: 3,
      peakRssBytes: 100 * MIB,
      serverCpuSeconds: 1,
      threads: [
        { name: 'source thread', cpuSeconds: 2 },
        { name: 'writer threads', cpuSeconds: 1.5 },
      ],
      memory: [
        { seconds: 0, bytes: 50 * MIB },
        { seconds: each, bytes: 90 * MIB },
      ],
    })),
  }
}

const report: Report = {
  machine: {
    cpu: 'Some CPU',
    cores: 8,
    memoryGib: 32,
    kernel: '6.1',
    node: 'v24.0.0',
    commit: 'abcdef123456',
    uncommitted: 2,
  },
  command: 'npm run bench -- --only mysql-log,mysql-update',
  begun: '2026-01-01T00:00:00.000Z',
  results: ['mysql-log', 'mysql-update'].map((scenario) => ({
    scenario,
    title: 'MySQL 9 <beta>',
    figures: [figure('ours', 'ours', [2, 4, 3]), figure('npm', 'alternative', [20, 21, 22])],
    floors: [],
    notes: ['one & only'],
  })),
}

test('the page is balanced markup and asks for nothing outside', () => {
  const page = formatPage(report)
  requireBalanced(page.replace(/<style>[^<]*<\/style>/, ''))
  expect(page).not.toMatch(/https?:|src=|url\(|@import|<script|<link/)
})

test('each section has the commit, the machine, its own command, and those of its figures', () => {
  const sections = formatPage(report).split('<section').slice(1)
  expect(sections).toHaveLength(2)
  for (const [at, section] of sections.entries()) {
    const { scenario } = report.results[at]!
    expect(section).toContain('commit abcdef123456 with 2 changed files · Some CPU, 8 cores')
    expect(section).toContain(`npm run bench -- --only ${scenario}`)
    expect(section).toContain('<code>run &lt;ours&gt; &amp; wait</code>')
    expect(section).toContain('MySQL 9 &lt;beta&gt;')
  }
})

test('rates, CPU time by thread and memory are drawn, the medians as numbers', () => {
  const [, section = ''] = formatPage(report).split('<section')
  expect(section.match(/<svg /g)).toHaveLength(3)
  // 1 M rows in 3 s, the run in the middle.
  expect(section).toContain('>333,333</text>')
  expect(section).toContain('ours, source thread: 2.00')
  // 4 CPU s, of which no look at a thread has seen 0.5.
  expect(section).toContain('ours, not seen: 0.50')
  expect(section).toContain('ours: 90 MiB after 3.0 s')
})

test('a profile, which has no figures, is its text', () => {
  const [result] = report.results
  const page = formatPage({ ...report, results: [{ ...result!, figures: [] }] })
  requireBalanced(page.replace(/<style>[^<]*<\/style>/, ''))
  expect(page).not.toContain('<svg')
  expect(page).toContain('one &amp; only')
})

test('every look that a plot can have has a colour in both schemes', () => {
  const [, style = ''] = /<style>([^<]*)<\/style>/.exec(formatPage(report)) ?? []
  for (const look of ['ours', 'denominator', 'alternative', 'peer', 'look-0', 'look-7']) {
    expect(style).toContain(`.${look}{fill:var(--${look})`)
    expect(style.match(new RegExp(`[;{]--${look}:#`, 'g'))).toHaveLength(2)
  }
})
