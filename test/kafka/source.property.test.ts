// Whatever order partitions give their records in, wherever a position is named and a process ends:
// each record is a row once, rows of a partition keep its order, and each row has a place of its
// own between the positions around it. The model is the list of records.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createKafkaSource } from '../../connectors/kafka/source.ts'
import type { Position } from '../../runtime/data/position.ts'
import { PlayedCluster, type PlayedEntry } from './played-cluster.ts'
import { PlayedContext, playedOptions, readUntil, type PlayedRow } from './played-context.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

/** Records by topic and partition; `null` is an offset without a record. */
const histories = fc.record({
  setRows: fc.integer({ min: 1, max: 5 }),
  entries: fc.array(
    fc.record({
      topic: fc.constantFrom('t', 'u'),
      partition: fc.integer({ min: 0, max: 2 }),
      hole: fc.boolean(),
      timestampMs: fc.integer({ min: -1, max: 3 }),
    }),
    { minLength: 1, maxLength: 60 },
  ),
  /** After how many positions a process ends. */
  ends: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
})

function rowsOf(context: PlayedContext, before: Position | null): readonly PlayedRow[] {
  return before === null ? context.rows : context.rows.filter(({ order }) => order < before.order)
}

test('every record is a row once, in its order and at a place of its own', async () => {
  const property = fc.asyncProperty(histories, async ({ setRows, entries, ends }) => {
    const cluster = new PlayedCluster()
    cluster.setRows = setRows
    cluster.create('t', 3)
    cluster.create('u', 3)
    const expected: string[] = []
    for (const [number, { topic, partition, hole, timestampMs }] of entries.entries()) {
      const entry: PlayedEntry = hole ? null : { key: null, value: `${number}`, timestampMs }
      const offset = cluster.topics.get(topic)!.partitions[partition]!.entries.length
      cluster.append(topic, partition, entry)
      if (!hole) expected.push(`kafka.${topic} ${partition} ${offset} ${number}`)
    }
    const kept: PlayedRow[] = []
    let after: Position | null = null
    let saved: Uint8Array | null = null
    for (const end of [...ends, Infinity]) {
      const context = new PlayedContext()
      const source = createKafkaSource(playedOptions(), cluster.wire())
      let positions = 0
      const total = (): number => kept.length + context.rows.length
      const last = await readUntil(
        source,
        context,
        () => ++positions >= end || (total() === expected.length && positions > 1),
        { after, saved },
      )
      // What came behind the position of the checkpoint is read again.
      kept.push(...rowsOf(context, last.position))
      for (const { order } of context.rows) expect(order >= (after?.order ?? 0n)).toBe(true)
      after = last.position
      saved = last.saved
    }
    const places = kept.map(
      ({ table, values }) =>
        `${table} ${values['__partition__']} ${values['__offset__']} ${values['value']}`,
    )
    expect(places.toSorted()).toEqual(expected.toSorted())
    const byPartition = new Map<string, number>()
    for (const { table, values } of kept) {
      const partition = `${table} ${values['__partition__']}`
      const offset = Number(values['__offset__'])
      expect(offset).toBeGreaterThan(byPartition.get(partition) ?? -1)
      byPartition.set(partition, offset)
    }
    const unique = new Set(kept.map(({ order, sequence }) => `${order}-${sequence}`))
    expect(unique.size).toBe(kept.length)
  })
  await fc.assert(property, { interruptAfterTimeLimit: seconds * 1000, numRuns: 1000 })
})
