// Rows as they were before updates: what functions say of them, whatever the cut of the batches,
// and what is refused since nobody could say it.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { transformPlan } from '../../operators/transform/operator.ts'
import type { SinkKind, TransformOptions } from '../../operators/transform/options.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import type { DeadRow } from '../../runtime/operator.ts'
import { batchOf, UNCHANGED, type TestRow } from '../writer/batches.ts'
import { rowsOf, type LeftRow } from './laws.ts'
import { madeTable, NONE } from './made-table.ts'

const { table, schema } = madeTable('orders', {
  id: { kind: 'long' },
  city: { kind: 'string' },
  amount: { kind: 'long' },
})

interface Change {
  readonly op: Op
  readonly id: bigint
  readonly city: string | undefined
  readonly amount: bigint | undefined
  readonly was: { readonly city: string | undefined; readonly amount: bigint | undefined }
}

const values = {
  city: fc.option(fc.constantFrom('Bonn', 'Ulm', ''), { nil: undefined }),
  amount: fc.option(fc.bigInt({ min: -2n, max: 2n }), { nil: undefined }),
}
const change: fc.Arbitrary<Change> = fc.record({
  op: fc.constantFrom(Op.insert, Op.update, Op.delete, Op.read),
  id: fc.bigInt({ min: 0n, max: 5n }),
  ...values,
  was: fc.record(values),
})

function rowsOfChange({ op, id, city, amount, was }: Change, sequence: number): TestRow[] {
  const row = { op, sequence, values: op === Op.delete ? { id } : { id, city, amount } }
  return op === Op.update ? [row, { op: Op.before, sequence, values: { id, ...was } }] : [row]
}

interface Ran {
  readonly rows: readonly LeftRow[]
  readonly filtered: number
  readonly dead: readonly DeadRow[]
}

function run(
  options: Partial<TransformOptions>,
  changes: readonly Change[],
  size: number,
  sink: SinkKind = 'changelog',
): Ran {
  const operator = transformPlan({ ...NONE, ...options }, sink).plan(table)
  const rows: LeftRow[] = []
  const dead: DeadRow[] = []
  let filtered = 0
  for (let at = 0; at < changes.length; at += size) {
    const part = changes.slice(at, at + size)
    const batch = batchOf(
      schema,
      part.flatMap((one, i) => rowsOfChange(one, at + i)),
      7n,
    )
    operator.onBatch(batch, {
      emit: (made) => rows.push(...rowsOf(made, operator.output)),
      filtered: (count) => {
        filtered += count
      },
      dead: (found) => dead.push(...found),
    })
  }
  return { rows, filtered, dead }
}

test('before and is_changed are of updates, and no old row leaves', () => {
  const projection = `id, city, before(city) AS was, is_changed(city) AS moved,
    coalesce(amount, 0) - coalesce(before(amount), 0) AS more, before(id) AS same`
  const sizes = fc.integer({ min: 1, max: 9 })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), sizes, (changes, size) => {
      const ran = run({ projection }, changes, size)
      expect(ran).toEqual(run({ projection }, changes, Math.max(1, changes.length)))
      expect(ran.filtered + ran.dead.length).toBe(0)
      const model = changes.map(({ op, id, city, amount, was }, sequence) => {
        const [now, of] = op === Op.delete ? [undefined, undefined] : [city, amount]
        const old = op === Op.update ? was : null
        return {
          op,
          order: 7n,
          sequence,
          values: {
            id,
            city: now ?? null,
            was: old?.city ?? null,
            moved: old === null ? null : old.city !== now,
            more: (of ?? 0n) - (old?.amount ?? 0n),
            same: old === null ? null : id,
          },
        }
      })
      expect(ran.rows).toEqual(model)
    }),
    { numRuns: 300 },
  )
})

test('a filter of an append table looks at rows before updates', () => {
  const changes: Change[] = ['Bonn', 'Ulm'].map((city, at) => {
    const was = { city: 'Ulm', amount: 1n }
    return { op: Op.update, id: BigInt(at), city, amount: 1n, was }
  })
  const ran = run({ filter: 'is_changed(city)' }, changes, 2, 'append')
  expect([ran.rows.map(({ values: row }) => row['city']), ran.filtered]).toEqual([['Bonn'], 1])
})

test('a row that is set aside is named by its place among all rows that came', () => {
  const changes: Change[] = [1n, 0n, 2n].map((amount, at) => {
    return { op: Op.update, id: BigInt(at), city: 'x', amount: 4n, was: { city: 'y', amount } }
  })
  const projection = 'id, amount / before(amount) AS share'
  const { rows, dead } = run({ projection, onError: 'dlq' }, changes, 3)
  expect(rows.map(({ values: row }) => row['share'])).toEqual([4n, 2n])
  expect(dead.map(({ row, column }) => [row, column])).toEqual([[2, 'share']])
})

const never = (): never => expect.unreachable()

const LOST: readonly (readonly [string, readonly TestRow[]])[] = [
  ['an update without its old row', [{ op: Op.update, values: { id: 1n, city: 'a' } }]],
  [
    'an update in front of the old row of another',
    [
      { op: Op.update, values: { id: 1n, city: 'a' } },
      { op: Op.update, values: { id: 2n, city: 'a' } },
      { op: Op.before, values: { id: 2n, city: 'b' } },
    ],
  ],
  [
    'an old row that lacks the column',
    [
      { op: Op.update, values: { id: 1n, city: 'a' } },
      { op: Op.before, values: { id: 1n, city: UNCHANGED } },
    ],
  ],
]

test.each(LOST)('%s is an error, and no null', (_, rows) => {
  for (const projection of ['id, before(city) AS was', 'id, is_changed(city) AS moved']) {
    const operator = transformPlan({ ...NONE, projection }, 'changelog').plan(table)
    const out = { emit: never, filtered: never, dead: never }
    expect(() => operator.onBatch(batchOf(schema, rows, 7n), out)).toThrow(
      'the log has no such row',
    )
  }
})

test('a new row that lacks a column says nothing of the old one', () => {
  const rows = [
    { op: Op.insert, values: { id: 1n, city: UNCHANGED } },
    { op: Op.update, values: { id: 1n, city: UNCHANGED } },
    { op: Op.before, values: { id: 1n, city: 'b' } },
  ] as const
  const operator = transformPlan({ ...NONE, projection: '*, before(city) AS was' }, 'upsert')
  const planned = operator.plan(table)
  const left: LeftRow[] = []
  const none = { filtered: never, dead: never }
  planned.onBatch(batchOf(schema, rows, 7n), {
    emit: (made) => left.push(...rowsOf(made, planned.output)),
    ...none,
  })
  expect(left.map(({ values: row }) => row['was'])).toEqual([null, 'b'])
})

const before = 'id, before(city) AS was'
const json = { column: 'city', columns: [], rest: 'rest', onError: 'stop' } as const
const REFUSED: readonly (readonly [Partial<TransformOptions>, SinkKind, string])[] = [
  [
    { projection: '*', filter: 'is_changed(city)' },
    'upsert',
    'a filter of mode upsert cannot look',
  ],
  [{ projection: before, json: [json] }, 'append', 'no place beside `json` and `explode`'],
  [
    { projection: before, mask: { city: 'sha256' } },
    'upsert',
    'before("city") is of a masked column',
  ],
  [
    { projection: before, mask: { city: 'drop' } },
    'upsert',
    'before("city") is of a masked column',
  ],
  [{ projection: 'id, before(amount + 1) AS x' }, 'upsert', 'before takes a column as it is'],
  [{ projection: 'id, before(7) AS x' }, 'upsert', 'before takes a column as it is'],
  [{ projection: 'id, before(NULL) AS x' }, 'upsert', 'before takes a column as it is'],
  [{ projection: 'id, before(before(city)) AS x' }, 'upsert', 'before has no value of ""'],
  [{ projection: 'id, is_changed(__op__) AS x' }, 'upsert', 'is_changed has no value of "__op__"'],
  [{ projection: 'id, before() AS x' }, 'upsert', 'before takes 1 argument'],
  [{ projection: '*, before(city) AS was', primaryKeys: ['id', 'was'] }, 'upsert', 'can be null'],
]

test.each(REFUSED)('%j in mode %s is refused', (options, sink, message) => {
  expect(() => transformPlan({ ...NONE, ...options }, sink).plan(table)).toThrow(message)
})

test('a table without a key is refused', () => {
  const unkeyed: SourceTable = { ...table, key: null }
  const plan = transformPlan({ ...NONE, projection: before }, 'changelog')
  expect(() => plan.plan(unkeyed)).toThrow('before has no value of "city"')
})

test('tables of topics are refused', () => {
  const plan = transformPlan({ ...NONE, projection: before }, 'changelog', undefined, 'unknown')
  expect(() => plan.plan(table)).toThrow('have no value in tables of topics')
})

test('only a plan that asks for old rows gets them', () => {
  const reads = (options: Partial<TransformOptions>): unknown =>
    transformPlan({ ...NONE, ...options }, 'changelog').plan(table).readsOldRows
  expect(reads({ projection: before })).toBe(true)
  expect(reads({ projection: '*, is_changed(city) AS moved' })).toBe(true)
  expect(reads({ projection: '*, __op__ AS op' })).toBe(false)
  expect(reads({})).toBe(false)
})
