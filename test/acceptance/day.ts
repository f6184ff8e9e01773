// A day of events, played in minutes: streams in the partitions of one topic, each with rows that
// come late and with hours in which it is silent. What is told here (which rows an hour has, and
// from when on it may be called whole) is the producer's own knowledge: it knows nothing of
// watermarks, checkpoints or files.

import type { TestRecord } from '../servers/kafka-client.ts'
import { Random } from '../workload/random.ts'

export const HOUR_MS = 3_600_000
export const MINUTE_MS = 60_000
export const TICKS_AN_HOUR = 60
export const DAY_MS = Date.UTC(2026, 0, 5)
/** No row comes later than this after its time. */
const LATENESS_MS = 8 * MINUTE_MS
/** What the pipeline is told of it. */
export const OUT_OF_ORDER_MS = 10 * MINUTE_MS
export const DELAY_MS = 5 * MINUTE_MS
/** Of rows that come after their hour was announced. */
export const LATE_STREAM = -1

export interface DayPlan {
  readonly seed: number
  readonly streams: number
  /** Of the topic. */
  readonly partitions: number
  readonly hours: number
  /** Random bytes in each row. */
  readonly padBytes: number
}

export interface DayRow {
  readonly id: number
  readonly stream: number
  readonly ts: number
}

/** What has been sent, or is just being sent. */
export class Day {
  readonly plan: DayPlan
  readonly rows: DayRow[] = []
  /** The latest time that any row has had. */
  latestMs = 0
  private readonly random: Random
  /** By hour: nobody has a row. */
  private readonly empty: ReadonlySet<number>
  /** `stream/hour` and `p<partition>/hour` that are silent. */
  private readonly silent = new Set<string>()
  private readonly onTime = new Map<number, number>()
  private readonly late = new Map<number, number>()

  constructor(plan: DayPlan) {
    this.plan = plan
    this.random = Random.of(plan.seed, 7000)
    const { streams, partitions, hours } = plan
    const middle = Array.from({ length: hours - 3 }, (_, at) => at + 1)
    this.empty = new Set(middle.filter(() => this.random.chance(0.1)).concat(Math.trunc(hours / 2)))
    for (let hour = 1; hour < hours; hour++) {
      for (let stream = 0; stream < streams; stream++) {
        if (this.random.chance(0.2)) this.silent.add(`${stream}/${hour}`)
      }
      for (let partition = 0; partition < partitions; partition++) {
        if (this.random.chance(0.1)) this.silent.add(`p${partition}/${hour}`)
      }
    }
  }

  get ticks(): number {
    return this.plan.hours * TICKS_AN_HOUR
  }

  /** Rows of one minute, in the order in which they are sent. */
  minute(tick: number): TestRecord[] {
    const { random, plan } = this
    const hour = Math.floor(tick / TICKS_AN_HOUR)
    if (this.empty.has(hour)) return []
    const records: TestRecord[] = []
    for (let stream = 0; stream < plan.streams; stream++) {
      const partition = stream % plan.partitions
      if (this.silent.has(`${stream}/${hour}`) || this.silent.has(`p${partition}/${hour}`)) continue
      for (let left = random.int(0, 3); left > 0; left--) {
        const nowMs = DAY_MS + tick * MINUTE_MS + random.int(0, MINUTE_MS - 1)
        records.push(this.add(stream, partition, this.eventTime(nowMs, hour)))
      }
    }
    return records
  }

  private eventTime(nowMs: number, hour: number): number {
    const { random } = this
    const dice = random.next()
    const lateMax = dice < 0.7 ? 10_000 : dice < 0.95 ? 2 * MINUTE_MS : LATENESS_MS
    const isFirst = hour === 0 || this.empty.has(hour - 1)
    return Math.max(nowMs - random.int(0, lateMax), isFirst ? DAY_MS + hour * HOUR_MS : 0)
  }

  /** One row in each partition, of an hour behind the day: all of the day is over. */
  closing(): TestRecord[] {
    const { partitions, hours } = this.plan
    const ts = DAY_MS + hours * HOUR_MS + DELAY_MS + OUT_OF_ORDER_MS
    return Array.from({ length: partitions }, (_, partition) => this.add(partition, partition, ts))
  }

  /** Rows of an hour that has been announced. */
  afterwards(hour: number): TestRecord[] {
    const { random, plan } = this
    return Array.from({ length: random.int(1, 5) }, () => {
      const ts = DAY_MS + hour * HOUR_MS + random.int(0, HOUR_MS - 1)
      return this.add(LATE_STREAM, random.int(0, plan.partitions - 1), ts)
    })
  }

  private add(stream: number, partition: number, ts: number): TestRecord {
    const id = this.rows.length
    this.rows.push({ id, stream, ts })
    this.latestMs = Math.max(this.latestMs, ts)
    const counts = stream === LATE_STREAM ? this.late : this.onTime
    const hour = Math.floor((ts - DAY_MS) / HOUR_MS)
    counts.set(hour, (counts.get(hour) ?? 0) + 1)
    const pad = this.random.hex(this.plan.padBytes)
    return { partition, key: null, value: JSON.stringify({ id, stream, ts, pad }) }
  }

  /** Rows that came in time; complete once the hour may be called whole. */
  rowsInTime(hour: number): number {
    return this.onTime.get(hour) ?? 0
  }

  rowsOf(hour: number): number {
    return this.rowsInTime(hour) + (this.late.get(hour) ?? 0)
  }

  /** True when nothing of the hour can come any more, and whoever reads can know it. */
  mayBeWhole(hour: number): boolean {
    return this.latestMs >= DAY_MS + (hour + 1) * HOUR_MS + DELAY_MS + OUT_OF_ORDER_MS
  }
}

/** @returns the hour's name in the lake */
export function hourName(hour: number): string {
  return new Date(DAY_MS + hour * HOUR_MS).toISOString().slice(0, 13).replace('T', '-')
}

export function hourOfName(name: string): number {
  return (Date.parse(`${name.replace(/-(\d\d)$/, 'T$1')}:00Z`) - DAY_MS) / HOUR_MS
}
