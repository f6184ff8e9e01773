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
