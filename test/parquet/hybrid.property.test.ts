// Run lengths and bit packing against the rule in its plainest form: look at every run, and pack
// bit by bit. The bytes must be the same.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeHybrid } from '../../connectors/parquet/encode/hybrid.ts'
import { PageBody } from '../../connectors/parquet/encode/scratch.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const RUN_VALUES_MIN = 24

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}

function packed(values: readonly number[], width: number): number[] {
  if (values.length === 0) return []
  const groups = Math.ceil(values.length / 8)
  const bits = values.flatMap((value) => Array.from({ length: width }, (_, at) => value >> at))
  const bytes = Array.from({ length: groups * width }, (_, byte) =>
    bits.slice(byte * 8, byte * 8 + 8).reduce((sum, bit, at) => sum | ((bit & 1) << at), 0),
  )
  return [...varint(groups * 2 + 1), ...bytes]
}

function hybrid(values: readonly number[], width: number): number[] {
  const bytes: number[] = []
  let from = 0
  for (let at = 0, end = 0; at < values.length; at = end) {
    while (end < values.length && values[end] === values[at]) end++
    const fill = (8 - ((at - from) % 8)) % 8
    const count = end - at - fill
    if (count < RUN_VALUES_MIN) continue
    const value = Array.from({ length: Math.ceil(width / 8) }, (_, byte) => {
      return (values[at]! >> (8 * byte)) & 0xff
    })
    bytes.push(...packed(values.slice(from, at + fill), width), ...varint(count * 2), ...value)
    from = end
  }
  return [...bytes, ...packed(values.slice(from), width)]
}

test('the bytes are those of the plain rule', { timeout: seconds * 1000 + 60_000 }, () => {
  const runs = fc.array(
    fc.record({ value: fc.nat(), count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.nat(70)) }),
    { maxLength: 30 },
  )
  const lead = fc.nat(20)
  const width = fc.integer({ min: 1, max: 24 })
  const property = fc.property(runs, width, lead, lead, (runs, width, before, after) => {
    const mask = 2 ** width - 1
    const values = runs.flatMap(({ value, count }) =>
      Array.from({ length: count }, () => value & mask),
    )
    const padded = new Int32Array(before + values.length + after)
    padded.set(values, before)
    const body = new PageBody()
    // What the page before has left in the memory must not be seen.
    body.bytes.fill(0xaa)
    writeHybrid(body, padded, before, before + values.length, width)
    expect([...body.bytes.subarray(0, body.length)]).toEqual(hybrid(values, width))
  })
  fc.assert(property, { numRuns: 100_000, interruptAfterTimeLimit: seconds * 1000 })
})
