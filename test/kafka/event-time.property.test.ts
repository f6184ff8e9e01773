// What a source of topics says of event time, on a cluster in memory: of each partition the latest
// time of the rows that were handed out, told behind them; rows without a time set aside, each
// alone; and partitions that are read side by side in time when they are to be.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonFormat } from '../../connectors/kafka/json/json-decoder.ts'
import type { EventTimeRule, KafkaOptions } from '../../connectors/kafka/options.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'
import { Watermarks } from '../../runtime/flow/watermark.ts'
import { readUntil, type PlayedContext } from './played-context.ts'
import { at, setUp } from './played-source.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const NOW_MS = 1_700_000_000_000
const FUTURE_MS = 60_000
const BERLIN = new TimeZone('Europe/Berlin')

const COLUMNS = {
  timestamptz: { type: { kind: 'timestamptz' }, encoding: { kind: 'number', unit: 'ms' } },
  timestamp: { type: { kind: 'timestamp' }, encoding: { kind: 'number', unit: 'ms' } },
  long: { type: { kind: 'long' }, encoding: { kind: 'text' } },
} as const

type Kind = keyof typeof COLUMNS | 'record'

function optionsOf(kind: Kind, rule: Partial<EventTimeRule> = {}): Partial<KafkaOptions> {
  const column = COLUMNS[kind === 'record' ? 'long' : kind]
  return {
    value: jsonFormat({
      columns: [{ name: 'ts', path: ['ts'], nullable: true, ...column }],
      unknown: { kind: 'ignore' },
    }),
    key: null,
    nullValue: 'error',
    onDecodeError: 'dlq',
    deadLetters: { table: 'dlq', rowsMax: null, ratioMax: null },
    clock: { ...systemClock, nowMs: () => NOW_MS },
    eventTime: {
      field: kind === 'record' ? null : 'ts',
      unit: kind === 'long' ? 'ms' : null,
      zone: BERLIN,
      maxFutureMs: FUTURE_MS,
      future: 'pass',
      fieldMayCome: false,
      alignUs: null,
      lateOf: () => null,
      ...rule,
    },
  }
}

/** Instant of what is written, by the reader of the column; `null`: there is none. */
function instantOf(kind: Kind, ms: number | null): number | null {
  if (ms === null || kind !== 'timestamp') return ms
  return Number(BERLIN.instantOf(BigInt(ms) * 1000n) / 1000n)
}

interface Written {
  readonly partition: number
  readonly offset: number
  readonly ms: number | null
}

type Fate = 'row' | 'dropped' | 'MR-4401' | 'MR-4402' | 'MR-4403'

interface Policy {
  readonly kind: Kind
  readonly future: 'pass' | 'dlq'
  readonly late: 'dlq' | 'drop' | null
  /** Rows before are too late, on the clock of the column. */
  readonly lateMs: number
}

function fateOf({ kind, future, late, lateMs }: Policy, { ms }: Written): Fate {
  if (ms === null) return 'MR-4401'
  if (kind !== 'record' && late !== null && ms < lateMs) {
    return late === 'drop' ? 'dropped' : 'MR-4403'
  }
  return isFuture(kind, ms) && future === 'dlq' ? 'MR-4402' : 'row'
}

function isFuture(kind: Kind, ms: number): boolean {
  const limit = kind === 'timestamp' ? BERLIN.localOf(BigInt(NOW_MS + FUTURE_MS) * 1000n) : null
  return ms > (limit === null ? NOW_MS + FUTURE_MS : Number(limit / 1000n))
}

const histories = fc.record({
  kind: fc.constantFrom<Kind>('timestamptz', 'timestamp', 'long', 'record'),
  future: fc.constantFrom('pass' as const, 'dlq' as const),
  late: fc.constantFrom('dlq' as const, 'drop' as const, null),
  lateMs: fc.integer({ min: NOW_MS - 120_000, max: NOW_MS }),
  setRows: fc.integer({ min: 1, max: 6 }),
  records: fc.array(
    fc.record({
      partition: fc.integer({ min: 0, max: 2 }),
      ms: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: NOW_MS - 100_000, max: NOW_MS }) },
        { weight: 1, arbitrary: fc.constantFrom(0, NOW_MS + FUTURE_MS, 4_070_908_800_000) },
        { weight: 2, arbitrary: fc.constant(null) },
      ),
    }),
    { minLength: 1, maxLength: 60 },
  ),
})

/** Of each split what was told so far, against what was handed out so far, set aside or not. */
function expectTold(context: PlayedContext, policy: Policy, written: readonly Written[]): void {
  const { kind } = policy
  const handed = new Set(
    context.rows.map(({ values }) => {
      const part = (name: string): number => Number(values[`__${name}__`] ?? values[name])
      return `${part('partition')}/${part('offset')}`
    }),
  )
  for (const partition of [0, 1, 2]) {
    const told = context.times.filter(({ split }) => split.endsWith(`/t/${partition}`))
    const seen = written.filter((one) => one.partition === partition)
    const given = seen.filter(({ offset }) => handed.has(`${partition}/${offset}`))
    const of = (...fates: readonly Fate[]): Written[] =>
      given.filter((one) => fates.includes(fateOf(policy, one)))
    const count = (part: 'future' | 'missing' | 'late'): number =>
      told.reduce((sum, times) => sum + times[part], 0)
    const ahead = of('row', 'MR-4402').filter(({ ms }) => isFuture(kind, ms ?? 0))
    const usable = of('row').flatMap(({ ms }) => (ms === null || isFuture(kind, ms) ? [] : [ms]))
    const latest = usable.length === 0 ? null : instantOf(kind, Math.max(...usable))
    const maxima = told.flatMap(({ maxUs }) => (maxUs === null ? [] : [Number(maxUs) / 1000]))
    expect(maxima.length === 0 ? null : Math.max(...maxima)).toBe(latest)
    expect(count('future')).toBe(ahead.length)
    expect(count('missing')).toBe(of('MR-4401').length)
    if (policy.late !== 'drop') expect(count('late')).toBe(of('MR-4403').length)
  }
}

test('each partition says the latest time of what was handed out, and no row lacks one', async () => {
  const property = fc.asyncProperty(histories, async ({ setRows, records, ...policy }) => {
    const { kind, late, future, lateMs } = policy
    const lateOf = (): typeof late => (kind === 'record' ? null : late)
    const { cluster, context, source } = setUp(optionsOf(kind, { future, lateOf }))
    context.lateUs = BigInt(lateMs) * 1000n
    cluster.setRows = setRows
    const { partitions } = cluster.create('t', 3)
    const written = records.map(({ partition, ms }): Written => {
      const offset = partitions[partition]!.entries.length
      const record = kind === 'record'
      const value = JSON.stringify({ ts: record ? 1 : ms })
      cluster.append('t', partition, at(value, null, record ? (ms ?? -1) : 7))
      return { partition, offset, ms }
    })
    const fates = written.map((one) => fateOf(policy, one))
    const dropped = fates.filter((fate) => fate === 'dropped').length
    const lost = (): number => context.times.reduce((sum, times) => sum + times.late, 0)
    await readUntil(source, context, () => {
      expectTold(context, policy, written)
      if (context.rows.length < written.length - dropped) return false
      return late !== 'drop' || lost() === dropped
    })
    const found = context.rows.map(({ table, values }) => {
      const name = (part: string): number => Number(values[`__${part}__`] ?? values[part])
      const fate = table === 'kafka.dlq' ? values['code'] : 'row'
      return `${name('partition')}/${name('offset')} ${String(fate)}`
    })
    const expected = written
      .map((one, index) => `${one.partition}/${one.offset} ${fates[index]}`)
      .filter((_, index) => fates[index] !== 'dropped')
    expect(found.toSorted()).toEqual(expected.toSorted())
  })
  await fc.assert(property, { interruptAfterTimeLimit: seconds * 1000, numRuns: 1000 })
})

const DRIFT_MS = 1000

const sideBySide = fc.record({
  setRows: fc.integer({ min: 1, max: 3 }),
  /** By partition: where it begins, and its steps. */
  partitions: fc.array(
    fc.record({
      first: fc.integer({ min: 0, max: DRIFT_MS }),
      steps: fc.array(fc.integer({ min: 0, max: 600 }), { minLength: 10, maxLength: 60 }),
    }),
    { minLength: 2, maxLength: 4 },
  ),
})

test('partitions with a drift are read side by side, and all to their ends', async () => {
  const property = fc.asyncProperty(sideBySide, async ({ setRows, partitions: plans }) => {
    const alignUs = (DRIFT_MS * 1000) / 2
    const { cluster, context, source } = setUp(optionsOf('timestamptz', { alignUs }))
    cluster.setRows = setRows
    cluster.deliverySets = 1000
    cluster.answeredMs = () => NOW_MS
    cluster.create('t', plans.length)
    const lasts = plans.map(({ first, steps }, partition) => {
      let ms = NOW_MS - 100_000 + first
      for (const step of steps) {
        ms += step
        cluster.append('t', partition, at(JSON.stringify({ ts: ms })))
      }
      return ms
    })
    const idleMs = 20
    const options = {
      maxOutOfOrderUs: 0n,
      idleMs,
      allIdle: 'hold',
      maxDriftUs: 1_000_000n,
    } as const
    const watermarks = new Watermarks(options)
    const reached = new Map<number, number>()
    let told = 0
    let seen = 0
    let overshoot = 0
    const total = plans.reduce((sum, { steps }) => sum + steps.length, 0)
    await readUntil(source, context, () => {
      for (const { values } of context.rows.slice(seen)) {
        const partition = Number(values['__partition__'])
        const ms = Number(values['ts']) / 1000
        reached.set(partition, Math.max(ms, reached.get(partition) ?? 0))
        if (reached.size < plans.length) continue
        // Partitions that are read to their end hold nobody, once they are known to be idle.
        const behind = [...reached].filter(([one, to]) => to < lasts[one]!)
        const least = Math.min(...behind.map(([, to]) => to))
        overshoot = Math.max(overshoot, Math.max(...reached.values()) - least)
      }
      seen = context.rows.length
      for (const times of context.times.slice(told)) watermarks.observe(times)
      told = context.times.length
      watermarks.look(source.splits?.() ?? [], performance.now())
      source.pauseSplits?.(watermarks.ahead())
      return context.rows.length === total
    })
    // One look late, and by the records of one set.
    expect(overshoot).toBeLessThanOrEqual(DRIFT_MS * 1.5 + 600 * setRows)
  })
  await fc.assert(property, { interruptAfterTimeLimit: seconds * 1000, numRuns: 300 })
})
