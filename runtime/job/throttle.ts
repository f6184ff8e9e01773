// How fast a source may be read: token buckets, filled by the runtime's clock. They are asked where
// rows are fetched, so what is held back stays at the source; no operator ever sleeps. The log goes
// first: its rows take from what chunks may have, never the other way round.

import type { Clock } from '../base/clock.ts'
import type { ChangeBatch } from '../data/batch.ts'
import { batchBytes } from '../data/pack.ts'
import { namesOf } from '../data/schema.ts'
import type { ChunkPace } from '../flow/handover-parts.ts'
import { tableSelector, type TableSelector } from './config/selector.ts'
import type { Limits, RateLimit } from './limits.ts'

/** Limits may be raised meanwhile: who waits looks again after so long. */
const LOOK_MS = 100
/** A chunk is an open transaction: it holds no more rows than pass in this time. */
const CHUNK_S = 5
const CHUNK_ROWS_MIN = 100

/** What `status` shows. */
export interface ThrottleState {
  readonly rowsPerSecond: number | null
  readonly bytesPerSecond: number | null
  /** Patterns of tables with limits of their own. */
  readonly tables: number
  /** Something waits for its turn now. */
  readonly held: boolean
}

/** Holds a second's worth at most; what was taken beyond that has to be waited for. */
class Bucket {
  private readonly perMs: number
  private tokens: number
  private atMs: number

  constructor(perSecond: number, nowMs: number) {
    this.perMs = perSecond / 1000
    this.tokens = perSecond
    this.atMs = nowMs
  }

  take(count: number, nowMs: number): void {
    this.fill(nowMs)
    this.tokens -= count
  }

  delayMs(nowMs: number): number {
    this.fill(nowMs)
    return this.tokens >= 0 ? 0 : Math.ceil(-this.tokens / this.perMs)
  }

  private fill(nowMs: number): void {
    this.tokens = Math.min(this.perMs * 1000, this.tokens + (nowMs - this.atMs) * this.perMs)
    this.atMs = nowMs
  }
}

/** Rows and bytes of one stream of batches. */
class Meter {
  private readonly rows: Bucket | null
  private readonly bytes: Bucket | null

  constructor({ rowsPerSecond, bytesPerSecond }: RateLimit, nowMs: number) {
    this.rows = rowsPerSecond === null ? null : new Bucket(rowsPerSecond, nowMs)
    this.bytes = bytesPerSecond === null ? null : new Bucket(bytesPerSecond, nowMs)
  }

  take(batch: ChangeBatch, nowMs: number): void {
    this.rows?.take(batch.rows, nowMs)
    this.bytes?.take(batchBytes(batch), nowMs)
  }

  delayMs(nowMs: number): number {
    return Math.max(this.rows?.delayMs(nowMs) ?? 0, this.bytes?.delayMs(nowMs) ?? 0)
  }
}

const NOTHING: ReadonlySet<string> = new Set()

interface Meters {
  readonly limit: RateLimit
  /** What the log has brought. */
  readonly log: Meter
  /** What log and chunks have brought. */
  readonly all: Meter
}

export class Throttle implements ChunkPace {
  private readonly clock: Clock
  /** Tables can be held one by one; else one that is over its limit holds the log of all. */
  private readonly pausesTables: boolean
  private limits: Limits = { rowsPerSecond: null, bytesPerSecond: null, tables: [] }
  private source: Meters
  private selectors: readonly { readonly selects: TableSelector; readonly limit: RateLimit }[] = []
  /** Those that have been seen, where some have limits of their own; `null`: it has none. */
  private readonly tables = new Map<string, Meters | null>()
  private waiting = 0

  constructor(clock: Clock, pausesTables: boolean, limits: Limits) {
    this.clock = clock
    this.pausesTables = pausesTables
    this.source = this.metersOf(limits)
    this.limit(limits)
  }

  /** From now on; what was taken before is forgiven. */
  limit(limits: Limits): void {
    this.limits = limits
    this.source = this.metersOf(limits)
    this.tables.clear()
    this.selectors = limits.tables.map(({ pattern, ...limit }) => {
      return { selects: tableSelector([pattern]), limit }
    })
  }

  /** Rows that the log has brought. */
  takeLog(batch: ChangeBatch): void {
    const nowMs = this.clock.elapsedMs()
    for (const meters of this.metersFor(batch.table)) {
      meters.log.take(batch, nowMs)
      meters.all.take(batch, nowMs)
    }
  }

  /** @returns how long nothing more of the log is to be fetched, at most a moment; 0: go on */
  logDelayMs(): number {
    const nowMs = this.clock.elapsedMs()
    const own = this.source.log.delayMs(nowMs)
    const delays = this.pausesTables
      ? [own]
      : [own, ...[...this.tables.values()].map((meters) => meters?.log.delayMs(nowMs) ?? 0)]
    return Math.min(LOOK_MS, Math.max(...delays))
  }

  /** @returns tables of which nothing more of the log is to be fetched */
  heldTables(): ReadonlySet<string> {
    if (this.selectors.length === 0) return NOTHING
    const nowMs = this.clock.elapsedMs()
    const over = [...this.tables].filter(([, meters]) => (meters?.log.delayMs(nowMs) ?? 0) > 0)
    return new Set(over.map(([table]) => table))
  }

  rowsMax(table: string, rows: number): number {
    const rates = this.metersFor(table).flatMap(({ limit }) => limit.rowsPerSecond ?? [])
    if (rates.length === 0) return rows
    return Math.min(rows, Math.max(CHUNK_ROWS_MIN, Math.ceil(Math.min(...rates) * CHUNK_S)))
  }

  async pay(batch: ChangeBatch, signal: AbortSignal): Promise<void> {
    const taken = this.clock.elapsedMs()
    for (const { all } of this.metersFor(batch.table)) all.take(batch, taken)
    this.waiting++
    try {
      while (!signal.aborted) {
        const nowMs = this.clock.elapsedMs()
        const delays = this.metersFor(batch.table).map(({ all }) => all.delayMs(nowMs))
        const delayMs = Math.max(0, ...delays)
        if (delayMs === 0) return
        await this.clock.sleep(Math.min(LOOK_MS, delayMs), signal).catch(() => undefined)
      }
    } finally {
      this.waiting--
    }
  }

  state(): ThrottleState | null {
    const { rowsPerSecond, bytesPerSecond, tables } = this.limits
    if (rowsPerSecond === null && bytesPerSecond === null && tables.length === 0) return null
    const held = this.waiting > 0 || this.logDelayMs() > 0 || this.heldTables().size > 0
    return { rowsPerSecond, bytesPerSecond, tables: tables.length, held }
  }

  /** Of the source, and of the table if it has some. */
  private metersFor(table: string): Meters[] {
    if (this.selectors.length === 0) return [this.source]
    let own = this.tables.get(table)
    if (own === undefined) {
      const { namespace, name } = namesOf(table)
      const found = this.selectors.find(({ selects }) => selects(namespace, name))
      own = found === undefined ? null : this.metersOf(found.limit)
      this.tables.set(table, own)
    }
    return own === null ? [this.source] : [this.source, own]
  }

  private metersOf(limit: RateLimit): Meters {
    const nowMs = this.clock.elapsedMs()
    return { limit, log: new Meter(limit, nowMs), all: new Meter(limit, nowMs) }
  }
}
