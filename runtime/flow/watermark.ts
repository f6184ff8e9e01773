// Watermarks: the promise that no row with an earlier event time is still to come. Each split of a
// source has one for each table, its latest event time less the disorder that is allowed for; a
// table's is the least of its splits that are active, and it never goes back.
//
// A split that is known to have nothing must not hold the others, and one that merely is not being
// read must: so only time counts towards idleness in which the split was looked at and found empty.
//
//   rows ......|........ at-end ........|.. blocked ..|... at-end ...|
//   quiet      0 -----> grows            stands        goes on -> idle at `idleMs`
//
// State: latest time and quiet time by table and split, the watermark by table. Nothing here knows
// a clock: whoever looks says what time it is.

import type { EventTimes } from '../data/event-times.ts'
import type { SplitState, SplitTimes } from '../source.ts'

export interface WatermarkOptions {
  /** Rows of one split may be out of order by this much. */
  readonly maxOutOfOrderUs: bigint
  /** Quiet milliseconds after which a split does not hold its tables' watermarks; `null`: never. */
  readonly idleMs: number | null
  /** What becomes of a table whose splits are all idle: it waits, or follows the source's clock. */
  readonly allIdle: 'hold' | 'advance'
  /** Splits that are ahead of the last by more stop fetching; `null`: none ever. */
  readonly maxDriftUs: bigint | null
}

/** For the checkpoint. Latest times, not watermarks: the disorder allowed for may be another. */
export interface SavedWatermarks {
  readonly tables: readonly (readonly [table: string, watermarkUs: bigint])[]
  readonly splits: readonly (readonly [table: string, split: string, maxUs: bigint])[]
}

/** Rows by what is wrong with their event times, since the process started. */
export interface TimeFaults {
  future: number
  missing: number
  late: number
}

/** A split, and how far its rows have gone, less the disorder that is allowed for. */
export interface SplitReach {
  readonly split: string
  readonly reachedUs: bigint
}

/**
 * The last and the first of the splits that a table waits for (`null`: it waits for none that has
 * had a row), and rows that moved nothing.
 */
export interface TimeSpread extends TimeFaults {
  readonly behind: SplitReach | null
  readonly ahead: SplitReach | null
}

interface Split {
  state: SplitState
  clockUs: bigint | null
  lookedMs: number
}

/** What one split does for one table. */
interface Part {
  maxUs: bigint | null
  /** Of the table when the split joined it: a new split never lowers it. */
  readonly floorUs: bigint | null
  quietMs: number
  /** It had rows since the last look. */
  stirred: boolean
}

export class Watermarks {
  private readonly options: WatermarkOptions
  private readonly splits = new Map<string, Split>()
  private readonly parts = new Map<string, Map<string, Part>>()
  private readonly tables = new Map<string, bigint>()
  private readonly faults = new Map<string, TimeFaults>()
  /** Parts of the checkpoint that no split has claimed yet. */
  private restored = new Map<string, Map<string, Part>>()

  constructor(options: WatermarkOptions, saved: SavedWatermarks | null = null) {
    this.options = options
    for (const [table, watermarkUs] of saved?.tables ?? []) this.tables.set(table, watermarkUs)
    // They start active: whether they are empty now, nobody has looked yet.
    for (const [table, split, maxUs] of saved?.splits ?? []) this.part(table, split).maxUs = maxUs
    this.restored = new Map([...this.parts].map(([table, parts]) => [table, new Map(parts)]))
  }

  /** Rows that have been read. A row without a usable time shows that its split is not idle. */
  observe({ table, split, maxUs, rows, future, missing, late }: EventTimes): void {
    const part = this.part(table, split)
    if (maxUs !== null && (part.maxUs === null || maxUs > part.maxUs)) part.maxUs = maxUs
    if (rows > 0) {
      part.quietMs = 0
      part.stirred = true
    }
    if (future > 0 || missing > 0 || late > 0) {
      const faults = this.faultsOf(table)
      this.faults.set(table, {
        future: faults.future + future,
        missing: faults.missing + missing,
        late: faults.late + late,
      })
    }
  }

  /**
   * Takes note of how the splits are, and moves the watermarks.
   *
   * @param now    of all splits; one that is missing counts as blocked
   * @param nowMs  on a clock that never goes back
   */
  look(now: readonly SplitTimes[], nowMs: number): void {
    const missing = new Set(this.splits.keys())
    for (const { split, tables, state, clockUs } of now) {
      missing.delete(split)
      const before = this.splits.get(split)
      // Between two looks that both found it at its end, nothing was behind it.
      const quiet = before?.state === 'at-end' && state === 'at-end'
      const quietMs = quiet ? Math.max(0, nowMs - before.lookedMs) : 0
      this.splits.set(split, { state, clockUs, lookedMs: nowMs })
      for (const table of tables) {
        pass(this.part(table, split), quietMs)
        this.restored.get(table)?.delete(split)
      }
    }
    for (const split of missing) {
      const known = this.splits.get(split)
      if (known !== undefined && known.state !== 'finished') known.state = 'blocked'
    }
    this.dropUnclaimed()
    for (const [table, parts] of this.parts) this.advance(table, parts)
  }

  /** The first list is whole: what it lacks went while nobody looked, and must not hold a table. */
  private dropUnclaimed(): void {
    for (const [table, unclaimed] of this.restored) {
      for (const split of unclaimed.keys()) this.parts.get(table)?.delete(split)
    }
    this.restored.clear()
  }

  /** @returns microseconds since 1970 · `null`: there is none yet */
  watermarkOf(table: string): bigint | null {
    return this.tables.get(table) ?? null
  }

  faultsOf(table: string): TimeFaults {
    return this.faults.get(table) ?? { future: 0, missing: 0, late: 0 }
  }

  /** @returns `null`: no split of the table is known */
  spreadOf(table: string): TimeSpread | null {
    let behind: SplitReach | null = null
    let ahead: SplitReach | null = null
    const parts = this.parts.get(table)
    if (parts === undefined) return null
    for (const [split, part] of parts) {
      const reachedUs = this.reachedBy(part)
      if (reachedUs === null || !this.isActive(split, part)) continue
      if (behind === null || reachedUs < behind.reachedUs) behind = { split, reachedUs }
      if (ahead === null || reachedUs > ahead.reachedUs) ahead = { split, reachedUs }
    }
    return { ...this.faultsOf(table), behind, ahead }
  }

  /** A table whose rows are read anew, or that has gone: its splits begin again. */
  forget(table: string): void {
    this.parts.delete(table)
  }

  /** Splits that are too far ahead of the last one that is neither idle nor finished. */
  ahead(): ReadonlySet<string> {
    const { maxDriftUs } = this.options
    const ahead = new Set<string>()
    if (maxDriftUs === null) return ahead
    const reached = new Map<string, bigint>()
    let last: bigint | null = null
    for (const parts of this.parts.values()) {
      for (const [split, part] of parts) {
        const at = this.reachedBy(part)
        if (at === null || !this.isActive(split, part)) continue
        const before = reached.get(split)
        if (before === undefined || at > before) reached.set(split, at)
      }
    }
    for (const at of reached.values()) if (last === null || at < last) last = at
    for (const [split, at] of reached) {
      if (last !== null && at > last + maxDriftUs) ahead.add(split)
    }
    return ahead
  }

  save(): SavedWatermarks {
    const splits: [string, string, bigint][] = []
    for (const [table, parts] of this.parts) {
      for (const [split, { maxUs }] of parts) if (maxUs !== null) splits.push([table, split, maxUs])
    }
    return { tables: [...this.tables], splits }
  }

  private advance(table: string, parts: ReadonlyMap<string, Part>): void {
    const next = this.candidate(parts)
    const before = this.watermarkOf(table)
    if (next !== null && (before === null || next > before)) this.tables.set(table, next)
  }

  /** @returns where the table could be; `null`: it stays where it is */
  private candidate(parts: ReadonlyMap<string, Part>): bigint | null {
    let least: bigint | null = null
    let active = false
    let clockUs: bigint | null = null
    for (const [split, part] of parts) {
      const { state = 'blocked', clockUs: clock = null } = this.splits.get(split) ?? {}
      if (state === 'finished') continue
      if (clock !== null && (clockUs === null || clock < clockUs)) clockUs = clock
      if (!this.isActive(split, part)) continue
      active = true
      const at = this.reachedBy(part)
      // Nobody knows yet how far back its first row goes.
      if (at === null) return null
      if (least === null || at < least) least = at
    }
    if (active || clockUs === null || this.options.allIdle === 'hold') return least
    const { maxOutOfOrderUs, idleMs } = this.options
    return clockUs - maxOutOfOrderUs - BigInt(Math.ceil((idleMs ?? 0) * 1000))
  }

  private isActive(split: string, part: Part): boolean {
    const { state = 'blocked' } = this.splits.get(split) ?? {}
    if (state === 'finished') return false
    const { idleMs } = this.options
    return state !== 'at-end' || part.stirred || idleMs === null || part.quietMs < idleMs
  }

  private reachedBy({ maxUs, floorUs }: Part): bigint | null {
    if (maxUs === null) return null
    const at = maxUs - this.options.maxOutOfOrderUs
    return floorUs !== null && floorUs > at ? floorUs : at
  }

  private part(table: string, split: string): Part {
    let parts = this.parts.get(table)
    if (parts === undefined) {
      parts = new Map()
      this.parts.set(table, parts)
    }
    let part = parts.get(split)
    if (part === undefined) {
      part = { maxUs: null, floorUs: this.watermarkOf(table), quietMs: 0, stirred: false }
      parts.set(split, part)
    }
    return part
  }
}

function pass(part: Part, quietMs: number): void {
  if (!part.stirred) part.quietMs += quietMs
  part.stirred = false
}
