import { expect, test } from 'vitest'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { changed, lint, writeFile } from './pipeline-file.ts'

function withTransform(...entries: readonly string[]): string {
  const lines = entries.map((entry) => `  - ${entry}\n`).join('')
  return changed(['sink:', `transform:\n${lines}sink:`])
}

test('a transform is read with its defaults', () => {
  const text = withTransform(
    '{ from: public.users, projection: "*, lower(email) AS low", mask: { email: email } }',
    '{ from: "public.*", soft_delete: { column: is_deleted } }',
  )
  expect(lint(text)).toEqual([])
  const { transforms } = loadPipeline(writeFile(text), {})
  expect(transforms).toEqual([
    {
      from: 'public.users',
      projection: '*, lower(email) AS low',
      filter: null,
      primaryKeys: null,
      cast: {},
      mask: { email: 'email' },
      softDelete: null,
      json: [],
      explode: null,
      onError: 'stop',
    },
    {
      from: 'public.*',
      projection: null,
      filter: null,
      primaryKeys: null,
      cast: {},
      mask: {},
      softDelete: { column: 'is_deleted', at: null },
      json: [],
      explode: null,
      onError: 'stop',
    },
  ])
})

test('what is wrong with a transform is shown at its place', () => {
  const text = withTransform(
    '{ projection: "*" }',
    '{ from: users, filtre: "a > 1" }',
    '{ from: public.users, on_error: skip }',
    '{ source-table: "app_db.\\\\.*", primary-keys: [id] }',
  )
  expect(lint(text).map((line) => line.replace(/^(\d+):\d+/, '$1'))).toEqual([
    '8 MR-1003 transform[0].from is missing: a pattern such as "shop.orders"',
    '9 MR-1002 unknown key "filtre" in transform[1] (did you mean "filter"?)',
    '10 MR-1003 transform[2].on_error must be one of stop, null, dlq, not "skip"',
    '11 MR-1002 info: transform[3].source-table: use from',
    '11 MR-1003 info: transform[3].from: use "app_db.*"',
    '11 MR-1002 info: transform[3].primary-keys: use primary_keys',
  ])
})

test('documents and elements are read with their defaults', () => {
  const text = withTransform(
    '{ from: public.a, json: { column: doc, schema: { user.id: long not null }, on_error: null } }',
    '{ from: public.b, json: [{ column: doc, schema: { at: { type: timestamptz, unit: ms } }, rest: r }] }',
    '{ from: public.c, explode: { column: items } }',
    '{ from: public.d, explode: { column: items, as: item, ordinal: no, outer: true, max: 20 } }',
  )
  expect(lint(text)).toEqual([])
  const [a, b, c, d] = loadPipeline(writeFile(text), {}).transforms
  const written = { encoding: { kind: 'text' }, written: false }
  expect(a?.json).toEqual([
    {
      column: 'doc',
      columns: [
        {
          name: 'user.id',
          path: ['user', 'id'],
          type: { kind: 'long' },
          nullable: false,
          ...written,
        },
      ],
      rest: null,
      onError: 'null',
    },
  ])
  expect(b?.json).toMatchObject([
    { rest: 'r', onError: null, columns: [{ encoding: { kind: 'number', unit: 'ms' } }] },
  ])
  expect(c?.explode).toEqual({
    column: 'items',
    as: 'items',
    ordinal: null,
    outer: false,
    max: null,
  })
  expect(d?.explode).toEqual({ column: 'items', as: 'item', ordinal: 'no', outer: true, max: 20 })
})

test('what is wrong with documents and elements is shown at its place', () => {
  const text = withTransform(
    '{ from: public.a, json: { column: doc, schema: { id: lang } } }',
    '{ from: public.a, json: { schema: { id: long } } }',
    '{ from: public.a, json: { column: doc, schema: { id: long }, on_error: dlc } }',
    '{ from: public.a, explode: { column: items, max: 0 } }',
    '{ from: public.a, explode: { colum: items } }',
  )
  expect(lint(text).map((line) => line.replace(/^(\d+):\d+/, '$1'))).toEqual([
    expect.stringMatching(/^8 MR-1003 transform\[0\]\.json\.schema\.id must be a type such as/),
    '9 MR-1003 transform[1].json.column is missing: the name of a column',
    '10 MR-1003 transform[2].json.on_error must be one of stop, null, not "dlc"',
    '11 MR-1003 transform[3].explode.max must be a whole number from 1 to 1000, not 0',
    '12 MR-1003 transform[4].explode.column is missing: the name of a column',
    '12 MR-1002 unknown key "colum" in transform[4].explode (did you mean "column"?)',
  ])
})

test('null is a policy, with quotes and without', () => {
  const text = withTransform(
    '{ from: public.a, on_error: null }',
    "{ from: public.b, on_error: 'null' }",
    '{ from: public.c }',
  )
  expect(lint(text)).toEqual([])
  const { transforms } = loadPipeline(writeFile(text), {})
  expect(transforms.map(({ onError }) => onError)).toEqual(['null', 'null', 'stop'])
})

test('an expression that cannot be read is an error at its place in the file', () => {
  const text = withTransform(
    '{ from: public.users, projection: "id, lower(email AS low" }',
    '{ from: public.users, filter: "a >" }',
    '{ from: public.users, mask: { a: "upper(" } }',
    '{ from: public.users, cast: { a: dezimal } }',
  )
  const errors = lint(text).map((line) => line.replace(/^(\d+):\d+/, '$1'))
  expect(errors.map((line) => line.slice(0, 40))).toEqual([
    expect.stringMatching(/^8 MR-4101 transform\[0\].projection/),
    expect.stringMatching(/^9 MR-4101 transform\[1\].filter/),
    expect.stringMatching(/^10 MR-4101 transform\[2\].mask.a/),
    expect.stringMatching(/^11 MR-4101 transform\[3\].cast.a/),
  ])
})

test('a key of masks is a secret of at least 16 bytes', () => {
  const withKey = (written: string): string =>
    changed(['sink:', `secrets: { mask_key: ${written} }\nsink:`])
  const short = lint(withKey("'0123456789abcde'"))
  expect(short.join()).toContain('secrets.mask_key needs at least 16 bytes')
  const file = writeFile(withKey('{ from_env: MASK_KEY }'))
  const { maskKey } = loadPipeline(file, { MASK_KEY: '0123456789abcdef' })
  expect(maskKey?.reveal()).toBe('0123456789abcdef')
  expect(JSON.stringify(maskKey)).toBe('"***"')
  expect(() => loadPipeline(file, {})).toThrow('MASK_KEY is not set')
})
