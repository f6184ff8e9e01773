// Which picture shows which figures: throughput beside what bounds it and what npm offers, CPU
// time by thread, memory over time. Medians of runs, as in the tables.

import {
  cpuPerMillion,
  MEBIBYTE,
  median,
  peakRssMebibytes,
  rates,
  type Figure,
  type LatencyStep,
  type Sample,
} from '../figures.ts'
import { percentileName } from './text.ts'
import { barPlot, linePlot, niceTicks, partedPlot, type Axis, type Line } from './svg.ts'

export interface Plot {
  readonly title: string
  readonly picture: string
  readonly legend: readonly { readonly name: string; readonly look: string }[]
}

const KIND_NAMES = {
  ours: 'Millrace',
  denominator: 'what the server can send',
  alternative: 'what npm offers',
  peer: 'what others take',
} as const

/** Looks of lines and parts; there are as many in the style. */
const LOOKS = 8

/** A thread's last moments, and processes shorter than a look. */
const UNSEEN = 'not seen'

export function ratePlot(figures: readonly Figure[]): Plot {
  const bars = figures.map((figure) => {
    const { steady } = rates(figure)
    return {
      label: figure.name,
      value: median(steady),
      range: [Math.min(...steady), Math.max(...steady)] as const,
      text: integer(median(steady)),
      look: figure.kind,
    }
  })
  const kinds = [...new Set(figures.map(({ kind }) => kind))]
  return {
    title: 'Rows a second, start and end left out: median, slowest and fastest run',
    picture: barPlot('rows a second', bars),
    legend: kinds.map((kind) => ({ name: KIND_NAMES[kind], look: kind })),
  }
}

/** Whole runs: the CPU time of threads is not known without start and end. */
export function cpuPlot(figures: readonly Figure[]): Plot {
  const names = [...new Set(figures.flatMap((figure) => threadsOf(figure).map(({ name }) => name)))]
  const lookOf = (name: string): string =>
    name === UNSEEN ? 'unseen' : lookAt(names.filter((each) => each !== UNSEEN).indexOf(name))
  const bars = figures.map((figure) => ({
    label: figure.name,
    text: median(cpuPerMillion(figure).whole).toFixed(2),
    parts: threadsOf(figure).map(({ name, value }) => ({ name, value, look: lookOf(name) })),
  }))
  return {
    title: 'CPU seconds for each million rows by thread, start and end included',
    picture: partedPlot('CPU seconds for each million rows', bars),
    legend: names.map((name) => ({ name, look: lookOf(name) })),
  }
}

export function memoryPlot(figures: readonly Figure[]): Plot {
  const lines = figures.map((figure, at): Line => {
    const points = middleRun(figure).memory.map(({ seconds, bytes }) => ({
      x: seconds,
      y: bytes / MEBIBYTE,
      title: `${figure.name}: ${integer(bytes / MEBIBYTE)} MiB after ${seconds.toFixed(1)} s`,
    }))
    return { name: figure.name, look: lookAt(at), points }
  })
  const all = lines.flatMap(({ points }) => points)
  const picture = linePlot(
    'memory over time',
    axis('seconds', Math.max(...all.map(({ x }) => x), 1)),
    axis('MiB resident', Math.max(...all.map(({ y }) => y), 1)),
    lines,
  )
  const peaks = figures.map(
    (figure) => `${figure.name}, peak ${integer(peakRssMebibytes(figure))} MiB`,
  )
  return {
    title: 'Memory over time: the run in the middle; the peak is that of the worst',
    picture,
    legend: peaks.map((name, at) => ({ name, look: lookAt(at) })),
  }
}

/** From the median to the largest; each nine of the percentiles is as wide as the one before. */
export function latencyPlot(steps: readonly LatencyStep[]): Plot {
  const shown = steps.toSorted((left, right) => left.offered - right.offered)
  const named = shown.map((step) => ({ step, name: `${integer(step.offered)} rows/s` }))
  const lines = named.map(({ step, name }, at): Line => {
    const points = step.percentiles.map(({ percentile, ms }) => ({
      x: nines(percentile),
      y: ms,
      title: `${name}, ${percentileName(percentile)}: ${integer(ms)} ms`,
    }))
    return { name, look: lookAt(at), points }
  })
  const ticks = (shown[0]?.percentiles ?? []).map(({ percentile }) => ({
    at: nines(percentile),
    text: percentileName(percentile),
  }))
  const largest = Math.max(...lines.flatMap(({ points }) => points.map(({ y }) => y)), 1)
  const y = axis('milliseconds', largest)
  return {
    title: 'From the commit in the source to the lake: percentiles of rows by offered rate',
    picture: linePlot('latency by percentile', { label: 'of the rows', ticks }, y, lines),
    legend: lines.map(({ name, look }) => ({ name, look })),
  }
}

/** 1 for 90 %, 2 for 99 %; the largest of all has a place of its own behind 99.9 %. */
function nines(percentile: number): number {
  return percentile === 100 ? 4 : -Math.log10(1 - percentile / 100)
}

export function axis(label: string, max: number): Axis {
  const ticks = niceTicks(max).map((at) => ({ at, text: at.toLocaleString('en-US') }))
  return { label, ticks }
}

export function lookAt(index: number): string {
  return `look-${index % LOOKS}`
}

/** The run whose time is the median, the slower one of two. */
function middleRun({ samples }: Figure): Sample {
  const sorted = samples.toSorted((left, right) => left.seconds - right.seconds)
  const middle = sorted[sorted.length >> 1]
  if (middle === undefined) throw new Error('no runs')
  return middle
}

/** CPU seconds for each million rows: medians of the runs, and what no look has seen. */
function threadsOf(figure: Figure): { name: string; value: number }[] {
  const { samples, rows } = figure
  const names = [...new Set(samples.flatMap(({ threads }) => threads.map(({ name }) => name)))]
  const seen = names.map((name) => {
    const values = samples.map(
      ({ threads }) => threads.find((thread) => thread.name === name)?.cpuSeconds ?? 0,
    )
    return { name, value: (median(values) / rows) * 1e6 }
  })
  const sum = seen.reduce((total, { value }) => total + value, 0)
  const rest = Math.max(0, median(cpuPerMillion(figure).whole) - sum)
  return [
    ...seen.filter(({ value }) => value > 0).toSorted((a, b) => b.value - a.value),
    { name: UNSEEN, value: rest },
  ]
}

function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
