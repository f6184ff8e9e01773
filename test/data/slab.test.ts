// Memory of batches comes back and is used again, and never hides what a batch holds.

import { expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import { packBatch } from '../../runtime/data/pack.ts'
import { SlabPool, slabs } from '../../runtime/data/slab.ts'
import { batchOf } from '../flow/simulated-source.ts'

const KIB = 1024
const MIB = 1024 * KIB

test('a slab that was given serves what fits, once', () => {
  const pool = new SlabPool()
  const slab = pool.take(MIB)
  expect(slab.byteLength).toBeGreaterThanOrEqual(MIB)
  pool.give(slab)
  expect(pool.take(slab.byteLength + 1)).not.toBe(slab)
  expect(pool.take(MIB / 4)).not.toBe(slab)
  expect(pool.take(MIB)).toBe(slab)
  expect(pool.take(MIB)).not.toBe(slab)
})

test('small memory is not kept, and of the rest no more than a channel needs', () => {
  const pool = new SlabPool()
  pool.give(new ArrayBuffer(KIB))
  expect(pool.bytes).toBe(0)
  const given = Array.from({ length: 100 }, () => new ArrayBuffer(MIB))
  for (const slab of given) pool.give(slab)
  expect(pool.bytes).toBe(32 * MIB)
  expect(pool.take(MIB)).toBe(given[68])
})

test('a batch in used memory is the batch in fresh memory', () => {
  const count = 10_000
  const ops = Array.from({ length: count }, () => Op.insert)
  const batch = batchOf(
    1n,
    ops,
    Array.from({ length: count }, (_, key) => ({ key, value: key })),
  )
  const fresh = structuredClone(packBatch(batch))
  const used = new Uint8Array(fresh.ops.buffer.byteLength).fill(0xaa)
  slabs.give(used.buffer)
  const packed = packBatch(batch)
  expect(packed.ops.buffer).toBe(used.buffer)
  expect(packed).toEqual(fresh)
})
