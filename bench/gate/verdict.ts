// Whether this tree lost speed against another: ratios of rounds in which both read the same rows,
// so that neither the machine nor its neighbours count. Pure, so that it is tested.

import { cpuPerMillion, median, rates, type Figure } from '../figures.ts'

/** Of the other's rate or CPU time. */
export const LOSS_MAX = 0.15

export interface Comparison {
  readonly scenario: string
  /** This tree's over the other's, of each round; above 1 is faster. */
  readonly rate: readonly number[]
  /** The same of CPU time; above 1 is more. */
  readonly cpu: readonly number[]
}

/**
 * @param ours  of this tree
 * @param theirs  of the other; the n-th samples of both ran in the n-th round
 */
export function compare(scenario: string, ours: Figure, theirs: Figure): Comparison {
  return {
    scenario,
    rate: ratios(rates(ours).steady, rates(theirs).steady),
    cpu: ratios(cpuPerMillion(ours).steady, cpuPerMillion(theirs).steady),
  }
}

/** @returns what was lost, in words; empty where the median of the rounds is within the bound */
export function lossesOf({ scenario, rate, cpu }: Comparison): string[] {
  const slower = 1 - median(rate)
  const dearer = median(cpu) - 1
  const limit = `${percent(LOSS_MAX)} at most`
  return [
    ...(slower <= LOSS_MAX ? [] : [`${scenario}: ${percent(slower)} less rate, ${limit}`]),
    ...(dearer <= LOSS_MAX ? [] : [`${scenario}: ${percent(dearer)} more CPU time, ${limit}`]),
  ]
}

/** Rows of a table under a head: medians, and the least and the largest of the rounds. */
export function comparisonTable(comparisons: readonly Comparison[]): string[][] {
  return [
    ['this tree / the other', 'rate', 'rounds', 'CPU time', 'rounds', 'runs', ''],
    ...comparisons.map((comparison) => {
      const { scenario, rate, cpu } = comparison
      const verdict = lossesOf(comparison).length === 0 ? 'PASS' : 'FAIL'
      const runs = String(rate.length)
      return [
        scenario,
        factor(median(rate)),
        range(rate),
        factor(median(cpu)),
        range(cpu),
        runs,
      ].concat(verdict)
    }),
  ]
}

function ratios(mine: readonly number[], theirs: readonly number[]): number[] {
  if (mine.length !== theirs.length) throw new Error('a round has only one of both')
  return mine.map((value, at) => {
    const ratio = value / (theirs[at] ?? Number.NaN)
    if (!Number.isFinite(ratio)) throw new Error('too few rows to compare; give more by --rows')
    return ratio
  })
}

function range(values: readonly number[]): string {
  return `${factor(Math.min(...values))}...${factor(Math.max(...values))}`
}

function factor(value: number): string {
  return value.toFixed(2)
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}
