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
  type ScenarioResult,
  type Unit,
} from '../figures.ts'

const COLUMNS = [
  '',
  'rows/s',
  'spread',
  'whole run',
  'CPU s/M',
  'whole run',
  'server CPU s/M',
  'peak RSS',
  'runs',
]

export function formatResult(result: ScenarioResult): string {
  const { scenario, title, figures, floors, notes } = result
  const table = figures.length === 0 ? [] : formatTable(tableOf(figures))
  return [
    `${scenario}: ${title}`,
    ...table,
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

function figureRow(figure: Figure, at: number): string[] {
  const rate = rates(figure)
  const cpu = cpuPerMillion(figure)
  const server = figure.samples.map(
    ({ serverCpuSeconds }) => (serverCpuSeconds / figure.rows) * 1e6,
  )
  return [
    `${figure.name} [${at + 1}]`,
    integer(median(rate.steady)),
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
