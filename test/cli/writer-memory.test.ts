// How `pipeline.memory` reaches the writers.

import { expect, test } from 'vitest'
import { writerMemory } from '../../runtime/cli/writer-connector.ts'

test('the writers together take the memory that the file says, the index two thirds of it', () => {
  for (const [memoryBytes, parallelism] of [
    [64 * 2 ** 20, 1],
    [3 * 2 ** 30, 4],
    [2 ** 30, 128],
    [64 * 2 ** 20 + 1, 3],
  ] as const) {
    const { indexMemoryBytes = 0, bufferBytesMax = 0 } = writerMemory({ memoryBytes, parallelism })
    const total = (indexMemoryBytes + bufferBytesMax) * parallelism
    expect(total).toBeLessThanOrEqual(memoryBytes)
    expect(total).toBeGreaterThan(memoryBytes - 3 * parallelism)
    expect(indexMemoryBytes / bufferBytesMax).toBeCloseTo(2, 3)
  }
  expect(writerMemory({ memoryBytes: null, parallelism: 2 })).toEqual({})
})
