// Which rows of a table are too late to be written: those of partitions that the watermark of the
// last barrier has passed, which is what they were announced by. The source thread finds it out by
// itself, at the barrier, so that no row behind it is judged by what was known before.

import { localStart, partitionAt } from '../checkpoint/partition-time.ts'
import type { TimeUnit } from '../data/partition/transform.ts'
import type { TimeZone } from '../data/time-zone.ts'

/** How partitions of a table become whole; its rows of those are not written. */
export interface LateRule {
  readonly unit: TimeUnit
  /** Of the partition's numbers. */
  readonly zone: TimeZone
  readonly delayUs: bigint
}

/** @returns `null`: rows of the table are written however late they are */
export type LateRules = (table: string) => LateRule | null

export const NO_LATE_RULES: LateRules = () => null

export class LateRows {
  private readonly rules: LateRules
  private readonly bounds = new Map<string, bigint>()

  constructor(rules: LateRules = NO_LATE_RULES) {
    this.rules = rules
  }

  /** A barrier with these watermarks, or a checkpoint of before. */
  passed(watermarks: readonly (readonly [table: string, watermarkUs: bigint])[]): void {
    for (const [table, watermarkUs] of watermarks) {
      const rule = this.rules(table)
      if (rule === null) continue
      const { unit, zone, delayUs } = rule
      // The first one that is not whole.
      const open = partitionAt(unit, watermarkUs - delayUs, zone)
      this.bounds.set(table, localStart(unit, open))
    }
  }

  /** @returns as of `SourceContext.lateBefore` */
  before(table: string): bigint | null {
    return this.bounds.get(table) ?? null
  }
}
