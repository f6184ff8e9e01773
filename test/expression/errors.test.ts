// What somebody reads who mistyped an expression: the place, and the way out.

import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { compileExpressions } from '../../runtime/data/expression/compile.ts'
import { parseColumns } from '../../runtime/data/expression/parse/columns.ts'
import { placeOf } from '../../runtime/data/expression/place.ts'

const columns = parseColumns(
  'id long not null, name string, "Amount" double, amount decimal(10,2), user string, "end" int, ' +
    'at timestamptz, day date, tags list<string>, __op__ string not null',
)

function errorOf(projection: string, filter?: string): PipelineError {
  try {
    compileExpressions(columns, filter === undefined ? { projection } : { projection, filter })
  } catch (error) {
    if (error instanceof PipelineError) return error
    throw error
  }
  throw new Error(`${projection} was taken`)
}

test('an error shows its line, column and a caret', () => {
  const error = errorOf('id,\n  lowr(name) AS n')
  expect(error.message).toBe('there is no function "lowr" (projection)')
  expect(error.detail).toBe('Line 2, column 3 of the projection:\n    lowr(name) AS n\n    ^^^^')
  expect(error.hint).toBe('Is lower meant?')
  expect(placeOf(error)).toMatchObject({ line: 2, column: 3 })
})

test('a long line is cut around the place', () => {
  const error = errorOf(`${'id + '.repeat(100)}nam AS x`)
  const [, line = '', carets = ''] = error.detail?.split('\n') ?? []
  expect(line.length).toBeLessThan(80)
  expect(line.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('nam')
})

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['nam', 'there is no column "nam"', /name/],
  ['AMOUNT', '"AMOUNT" can be one of several columns', /Amount, amount/],
  ['name = 5 AS x', 'a string and an int are not compared or mixed', /CAST/],
  ["day > '2026-01-01' AS x", 'a date and a string are not compared or mixed', /DATE/],
  ['name + 1 AS x', '"+" takes numbers, not a string', /\|\|/],
  ['id || name AS x', '"||" joins texts, not a long', /CAST/],
  ['at - at AS x', '"-" takes numbers, not a timestamptz', /date_diff/],
  ['id < 3 < 4 AS x', 'comparisons do not chain', /AND/],
  ['NULL AS x', 'NULL alone has no type', /CAST/],
  ['CASE WHEN id THEN 1 END AS x', 'a condition is expected, not a long', /<>/],
  ['end + 1 AS x', 'an expression is expected, not "end"', /"end"/],
  ["'abc AS x", 'a text does not end', /./],
  ['id /* x AS y', 'a comment does not end', /./],
  ['name::varchar(10) AS x', 'type varchar has no length or precision', /left/],
  ['id::lnog AS x', 'there is no type "lnog"', /long/],
  [
    'now() AS x',
    'now gives another value at every replay, so it is refused',
    /__source_commit_time__/,
  ],
  ['count(*) AS x', 'count with rows of a group has no place here', /aggregate/],
  ['upper(id) AS x', 'upper does not take (long)', /upper\(s\)/],
  ["at AT TIME ZONE 'Nowhere' AS x", 'there is no time zone "Nowhere"', /IANA/],
  ['id + 1', 'an expression needs a name', /AS/],
  ['*, id', 'column "id" comes out twice', /EXCEPT \(id\)/],
  ['* EXCEPT (idd)', 'there is no column "idd"', /id/],
  ['tags = tags AS x', 'lists are not compared', /./],
  ['id::uuid AS x', 'a long is not cast to a uuid', /./],
  ['id::timestamp AS x', 'a long is not cast to a timestamp', /from_unix/],
  ["DATE '2026-02-30' AS x", "'2026-02-30' is no date", /2026-01-31/],
  ["INTERVAL '1' FORTNIGHT AS x", 'this is no interval', /MONTH|month/],
  ['a.b AS x', 'a name has no qualifier', /./],
  [`${'('.repeat(101)}id`, 'the expression nests deeper than 100 levels', /./],
  ['123456789012345678901234567890123456789 AS x', 'a number has more than 38 digits', /e/],
  ['id § 2', '"§" means nothing here', /./],
  ['1abc', '"1abc" is not a number', /./],
  ['id IS 5', 'NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM is expected, not "5"', /./],
]

test.each(REFUSED)('%s: %s', (projection, message, hint) => {
  const error = errorOf(projection)
  expect(error.error).toBe('EXPRESSION_INVALID')
  expect(error.message).toBe(`${message} (projection)`)
  expect(error.hint).toMatch(hint)
})

test('a text of more than 64 KiB is refused', () => {
  expect(errorOf(`'${'x'.repeat(70_000)}' AS x`).message).toBe(
    'the text is longer than 64 KiB (projection)',
  )
})

test('words that are none of the grammar are columns', () => {
  const projection = 'user, day, "end", `end` AS e, id at, date_part(\'year\', day) AS year'
  const names = compileExpressions(columns, { projection }).columns.map(({ name }) => name)
  expect(names).toEqual(['user', 'day', 'end', 'e', 'at', 'year'])
})

test('a star leaves out hidden columns and those that are excepted', () => {
  const compiled = compileExpressions(columns, { projection: '* EXCEPT (name, tags), __op__' })
  expect(compiled.columns.map(({ name }) => name)).toEqual([
    'id',
    'Amount',
    'amount',
    'user',
    'end',
    'at',
    'day',
    '__op__',
  ])
  expect(compiled.columns.map(({ passThrough }) => passThrough)).toEqual([0, 2, 3, 4, 5, 6, 7, 9])
  expect(compiled.usesColumns.size).toBe(0)
})

test('a filter sees columns of the source first, then computed ones', () => {
  const texts = {
    projection: 'upper(name) AS user, id + 1 AS next',
    filter: "next > 5 AND user = 'x'",
  }
  const compiled = compileExpressions(columns, texts)
  expect(compiled.usesColumns).toEqual(new Set([0, 1, 4]))
})
