// What a benchmark found: runs of ours and of what it is measured by, and the floors they must
// reach. Medians of runs, ratios of runs that stood beside each other; pure, so that it is tested.

import type { ReferenceKind } from './engine.ts'
import type { LatencyPoint } from './latency/lag.ts'
import type { Outcome } from './latency/sustained.ts'
import type { Machine } from './machine.ts'
import type { MemoryPoint, ThreadCpu } from './tree-sampler.ts'

export interface Sample {
  readonly seconds: number
  readonly cpuSeconds: number
  /** Without what it takes to start and to end, where that is known; else the whole. */
  readonly steadySeconds: number
  readonly steadyCpuSeconds: number
  readonly peakRssBytes: number
  readonly serverCpuSeconds: number
  /** CPU time by thread, as far as it was seen; start and end are in it. */
  readonly threads: readonly ThreadCpu[]
  readonly memory: readonly MemoryPoint[]
}

export interface Figure {
  readonly name: string
  readonly kind: 'ours' | ReferenceKind
  /** That one run reads. */
  readonly rows: number
  /** In the source: of the log, or of the table's pages. */
  readonly bytesPerRow: number
  readonly command: string
  /** At least one; the n-th of each figure ran in the n-th round. */
  readonly samples: readonly Sample[]
}

export interface Floor {
  readonly claim: string
  readonly limit: number
  readonly bound: 'at least' | 'at most'
  readonly unit: Unit
  readonly steady: number
  /** Start and end included; `null` where that makes no difference. */
  readonly whole: number | null
}

export type Unit = 'rows/s' | 'CPU s/M rows' | 'times' | '%' | 'MiB' | 'ms'

/** `steady`: reached by the steady rate only, not with start and end counted in. */
export type Verdict = 'PASS' | 'steady' | 'FAIL'

/** What became of one offered rate. */
export interface LatencyStep {
  /** Rows a second, as `achieved`, which is what the source has taken. */
  readonly offered: number
  readonly achieved: number
  readonly rows: number
  readonly percentiles: readonly LatencyPoint[]
  readonly outcome: Outcome
  /** Of ours and of the server, until the last row was visible. */
  readonly cpuSeconds: number
  readonly serverCpuSeconds: number
}

export interface ScenarioResult {
  readonly scenario: string
  readonly title: string
  readonly figures: readonly Figure[]
  readonly floors: readonly Floor[]
  /** From a commit in the source to the lake, by offered rate. */
  readonly latencies?: readonly LatencyStep[]
  readonly notes: readonly string[]
}

/** All of one call of the bench, as `--json` writes it. */
export interface Report {
  readonly machine: Machine
  /** What was typed. */
  readonly command: string
  /** When it began, in ISO 8601. */
  readonly begun: string
  readonly results: readonly ScenarioResult[]
}

export const MEBIBYTE = 1024 * 1024

/** @param values  at least one */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  const middle = sorted.length >> 1
  const upper = sorted[middle]
  if (upper === undefined) throw new Error('no values')
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}

/** Distance between the least and the largest, as a share of the median; 0 for a single value. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values)
}

export function rates(figure: Figure): { steady: number[]; whole: number[] } {
  const { rows, samples } = figure
  return {
    steady: samples.map(({ steadySeconds }) => rows / steadySeconds),
    whole: samples.map(({ seconds }) => rows / seconds),
  }
}

/** CPU seconds for each million rows. */
export function cpuPerMillion(figure: Figure): { steady: number[]; whole: number[] } {
  const { rows, samples } = figure
  return {
    steady: samples.map(({ steadyCpuSeconds }) => (steadyCpuSeconds / rows) * 1e6),
    whole: samples.map(({ cpuSeconds }) => (cpuSeconds / rows) * 1e6),
  }
}

/** The most that any run took, for a bound that every run must keep. */
export function peakRssMebibytes(figure: Figure): number {
  return Math.max(...figure.samples.map(({ peakRssBytes }) => peakRssBytes)) / MEBIBYTE
}

/** How many times faster than the other; each round gives one ratio. */
export function rateRatio(ours: Figure, other: Figure): { steady: number; whole: number } {
  const mine = rates(ours)
  const theirs = rates(other).steady
  const ratios = (values: readonly number[]): number =>
    median(values.slice(0, theirs.length).map((rate, at) => rate / (theirs[at] ?? Number.NaN)))
  return { steady: ratios(mine.steady), whole: ratios(mine.whole) }
}

export function verdictOf({ limit, bound, steady, whole }: Floor): Verdict {
  const holds = (value: number): boolean => (bound === 'at least' ? value >= limit : value <= limit)
  if (!holds(steady)) return 'FAIL'
  return whole === null || holds(whole) ? 'PASS' : 'steady'
}
