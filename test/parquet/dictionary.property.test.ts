// Dictionaries of byte arrays against a Map: short values that differ in one byte, wherever it
// is, so that each step of the hash and of the comparison decides in some run.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { dictionaryOf } from '../../connectors/parquet/encode/dictionary.ts'
import { leavesOf } from '../../connectors/parquet/encode/leaf.ts'
import { leafValues } from '../../connectors/parquet/encode/values.ts'
import { BytesBuilder } from '../../runtime/data/column/builder.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

test('a value has the number of its first occurrence', { timeout: seconds * 1000 + 60_000 }, () => {
  // Length, byte that differs, and how.
  const value = fc.record({ length: fc.nat(40), at: fc.nat(39), flip: fc.constantFrom(0, 1, 128) })
  const property = fc.property(
    fc.array(value, { minLength: 1, maxLength: 60 }),
    fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
    (distinct, nulls) => {
      const builder = new BytesBuilder({ kind: 'binary' })
      const rows = distinct.length * 8
      builder.reserveRows(rows)
      const expected: number[] = []
      const numbers = new Map<string, number>()
      for (let row = 0; row < rows; row++) {
        const { length, at, flip } = distinct[(row * 7) % distinct.length]!
        if (nulls[row % 60]) {
          builder.setNull(row)
          continue
        }
        const bytes = Buffer.alloc(length, 0x61)
        if (at < length) bytes[at]! ^= flip
        builder.setBytes(row, bytes, 0, length)
        const key = bytes.toString('hex')
        if (!numbers.has(key)) numbers.set(key, numbers.size)
        expected.push(numbers.get(key)!)
      }
      const [leaf] = leavesOf([{ id: 1, name: 'v', type: { kind: 'binary' }, required: false }])
      const values = leafValues(leaf!, builder.view(rows))
      expect(values.count).toBe(expected.length)
      const dictionary = dictionaryOf(leaf!, values)
      if (dictionary === null) return
      expect(dictionary.count).toBe(numbers.size)
      expect([...dictionary.indexes.subarray(0, values.count)]).toEqual(expected)
      const firsts = [...numbers.values()].map((number) => expected.indexOf(number))
      expect([...dictionary.firsts.subarray(0, dictionary.count)]).toEqual(firsts)
    },
  )
  fc.assert(property, { numRuns: 100_000, interruptAfterTimeLimit: seconds * 1000 })
})
