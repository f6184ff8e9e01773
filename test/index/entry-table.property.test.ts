// The table of entries against a Map, through growth with and without tombstones, and a segment's
// split. The counts must be those of a scan: growth trusts them for the size of the new table.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { EMPTY, EntryTable, TOMBSTONE } from '../../connectors/iceberg/index/entry-table.ts'
import { Segment } from '../../connectors/iceberg/index/segment.ts'
import { TableIndex, type ChangeLog } from '../../connectors/iceberg/index/table-index.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { HashWords } from '../../runtime/data/key-hash.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const runs = { numRuns: 100_000, interruptAfterTimeLimit: seconds * 500 }

function hashOf(key: number, words: HashWords): Int32Array {
  const spread = Math.imul(key, 0x9e3779b1) | 0
  // Few values of word 1, so that keys meet in their slots.
  return words === 2 ? Int32Array.of(spread, key & 31) : Int32Array.of(spread, key & 31, key, 5)
}

/** `used` and `tombstones` as a scan finds them, and the keys with their files. */
function scan(table: EntryTable): { used: number; tombstones: number; files: Map<string, number> } {
  const { entries, stride, words } = table
  const files = new Map<string, number>()
  let tombstones = 0
  for (let at = 0; at < entries.length; at += stride) {
    const file = entries[at + words]!
    if (file === EMPTY) continue
    if (file === TOMBSTONE) tombstones++
    files.set(entries.subarray(at, at + words).join(), file)
  }
  return { used: files.size, tombstones, files }
}

function checkCounts(table: EntryTable): Map<string, number> {
  const { used, tombstones, files } = scan(table)
  expect([table.used, table.tombstones]).toEqual([used, tombstones])
  expect(table.used).toBeLessThanOrEqual(table.limit)
  return files
}

const words = fc.constantFrom<HashWords>(2, 4)
const steps = fc.array(fc.record({ key: fc.nat(200), remove: fc.boolean(), grow: fc.nat(40) }), {
  maxLength: 400,
})

test('a table holds what a map holds, and its counts are those of a scan', () => {
  const property = fc.property(words, steps, (words, steps) => {
    const table = new EntryTable(words)
    const model = new Map<string, number>()
    for (const [at, { key, remove, grow }] of steps.entries()) {
      const hash = hashOf(key, words)
      const file = remove ? TOMBSTONE : at + 1
      table.put(hash, 0, file, at)
      model.set(hash.join(), file)
      if (grow > 1) continue
      table.grow(grow === 1)
      if (grow === 0) {
        for (const [hash, file] of model) if (file === TOMBSTONE) model.delete(hash)
      }
    }
    expect(checkCounts(table)).toEqual(model)
    for (const [hash, file] of model) {
      const at = table.find(Int32Array.from(hash.split(','), Number), 0)
      expect(table.entries[at + words]).toBe(file)
    }
  })
  fc.assert(property, runs)
})

test('apply and split keep the counts', () => {
  const property = fc.property(words, steps, (words, steps) => {
    const log: ChangeLog = { epoch: 0, logEntries() {}, logReset() {} }
    const index = new TableIndex('t', words, [new Segment(words, 0, 256, -1)], log)
    const hashes = new Int32Array(steps.length * words)
    for (const [at, { key }] of steps.entries()) hashes.set(hashOf(key, words), at * words)
    const ops = Uint8Array.from(steps, ({ remove }) => (remove ? Op.delete : Op.insert))
    index.apply(hashes, ops, null, steps.length, 1, 0)
    index.settle()
    const [whole] = index.segments
    checkCounts(whole!)
    const live = (files: Map<string, number>): string[] =>
      [...files].flatMap(([hash, file]) => (file === TOMBSTONE ? [] : [hash])).toSorted()
    const parts = whole!.split().flatMap((part) => live(checkCounts(part)))
    expect(parts.toSorted()).toEqual(live(scan(whole!).files))
  })
  fc.assert(property, runs)
})
