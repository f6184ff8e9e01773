import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { transformPlan } from '../../operators/transform/operator.ts'
import type {
  JsonColumn,
  JsonOptions,
  SinkKind,
  TransformOptions,
} from '../../operators/transform/options.ts'
import { Op } from '../../runtime/data/batch.ts'
import { AS_TEXT } from '../../runtime/data/json/fill.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { batchOf, UNCHANGED, type TestRow } from '../writer/batches.ts'
import { holdLaws, runOperator, type Ran } from './laws.ts'
import { madeTable, NONE } from './made-table.ts'

const { table, schema } = madeTable('events', {
  id: { kind: 'long' },
  doc: { kind: 'string', json: true },
  n: { kind: 'int' },
})

function declared(name: string, type: ColumnType, more: Partial<JsonColumn> = {}): JsonColumn {
  return { name, path: name.split('.'), type, nullable: true, encoding: AS_TEXT, ...more }
}

const LONG = { kind: 'long' } as const
const STRING = { kind: 'string' } as const
const JSON_TEXT = { kind: 'string', json: true } as const
const COLUMNS = [
  declared('user.id', LONG),
  declared('user.name', STRING),
  declared('size', { kind: 'double' }),
  declared('tags', { kind: 'list', element: STRING }),
  declared('more', JSON_TEXT),
]
const DOC: JsonOptions = { column: 'doc', columns: COLUMNS, rest: 'others', onError: null }

function plan(json: readonly JsonOptions[], more: Partial<TransformOptions> = {}) {
  return transformPlan({ ...NONE, json, ...more }, 'upsert')
}

const word = fc.constantFrom('', 'a', 'Ä"\\', 'née\n', '\u{1f600}')
const anything = fc.oneof(word, fc.integer(), fc.constant(null), fc.boolean())
const document = fc.record(
  {
    user: fc.option(
      fc.record(
        { id: fc.option(fc.integer()), name: fc.option(word), age: fc.integer() },
        { requiredKeys: [] },
      ),
    ),
    size: fc.option(fc.integer({ min: -9, max: 9 })),
    tags: fc.option(fc.array(fc.option(word), { maxLength: 3 })),
    more: fc.oneof(anything, fc.array(anything, { maxLength: 2 }), fc.record({ x: anything })),
    extra: anything,
  },
  { requiredKeys: [] },
)

type Document = Readonly<Record<string, unknown>>

/** A delete carries the key alone; a document may be null in either way. */
const row: fc.Arbitrary<TestRow> = fc
  .record({
    op: fc.constantFrom(Op.insert, Op.update, Op.delete, Op.read),
    id: fc.bigInt({ min: 0n, max: 5n }),
    doc: fc.option(document, { nil: undefined }),
    spaces: fc.constantFrom(0, 2),
    n: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
  })
  .map(({ op, id, doc, spaces, n }) => {
    if (op === Op.delete) return { op, values: { id } }
    const text = doc === undefined ? undefined : JSON.stringify(doc, null, spaces)
    return { op, values: { id, doc: n === 3 ? 'null' : text, n } }
  })

/** What JSON.parse makes of the text. */
function expected({ op, values }: TestRow): unknown {
  const text = values['doc']
  const { id, doc = null, n = null } = values
  const found = typeof text === 'string' ? (JSON.parse(text) as Document | null) : null
  const user = (found?.['user'] ?? {}) as Document
  const { user: _user, size, tags, more, ...others } = found ?? {}
  const { id: _id, name: _name, ...ofUser } = user
  const left = { ...(Object.keys(ofUser).length > 0 && { user: ofUser }), ...others }
  return {
    op,
    id,
    doc,
    n,
    'user.id': user['id'] === undefined || user['id'] === null ? null : BigInt(Number(user['id'])),
    'user.name': user['name'] ?? null,
    size: size ?? null,
    tags: tags ?? null,
    more: more ?? null,
    others: Object.keys(left).length > 0 ? left : null,
  }
}

function shown({ rows }: Ran): unknown[] {
  return rows.map(({ op, values }) => {
    const read = (name: string): unknown => {
      const text = values[name]
      return typeof text === 'string' ? (JSON.parse(text) as unknown) : null
    }
    return { op, ...values, more: read('more'), others: read('others') }
  })
}

test('a document becomes columns of its own, as JSON.parse reads them', () => {
  holdLaws(plan([DOC]), table, schema, row, (rows, ran) => {
    expect(shown(ran)).toEqual(rows.map(expected))
  })
})

test('filter, projection and masks see what documents hold, and the document may go', () => {
  const options = {
    projection: '* EXCEPT (doc, more, others, tags), upper("user.name") AS up',
    filter: 'size >= 0',
    mask: { 'user.name': 'drop' },
  }
  const rows: TestRow[] = [
    { op: Op.insert, values: { id: 1n, doc: '{"size":1,"user":{"id":7,"name":"ann"}}' } },
    { op: Op.update, values: { id: 2n, doc: '{"size":-1}' } },
  ]
  const { rows: left } = runOperator(plan([DOC], options), table, schema, rows, [9])
  expect(left.map(({ op, values }) => ({ op, ...values }))).toEqual([
    { op: Op.insert, id: 1n, n: null, 'user.id': 7n, size: 1, up: 'ANN' },
    { op: Op.delete, id: 2n, n: null, 'user.id': null, size: -1, up: null },
  ])
})

const bad: readonly (readonly [string, RegExp])[] = [
  ['{"user":{"id":"x"}}', /"doc" holds no document with a value for "user\.id": .* at byte 14/],
  ['{"user":3}', /value for "user\.id": it would stand in what is no object/],
  ['{"size":1', /"doc" holds no JSON document: an object has no end/],
  ['{"size":1} x', /something follows the document/],
  ['[1]', /it is no object/],
  ['7', /it is no object/],
  ['', /it is no object/],
  ['nulL', /it is no object/],
]

test('a document that does not fit stops its batch, or leaves null where it does not', () => {
  for (const [doc, message] of bad) {
    const rows: TestRow[] = [
      { op: Op.insert, values: { id: 1n, doc: '{"size":5,"user":{"id":1}}' } },
      { op: Op.insert, values: { id: 2n, doc } },
      { op: Op.insert, values: { id: 3n, doc: '{"size":6,"user":{"id":3}}' } },
    ]
    const run = (json: JsonOptions, more: Partial<TransformOptions>) =>
      runOperator(plan([json], more), table, schema, rows, [9]).rows
    expect(() => run(DOC, {}), doc).toThrow(message)
    // The block's own word counts, else that of the entry.
    expect(() => run({ ...DOC, onError: 'stop' }, { onError: 'null' })).toThrow(message)
    for (const left of [run({ ...DOC, onError: 'null' }, {}), run(DOC, { onError: 'null' })]) {
      expect(left.map(({ values }) => [values['size'], values['user.id']])).toEqual([
        [5, 1n],
        [null, null],
        [6, 3n],
      ])
    }
  }
})

test('documents that do not fit are set aside, and the others leave as if alone', () => {
  const good = (at: number): TestRow => {
    return { op: Op.insert, values: { id: BigInt(at), doc: `{"size":${at},"user":{"id":1}}` } }
  }
  const rows = [
    good(0),
    ...bad.map(([doc], at): TestRow => ({ op: Op.update, values: { id: BigInt(at), doc } })),
    good(7),
  ]
  const set = plan([DOC], { onError: 'dlq' })
  for (const cuts of [[20], [1], [3, 2]]) {
    const { rows: left, dead } = runOperator(set, table, schema, rows, cuts)
    expect(left.map(({ values }) => values['size'])).toEqual([0, 7])
    expect(dead.map(({ row }) => row)).toEqual(bad.map((_, at) => at + 1))
    for (const [at, { message, column, expression }] of dead.entries()) {
      expect(message).toMatch(bad[at]![1])
      expect(expression).toBe('json "doc"')
      expect(column).toBe(at < 2 ? 'user.id' : 'doc')
    }
  }
})

test('a dead letter shows of a document what the lake would show of all its parts', () => {
  const secretOf = (json: Partial<JsonOptions>, more: Partial<TransformOptions>): string[] => {
    const operator = plan([{ ...DOC, ...json }], { onError: 'dlq', ...more }).plan(table)
    const rows: TestRow[] = [{ op: Op.insert, values: { id: 1n, doc: '[]', n: 1 } }]
    let found: string[] = []
    operator.onBatch(batchOf(schema, rows, 7n), {
      emit: () => undefined,
      filtered: () => undefined,
      dead: (_, secret) => {
        found = [...secret].map((index) => table.columns[index]!.name)
      },
    })
    return found
  }
  const parts = '* EXCEPT (doc)'
  expect(secretOf({}, {})).toEqual([])
  expect(secretOf({}, { projection: parts })).toEqual([])
  // What has no column does not get into the lake.
  expect(secretOf({ rest: null }, { projection: parts })).toEqual(['doc'])
  expect(secretOf({}, { projection: '* EXCEPT (doc, "user.name")' })).toEqual(['doc'])
  expect(secretOf({}, { mask: { 'user.name': 'all' } })).toEqual(['doc'])
  expect(secretOf({}, { mask: { doc: 'drop' } })).toEqual(['doc'])
  expect(secretOf({}, { projection: 'id, sha256("user.name") AS who' })).toEqual(['doc', 'n'])
})

test('what fits stays where another value of the document does not', () => {
  const doc = '{"user":{"id":true,"name":"ann"},"size":2,"tags":["a"]}'
  const rows: TestRow[] = Array.from({ length: 300 }, (_, at) => {
    const user = `{"user":{"id":${at},"name":"n${at}"}}`
    return { op: Op.insert, values: { id: BigInt(at), doc: at % 7 === 0 ? doc : user } }
  })
  const { rows: left } = runOperator(plan([DOC], { onError: 'null' }), table, schema, rows, [300])
  for (const [at, { values }] of left.entries()) {
    const isBad = at % 7 === 0
    expect(values['user.id']).toBe(isBad ? null : BigInt(at))
    expect(values['user.name']).toBe(isBad ? 'ann' : `n${at}`)
    expect(values['tags']).toEqual(isBad ? ['a'] : null)
  }
})

test('a column that has no null needs its value, but in deletes', () => {
  const columns = [declared('size', LONG, { nullable: false })]
  const needs: JsonOptions = { ...DOC, columns, rest: null, onError: 'null' }
  const gone: TestRow = { op: Op.delete, values: { id: 1n } }
  const { rows: left } = runOperator(plan([needs]), table, schema, [gone], [1])
  expect(left.map(({ op, values }) => [op, values['size']])).toEqual([[Op.delete, null]])
  for (const doc of [undefined, 'null', '{}', '{"size":null}', '{"size":"x"}', '{']) {
    const rows: TestRow[] = [{ op: Op.insert, values: { id: 1n, doc } }]
    expect(() => runOperator(plan([needs]), table, schema, rows, [1]), doc).toThrow('"size"')
  }
})

test('documents inside of elements, and arrays inside of documents, are taken apart in turn', () => {
  const inner = [declared('items', JSON_TEXT)]
  const ofItems = [
    declared('sku', STRING),
    declared('qty', { kind: 'int' }),
    declared('at', JSON_TEXT),
  ]
  const json: JsonOptions[] = [
    { column: 'item', columns: ofItems, rest: null, onError: null },
    { column: 'at', columns: [declared('x', LONG)], rest: null, onError: null },
    { column: 'doc', columns: inner, rest: null, onError: null },
  ]
  const explode = { column: 'items', as: 'item', ordinal: 'no', outer: true, max: null }
  const projection = 'id, no, sku, qty, x'
  const doc = '{"items":[{"sku":"a","qty":2,"at":{"x":5}},null,{"qty":3}]}'
  const rows: TestRow[] = [
    { op: Op.insert, values: { id: 1n, doc } },
    { op: Op.read, values: { id: 2n, doc: '{"items":[]}' } },
  ]
  const operators = transformPlan({ ...NONE, json, explode, projection }, 'append')
  const { rows: left } = runOperator(operators, table, schema, rows, [9], true)
  expect(left.map(({ values }) => Object.values(values))).toEqual([
    [1n, 1, 'a', 2, 5n],
    [1n, 2, null, null, null],
    [1n, 3, null, 3, null],
    [2n, 0, null, null, null],
  ])
})

test('a document that the log does not carry is not read', () => {
  const rows: TestRow[] = [{ op: Op.update, values: { id: 1n, doc: UNCHANGED, n: 1 } }]
  expect(() => runOperator(plan([DOC]), table, schema, rows, [1])).toThrow('does not carry')
})

const refusals: readonly (readonly [JsonOptions, string])[] = [
  [{ ...DOC, column: 'nope' }, '`json` names column "nope", which is not there'],
  [{ ...DOC, column: 'n' }, '`json` reads texts, and column "n" is int'],
  [{ ...DOC, columns: [declared('n', LONG)] }, '`json` makes column "n", which is there already'],
  [{ ...DOC, rest: 'size' }, '`json` makes column "size", which is there already'],
]

for (const [json, message] of refusals) {
  test(`refused before a row is read: ${message}`, () => {
    expect(() => plan([json]).plan(table)).toThrow(message)
  })
}

test('new columns mean nothing for the rows of before', () => {
  const kinds = (sink: SinkKind): unknown[] => {
    const { output } = transformPlan({ ...NONE, json: [DOC] }, sink).plan(table)
    expect(output.key).toEqual(['c.id'])
    return output.columns.slice(3).map(({ existing }) => existing.kind)
  }
  expect(new Set(kinds('upsert'))).toEqual(new Set(['unknown']))
  expect(new Set(kinds('append'))).toEqual(new Set(['null']))
  expect(plan([]).semantics).not.toContain('json')
})
