import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  hashWordsOf,
  keyGroupOf,
  keyHashes,
  KEY_GROUPS,
  segmentOf,
  segmentsOf,
  writerOf,
} from '../../runtime/data/key-hash.ts'
import {
  columnBuilder,
  type BytesBuilder,
  type FixedBuilder,
} from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const budget = { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 1000 }

function column(type: ColumnType, values: readonly (number | bigint | Uint8Array)[]): Column {
  const builder = columnBuilder(type)
  builder.reserveRows(values.length)
  values.forEach((value, row) => {
    if (value instanceof Uint8Array && type.kind !== 'uuid') {
      ;(builder as BytesBuilder).setBytes(row, value, 0, value.length)
      return
    }
    const fixed = builder as FixedBuilder
    if (fixed.layout === 'int128') {
      const wide = fixed.values as BigInt64Array
      wide[2 * row] = BigInt.asIntN(64, value as bigint)
      wide[2 * row + 1] = (value as bigint) >> 64n
    } else if (fixed.layout === 'uuid16') fixed.values.set(value as never, row * 16)
    else fixed.values[row] = value as never
  })
  return builder.view(values.length)
}

const hex = (hashes: Int32Array): string =>
  Buffer.from(new Uint8Array(hashes.buffer)).toString('hex')
const one = (type: ColumnType, value: number | bigint | Uint8Array): string =>
  hex(keyHashes([column(type, [value])], 1).hashes)

test('an int key has the hash of the same long key', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (value) => {
      expect(one({ kind: 'int' }, value)).toBe(one({ kind: 'long' }, BigInt(value)))
    }),
    { ...budget, interruptAfterTimeLimit: 300 },
  )
})

test('the hash of a decimal does not depend on its precision, of a float not on its width', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }), (value) => {
      const narrow = one({ kind: 'decimal', precision: 18, scale: 2 }, value)
      expect(narrow).toBe(one({ kind: 'decimal', precision: 30, scale: 2 }, value))
    }),
    { ...budget, interruptAfterTimeLimit: 300 },
  )
  fc.assert(
    fc.property(fc.float(), (value) => {
      expect(one({ kind: 'float' }, value)).toBe(one({ kind: 'double' }, value))
    }),
    { ...budget, interruptAfterTimeLimit: 300 },
  )
  expect(one({ kind: 'double' }, -0)).toBe(one({ kind: 'double' }, 0))
})

test('the hash of one small key is a bijection: an inverse exists', () => {
  const fmix = (value: number): number => {
    let h = value
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    return h ^ (h >>> 16)
  }
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const { hashes } = keyHashes([column({ kind: 'long' }, [value])], 1)
      let [left, right] = [hashes[0]!, hashes[1]!]
      left ^= fmix((right + 0x2545f491) | 0)
      right ^= fmix((left + 0x7f4a7c15) | 0)
      left ^= fmix((right + 0x9e3779b9) | 0)
      expect((BigInt(right) << 32n) | BigInt(left >>> 0)).toBe(value)
    }),
    { ...budget, interruptAfterTimeLimit: 500 },
  )
})

test('composite keys hash alike exactly when all their values are equal', () => {
  const bytes = fc.uint8Array({ maxLength: 40 })
  const key = fc.tuple(fc.integer({ min: -3, max: 3 }), bytes, bytes)
  const hashOf = ([number, left, right]: [number, Uint8Array, Uint8Array]): string =>
    hex(
      keyHashes(
        [
          column({ kind: 'int' }, [number]),
          column({ kind: 'string' }, [left]),
          column({ kind: 'binary' }, [right]),
        ],
        1,
      ).hashes,
    )
  fc.assert(
    fc.property(key, key, fc.boolean(), (left, right, same) => {
      const other = same ? left : right
      const equal = JSON.stringify(left) === JSON.stringify(other)
      expect(hashOf(left) === hashOf(other)).toBe(equal)
    }),
    { ...budget, interruptAfterTimeLimit: 800 },
  )
  // The boundary between two texts is part of the key.
  const text = (value: string): Uint8Array => new TextEncoder().encode(value)
  expect(hashOf([0, text('ab'), text('c')])).not.toBe(hashOf([0, text('a'), text('bc')]))
})

test('a hash does not depend on the row, on other rows or on the memory of the column', () => {
  const values = [5n, -1n, 5n, 2n ** 40n]
  const { hashes } = keyHashes([column({ kind: 'long' }, values)], 4)
  expect(hex(hashes.slice(0, 2))).toBe(hex(hashes.slice(4, 6)))
  const shifted = new BigInt64Array([0n, ...values]).subarray(1)
  const view = { ...column({ kind: 'long' }, values), values: shifted } as Column
  expect(hex(keyHashes([view], 4).hashes)).toBe(hex(hashes))
})

test('consecutive keys fill the segments evenly', () => {
  const rows = 256 * 1000
  const builder = columnBuilder({ kind: 'int' }) as FixedBuilder
  builder.reserveRows(rows)
  for (let row = 0; row < rows; row++) builder.values[row] = row
  for (const extra of [
    [],
    [
      column(
        { kind: 'boolean' },
        Array.from({ length: rows }, () => 1),
      ),
    ],
  ]) {
    const { words, hashes } = keyHashes([builder.view(rows), ...extra], rows)
    const counts = new Int32Array(256)
    for (let row = 0; row < rows; row++) counts[segmentOf(hashes[row * words]!)]!++
    // 1000 expected with a deviation of 32: 6 deviations are never seen.
    expect(Math.min(...counts)).toBeGreaterThan(800)
    expect(Math.max(...counts)).toBeLessThan(1200)
  }
})

test('each key group has one writer, and segments follow key groups', () => {
  for (let writers = 1; writers <= KEY_GROUPS; writers++) {
    let next = 0
    for (let writer = 0; writer < writers; writer++) {
      const { start, end } = segmentsOf(writer, writers)
      expect(start).toBe(next)
      expect(end).toBeGreaterThan(start)
      for (let segment = start; segment < end; segment++) {
        expect(writerOf(keyGroupOf(segment << 24), writers)).toBe(writer)
      }
      next = end
    }
    expect(next).toBe(256)
  }
})

test('a null and an unchanged key are refused', () => {
  const builder = columnBuilder({ kind: 'long' })
  builder.reserveRows(3)
  builder.setNull(2)
  expect(() => keyHashes([builder.view(3)], 3)).toThrow('null')
  expect(keyHashes([builder.view(3)], 2).hashes).toHaveLength(4)
  builder.reset()
  builder.setUnchanged(1)
  expect(() => keyHashes([builder.view(3)], 3)).toThrow('left out')
})

test('only one key column of at most 8 bytes that cannot widen further has two words', () => {
  expect(hashWordsOf([{ kind: 'timestamptz' }])).toBe(2)
  expect(hashWordsOf([{ kind: 'decimal', precision: 5, scale: 0 }])).toBe(4)
  expect(hashWordsOf([{ kind: 'int' }, { kind: 'int' }])).toBe(4)
  expect(hashWordsOf([{ kind: 'double' }])).toBe(4)
})
