import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { Element } from '../../runtime/data/element.ts'
import { Exchange } from '../../runtime/flow/exchange.ts'
import { batchOf, schema, type Row } from './simulated-source.ts'

const arbitraryRows = fc.array(
  fc.record({ key: fc.integer({ min: -50, max: 50 }), value: fc.option(fc.integer()) }),
  { minLength: 1, maxLength: 200 },
)

class Collected {
  readonly batches: ChangeBatch[] = []
  send(element: Element): void {
    if (element.kind === 'changes') this.batches.push(element)
  }
  ready(): undefined {
    return undefined
  }
  rows(): Row[] {
    return this.batches.flatMap((batch) => {
      const [keys, values] = batch.columns
      if (keys?.layout !== 'int64' || values?.layout !== 'int64') throw new Error('longs expected')
      return Array.from({ length: batch.rows }, (_, row) => ({
        key: Number(keys.values[row]),
        value: batch.ops[row] === Op.delete ? null : Number(values.values[row]),
      }))
    })
  }
}

function opsOf(rows: readonly Row[]): Op[] {
  return rows.map(({ value }) => (value === null ? Op.delete : Op.update))
}

test('all changes of one key reach one writer, in order, and none is lost', () => {
  fc.assert(
    fc.property(arbitraryRows, fc.integer({ min: 1, max: 7 }), (rows, count) => {
      const writers = Array.from({ length: count }, () => new Collected())
      void new Exchange(writers).send(batchOf(1n, opsOf(rows), rows), schema)
      const owners = new Map<number, Set<number>>()
      writers.forEach((writer, index) => {
        for (const { key } of writer.rows()) {
          owners.set(key, (owners.get(key) ?? new Set()).add(index))
        }
      })
      for (const [, indexes] of owners) expect(indexes.size).toBe(1)
      for (const [key] of owners) {
        const sent = rows.filter((row) => row.key === key)
        const received = writers.flatMap((writer) => writer.rows().filter((row) => row.key === key))
        expect(received).toEqual(sent)
      }
      expect(writers.flatMap((writer) => writer.rows()).length).toBe(rows.length)
    }),
  )
})

test('a million uniform keys spread evenly over four writers', () => {
  const writers = Array.from({ length: 4 }, () => new Collected())
  const exchange = new Exchange(writers)
  const total = 1_000_000
  for (let from = 0; from < total; from += 10_000) {
    const rows = Array.from({ length: 10_000 }, (_, at) => ({ key: from + at, value: 0 }))
    void exchange.send(batchOf(1n, opsOf(rows), rows), schema)
  }
  const loads = writers.map(({ batches }) => batches.reduce((sum, { rows }) => sum + rows, 0))
  expect(loads.reduce((sum, load) => sum + load)).toBe(total)
  expect(Math.max(...loads) / Math.min(...loads)).toBeLessThanOrEqual(1.2)
})
