// What a checkpoint keeps of earlier starts, and that their files are found with it.

import { expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import { batchOf, field, schemaOf, UNCHANGED, type TestRow } from './batches.ts'
import { TestSink } from './test-sink.ts'

const TABLE = 'shop.orders'
const schema = schemaOf(TABLE, 0, [
  field(1, 'id', { kind: 'int' }, { nullable: false }),
  field(2, 'name', { kind: 'string' }),
  field(3, 'n', { kind: 'int' }),
])

/** Starts writers again, which write one row each time: the key of that number, or key 0. */
async function restarts(sink: TestSink, count: number, keys: 'new' | 'same'): Promise<void> {
  for (let start = 1; start <= count; start++) {
    await sink.crash(4)
    await sink.control({ kind: 'schema', schema })
    const id = keys === 'new' ? start : 0
    const values = { id, name: `start ${start}`, n: start }
    await sink.write(batchOf(schema, [{ op: Op.update, values }], BigInt(start)))
    await sink.prepare()
  }
}

const bytesOf = (sink: TestSink): number =>
  JSON.stringify(sink.prepared.map(({ state }) => state)).length

for (const keys of ['new', 'same'] as const) {
  test(`the state of the writers does not grow with starts that write ${keys} keys`, async () => {
    const sink = new TestSink()
    await sink.open(4)
    await restarts(sink, 220, keys)
    // Four writers with up to fifteen deltas of a size each.
    expect(bytesOf(sink)).toBeLessThan(8000)
    const blocks = [...sink.state.objects].filter(([path]) => path.endsWith('.blocks'))
    const [, newest] = blocks.at(-1)!
    if (keys === 'same') expect(newest.length).toBeLessThan(8000)
  })
}

test('the files of two hundred starts are found for the values that an update left out', async () => {
  const sink = new TestSink()
  await sink.open(4)
  await restarts(sink, 200, 'new')
  await sink.crash(3)
  await sink.control({ kind: 'schema', schema })
  const rows = Array.from({ length: 200 }, (_, at): TestRow => ({
    op: Op.update,
    values: { id: at + 1, name: UNCHANGED, n: -1 },
  }))
  await sink.write(batchOf(schema, rows, 1000n))
  await sink.prepare()
  const found = await sink.read(TABLE)
  expect(found.map(({ id, name, n }) => `${id} ${name} ${n}`).sort()).toEqual(
    rows.map((_, at) => `${at + 1} start ${at + 1} -1`).sort(),
  )
})
