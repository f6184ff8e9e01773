// The report as one page that needs nothing else: no script, no font, no address outside. Every
// section repeats machine and commit, so that what is cut out of it still says where it is from.

import { formatMachine } from '../machine.ts'
import { type Report, type ScenarioResult } from '../figures.ts'
import { formatFloor, latencyTable, tableOf } from './text.ts'
import { cpuPlot, latencyPlot, memoryPlot, ratePlot, type Plot } from './plots.ts'
import { STYLE } from './style.ts'
import { escaped } from './svg.ts'

export function formatPage(report: Report): string {
  const { machine, command, begun, results } = report
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Millrace benchmarks, commit ${escaped(machine.commit)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Millrace benchmarks</h1>
<p>${escaped(formatMachine(machine))}</p>
<p>${escaped(begun)} <code>${escaped(command)}</code></p>
</header>
<nav>${results.map(({ scenario }) => `<a href="#${scenario}">${scenario}</a>`).join(' ')}</nav>
<main>
${results.map((result) => section(report, result)).join('\n')}
</main>
</body>
</html>
`
}

function section({ machine }: Report, result: ScenarioResult): string {
  const { scenario, title, figures, floors, latencies = [], notes } = result
  const reached = floors.map((floor) => escaped(formatFloor(floor).trim()))
  const commands = figures.map((each) => `<code>${escaped(each.command)}</code>`)
  const changed = machine.uncommitted > 0 ? ` with ${machine.uncommitted} changed files` : ''
  const origin =
    `commit ${machine.commit}${changed} · ${machine.cpu}, ${machine.cores} cores · ` +
    `node ${machine.node} · npm run bench -- --only ${scenario}`
  return `<section id="${escaped(scenario)}">
<h2>${escaped(scenario)}</h2>
<p>${escaped(title)}</p>
<p class="origin">${escaped(origin)}</p>
${plotsOf(result).map(figure).join('\n')}
${figures.length === 0 ? '' : table(tableOf(figures))}
${latencies.length === 0 ? '' : table(latencyTable(latencies))}
${list('ul', 'floors', reached)}
${notes.length === 0 ? '' : `<p class="notes">${notes.map(escaped).join('<br>')}</p>`}
${list('ol', 'commands', commands)}
</section>`
}

function plotsOf({ figures, latencies = [] }: ScenarioResult): Plot[] {
  return [
    ...(latencies.length === 0 ? [] : [latencyPlot(latencies)]),
    ...(figures.length === 0 ? [] : [ratePlot(figures), cpuPlot(figures), memoryPlot(figures)]),
  ]
}

function figure({ title, picture, legend }: Plot): string {
  const entries = legend.map(
    ({ name, look }) => `<span><i class="${look}"></i>${escaped(name)}</span>`,
  )
  return `<figure><figcaption>${escaped(title)}</figcaption>
<p class="legend">${entries.join('')}</p><div class="wide">${picture}</div></figure>`
}

/** @param items  markup */
function list(tag: 'ul' | 'ol', name: string, items: readonly string[]): string {
  const all = items.map((item) => `<li>${item}</li>`).join('')
  return items.length === 0 ? '' : `<${tag} class="${name}">${all}</${tag}>`
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows
  const cells = (row: readonly string[], tag: string): string =>
    `<tr>${row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  return `<div class="wide"><table><thead>${cells(head, 'th')}</thead>
<tbody>${body.map((row) => cells(row, 'td')).join('\n')}</tbody></table></div>`
}
