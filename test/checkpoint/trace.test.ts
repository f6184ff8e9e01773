import { expect, test } from 'vitest'
import { Trace } from '../../runtime/checkpoint/trace.ts'
import type { TableCounts } from '../../runtime/sink.ts'

function counts(rows: Partial<TableCounts>): TableCounts {
  const ops = { insert: 0, update: 0, delete: 0, read: 0 }
  const none = { read: 0, written: 0, stale: 0, absorbed: 0, parked: 0, held: 0 }
  return { table: 'a', ...none, ops, ...rows }
}

const NONE = { table: 'a', taken: 0, made: 0, sent: 0, skipped: 0, filtered: 0, dead: 0 }
const sent = (rows: number) => [{ ...NONE, taken: rows, sent: rows }]

test('rows that are written, stale, absorbed, parked or held add up over all writers', () => {
  const trace = new Trace({})
  const left = counts({ read: 6, written: 3, stale: 1, absorbed: 1, held: 1 })
  const right = counts({ read: 4, written: 2, parked: 2 })
  trace.check(1, sent(10), [[left], [right]])
  expect(trace.held()).toEqual({ a: 1 })
  // The held row is written now.
  trace.check(2, sent(2), [[counts({ read: 2, written: 3 })]])
  expect(trace.held()).toEqual({})
})

test('what a checkpoint held is expected after a restart', () => {
  const trace = new Trace({ a: 2 })
  trace.check(1, sent(0), [[counts({ written: 2 })]])
})

test.each([
  ['a row that vanished between the threads', 5, counts({ read: 4, written: 4 })],
  ['a row that a writer lost', 5, counts({ read: 5, written: 4 })],
  ['a row that a writer made up', 5, counts({ read: 5, written: 6 })],
  ['a held row that was forgotten', 5, counts({ read: 5, written: 3, held: 1 })],
])('%s stops the epoch', (_name, rows, counted) => {
  expect(() => new Trace({}).check(3, sent(rows), [[counted]])).toThrow(
    'does not add up in epoch 3',
  )
})

test('rows that operators filter, set aside or make several of add up', () => {
  const source = [{ ...NONE, taken: 10, made: 4, sent: 9, filtered: 3, dead: 2, skipped: 7 }]
  new Trace({}).check(1, source, [[counts({ read: 9, written: 9 })]])
})

test.each([
  ['a row that an operator lost', { taken: 5, sent: 3, filtered: 1 }],
  ['a row that an operator doubled', { taken: 5, sent: 6 }],
  ['a row that was made and never left', { taken: 5, made: 1, sent: 5 }],
  ['a dead letter that was also sent', { taken: 5, sent: 5, dead: 1 }],
])('%s stops the epoch', (_name, rows) => {
  const source = [{ ...NONE, ...rows }]
  const written = counts({ read: source[0]?.sent ?? 0, written: source[0]?.sent ?? 0 })
  expect(() => new Trace({}).check(3, source, [[written]])).toThrow('does not add up in epoch 3')
})
