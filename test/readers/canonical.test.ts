// The comparison that ends most live tests must itself see every kind of difference.
import { expect, test } from 'vitest'
import { differenceOf, doubleCell, floatCell, project, tableDump } from './canonical.ts'

const columns = ['id', 'list']
const one = ['1', ['a', null]]
const two = ['2', null]

test('tables with the same rows in another order do not differ', () => {
  const first = tableDump('s.t', columns, [one, two, one])
  const second = tableDump('lake.t', columns, [two, one, one])
  expect(differenceOf(first, second)).toEqual({ missing: [], extra: [] })
})

test('a row that is there too often or too seldom is a difference', () => {
  const first = tableDump('t', columns, [one, two, two])
  const second = tableDump('t', columns, [one, one, two])
  expect(differenceOf(first, second)).toEqual({
    missing: ['["2",null]'],
    extra: ['["1",["a",null]]'],
  })
})

test('tables with other columns are never compared', () => {
  const first = tableDump('t', columns, [])
  expect(() => differenceOf(first, tableDump('t', ['id'], []))).toThrow('has columns id, not')
})

test('a projection keeps the wanted columns in the wanted order', () => {
  const dump = project(tableDump('t', columns, [one, two]), ['list', 'id'])
  expect(dump).toEqual(
    tableDump(
      't',
      ['list', 'id'],
      [
        [['a', null], '1'],
        [null, '2'],
      ],
    ),
  )
  expect(() => project(dump, ['absent'])).toThrow('no column absent')
})

test('floating point cells tell -0 from 0 and hide the bits of NaN', () => {
  expect([floatCell(-0), floatCell(0), floatCell(Number.NaN)]).toEqual([
    '80000000',
    '00000000',
    'NaN',
  ])
  expect([doubleCell(-0), doubleCell(1), doubleCell(Number.NaN)]).toEqual([
    '8000000000000000',
    '3ff0000000000000',
    'NaN',
  ])
})
