// Tables and the statements that fill them.
import { expect, test } from 'vitest'
import { requests } from '../../bench/engine-mysql.ts'
import { isTableName, tableShapes } from '../../bench/table-shapes.ts'

const shapes = Object.entries(tableShapes)

test.each(shapes)('rows of the %s table have its columns, and depend on their ids', (_, shape) => {
  const lines = shape.copyText(5, 3).split('\n')
  expect(lines).toHaveLength(4)
  expect(lines.slice(0, 3).map((line) => line.split('\t').length)).toEqual(
    Array(3).fill(shape.columns),
  )
  expect(lines[0]).toMatch(/^5\t/)
  expect(shape.copyText(6, 1)).toBe(`${lines[1]}\n`)
  expect(shape.insertValues(5, 2).split('),(')).toHaveLength(2)
  expect(
    shape.createPostgres.match(/ NOT NULL|PRIMARY KEY|varchar\(64\)|timestamp,/g),
  ).toHaveLength(shape.columns)
})

test('narrow, wide and large are what they are called', () => {
  const { narrow, wide, large } = tableShapes
  expect([narrow.columns, wide.columns]).toEqual([4, 100])
  const bodies = large.copyText(1, 4).trim().split('\n')
  expect(bodies.map((body) => body.length >= 100_000)).toEqual([true, true, true, true])
  expect(new Set(bodies.map((body) => body.split('\t')[2])).size).toBe(4)
  expect(isTableName('wide')).toBe(true)
  expect(isTableName('toString')).toBe(false)
})

function statements(rows: number, transactionRows: number, statementRows: number): string[][] {
  const sent = requests(rows, { transactionRows, statementRows }, (at, n) => `${at}+${n}`)
  return [...sent].map((sql) => sql.split(';'))
}

test('transactions have their rows in statements of the asked size', () => {
  expect(statements(5, 3, 2).flat()).toEqual([
    'START TRANSACTION',
    '0+2',
    '2+1',
    'COMMIT',
    'START TRANSACTION',
    '3+2',
    'COMMIT',
  ])
})

test('a thousand rows go at a time, also of many transactions or of one', () => {
  const ones = statements(2500, 1, 1)
  expect(ones.map((sent) => sent.length)).toEqual([3000, 3000, 1500])
  expect(ones[0]?.slice(0, 4)).toEqual(['START TRANSACTION', '0+1', 'COMMIT', 'START TRANSACTION'])
  const one = statements(2500, 2500, 1000)
  expect(one).toEqual([['START TRANSACTION', '0+1000'], ['1000+1000'], ['2000+500', 'COMMIT']])
})

test('large values go in smaller requests', () => {
  const body = 'x'.repeat(400_000)
  const log = { transactionRows: 10, statementRows: 1 }
  const sent = [...requests(10, log, () => body)]
  expect(sent.map((sql) => sql.split(';').filter((each) => each === body).length)).toEqual([
    3, 3, 3, 1,
  ])
})
