import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { transformPlan } from '../../operators/transform/operator.ts'
import type {
  ExplodeOptions,
  SinkKind,
  TransformOptions,
} from '../../operators/transform/options.ts'
import { BATCH_BYTES_MAX, BATCH_ROWS_MAX, Op } from '../../runtime/data/batch.ts'
import { batchBytes } from '../../runtime/data/pack.ts'
import { batchOf, UNCHANGED, type TestRow } from '../writer/batches.ts'
import { holdLaws, runOperator, type LeftRow } from './laws.ts'
import { madeTable, NONE } from './made-table.ts'

const { table, schema } = madeTable('orders', {
  id: { kind: 'long' },
  tags: { kind: 'list', element: { kind: 'int' } },
  items: { kind: 'string', json: true },
  note: { kind: 'string' },
})
const TAGS: ExplodeOptions = { column: 'tags', as: 'tag', ordinal: 'no', outer: false, max: null }
const ITEMS: ExplodeOptions = { ...TAGS, column: 'items', as: 'item' }
const MAX = 4

function plan(options: Partial<TransformOptions>, sink: SinkKind = 'append') {
  return transformPlan({ ...NONE, ...options }, sink)
}

/** A delete carries the key alone. */
const row: fc.Arbitrary<TestRow> = fc
  .record({
    op: fc.constantFrom(Op.insert, Op.update, Op.delete, Op.read),
    id: fc.bigInt({ min: 0n, max: 4n }),
    tags: fc.option(
      fc.array(fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }), { maxLength: MAX }),
      { nil: undefined },
    ),
    note: fc.option(fc.constantFrom('a', 'bb', ''), { nil: undefined }),
  })
  .map(({ op, id, tags, note }) => {
    if (op === Op.delete) return { op, values: { id } }
    const items = tags === undefined ? undefined : JSON.stringify(tags, null, note === 'a' ? 1 : 0)
    return { op, values: { id, tags, items, note } }
  })

function tagsOf({ values }: TestRow): readonly (number | undefined)[] {
  return (values['tags'] ?? []) as readonly (number | undefined)[]
}

function shown({ op, values }: LeftRow): unknown {
  return { op, values }
}

for (const outer of [false, true]) {
  test(`in append each new row is as many as it has elements, outer: ${outer}`, () => {
    const model = (rows: readonly TestRow[], text: (tag: number) => unknown): unknown[] =>
      rows.flatMap((one) => {
        const { op, values } = one
        if (op !== Op.insert && op !== Op.read) return []
        const { id, note = null } = values
        const tags = tagsOf(one).map((tag, at) => {
          return { no: at + 1, element: tag === undefined ? null : text(tag) }
        })
        const none = outer ? [{ no: 0, element: null }] : []
        return (tags.length > 0 ? tags : none).map(({ no, element }) => {
          return { op, values: { id, note, no, element } }
        })
      })
    const projection = 'id, note, no, element'
    const lists = plan({ projection, explode: { ...TAGS, as: 'element', outer } })
    holdLaws(
      lists,
      table,
      schema,
      row,
      (rows, ran) => expect(ran.rows.map(shown)).toEqual(model(rows, (tag) => tag)),
      true,
    )
    const arrays = plan({ projection, explode: { ...ITEMS, as: 'element', outer } })
    holdLaws(
      arrays,
      table,
      schema,
      row,
      (rows, ran) => expect(ran.rows.map(shown)).toEqual(model(rows, String)),
      true,
    )
  })
}

/** A history that a source can have: what is inserted is not there, what changes or goes is. */
function history(rows: readonly TestRow[]): { changes: TestRow[]; live: Map<unknown, TestRow> } {
  const live = new Map<unknown, TestRow>()
  const changes = rows.filter((one) => {
    const { id } = one.values
    const there = live.has(id)
    if (one.op === Op.delete) return live.delete(id)
    if ((one.op === Op.update) !== there) return false
    live.set(id, one)
    return true
  })
  return { changes, live }
}

function lakeOf(rows: readonly LeftRow[]): Map<string, unknown> {
  const lake = new Map<string, unknown>()
  for (const { op, values } of rows) {
    const key = `${String(values['id'])}/${String(values['no'])}`
    if (op === Op.delete) lake.delete(key)
    else lake.set(key, values)
  }
  return lake
}

for (const outer of [false, true]) {
  test(`in upsert the lake has the elements of the newest image alone, outer: ${outer}`, () => {
    const projection = 'id, no, tag, note'
    const keyed = plan({ projection, explode: { ...TAGS, outer, max: MAX } }, 'upsert')
    expect(keyed.plan(table).output.key).toEqual(['c.id', 'explode:no'])
    holdLaws(
      keyed,
      table,
      schema,
      row,
      (rows) => {
        const { changes, live } = history(rows)
        const { rows: left } = runOperator(keyed, table, schema, changes, [100], true)
        const wanted = [...live.values()].flatMap((one) => {
          const { id, note = null } = one.values
          const tags = tagsOf(one).map((tag, at) => ({ id, no: at + 1, tag: tag ?? null, note }))
          return tags.length === 0 && outer ? [{ id, no: 0, tag: null, note }] : tags
        })
        const keys = wanted.map(({ id, no }) => `${String(id)}/${no}`)
        expect(lakeOf(left)).toEqual(new Map(wanted.map((one, at) => [keys[at], one])))
        expect(left.every(({ values }) => Number(values['no']) >= (outer ? 0 : 1))).toBe(true)
      },
      true,
    )
  })
}

test('an insert may be of a row that is there: it takes away what that one has more', () => {
  const keyed = plan({ explode: { ...TAGS, max: MAX } }, 'upsert')
  const rows: TestRow[] = [
    { op: Op.insert, values: { id: 1n, tags: [1, 2, 3] } },
    { op: Op.insert, values: { id: 1n, tags: [9] } },
  ]
  const { rows: left } = runOperator(keyed, table, schema, rows, [1], true)
  expect([...lakeOf(left).keys()]).toEqual(['1/1'])
})

test('a filter of elements in upsert follows what they are', () => {
  const options = { explode: { ...TAGS, max: MAX }, filter: 'tag > 1' }
  const rows: TestRow[] = [
    { op: Op.insert, values: { id: 1n, tags: [1, 2, 3] } },
    { op: Op.update, values: { id: 1n, tags: [2, 1] } },
    { op: Op.insert, values: { id: 2n, tags: [5] } },
    { op: Op.delete, values: { id: 2n } },
  ]
  const { rows: left } = runOperator(plan(options, 'upsert'), table, schema, rows, [9], true)
  expect([...lakeOf(left).keys()]).toEqual(['1/1'])
})

test('a row of the first copy leaves no deletes, which would meet newer elements', () => {
  const keyed = plan({ explode: { ...TAGS, max: MAX } }, 'upsert')
  const rows: TestRow[] = [{ op: Op.read, values: { id: 1n, tags: [7] } }]
  const { rows: left } = runOperator(keyed, table, schema, rows, [1], true)
  expect(left.map(({ op, values }) => [op, values['no']])).toEqual([[Op.read, 1]])
})

test('what cannot be taken apart stops its batch, or has no elements', () => {
  for (const items of ['{"a":1}', '7', '[1', '[1] 2', '', '[01]', '["\u0001"]']) {
    const rows: TestRow[] = [
      { op: Op.insert, values: { id: 1n, items: '[1]' } },
      { op: Op.insert, values: { id: 2n, items } },
      { op: Op.insert, values: { id: 3n, items: ' [ "x" , null ] ' } },
    ]
    const run = (onError: 'stop' | 'null') =>
      runOperator(plan({ explode: ITEMS, onError }), table, schema, rows, [9], true)
    expect(() => run('stop'), items).toThrow(/table "shop\.orders": "items" cannot be taken apart/)
    const left = run('null').rows.map(({ values }) => [values['id'], values['no'], values['item']])
    expect(left).toEqual([
      [1n, 1, '1'],
      [3n, 1, '"x"'],
      [3n, 2, null],
    ])
  }
  const none: TestRow[] = [{ op: Op.insert, values: { id: 1n, items: ' null ' } }]
  expect(runOperator(plan({ explode: ITEMS }), table, schema, none, [1], true).filtered).toBe(1)
})

test('a row of which any element cannot be computed is set aside as a whole', () => {
  const options = { explode: ITEMS, projection: 'id, no, 12 / CAST(item AS int) AS part' }
  const texts = ['[1]', '[2, 0, 3]', '7', '[]', '[4, 6]', '[1, "x"]']
  const rows = texts.map((items, at): TestRow => {
    return { op: Op.insert, values: { id: BigInt(at), items } }
  })
  const set = plan({ ...options, onError: 'dlq' })
  for (const cuts of [[9], [1], [2, 3]]) {
    const { rows: left, dead, filtered } = runOperator(set, table, schema, rows, cuts, true)
    expect(dead.map(({ row, column }) => [row, column])).toEqual([
      [1, 'part'],
      [2, 'item'],
      [5, 'part'],
    ])
    expect(left.map(({ values }) => Object.values(values))).toEqual([
      [0n, 1, 12n],
      [4n, 1, 3n],
      [4n, 2, 2n],
    ])
    expect(filtered).toBe(1)
  }
  const most = { ...ITEMS, max: 2 }
  const keyed = plan({ ...options, explode: most, onError: 'dlq' }, 'upsert')
  const changed: TestRow[] = [
    { op: Op.insert, values: { id: 1n, items: '[1, 2]' } },
    { op: Op.update, values: { id: 1n, items: '[3, 4, 6]' } },
    { op: Op.update, values: { id: 2n, items: '[3]' } },
  ]
  const { rows: left, dead } = runOperator(keyed, table, schema, changed, [9], true)
  expect(dead.map(({ row, message }) => [row, message])).toEqual([
    [1, '"items" cannot be taken apart: it has 3 elements, and `max` is 2'],
  ])
  expect([...lakeOf(left).keys()]).toEqual(['1/1', '1/2', '2/1'])
})

test('more elements than `max` stop the table, whatever `on_error` says', () => {
  const rows: TestRow[] = [{ op: Op.insert, values: { id: 1n, tags: [1, 2, 3] } }]
  const options = { explode: { ...TAGS, max: 2 }, onError: 'null' as const }
  for (const sink of ['append', 'upsert'] as const) {
    expect(() => runOperator(plan(options, sink), table, schema, rows, [1], true)).toThrow(
      'it has 3 elements, and `max` is 2',
    )
  }
})

test('a value that the log does not carry is never shared between elements', () => {
  const rows: TestRow[] = [{ op: Op.update, values: { id: 1n, tags: [1], note: UNCHANGED } }]
  const keyed = plan({ explode: { ...TAGS, max: 2 } }, 'upsert')
  expect(() => runOperator(keyed, table, schema, rows, [1], true)).toThrow('does not carry')
  // In append an update is not carried at all.
  const appended = runOperator(plan({ explode: TAGS }), table, schema, rows, [1], true)
  expect(appended).toEqual({ rows: [], filtered: 1, dead: [] })
})

test('many elements leave in batches of the usual size', () => {
  const tags = Array.from({ length: 1000 }, (_, at) => at)
  const note = 'n'.repeat(2000)
  const rows = Array.from({ length: 40 }, (_, id): TestRow => {
    return { op: Op.insert, values: { id: BigInt(id), tags, note: id < 20 ? 'x' : note } }
  })
  const sizes: (readonly [number, number])[] = []
  plan({ explode: TAGS, projection: 'id, no, tag, note' })
    .plan(table)
    .onBatch(batchOf(schema, rows, 7n), {
      emit: (batch) => sizes.push([batch.rows, batchBytes(batch)]),
      filtered: () => undefined,
      dead: () => undefined,
    })
  expect(sizes.reduce((sum, [count]) => sum + count, 0)).toBe(40_000)
  expect(Math.max(...sizes.map(([count]) => count))).toBeLessThanOrEqual(BATCH_ROWS_MAX)
  expect(Math.max(...sizes.map(([, bytes]) => bytes))).toBeLessThan(1.2 * BATCH_BYTES_MAX)
})

const refusals: readonly (readonly [Partial<TransformOptions>, SinkKind, string])[] = [
  [{ explode: { ...TAGS, max: 9 } }, 'changelog', 'cannot be right in mode changelog'],
  [{ explode: TAGS }, 'upsert', 'needs `max` in mode upsert'],
  [{ explode: { ...TAGS, ordinal: null, max: 9 } }, 'upsert', 'needs `ordinal` in mode upsert'],
  [{ explode: { ...TAGS, column: 'nope' } }, 'append', 'names column "nope", which is not there'],
  [{ explode: { ...TAGS, column: 'note' } }, 'append', 'takes a list or json, and column "note"'],
  [{ explode: { ...TAGS, column: 'id' } }, 'append', 'cannot take key column "id" apart'],
  [{ explode: { ...TAGS, as: 'note' } }, 'append', 'makes column "note", which is there already'],
  [{ explode: { ...TAGS, ordinal: 'id' } }, 'append', 'makes column "id", which is there already'],
  [
    { explode: { ...TAGS, max: 9 }, softDelete: { column: 'gone', at: null } },
    'upsert',
    '`explode` and `soft_delete` exclude each other',
  ],
  [{ explode: { ...TAGS, max: 9 }, projection: 'id, tag' }, 'upsert', 'key column "no" does not'],
]

for (const [options, sink, message] of refusals) {
  test(`refused before a row is read in ${sink}: ${message}`, () => {
    expect(() => plan(options, sink).plan(table)).toThrow(message)
  })
}

test('the element takes the place of its column, and another entry is another transform', () => {
  const { output } = plan({ explode: TAGS }).plan(table)
  expect(output.columns.map(({ name }) => name)).toEqual(['id', 'tag', 'no', 'items', 'note'])
  expect(output.key).toEqual(['c.id'])
  expect(plan({}).semantics).not.toContain('explode')
  expect(plan({ explode: TAGS }).semantics).not.toBe(plan({ explode: ITEMS }).semantics)
})
