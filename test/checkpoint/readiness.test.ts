import { expect, test } from 'vitest'
import {
  partitionAt,
  partitionLabel,
  partitionStart,
} from '../../runtime/checkpoint/partition-time.ts'
import {
  Readiness,
  PARTITIONS_MAX,
  OUTBOX_MAX,
  withoutWaiting,
  type TableCut,
  type TableReadiness,
} from '../../runtime/checkpoint/readiness.ts'
import type { TimeUnit } from '../../runtime/data/partition/transform.ts'
import { TimeZone } from '../../runtime/data/time-zone.ts'

const HOUR_US = 3_600_000_000n
const UTC = new TimeZone('UTC')

function tableOf(unit: TimeUnit = 'hour', zone = UTC, delayUs = 0n): TableReadiness {
  return new Readiness([]).join({ table: 't', unit, zone, delayUs, notifiers: ['one'] })
}

/** The watermark is at the beginning of an hour; a file for each of `rows`. */
function cut(hour: number, rows: readonly (number | null)[] = [], parts = {}): TableCut {
  const changes = rows.map((number) => ({ number, files: 1, rows: 3, bytes: 30 }))
  return { watermarkUs: BigInt(hour) * HOUR_US, changes, all: false, openFrom: null, ...parts }
}

/** Everything that is to be told, which is told by this. */
function told(table: TableReadiness, known = Infinity): string[] {
  const all: string[] = []
  for (let next = table.pending('one', known); next !== null; next = table.pending('one', known)) {
    all.push(`${next.number}/${next.generation}:${next.files}`)
    table.isDelivered('one', next.sequence)
  }
  return all
}

function instant(text: string): bigint {
  return BigInt(Date.parse(text)) * 1000n
}

test('hours without rows are ready with no files, in order, and rows without a time block nothing', () => {
  const table = tableOf()
  table.decide(1, cut(10, [10, null]), 0)
  table.decide(2, cut(14, [12]), 0)
  expect(told(table)).toEqual(['10/1:1', '11/1:0', '12/1:1', '13/1:0'])
})

test('an hour with rows that are held back waits for them, and says that it does', () => {
  const table = tableOf()
  table.decide(1, cut(10, [10]), 0)
  table.decide(2, cut(12, [], { openFrom: 12 }), 0)
  expect(table.waitsForRows).toBe(false)
  expect(told(table)).toEqual(['10/1:1', '11/1:0'])
  table.decide(3, cut(14, [], { openFrom: 12 }), 0)
  expect(table.waitsForRows).toBe(true)
  expect(told(table)).toEqual([])
  table.decide(4, cut(14, [12]), 0)
  expect(table.waitsForRows).toBe(false)
  expect(told(table)).toEqual(['12/1:1', '13/1:0'])
})

test('the first turns begin with rows that are held back, and leave no hour behind them out', () => {
  const table = tableOf()
  table.decide(1, cut(10, [], { openFrom: 7 }), 0)
  expect(table.waitsForRows).toBe(true)
  expect(told(table)).toEqual([])
  table.decide(2, cut(10, [7]), 0)
  expect(told(table)).toEqual(['7/1:1', '8/1:0', '9/1:0'])
  const long = tableOf()
  long.decide(1, cut(5000, [4999], { openFrom: 1 }), 0)
  long.decide(2, cut(5001, []), 0)
  expect(told(long)).toEqual(['4999/1:1', '5000/1:0'])
})

test('late rows of an hour without rows announce its next generation', () => {
  const table = tableOf()
  table.decide(1, cut(1), 0)
  table.decide(2, cut(3), 0)
  expect(told(table)).toEqual(['1/1:0', '2/1:0'])
  table.decide(3, cut(3, [2]), 0)
  expect(table.stateOf(2, 3)).toBe('reopened')
  expect(told(table, 3)).toEqual([])
  expect(told(table, 4)).toEqual(['2/2:1'])
  expect(table.stateOf(2, 4)).toBe('ready')
  expect(table.summary(4).last).toEqual({ value: '1970-01-01-02', generation: 2 })
})

test('a partition goes from open by closing and committed to ready', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  expect(table.stateOf(0, 1)).toBe('open')
  table.decide(2, cut(1, [0], { openFrom: 0 }), 0)
  expect(table.stateOf(0, 3)).toBe('closing')
  expect(told(table)).toEqual([])
  // Its last file is in the epoch that is still to be committed.
  table.decide(3, cut(1, [0]), 0)
  expect(table.stateOf(0, 3)).toBe('closing')
  expect(table.stateOf(0, 4)).toBe('committed')
  expect(told(table, 4)).toEqual(['0/1:3'])
  expect(table.stateOf(0, 4)).toBe('ready')
})

test('a file that is held back keeps its partition and those behind it, and no other', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0, 1, 2]), 0)
  table.decide(2, cut(5, [], { openFrom: 1 }), 0)
  expect(told(table)).toEqual(['0/1:1'])
  table.decide(3, cut(5), 0)
  expect(told(table)).toEqual(['1/1:1', '2/1:1', '3/1:0', '4/1:0'])
})

test('nothing is decided of a table that is being read anew, and everything afterwards', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  table.decide(2, cut(2), 0)
  expect(told(table)).toEqual(['0/1:1', '1/1:0'])
  table.decide(3, { ...cut(0, [0, 1, 2]), watermarkUs: null }, 0)
  expect(table.stateOf(0, 9)).toBe('reopened')
  expect(told(table)).toEqual([])
  table.decide(4, cut(3), 0)
  expect(told(table)).toEqual(['0/2:2', '1/2:1', '2/1:1'])
})

test('TRUNCATE announces the partitions that had rows', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0, 0, 2]), 0)
  table.decide(2, cut(3), 0)
  expect(told(table)).toEqual(['0/1:2', '1/1:0', '2/1:1'])
  table.decide(3, cut(3, [2], { all: true }), 0)
  expect(told(table)).toEqual(['0/2:0', '2/2:1'])
})

test('what rests on commits that will not be made is never told, and decided anew', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  table.decide(2, cut(1), 0)
  expect(told(table, 2)).toEqual([])
  table.decide(3, cut(2, [1]), 0)
  table.revoke(3)
  expect(told(table)).toEqual(['0/1:1'])
  table.decide(4, { ...cut(0), watermarkUs: null }, 0)
  table.decide(5, cut(2, [1]), 0)
  // The generation that was not told is not used again for something else.
  expect(told(table)).toEqual(['1/2:2'])
})

test('a start that gives up the waiting intents gives up what was decided with them', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  table.decide(2, cut(1), 0)
  table.decide(3, cut(2, [1]), 0)
  const left = withoutWaiting([table.save()], new Map([['t', 2]]))
  const again = new Readiness(left).join(table.rule)
  expect(told(again)).toEqual(['0/1:1'])
  again.decide(4, cut(2), 0)
  expect(told(again)).toEqual(['1/2:1'])
})

test('the last thousand partitions are known, and the state does not grow', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  for (let hour = 1; hour <= 5000; hour += 500) table.decide(hour, cut(hour, [hour]), 0)
  const all = told(table)
  expect(all).toHaveLength(4501)
  expect(table.save().partitions.length).toBeLessThanOrEqual(PARTITIONS_MAX + 1)
  // Of one that is older the generation is not known: an id must not come twice.
  table.decide(6000, cut(4501, [3, 4400]), 0)
  expect(told(table)).toEqual(['4400/2:1'])
})

test('rows far ahead do not make the state grow, and what was not counted is said', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  const ahead = Array.from({ length: 3000 }, (_, index) => 100_000 + index)
  table.decide(2, cut(1, [...ahead, 2]), 0)
  expect(table.save().partitions.length).toBeLessThanOrEqual(PARTITIONS_MAX + 1)
  table.decide(3, cut(3), 0)
  expect(told(table)).toEqual(['0/1:1', '1/1:0', '2/1:1'])
  const beyond = { ...table.save(), partitions: [], next: 101_900 }
  const later = new Readiness([beyond]).join(table.rule)
  later.decide(4, cut(101_901), 0)
  expect(later.pending('one', Infinity)).toMatchObject({ number: 101_900, exact: false })
})

test('an outbox that nobody empties keeps the newest generation of each partition', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0, 1]), 0)
  table.decide(2, cut(2), 0)
  for (let epoch = 3; epoch < 3000; epoch++) table.decide(epoch, cut(2, [epoch % 2]), 0)
  expect(table.save().outbox).toHaveLength(OUTBOX_MAX)
  const all = told(table)
  expect(all.slice(-2)).toEqual(['0/1499:1499', '1/1500:1500'])
  expect(new Set(all).size).toBe(all.length)
})

test('a jump over thousands of hours is told in pieces, without a gap', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  for (let epoch = 2; epoch < 8; epoch++) table.decide(epoch, cut(3500), 0)
  expect(told(table)).toHaveLength(3500)
})

test('who is told from now on hears of what is decided from now on', () => {
  const table = tableOf()
  table.decide(1, cut(0, [0]), 0)
  table.decide(2, cut(1), 0)
  const rule = { ...table.rule, notifiers: ['one', 'two'] }
  const again = new Readiness([table.save()]).join(rule)
  expect(again.pending('two', Infinity)).toBeNull()
  expect(again.backlog('one')).toBe(1)
  again.decide(3, cut(2), 0)
  expect(again.pending('two', Infinity)?.number).toBe(1)
  // Numbers of another unit are other partitions.
  const days = new Readiness([table.save()]).join({ ...rule, unit: 'day' })
  expect(days.pending('one', Infinity)).toBeNull()
})

test('a day in Berlin is ready at its own midnight, be it 23 or 25 hours long', () => {
  const zone = new TimeZone('Europe/Berlin')
  for (const [day, hours] of [
    ['2026-03-29', 23],
    ['2026-03-30', 24],
    ['2026-10-25', 25],
  ] as const) {
    const table = tableOf('day', zone)
    const number = Date.parse(day) / 86_400_000
    const start = partitionStart('day', number, zone)
    const change = { number, files: 1, rows: 1, bytes: 1 }
    const at = (us: bigint): TableCut => ({ ...cut(0), watermarkUs: us, changes: [] })
    table.decide(1, { ...at(start), changes: [change] }, 0)
    table.decide(2, at(start + BigInt(hours) * HOUR_US - 1n), 0)
    expect(told(table)).toEqual([])
    table.decide(3, at(start + BigInt(hours) * HOUR_US), 0)
    expect(told(table)).toEqual([`${number}/1:1`])
    expect(partitionAt('day', start, zone)).toBe(number)
    expect(partitionAt('day', start - 1n, zone)).toBe(number - 1)
  }
})

test('an hour that the clocks leave out is not announced, one that they repeat ends with its second', () => {
  const zone = new TimeZone('Europe/Berlin')
  const spring = tableOf('hour', zone)
  const first = Date.parse('2026-03-29T01:00:00Z') / 3_600_000
  spring.decide(1, { ...cut(0), watermarkUs: instant('2026-03-29T00:00:00Z') }, 0)
  spring.decide(2, { ...cut(0), watermarkUs: instant('2026-03-29T02:00:00Z') }, 0)
  // Local hours 1 and 3; there is no 2.
  expect(told(spring)).toEqual([`${first}/1:0`, `${first + 2}/1:0`])
  const autumn = tableOf('hour', zone)
  const twice = Date.parse('2026-10-25T02:00:00Z') / 3_600_000
  autumn.decide(1, { ...cut(0), watermarkUs: instant('2026-10-25T00:00:00Z') }, 0)
  autumn.decide(2, { ...cut(0), watermarkUs: instant('2026-10-25T01:59:59Z') }, 0)
  expect(told(autumn)).toEqual([])
  autumn.decide(3, { ...cut(0), watermarkUs: instant('2026-10-25T02:00:00Z') }, 0)
  expect(told(autumn)).toEqual([`${twice}/1:0`])
})

test('partitions have the labels and the bounds of their unit', () => {
  const at = instant('2024-02-29T23:59:59Z')
  const expected = { hour: '2024-02-29-23', day: '2024-02-29', month: '2024-02', year: '2024' }
  for (const unit of ['hour', 'day', 'month', 'year'] as const) {
    const number = partitionAt(unit, at, UTC)
    expect(partitionLabel(unit, number)).toBe(expected[unit])
    expect(partitionStart(unit, number, UTC) <= at).toBe(true)
    expect(partitionStart(unit, number + 1, UTC) > at).toBe(true)
  }
  expect(partitionStart('month', -1, UTC)).toBe(instant('1969-12-01T00:00:00Z'))
  expect(partitionAt('hour', -1n, UTC)).toBe(-1)
  // Times that no clock shows are counted nowhere.
  const table = tableOf('year')
  table.decide(1, cut(0, [2 ** 31 - 1, -(2 ** 31)]), 0)
  expect(table.save().partitions).toEqual([])
})
