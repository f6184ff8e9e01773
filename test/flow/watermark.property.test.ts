import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Watermarks, type WatermarkOptions } from '../../runtime/flow/watermark.ts'
import type { SplitState, SplitTimes } from '../../runtime/source.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)

const TABLES = ['a', 'b']
/** Which tables a split feeds: one of two, another, both. */
const FEEDS: Record<string, readonly string[]> = { p0: ['a'], p1: ['a', 'b'], p2: ['b'], p3: ['a'] }

type Step =
  | { kind: 'rows'; split: string; table: number; max: number | null; future: number }
  | { kind: 'look'; ms: number; states: (SplitState | 'unlisted')[]; clocks: number[] }
  | { kind: 'restart' }

const split = fc.constantFrom(...Object.keys(FEEDS))
const state = fc.constantFrom<SplitState | 'unlisted'>(
  'reading',
  'at-end',
  'at-end',
  'at-end',
  'blocked',
  'finished',
  'unlisted',
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant('rows' as const),
      split,
      table: fc.nat(1),
      max: fc.option(fc.nat(500), { freq: 8 }),
      future: fc.nat(1),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('look' as const),
      ms: fc.nat(60),
      states: fc.array(state, { minLength: 4, maxLength: 4 }),
      clocks: fc.array(fc.nat(900), { minLength: 4, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
)

interface Past {
  /** Steps since the last restart, by what they did to one split of one table. */
  readonly log: Step[]
  readonly saved: Map<string, number>
}

/**
 * The rules of the table of watermarks, recomputed from the whole history at each look, without any
 * state of their own but what a checkpoint would have.
 */
class Model {
  readonly options: WatermarkOptions
  watermarks = new Map<string, number>()
  past: Past = { log: [], saved: new Map() }
  floors = new Map<string, number>()

  constructor(options: WatermarkOptions) {
    this.options = options
  }

  take(next: Step): void {
    if (next.kind === 'restart') {
      const saved = new Map<string, number>()
      for (const table of TABLES) {
        for (const name of Object.keys(FEEDS)) {
          const max = this.maxOf(table, name)
          if (max !== null) saved.set(`${table}/${name}`, max)
        }
      }
      this.past = { log: [], saved }
      this.floors.clear()
      return
    }
    this.past.log.push(next)
    if (next.kind === 'rows') this.join(TABLES[next.table]!, next.split)
    if (next.kind !== 'look') return
    for (const [index, name] of Object.keys(FEEDS).entries()) {
      if (next.states[index] === 'unlisted') continue
      for (const table of FEEDS[name]!) this.join(table, name)
    }
    for (const table of TABLES) {
      const at = this.candidate(table, next)
      const before = this.watermarks.get(table)
      if (at !== null && (before === undefined || at > before)) this.watermarks.set(table, at)
    }
  }

  private join(table: string, name: string): void {
    const key = `${table}/${name}`
    if (this.floors.has(key)) return
    const known = this.past.saved.has(key)
    this.floors.set(key, known ? -Infinity : (this.watermarks.get(table) ?? -Infinity))
  }

  private maxOf(table: string, name: string): number | null {
    const times = this.rowsOf(table, name).flatMap(({ max }) => (max === null ? [] : [max]))
    const saved = this.past.saved.get(`${table}/${name}`)
    if (saved !== undefined && !this.isDropped(table, name)) times.push(saved)
    return times.length === 0 ? null : Math.max(...times)
  }

  /** A part of before the restart that was dropped took its rows with it, those since then too. */
  private rowsOf(table: string, name: string): (Step & { kind: 'rows' })[] {
    const { log, saved } = this.past
    const dropped = saved.has(`${table}/${name}`) && this.isDropped(table, name)
    const first = log.findIndex((one) => one.kind === 'look')
    return log
      .slice(dropped ? first : 0)
      .filter((one) => one.kind === 'rows')
      .filter((one) => one.split === name && TABLES[one.table] === table)
  }

  /** What the first list after a restart lacks is not there any more. */
  private isDropped(table: string, name: string): boolean {
    const first = this.past.log.find((one) => one.kind === 'look')
    if (first?.kind !== 'look') return false
    const listed = first.states[Object.keys(FEEDS).indexOf(name)] !== 'unlisted'
    return !listed || !FEEDS[name]!.includes(table)
  }

  private candidate(table: string, look: Step & { kind: 'look' }): number | null {
    const bound = Number(this.options.maxOutOfOrderUs)
    const least: number[] = []
    const clocks: number[] = []
    let anyActive = false
    for (const name of Object.keys(FEEDS)) {
      if (!this.isPart(table, name)) continue
      const now = this.stateOf(name, look)
      if (now === 'finished') continue
      const clock = this.clockOf(name)
      if (clock !== null) clocks.push(clock)
      const { idleMs } = this.options
      if (now === 'at-end' && idleMs !== null && this.quietOf(table, name) >= idleMs) continue
      anyActive = true
      const max = this.maxOf(table, name)
      if (max === null) return null
      const floor = this.floors.get(`${table}/${name}`) ?? -Infinity
      least.push(Math.max(max - bound, floor))
    }
    if (anyActive) return Math.min(...least)
    if (clocks.length === 0 || this.options.allIdle === 'hold') return null
    return Math.min(...clocks) - bound - (this.options.idleMs ?? 0) * 1000
  }

  private isPart(table: string, name: string): boolean {
    const { log, saved } = this.past
    if (saved.has(`${table}/${name}`) && !this.isDropped(table, name)) return true
    if (this.rowsOf(table, name).length > 0) return true
    const place = Object.keys(FEEDS).indexOf(name)
    const listed = log.some((one) => one.kind === 'look' && one.states[place] !== 'unlisted')
    return listed && FEEDS[name]!.includes(table)
  }

  private stateOf(name: string, look: Step & { kind: 'look' }): SplitState {
    const place = Object.keys(FEEDS).indexOf(name)
    const now = look.states[place]!
    if (now !== 'unlisted') return now
    const looks = this.past.log.filter((one) => one.kind === 'look')
    const last = looks.findLast((one) => one.states[place] !== 'unlisted')
    return last?.states[place] === 'finished' ? 'finished' : 'blocked'
  }

  private clockOf(name: string): number | null {
    const place = Object.keys(FEEDS).indexOf(name)
    const looks = this.past.log.filter((one) => one.kind === 'look')
    return looks.findLast((one) => one.states[place] !== 'unlisted')?.clocks[place] ?? null
  }

  /** Time between two looks that found the split at its end, since its last row of the table. */
  private quietOf(table: string, name: string): number {
    const place = Object.keys(FEEDS).indexOf(name)
    let quiet = 0
    let rows = false
    let before: SplitState | 'unlisted' = 'unlisted'
    for (const one of this.past.log) {
      if (one.kind === 'rows' && one.split === name && TABLES[one.table] === table) {
        quiet = 0
        rows = true
      }
      if (one.kind !== 'look') continue
      const now = one.states[place]!
      if (now === 'at-end' && before === 'at-end' && !rows) quiet += one.ms
      rows = false
      before = now
    }
    return quiet
  }
}

test('watermarks are what the rules say of the whole history, and never go back', () => {
  const options = fc.record({
    maxOutOfOrderUs: fc.bigInt(0n, 40n),
    idleMs: fc.option(fc.constantFrom(0.01, 50, 100)),
    allIdle: fc.constantFrom('hold' as const, 'advance' as const),
    maxDriftUs: fc.constant(null),
  })
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 40 }), (chosen, steps) => {
      const model = new Model(chosen)
      let watermarks = new Watermarks(chosen)
      let nowMs = 0
      for (const one of steps) {
        if (one.kind === 'look') nowMs += one.ms
        // A source tells of no rows for a table that the split does not feed.
        if (one.kind === 'rows' && !FEEDS[one.split]!.includes(TABLES[one.table]!)) continue
        model.take(one)
        if (one.kind === 'restart') watermarks = new Watermarks(chosen, watermarks.save())
        if (one.kind === 'rows') {
          const maxUs = one.max === null ? null : BigInt(one.max)
          const { split: name, future } = one
          const table = TABLES[one.table]!
          watermarks.observe({ table, split: name, maxUs, rows: 1, future, missing: 0, late: 0 })
        }
        if (one.kind === 'look') watermarks.look(listOf(one), nowMs)
        for (const table of TABLES) {
          const expected = model.watermarks.get(table)
          const actual = watermarks.watermarkOf(table)
          expect(actual === null ? undefined : Number(actual)).toBe(expected)
        }
      }
    }),
    { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 20_000 },
  )
})

function listOf(look: Step & { kind: 'look' }): SplitTimes[] {
  return Object.entries(FEEDS).flatMap(([name, tables], index): SplitTimes[] => {
    const now = look.states[index]!
    if (now === 'unlisted') return []
    return [{ split: name, tables, state: now, clockUs: BigInt(look.clocks[index]!) }]
  })
}
