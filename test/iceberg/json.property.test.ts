import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { asLong, formatJson, parseJson } from '../../connectors/iceberg/json.ts'

const timeLimitMs = Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000

test('every number text survives parsing and formatting unchanged', () => {
  const number = fc.oneof(
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
    fc.constantFrom('1.0', '-0.0', '1e400', '14.20', '1E5', '0.1'),
  )
  fc.assert(
    fc.property(fc.array(number), (numbers) => {
      const text = `{"a":[${numbers.join(',')}]}`
      expect(formatJson(parseJson(text, 'test'))).toBe(text)
    }),
    { interruptAfterTimeLimit: timeLimitMs },
  )
})

test('a 64-bit id is a bigint also where a double happens to print the same digits', () => {
  for (const id of [2n ** 53n, 7_283_648_273_648_271_000n, 9_223_372_036_854_775_807n, -1n, 0n]) {
    const json = parseJson(`{"id":${id}}`, 'test')
    expect(asLong(json['id'], 'id')).toBe(id)
  }
})

test('numbers that are no 64-bit integers are refused where an id is wanted', () => {
  for (const text of ['1.5', '"12"', 'null', '1e3', 'true']) {
    const json = parseJson(`{"id":${text}}`, 'test')
    expect(() => asLong(json['id'], 'id')).toThrow(/64-bit/)
  }
})

test('text that is not JSON is a damaged file, not a crash', () => {
  for (const text of ['', '{', '[]', '7', '{"a":']) {
    expect(() => parseJson(text, 'm.json')).toThrow(
      expect.objectContaining({ error: 'LAKE_FORMAT' }),
    )
  }
})
