// The object that carries delete positions from a writer to the committer, against a model of maps.

import * as fc from 'fast-check'
import { RoaringBitmap32 } from 'roaring-wasm'
import { expect, test } from 'vitest'
import { encodeEpochDeletes, readEpochDeletes } from '../../connectors/iceberg/epoch-deletes.ts'
import type { DeletedPositions } from '../../connectors/iceberg/epoch-deletes.ts'

const timeLimitMs = Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000

const positionSets = fc.uniqueArray(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 60 })
const tables = fc.dictionary(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.array(fc.tuple(fc.integer({ min: 1, max: 0xffff_ffff }), positionSets, fc.boolean()), {
    maxLength: 8,
  }),
  { maxKeys: 6 },
)

test('positions come back by table and file, whichever form the writer chose', () => {
  fc.assert(
    fc.property(tables, (model) => {
      const expected = new Map<string, Map<number, number[]>>()
      const input = new Map<string, Map<number, DeletedPositions>>()
      for (const [table, files] of Object.entries(model)) {
        expected.set(table, new Map())
        input.set(table, new Map())
        for (const [fileId, positions, asBitmap] of files) {
          const sorted = positions.toSorted((left, right) => left - right)
          const packed = new RoaringBitmap32(sorted).serialize('portable')
          expected.get(table)!.set(fileId, sorted)
          input.get(table)!.set(fileId, asBitmap ? packed : Uint32Array.from(sorted))
        }
      }
      // Read from the middle of a larger buffer: offsets count from the object, not from its
      // memory.
      const bytes = encodeEpochDeletes(input)
      const shifted = new Uint8Array(bytes.length + 3)
      shifted.set(bytes, 3)
      for (const [table, files] of expected) {
        const read = readEpochDeletes(shifted.subarray(3), table)
        const found = new Map([...read].map(([file, bitmap]) => [file, bitmap.toArray()]))
        expect(found).toEqual(files)
      }
      expect(readEpochDeletes(bytes, 'no such table ').size).toBe(0)
    }),
    { interruptAfterTimeLimit: timeLimitMs, numRuns: 500 },
  )
})

test('any flipped bit is found', () => {
  const bytes = encodeEpochDeletes(
    new Map<string, Map<number, DeletedPositions>>([
      ['a.b', new Map([[1, Uint32Array.of(1, 2, 70_000)]])],
      ['a.c', new Map([[2, new RoaringBitmap32([3, 4]).serialize('portable')]])],
    ]),
  )
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice()
    damaged[bit >> 3]! ^= 1 << (bit & 7)
    expect(() => {
      readEpochDeletes(damaged, 'a.b')
      readEpochDeletes(damaged, 'a.c')
    }).toThrow(/damaged/)
  }
})

test('positions out of order are refused where they are made', () => {
  const twice = new Map([['a.b', new Map([[1, Uint32Array.of(4, 4)]])]])
  expect(() => encodeEpochDeletes(twice)).toThrow(/ascending/)
})
