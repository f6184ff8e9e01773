import { expect, test } from 'vitest'
import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../../runtime/base/errors.ts'
import { CommitQueue, type CommitEvents } from '../../runtime/checkpoint/commit.ts'
import { PendingIntent } from '../../runtime/checkpoint/pending-intent.ts'
import type { AdoptedTable, Committer, Intent, TableCommit } from '../../runtime/sink.ts'
import { memoryStore } from '../index/memory-store.ts'

const immediate: Clock = {
  nowMs: () => 0,
  nowUs: () => 0n,
  elapsedMs: () => 0,
  sleep: async () => new Promise((resolve) => setImmediate(resolve)),
  after: (ms, task) => {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
  every: () => () => undefined,
}

function intent(epoch: number, ...tables: string[]): Intent<unknown> {
  return {
    pipeline: 'shop',
    timeline: 1,
    epoch,
    fence: '1',
    position: { split: 'log', order: BigInt(epoch), token: '' },
    sourceTimeUs: BigInt(epoch),
    tables: tables.map((table) => ({
      table,
      snapshotId: BigInt(epoch * 100),
      schemas: [],
      tableUuid: null,
      lastIntent: null,
      committables: [],
    })),
  }
}

function committed(table: string, snapshotId: bigint): TableCommit {
  const metadataLocation = `file:///${table}/${snapshotId}.json`
  return { table, outcome: 'committed', tableUuid: 'u', snapshotId, metadataLocation, reason: null }
}

class Recorder implements CommitEvents {
  readonly retries: ErrorRecord[] = []
  readonly epochs: number[] = []
  readonly cancelled: string[] = []
  readonly diverged: string[] = []
  readonly fatal: unknown[] = []
  onRetry(error: ErrorRecord): void {
    this.retries.push(error)
  }
  onCommitted(epoch: number): void {
    this.epochs.push(epoch)
  }
  onCancelled(table: string, from: number): void {
    this.cancelled.push(`${table} from ${from}`)
  }
  onDiverged(table: string): void {
    this.diverged.push(table)
  }
  onFatal(error: unknown): void {
    this.fatal.push(error)
  }
}

/** Answers each call with the next step; remembers what it was given. */
class Scripted implements Committer<unknown> {
  readonly calls: (readonly Intent<unknown>[])[] = []
  private readonly steps: ((intents: readonly Intent<unknown>[]) => readonly TableCommit[])[]
  constructor(...steps: ((intents: readonly Intent<unknown>[]) => readonly TableCommit[])[]) {
    this.steps = steps
  }
  async commit(intents: readonly Intent<unknown>[]): Promise<readonly TableCommit[]> {
    this.calls.push(intents)
    await immediate.sleep(0)
    const step = this.steps.shift() ?? commitAll
    return step(intents)
  }
  readonly adopted: string[] = []
  async changeProperties(): Promise<boolean> {
    return false
  }
  async adopt(table: string): Promise<AdoptedTable | null> {
    await immediate.sleep(0)
    this.adopted.push(table)
    if (table === 'gone') return null
    return { commit: committed(table, 77n), lastSchemaId: 4, lastColumnId: 9, before: 100n }
  }
  async sweep(): Promise<number> {
    return immediate.sleep(0).then(() => 0)
  }
  async close(): Promise<void> {
    await immediate.sleep(0)
  }
}

function commitAll(intents: readonly Intent<unknown>[]): readonly TableCommit[] {
  const last = new Map<string, TableCommit>()
  for (const { tables } of intents) {
    for (const { table, snapshotId } of tables) last.set(table, committed(table, snapshotId))
  }
  return [...last.values()]
}

function unavailable(): never {
  throw new PipelineError('CATALOG_UNAVAILABLE', 'the catalog does not answer')
}

test('an outage delays commits, and they come in order when it is over', async () => {
  const committer = new Scripted(unavailable, unavailable)
  const events = new Recorder()
  const queue = new CommitQueue(committer, { intents: [], lake: [] }, immediate, events)
  queue.enqueue(intent(1, 'a'))
  queue.enqueue(intent(2, 'a', 'b'))
  expect(await queue.drain(5000)).toBe(true)
  expect(events.retries.map(({ error }) => error)).toEqual([
    'CATALOG_UNAVAILABLE',
    'CATALOG_UNAVAILABLE',
  ])
  const epochs = committer.calls.map((call) => call.map(({ epoch }) => epoch))
  expect(epochs.slice(0, 2).every(([first]) => first === 1)).toBe(true)
  expect(epochs.slice(2).flat()).toEqual([1, 2])
  expect(queue.lakeTable('a')).toMatchObject({ lastIntent: 200n, committedEpoch: 2 })
  expect(queue.lakeTable('b')).toMatchObject({ lastIntent: 200n, tableUuid: 'u' })
})

test('each commit is told what the one before it left', async () => {
  const committer = new Scripted()
  const queue = new CommitQueue(committer, { intents: [], lake: [] }, immediate, new Recorder())
  queue.enqueue(intent(1, 'a'))
  await queue.drain(5000)
  queue.enqueue(intent(2, 'a'))
  await queue.drain(5000)
  expect(committer.calls.map(([first]) => first?.tables[0])).toMatchObject([
    { lastIntent: null, tableUuid: null },
    { lastIntent: 100n, tableUuid: 'u' },
  ])
})

test("what a former process left is committed first, from the checkpoint's own words", async () => {
  const committer = new Scripted()
  const content = { intents: [PendingIntent.of(intent(7, 'a'))], lake: [] }
  const queue = new CommitQueue(committer, content, immediate, new Recorder())
  queue.enqueue(intent(8, 'a'))
  await queue.drain(5000)
  expect(committer.calls.flatMap((call) => call.map(({ epoch }) => epoch))).toEqual([7, 8])
})

test('a table that diverged leaves the queue, the others go on', async () => {
  const reason = recordOf(new PipelineError('TARGET_DIVERGED', 'files are gone'))
  const committer = new Scripted((intents) => [
    { ...committed('a', 1n), outcome: 'diverged', reason },
    ...commitAll(intents).filter(({ table }) => table === 'b'),
  ])
  const events = new Recorder()
  const queue = new CommitQueue(committer, { intents: [], lake: [] }, immediate, events)
  queue.enqueue(intent(1, 'a', 'b'))
  queue.enqueue(intent(2, 'a', 'b'))
  await queue.drain(5000)
  expect(events.diverged).toEqual(['a'])
  expect(committer.calls.at(-1)?.[0]?.tables.map(({ table }) => table)).toEqual(['b'])
  expect(queue.lakeTable('a').lastIntent).toBeNull()
})

test('an error that no retry can mend stops the queue with its intents pending', async () => {
  const committer = new Scripted(() => {
    throw new PipelineError('TIMELINE_AHEAD', 'the table is ahead')
  })
  const events = new Recorder()
  const queue = new CommitQueue(committer, { intents: [], lake: [] }, immediate, events)
  queue.enqueue(intent(1, 'a'))
  expect(await queue.drain(5000)).toBe(false)
  expect(events.fatal).toMatchObject([{ error: 'TIMELINE_AHEAD' }])
  expect(queue.pending().map(({ epoch }) => epoch)).toEqual([1])
})

test('waiting for an outage to end has a limit', async () => {
  const down = (): never => unavailable()
  const committer = new Scripted(...Array.from({ length: 10_000 }, () => down))
  const queue = new CommitQueue(committer, { intents: [], lake: [] }, immediate, new Recorder())
  queue.enqueue(intent(1, 'a'))
  expect(await queue.drain(20)).toBe(false)
  await queue.stop()
  expect(queue.pending().length).toBe(1)
})

// A former process may have committed later epochs as well, and died before a checkpoint said so.
test('a commit of the first epochs is told the ids of those behind them', async () => {
  const committer = new Scripted()
  const intents = Array.from({ length: 1002 }, (_, at) => PendingIntent.of(intent(at + 1, 'a')))
  const content = { intents, lake: [] }
  const queue = new CommitQueue(committer, content, immediate, new Recorder())
  await queue.drain(5000)
  expect(committer.calls.map(({ length }) => length)).toEqual([1000, 2])
  const told = committer.calls.map(([first]) => first?.tables[0]?.behind)
  expect(told).toEqual([[100_100n, 100_200n], undefined])
})

test('intents that are too large to be in memory together are committed one after the other', async () => {
  const state = memoryStore()
  const committables = [{ deletes: null, text: 'x'.repeat(12 * 1024 * 1024) }]
  const intents: PendingIntent[] = []
  for (let epoch = 1; epoch <= 5; epoch++) {
    const { tables, ...head } = intent(epoch, 'a')
    const entries = tables.map((entry) => ({ ...entry, committables }))
    const pending = PendingIntent.of({ ...head, tables: entries })
    await pending.store(state, intents.at(-1) ?? null)
    intents.push(pending)
  }
  const committer = new Scripted()
  const queue = new CommitQueue(committer, { intents, lake: [] }, immediate, new Recorder())
  await queue.drain(5000)
  const epochs = committer.calls.map((call) => call.map(({ epoch }) => epoch))
  expect(epochs).toEqual([[1, 2], [3, 4], [5]])
})

test('what was cancelled before a restart stays cancelled, what came after it does not', async () => {
  const committer = new Scripted()
  const intents = [1, 2, 3].map((epoch) => PendingIntent.of(intent(epoch, 'a', 'b')))
  const first = new CommitQueue(committer, { intents, lake: [] }, immediate, new Recorder())
  first.cancel('a')
  const cancelled = first.cancellations()
  expect(first.waiting()).toEqual({ b: 3 })
  const content = { intents: [...intents, PendingIntent.of(intent(4, 'a'))], cancelled, lake: [] }
  const second = new CommitQueue(committer, content, immediate, new Recorder())
  expect(second.waiting()).toEqual({ a: 4, b: 3 })
  await second.drain(5000)
  const tables = committer.calls.flat().map((one) => one.tables.map(({ table }) => table))
  expect(tables).toEqual([['b'], ['b'], ['b'], ['a']])
  expect(second.cancellations()).toEqual({})
})

test('a table that is adopted loses what was pending, and the next commit goes on from there', async () => {
  const committer = new Scripted()
  const content = { intents: [PendingIntent.of(intent(7, 'a', 'b'))], lake: [] }
  const queue = new CommitQueue(committer, content, immediate, new Recorder())
  const claim = { timeline: 1, epoch: 7, fence: '2' }
  const adoption = await queue.adopt('a', claim)
  expect(adoption).toEqual({ lastSchemaId: 4, lastColumnId: 9, renumber: true })
  queue.enqueue(intent(8, 'a'))
  await queue.drain(5000)
  const tables = committer.calls.flat().map((one) => one.tables.map(({ table }) => table))
  expect(tables).toEqual([['b'], ['a']])
  const entries = committer.calls.flat().flatMap((one) => one.tables)
  expect(entries.at(-1)).toMatchObject({ table: 'a', lastIntent: 77n, tableUuid: 'u' })
})

test('a table that is gone from the lake is made anew', async () => {
  const queue = new CommitQueue(
    new Scripted(),
    { intents: [], lake: [] },
    immediate,
    new Recorder(),
  )
  const adoption = await queue.adopt('gone', { timeline: 1, epoch: 7, fence: '2' })
  expect(adoption).toEqual({ lastSchemaId: -1, lastColumnId: 0, renumber: false })
  expect(queue.lakeTable('gone').tableUuid).toBeNull()
})

test('a table that a pending intent has created keeps its field ids when it is adopted', async () => {
  const claim = { timeline: 1, epoch: 1, fence: '1' }
  for (const [epoch, renumber] of [
    [1, false],
    [2, true],
  ] as const) {
    const recorder = new Recorder()
    const content = { intents: [PendingIntent.of(intent(epoch, 'orders'))], lake: [] }
    const queue = new CommitQueue(new Scripted(), content, immediate, recorder)
    expect(await queue.adopt('orders', claim)).toMatchObject({ renumber })
    expect(queue.cancellations()).toEqual({ orders: epoch })
  }
})
