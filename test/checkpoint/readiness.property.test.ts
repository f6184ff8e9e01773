import fc from 'fast-check'
import { test } from 'vitest'
import { textOf, valueOf } from '../../runtime/checkpoint/document.ts'
import { Readiness, type ReadinessRule } from '../../runtime/checkpoint/readiness.ts'
import type { SavedReadiness } from '../../runtime/checkpoint/readiness.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import { changesOf, checkEffects, DELAY_US, HOUR_US, tick, timeAt } from './announced.ts'
import type { Effect, Tick } from './announced.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const NOTIFIERS = ['file', 'webhook']

const RULE: ReadinessRule = {
  table: 'clicks',
  unit: 'hour',
  zone: new TimeZone('UTC'),
  delayUs: DELAY_US,
  notifiers: NOTIFIERS,
}

type Action =
  | { kind: 'epoch'; ticks: number; crash: 'none' | 'before' | 'after' }
  | { kind: 'commit'; count: number; crash: boolean }
  | { kind: 'tell'; notifier: number; crash: boolean }
  | { kind: 'crash' }

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('epoch' as const),
      ticks: fc.nat(3),
      crash: fc.constantFrom('none', 'none', 'none', 'before', 'after'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      count: fc.integer({ min: 1, max: 3 }),
      crash: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('tell' as const),
      notifier: fc.nat(1),
      crash: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
)

interface Intent {
  readonly epoch: number
  /** Ticks that it holds, [from, to). */
  readonly from: number
  readonly to: number
}

interface Durable {
  readonly epoch: number
  readonly position: number
  readonly readiness: string
  readonly pending: readonly Intent[]
}

function opened(saved: SavedReadiness): Readiness {
  const readiness = new Readiness(saved)
  readiness.join(RULE)
  return readiness
}

/** Source, checkpoints, lake and receivers; all but the process survive a crash. */
class World {
  readonly ticks: readonly Tick[]
  readonly effects: Effect[] = []
  /** Ticks before this one are in the lake. */
  lake = 0
  durable: Durable = { epoch: 0, position: 0, readiness: textOf([]), pending: [] }
  /** By epoch that was saved: ticks that it and those before it hold. */
  readonly positions = new Map<number, number>()
  /** Hour of the first watermark that was ever saved. */
  begin: number | null = null
  // The process.
  readiness = opened([])
  epoch = 0
  position = 0
  pending: Intent[] = []

  constructor(ticks: readonly Tick[]) {
    this.ticks = ticks
  }

  crash(): void {
    const { epoch, position, readiness, pending } = this.durable
    this.readiness = opened(valueOf(readiness) as SavedReadiness)
    this.epoch = epoch
    this.position = position
    this.pending = [...pending]
  }

  run(one: Action): void {
    switch (one.kind) {
      case 'epoch':
        return this.runEpoch(one.ticks, one.crash)
      case 'commit':
        return this.commit(one.count, one.crash)
      case 'tell':
        return this.tell(NOTIFIERS[one.notifier]!, one.crash)
      case 'crash':
        return this.crash()
    }
  }

  private runEpoch(count: number, crash: 'none' | 'before' | 'after'): void {
    this.epoch++
    const from = this.position
    const to = Math.min(this.ticks.length, from + count)
    const now = this.ticks.slice(from, to)
    const changes = now.flatMap(({ adds }) =>
      adds.map((number) => ({ number, files: 1, rows: 10, bytes: 100 })),
    )
    const cut = {
      watermarkUs: timeAt(this.ticks, to),
      changes,
      all: false,
      openFrom: null,
    }
    this.readiness.of('clicks')!.decide(this.epoch, cut, 0)
    const hasRows = now.some(({ adds, deletes }) => adds.length + deletes.length > 0)
    const pending = hasRows ? [...this.pending, { epoch: this.epoch, from, to }] : this.pending
    if (crash === 'before') return this.crash()
    this.begin ??= Number(timeAt(this.ticks, to) / HOUR_US)
    this.positions.set(this.epoch, to)
    const readiness = textOf(this.readiness.save())
    this.durable = { epoch: this.epoch, position: to, readiness, pending }
    if (crash === 'after') return this.crash()
    this.position = to
    this.pending = [...pending]
  }

  /** What was committed before a crash is not committed twice. */
  private commit(count: number, crash: boolean): void {
    const intents = this.pending.slice(0, count)
    const last = intents.at(-1)
    if (last === undefined) return
    if (last.to > this.lake) this.lake = last.to
    if (crash) return this.crash()
    this.pending = this.pending.slice(intents.length)
    const deletes = intents.flatMap(({ from, to }) =>
      this.ticks.slice(from, to).flatMap((one) => one.deletes),
    )
    this.readiness.of('clicks')?.touched(last.epoch, deletes)
  }

  known(): number {
    return Math.min(this.pending[0]?.epoch ?? Infinity, this.durable.epoch + 1)
  }

  private tell(notifier: string, crash: boolean): void {
    const table = this.readiness.of('clicks')!
    const announcement = table.pending(notifier, this.known())
    if (announcement === null) return
    const visible = changesOf(this.ticks, announcement.number, this.lake)
    const due = changesOf(this.ticks, announcement.number, this.positions.get(announcement.epoch)!)
    this.effects.push({ notifier, ...announcement, visible, due })
    if (crash) return this.crash()
    table.isDelivered(notifier, announcement.sequence)
  }

  /** Everything is read, committed and told; two epochs more, for what the commits found out. */
  settle(): void {
    this.runEpoch(this.ticks.length, 'none')
    for (let round = 0; round < 3; round++) {
      this.commit(this.pending.length, false)
      this.runEpoch(0, 'none')
    }
    for (const notifier of NOTIFIERS) {
      while (this.readiness.of('clicks')!.pending(notifier, this.known()) !== null) {
        this.tell(notifier, false)
      }
    }
  }
}

test('a partition is told when it is whole, in order, once for each time that it changed', () => {
  fc.assert(
    fc.property(
      fc.array(tick, { minLength: 1, maxLength: 16 }),
      fc.array(action, { maxLength: 40 }),
      (ticks, actions) => {
        const world = new World(ticks)
        for (const one of actions) world.run(one)
        world.settle()
        for (const notifier of NOTIFIERS) {
          const effects = world.effects.filter((one) => one.notifier === notifier)
          checkEffects(effects, ticks, world.begin ?? 0)
        }
      },
    ),
    { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 50_000 },
  )
})
