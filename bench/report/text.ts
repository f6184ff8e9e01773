// The report as text: one table for each scenario with its floors below, and each command in full.

import {
  cpuPerMillion,
  median,
  peakRssMebibytes,
  rates,
  spread,
  verdictOf,
  type Figure,
  type Floor,
  type LatencyStep,
  type ScenarioResult,
  type Unit,
} from '../figures.ts'

const COLUMNS = [
  '',
  'rows/s',
  'MB/s',
  'spread',
  'whole run',
  'CPU s/M',
  'whole run',
  'server CPU s/M',
  'peak RSS',
  'runs',
]

const OUTCOMES = { kept: 'kept', source: 'the server takes less', lag: 'falls behind' } as const

export function formatResult(result: ScenarioResult): string {
  const { scenario, title, figures, floors, latencies = [], notes } = result
  const table = figures.length === 0 ? [] : formatTable(tableOf(figures))
  return [
    `${scenario}: ${title}`,
    ...table,
    ...(latencies.length === 0 ? [] : formatTable(latencyTable(latencies))),
    ...floors.map(formatFloor),
    ...notes.map((note) => `  ${note}`),
    ...figures.map(({ command }, at) => `  [${at + 1}] ${command}`),
    '',
  ].join('\n')
}

/** Head and rows of the table; the numbers in brackets are those of the commands. */
export function tableOf(figures: readonly Figure[]): string[][] {
  return [COLUMNS, ...figures.map(figureRow)]
}

/** Head and rows: one for each offered rate, in the order in which they were tried. */
export function latencyTable(steps: readonly LatencyStep[]): string[][] {
  const named = steps[0]?.percentiles.map(({ percentile }) => percentileName(percentile)) ?? []
  const units = named.map((name) => `${name} ms`)
  const head = ['rows/s offered', 'taken', ...units, 'CPU s/M', 'server CPU s/M', 'outcome']
  return [head, ...steps.map(latencyRow)]
}

export function percentileName(percentile: number): string {
  return percentile === 100 ? 'max' : `p${percentile}`
}

function latencyRow(step: LatencyStep): string[] {
  const { offered, achieved, rows, percentiles, outcome, cpuSeconds, serverCpuSeconds } = step
  return [
    integer(offered),
    integer(achieved),
    ...percentiles.map(({ ms }) => integer(ms)),
    ((cpuSeconds / rows) * 1e6).toFixed(2),
    ((serverCpuSeconds / rows) * 1e6).toFixed(2),
    OUTCOMES[outcome],
  ]
}

function figureRow(figure: Figure, at: number): string[] {
  const rate = rates(figure)
  const cpu = cpuPerMillion(figure)
  const server = figure.samples.map(
    ({ serverCpuSeconds }) => (serverCpuSeconds / figure.rows) * 1e6,
  )
  return [
    `${figure.name} [${at + 1}]`,
    integer(median(rate.steady)),
    integer((median(rate.steady) * figure.bytesPerRow) / 1e6),
    figure.samples.length > 1 ? `${integer(spread(rate.steady) * 100)} %` : '-',
    integer(median(rate.whole)),
    median(cpu.steady).toFixed(2),
    median(cpu.whole).toFixed(2),
    median(server).toFixed(2),
    `${integer(peakRssMebibytes(figure))} MiB`,
    String(figure.samples.length),
  ]
}

/** Columns under each other: the first to the left, numbers to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    return `  ${cells.join('  ')}`.trimEnd()
  })
}

export function formatFloor(floor: Floor): string {
  const { claim, limit, bound, unit, steady, whole } = floor
  const found = amount(steady, unit)
  const all = whole === null ? '' : `, ${amount(whole, unit)} with start and end`
  const verdict = verdictOf(floor)
  const mark = verdict === 'steady' ? 'PASS (steady)' : verdict
  return `  ${mark}: ${claim} ${bound} ${amount(limit, unit)}: ${found}${all}`
}

function amount(value: number, unit: Unit): string {
  switch (unit) {
    case 'rows/s':
    case 'MiB':
    case 'ms':
      return `${integer(value)} ${unit}`
    case 'CPU s/M rows':
      return `${value.toFixed(2)} ${unit}`
    case 'times':
      return `${value.toFixed(1)} ${unit}`
    case '%':
      return `${value.toFixed(1)} %`
  }
}

function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
