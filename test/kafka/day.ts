// A day of event time, drawn by a seed: many streams over a few partitions, each row at most so
// much behind the newest one of its partition, streams and a whole partition that fall silent, and
// hours in which nothing happens at all.

import type { Random } from '../workload/random.ts'
import { row } from './announced-topic.ts'
import type { TestRecord } from '../servers/kafka-client.ts'

export const HOUR_MS = 3_600_000
export const HOURS = 24
/** Of the day that all of it happens on. */
const BEGIN_MS = Date.UTC(2026, 0, 5)
/** Rows of one partition are out of order by less. */
export const BOUND_MS = 300_000
/** Its streams are silent for some hours, so that it is idle. */
const SILENT = { from: 10, to: 16 }
/** Rows that come late are of an hour that is over for so many hours, and come from this one on. */
const LATE_BY = 3
const LATE_FROM = 5

export interface DayPlan {
  readonly streams: number
  readonly partitions: number
  /** Of a stream that is awake, on the average. */
  readonly rowsAnHour: number
  /** Rows that are sent in each hour though they are of one long before. */
  readonly lateAnHour: number
}

interface DrawnRow {
  readonly partition: number
  readonly ms: number
  /** When it is sent, on the same clock. */
  readonly sentMs: number
}

export class Day {
  /** Records that were handed out, in order. */
  readonly sent: TestRecord[] = []
  /** Those of them that lie further back than the disorder that is allowed for. */
  readonly lateOnes: TestRecord[] = []
  readonly plan: DayPlan
  private readonly random: Random
  private readonly rows: readonly DrawnRow[]

  constructor(plan: DayPlan, random: Random) {
    this.plan = plan
    this.random = random
    const empty = new Set(Array.from({ length: 3 }, () => random.int(2, HOURS - 3)))
    const rows: DrawnRow[] = []
    for (let stream = 0; stream < plan.streams; stream++) {
      const partition = stream % plan.partitions
      const asleep = { from: random.int(1, HOURS), hours: random.int(0, 8) }
      for (let hour = 0; hour < HOURS; hour++) {
        const isAwake = hour < asleep.from || hour >= asleep.from + asleep.hours
        const isSilent =
          partition === plan.partitions - 1 && hour >= SILENT.from && hour < SILENT.to
        // The first hour has rows of every stream.
        if (hour > 0 && (!isAwake || isSilent || empty.has(hour))) continue
        rows.push(...this.hourOf(partition, hour))
      }
    }
    this.rows = rows.toSorted((one, other) => one.sentMs - other.sentMs)
  }

  private hourOf(partition: number, hour: number): DrawnRow[] {
    const { random, plan } = this
    return Array.from({ length: 1 + random.int(0, 2 * (plan.rowsAnHour - 1)) }, () => {
      const ms = BEGIN_MS + hour * HOUR_MS + random.int(0, HOUR_MS - 1)
      return { partition, ms, sentMs: ms + random.int(0, BOUND_MS - 1) }
    })
  }

  /** @returns what is sent in an hour: rows of it, and some of the hour before */
  take(hour: number): TestRecord[] {
    const from = BEGIN_MS + hour * HOUR_MS
    const records = this.rows
      .filter(({ sentMs }) => sentMs >= from && sentMs < from + HOUR_MS)
      .map(({ partition, ms }) => row(partition, ms))
    records.push(...this.lateOf(hour))
    this.sent.push(...records)
    return records
  }

  /** A partition that is silent stays so: a row, however late, says that it is not idle. */
  private lateOf(hour: number): TestRecord[] {
    const { random, plan } = this
    if (hour < LATE_FROM) return []
    const records = Array.from({ length: plan.lateAnHour }, () => {
      const ms = BEGIN_MS + random.int(0, (hour - LATE_BY) * HOUR_MS - 1)
      return row(random.int(0, plan.partitions - 2), ms)
    })
    this.lateOnes.push(...records)
    return records
  }

  /** @returns a row for each partition of the morning after, when no hour of the day is open */
  close(): TestRecord[] {
    const records = Array.from({ length: this.plan.partitions }, (_, partition) =>
      row(partition, BEGIN_MS + HOURS * HOUR_MS + HOUR_MS / 2),
    )
    this.sent.push(...records)
    return records
  }

  /** @returns rows of some hours of the day, however late it is */
  late(): TestRecord[] {
    const { random, plan } = this
    const records = Array.from({ length: 20 }, () => {
      const ms = BEGIN_MS + random.int(0, HOURS * HOUR_MS - 1)
      return row(random.int(0, plan.partitions - 1), ms)
    })
    this.sent.push(...records)
    this.lateOnes.push(...records)
    return records
  }

  /** @returns rows of each hour of the day among `records` */
  static countByHour(records: readonly TestRecord[]): number[] {
    const counts = Array.from({ length: HOURS }, () => 0)
    for (const { value } of records) {
      const { ts } = JSON.parse(String(value)) as { ts: number }
      const hour = Math.floor((ts - BEGIN_MS) / HOUR_MS)
      if (hour < HOURS) counts[hour] = (counts[hour] ?? 0) + 1
    }
    return counts
  }

  static label(hour: number): string {
    return new Date(BEGIN_MS + hour * HOUR_MS).toISOString().slice(0, 13).replace('T', '-')
  }
}
