// The rows of the benchmarks: the same in both load forms, and each id once.
import { expect, test } from 'vitest'
import { copyText, insertValues, scatteredIds } from '../../bench/orders.ts'

test('both load forms write the same rows', () => {
  const copied = copyText(1, 50)
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))
  const inserted = insertValues(1, 50).slice(1, -1).split('),(')
  expect(copied).toHaveLength(50)
  for (const [at, fields] of copied.entries()) {
    expect(fields).toHaveLength(10)
    const [id, customer, status, amount, price, note, created, updated, flag, payload] = fields
    const text = (value = ''): string => (value === '\\N' ? 'NULL' : `'${value}'`)
    const bytes = Buffer.from(payload!.slice('\\\\x'.length), 'hex').toString()
    const expected = [
      id,
      customer,
      text(status),
      amount,
      price,
      text(note),
      text(created),
      text(updated),
      flag === 't' ? '1' : '0',
      text(bytes),
    ]
    expect(inserted[at]).toBe(expected.join(','))
    expect(Number(id)).toBe(at + 1)
    expect(bytes).toMatch(/^[a-z0-9]{60}$/)
  }
})

test('a row depends on its id alone', () => {
  const lines = copyText(1, 100).split('\n')
  expect(copyText(40, 1)).toBe(`${lines[39]}\n`)
  expect(copyText(90, 5).split('\n').slice(0, 5)).toEqual(lines.slice(89, 94))
})

test('payloads differ from row to row, so that no dictionary can hold them', () => {
  const payloads = copyText(1, 5000)
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[9])
  expect(new Set(payloads).size).toBe(5000)
})

test('scattered ids are a permutation, whatever the steps', () => {
  for (const total of [1, 2, 10, 97, 1000, 4096]) {
    const ids: number[] = []
    for (let from = 0; from < total; from += 7) {
      ids.push(...scatteredIds(from, Math.min(7, total - from), total))
    }
    expect(ids.toSorted((left, right) => left - right)).toEqual(
      Array.from({ length: total }, (_, at) => at + 1),
    )
  }
})

test('neighbours in scattered order are far apart in the table', () => {
  const ids = scatteredIds(0, 1000, 1_000_000)
  const near = ids.filter((id, at) => at > 0 && Math.abs(id - (ids[at - 1] ?? 0)) < 1000)
  expect(near).toEqual([])
})
