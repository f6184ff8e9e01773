import { expect, test } from 'vitest'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { Element } from '../../runtime/data/element.ts'
import type { WriterReport } from '../../runtime/job/messages.ts'
import { WriterTask } from '../../runtime/job/writer-task.ts'
import type { PreparedEpoch, SinkWriter } from '../../runtime/sink.ts'
import { batchOf, schema, type Row } from '../flow/simulated-source.ts'

/** Remembers what it was given. */
class Recorder implements SinkWriter<never> {
  readonly written: string[] = []
  readonly filled: string[] = []
  holding = false
  write(element: Element): undefined {
    if (element.kind === 'changes') this.written.push(...keysOf(element))
  }
  holds(): boolean {
    return this.holding
  }
  fill(batch: ChangeBatch): undefined {
    this.filled.push(...keysOf(batch))
  }
  async prepare(epoch: number): Promise<PreparedEpoch<never>> {
    const state = { data: null, files: [], nextFileId: 1 }
    return Promise.resolve({ epoch, committables: [], state, counts: [], parked: [] })
  }
  async close(): Promise<void> {
    return Promise.resolve()
  }
}

function keysOf(batch: ChangeBatch): string[] {
  const [keys] = batch.columns
  if (keys?.layout !== 'int64') throw new Error('longs expected')
  return Array.from(keys.values.subarray(0, batch.rows), String)
}

function rows(order: bigint, op: Op, ...keys: number[]): ChangeBatch {
  const all: Row[] = keys.map((key) => ({ key, value: 1 }))
  return batchOf(
    order,
    keys.map(() => op),
    all,
  )
}

async function run(sink: Recorder, ...elements: Element[]): Promise<WriterReport[]> {
  const reports: WriterReport[] = []
  const queue: (Element | null)[] = [{ kind: 'schema', schema }, ...elements, null]
  const gate = { next: async () => Promise.resolve(queue.shift() ?? null) }
  await new WriterTask(gate, sink, { report: (report) => reports.push(report) }).run()
  return reports
}

const backfill: Element = { kind: 'backfill', table: schema.table, repair: false, floor: null }

function countsOf(reports: readonly WriterReport[]): unknown {
  const report = reports.find(({ kind }) => kind === 'prepared')
  return report?.kind === 'prepared' ? report.prepared.counts : null
}

test('a chunk row that the log has overtaken is counted stale and not written', async () => {
  const sink = new Recorder()
  const reports = await run(sink, backfill, rows(10n, Op.update, 2), rows(5n, Op.read, 1, 2, 3), {
    kind: 'barrier',
    epoch: 1,
  })
  expect(sink.written).toEqual(['2', '1', '3'])
  expect(sink.filled).toEqual([])
  expect(countsOf(reports)).toMatchObject([{ table: schema.table, read: 1, stale: 1 }])
})

test('where log rows wait for values, overtaken chunk rows are given to fill them', async () => {
  const sink = new Recorder()
  sink.holding = true
  const reports = await run(sink, backfill, rows(10n, Op.update, 2), rows(5n, Op.read, 1, 2, 3), {
    kind: 'barrier',
    epoch: 1,
  })
  expect(sink.written).toEqual(['2', '1', '3'])
  expect(sink.filled).toEqual(['2'])
  // The sink counts what it was given.
  expect(countsOf(reports)).toEqual([])
})

test('rows of a parked table are counted and reach no file', async () => {
  const sink = new Recorder()
  const reason = { error: 'KEY_CHANGED', message: 'm', detail: null, hint: 'h' } as const
  const reports = await run(
    sink,
    { kind: 'park', table: schema.table, reason },
    rows(10n, Op.insert, 1, 2),
    { kind: 'barrier', epoch: 1 },
    { kind: 'schema', schema },
    rows(11n, Op.insert, 3),
  )
  expect(sink.written).toEqual(['3'])
  expect(countsOf(reports)).toMatchObject([{ read: 2, parked: 2, written: 0 }])
})
