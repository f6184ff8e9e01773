// Deletion vectors against bytes that Iceberg's Java library made (1.12, BitmapPositionDeleteIndex)
// and against sets of numbers.

import * as fc from 'fast-check'
import { crc32 } from 'node:zlib'
import { RoaringBitmap32 } from 'roaring-wasm'
import { expect, test } from 'vitest'
import { PositionSet } from '../../connectors/iceberg/deletion-vector.ts'
import { encodePuffin, readPuffinFooter } from '../../connectors/iceberg/puffin.ts'

const timeLimitMs = Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000

function vectorOf(positions: readonly number[]): PositionSet {
  return PositionSet.of(new RoaringBitmap32(positions))
}

/** A blob around the bytes of a 64-bit bitmap. */
function blobOf(bitmap: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from('d1d33964', 'hex'), bitmap])
  const blob = Buffer.alloc(body.length + 8)
  blob.writeUInt32BE(body.length)
  body.copy(blob, 4)
  blob.writeUInt32BE(crc32(body), body.length + 4)
  return blob
}

test('blobs are byte for byte those of Iceberg Java', () => {
  const large = 2 ** 31
  const cases: [number[], string][] = [
    [[], '0000000cd1d339640000000000000000bf18480c'],
    [
      [1, 3, 5, 7, 9],
      '0000002ad1d339640100000000000000000000003a30000001000000000004001000000001000300' +
        '050007000900b3fb20be',
    ],
    [
      [100, 101, large + 99, large + 100],
      '00000030d1d339640100000000000000000000003a30000002000000000001000080010018000000' +
        '1c000000640065006300640015eb1c7c',
    ],
  ]
  for (const [positions, hex] of cases) {
    expect(vectorOf(positions).encode().toString('hex')).toBe(hex)
    expect(PositionSet.decode(Buffer.from(hex, 'hex'), 'x').positions()).toEqual(positions)
  }
})

test('a vector of all container kinds and positions beyond 32 bits survives unchanged', () => {
  const hex =
    '00000056d1d339640200000000000000000000003b30020006000001000100e6030200fdff050007' +
    '0001000100' +
    'e60301000100fdff010000003b30020006000001000100e9010200fdff0a00140001000a00e90101' +
    '000100fdffc89be397'
  const set = PositionSet.decode(Buffer.from(hex, 'hex'), 'x')
  expect(set.encode().toString('hex')).toBe(hex)
  expect(set.has(5)).toBe(true)
  expect(set.has(6)).toBe(false)
  expect(set.has(2 ** 32 + 10)).toBe(true)
  expect(set.has(10)).toBe(false)
  expect(set.last).toBe(2 ** 32 + 2 * 65_536 + 65_534)
  // Uniting touches the lower half only.
  const before = set.cardinality
  set.unite(new RoaringBitmap32([5, 6]))
  expect(set.cardinality).toBe(before + 1)
  expect(set.has(6)).toBe(true)
})

test('uniting gives the union, and the blob gives it back', () => {
  const positions = fc.array(fc.nat(200_000), { maxLength: 300 })
  fc.assert(
    fc.property(positions, positions, (left, right) => {
      const set = vectorOf(left)
      set.unite(new RoaringBitmap32(right))
      const model = [...new Set([...left, ...right])].toSorted((a, b) => a - b)
      const copy = PositionSet.decode(set.encode(), 'x')
      expect(copy.positions()).toEqual(model)
      expect(copy.cardinality).toBe(model.length)
      expect(copy.last).toBe(model.at(-1) ?? -1)
      for (const position of [...left, 0, 7, 2 ** 33]) {
        expect(copy.has(position)).toBe(model.includes(position))
      }
      set.dispose()
      copy.dispose()
    }),
    { interruptAfterTimeLimit: timeLimitMs, numRuns: 1000 },
  )
})

test('a flipped bit, a cut and bytes behind the end are damage', () => {
  const blob = vectorOf([1, 2, 3, 70_000]).encode()
  for (let bit = 0; bit < blob.length * 8; bit++) {
    const damaged = Buffer.from(blob)
    damaged[bit >> 3]! ^= 1 << (bit & 7)
    expect(() => PositionSet.decode(damaged, 'x')).toThrow(/cannot be read/)
  }
  for (let length = 0; length < blob.length; length++) {
    expect(() => PositionSet.decode(blob.subarray(0, length), 'x')).toThrow(/cannot be read/)
  }
  const bitmap = Buffer.concat([blob.subarray(8, -4), Buffer.from([0])])
  expect(() => PositionSet.decode(blobOf(bitmap), 'x')).toThrow(/bytes follow/)
})

test('upper halves out of order or beyond signed integers are refused', () => {
  const half = (key: number): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt32LE(key)
    return Buffer.concat([head, new RoaringBitmap32([1]).serialize('portable')])
  }
  const bitmap = (...keys: number[]): Buffer => {
    const count = Buffer.alloc(8)
    count.writeBigUInt64LE(BigInt(keys.length))
    return blobOf(Buffer.concat([count, ...keys.map(half)]))
  }
  expect(PositionSet.decode(bitmap(0, 1, 0x7fff_fffe), 'x').cardinality).toBe(3)
  for (const keys of [[1, 0], [1, 1], [0x7fff_ffff], [0xffff_ffff]]) {
    expect(() => PositionSet.decode(bitmap(...keys), 'x')).toThrow(/out of order/)
  }
})

test('a Puffin file names each blob where it lies, a large one before a small one', () => {
  const large = vectorOf(Array.from({ length: 30_000 }, (_, index) => index * 7))
  const small = vectorOf([4])
  const vectors = [large, small].map((set, index) => ({
    dataFile: `file:///lake/${index}.parquet`,
    cardinality: set.cardinality,
    blob: set.encode(),
  }))
  const { bytes, places } = encodePuffin(vectors)
  expect(readPuffinFooter(bytes, 'x')).toEqual(places)
  for (const [index, { offset, bytes: length, cardinality }] of places.entries()) {
    const set = PositionSet.decode(bytes.subarray(offset, offset + length), 'x')
    expect(set.cardinality).toBe(cardinality)
    expect(set.positions()).toEqual([large, small][index]!.positions())
  }
  const footer = bytes.toString('utf8')
  expect(footer).toContain('"fields":[2147483645],"snapshot-id":-1,"sequence-number":-1')
})

test('a Puffin footer that is cut off or compressed is refused', () => {
  const { bytes } = encodePuffin([])
  expect(readPuffinFooter(bytes, 'x')).toEqual([])
  for (let length = 0; length < bytes.length; length++) {
    expect(() => readPuffinFooter(bytes.subarray(0, length), 'x')).toThrow(/Puffin|JSON/)
  }
  const compressed = Buffer.from(bytes)
  compressed[bytes.length - 8] = 1
  expect(() => readPuffinFooter(compressed, 'x')).toThrow(/compressed/)
})
