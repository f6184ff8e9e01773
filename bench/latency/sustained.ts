// Whether an offered rate is kept, and which one to try next.

import type { LatencyPoint } from './lag.ts'

/** Of the offered rate, below which the source has not taken it. */
const TAKEN_SHARE_MIN = 0.95
/** The largest rate is known well enough once what is too much is so close. */
const CLOSE = 1.15
/** Nobody asks below this. */
const RATE_MIN = 50
/** Above the interval: for the commit itself, and for those who wait for the next checkpoint. */
export const LAG_MS_MAX = 1000

/** What ended it: `source`: the server took less than was offered · `lag`: we fell behind. */
export type Outcome = 'kept' | 'source' | 'lag'

export interface Offer {
  /** Rows a second. */
  readonly offered: number
  readonly achieved: number
  readonly percentiles: readonly LatencyPoint[]
}

/** @param intervalMs  between two checkpoints */
export function outcomeOf({ offered, achieved, percentiles }: Offer, intervalMs: number): Outcome {
  const p99 = percentiles.find(({ percentile }) => percentile === 99)?.ms ?? Infinity
  if (p99 > intervalMs + LAG_MS_MAX) return 'lag'
  return achieved < offered * TAKEN_SHARE_MIN ? 'source' : 'kept'
}

/**
 * Doubles what was kept, halves what was not, then goes between the two.
 *
 * @param tried  at least one
 * @returns rows a second; `null` when the largest rate is known to within 15 %
 */
export function nextRate(tried: readonly { offered: number; outcome: Outcome }[]): number | null {
  const rates = (kept: boolean): number[] =>
    tried.filter(({ outcome }) => (outcome === 'kept') === kept).map(({ offered }) => offered)
  const best = Math.max(0, ...rates(true))
  const worst = Math.min(Infinity, ...rates(false).filter((rate) => rate > best))
  if (worst === Infinity) return best * 2
  if (best > 0) return worst / best <= CLOSE ? null : rounded(Math.sqrt(best * worst))
  return worst / 2 < RATE_MIN ? null : rounded(worst / 2)
}

/** Two digits, so that a report can be read. */
function rounded(rate: number): number {
  return Number(rate.toPrecision(2))
}
