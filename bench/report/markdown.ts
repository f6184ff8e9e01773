// The report as a page of the documentation: what was typed, on what machine, and the tables.

import { formatMachine } from '../machine.ts'
import type { Report, ScenarioResult } from '../figures.ts'
import { formatFloor, latencyTable, tableOf } from './text.ts'

export function formatMarkdown({ machine, command, begun, results }: Report): string {
  return `# Benchmarks

The last run that was kept. What is measured, how, and what is fair about it is told in
[bench/README.md](../bench/README.md). This page is written by
\`npm run bench -- --from bench.json --markdown docs/benchmarks.md\`.

\`${command}\`, ${begun.slice(0, 10)}

${formatMachine(machine)}

${results.map(section).join('\n\n')}
`
}

function section({
  scenario,
  title,
  figures,
  floors,
  latencies = [],
  notes,
}: ScenarioResult): string {
  const parts = [
    `## ${scenario}\n\n${title}.`,
    ...(figures.length === 0 ? [] : [table(tableOf(figures).map(unnumbered))]),
    ...(latencies.length === 0 ? [] : [table(latencyTable(latencies))]),
    ...(floors.length === 0
      ? []
      : [floors.map((each) => `- ${formatFloor(each).trim()}`).join('\n')]),
    ...(notes.length === 0 ? [] : [notes.join('\n')]),
  ]
  return parts.join('\n\n')
}

/** The commands, to which the numbers point, are in the JSON and on the HTML page only. */
function unnumbered([name = '', ...cells]: readonly string[]): string[] {
  return [name.replace(/ \[\d+\]$/, ''), ...cells]
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}
