// How long rows take from their commit in the source until the lake shows them. The source's log
// and the lake's snapshots have one order, so the number of rows that are visible says which ones.

import { build, type Histogram } from 'hdr-histogram-js'

export interface LatencyPoint {
  /** 100 is the largest of all. */
  readonly percentile: number
  readonly ms: number
}

export const PERCENTILES = [50, 90, 99, 99.9, 100] as const

const HOUR_MS = 3_600_000
const DIGITS = 3

interface Sent {
  /** Of all rows until the end of this transaction. */
  readonly total: number
  readonly rows: number
  readonly atMs: number
}

export class Lag {
  private readonly histogram: Histogram = build({
    bitBucketSize: 64,
    highestTrackableValue: HOUR_MS,
    numberOfSignificantValueDigits: DIGITS,
  })
  private readonly waiting: Sent[] = []
  private first = 0
  private total: number

  /** @param visible  rows that the lake shows before */
  constructor(visible: number) {
    this.total = visible
  }

  /**
   * A transaction is about to be committed. Called before, since the lake may show it before the
   * source's answer has come back; so the time of that answer counts as ours.
   */
  sent(rows: number, atMs: number): void {
    this.total += rows
    this.waiting.push({ total: this.total, rows, atMs })
  }

  /** @param total  rows that the lake shows */
  visible(total: number, atMs: number): void {
    for (;;) {
      const next = this.waiting[this.first]
      if (next === undefined || next.total > total) return
      this.histogram.recordValueWithCount(Math.max(0, Math.round(atMs - next.atMs)), next.rows)
      this.first++
    }
  }

  get isDrained(): boolean {
    return this.first === this.waiting.length
  }

  /** By rows, not by transactions. */
  percentiles(): LatencyPoint[] {
    return PERCENTILES.map((percentile) => ({
      percentile,
      ms: this.histogram.getValueAtPercentile(percentile),
    }))
  }
}
