// Intents that wait while the catalog is down: what a checkpoint has of them, and what a crash or a
// damaged object does to them.

import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import { Coordinator, NO_DECISIONS } from '../../runtime/checkpoint/coordinator.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { StateGarbage } from '../../runtime/job/garbage.ts'
import type { Committer, Intent } from '../../runtime/sink.ts'
import { memoryStore, type MemoryStore } from '../index/memory-store.ts'
import { checkpointOf } from './checkpoints.ts'

const TABLES = Array.from({ length: 12 }, (_, at) => `shop.t${at}`)

/** A catalog that is down until it is up. */
class Outage implements Committer<unknown> {
  readonly committed: Intent<unknown>[] = []
  private readonly up = Promise.withResolvers<void>()

  end(): void {
    this.up.resolve()
  }

  async commit(intents: readonly Intent<unknown>[]): Promise<[]> {
    await this.up.promise
    this.committed.push(...intents)
    return []
  }

  readonly adopt = (): Promise<null> => Promise.resolve(null)
  readonly changeProperties = (): Promise<boolean> => Promise.resolve(false)
  readonly sweep = (): Promise<number> => Promise.resolve(0)
  readonly close = (): Promise<void> => Promise.resolve()
}

/** Numbers of one length, so that bytes can be compared. */
const padded = (epoch: number): string => String(epoch).padStart(6, '0')

function deletesOf(epoch: number): string {
  return `epochs/${padded(epoch)}.deletes`
}

/** A pipeline of twelve tables, one writer, and as much garbage collection as a run has. */
class Run {
  readonly store: CheckpointStore
  readonly commits: CommitQueue
  readonly coordinator: Coordinator
  readonly garbage: StateGarbage
  private readonly state: MemoryStore
  private order: bigint

  constructor(state: MemoryStore, committer: Committer<unknown>, last: Checkpoint | null) {
    this.state = state
    this.order = last?.source.position.order ?? 0n
    this.store = new CheckpointStore(state)
    this.garbage = new StateGarbage(state, this.store)
    this.commits = new CommitQueue(committer, last ?? { intents: [], lake: [] }, systemClock, {
      onRetry: () => undefined,
      onCommitted: () => undefined,
      onCancelled: () => undefined,
      onDiverged: () => undefined,
      onFatal: (error) => {
        throw error
      },
    })
    this.coordinator = new Coordinator(
      {
        barrier: () => {
          const { source } = checkpointOf(Number(++this.order))
          return Promise.resolve({ checkpoint: source, schemas: [], counts: [], refused: [] })
        },
        acknowledge: () => undefined,
        park: () => undefined,
      },
      [{ prepared: (epoch) => this.prepare(epoch) }],
      this.store,
      this.commits,
      {
        pipeline: 'shop',
        timeline: 1,
        fence: '1',
        mode: 'upsert',
        last,
        clock: systemClock,
        decisions: NO_DECISIONS,
      },
    )
  }

  private async prepare(epoch: number): ReturnType<Prepare> {
    const deletes = deletesOf(epoch)
    await this.state.put(deletes, Buffer.from('deletes'))
    const committables = TABLES.map((table) => {
      return {
        table,
        deletes,
        files: Array.from({ length: 20 }, (_, at) => `${padded(epoch)}/${at}`),
      }
    })
    return {
      epoch,
      committables,
      state: { data: null, files: [], nextFileId: 1 },
      counts: [],
      parked: [],
    }
  }

  /** @returns bytes of the checkpoint */
  async epoch(): Promise<number> {
    const { bytes } = await this.coordinator.checkpoint()
    await this.garbage.collect(this.coordinator.last()!)
    return bytes
  }
}

type Prepare = ConstructorParameters<typeof Coordinator>[1][number]['prepared']

const named = async (state: MemoryStore, folder: string): Promise<string[]> =>
  [...(await state.list(folder))].toSorted()

test('a checkpoint has the same size after a thousand epochs that wait', async () => {
  const state = memoryStore()
  const outage = new Outage()
  const first = new Run(state, outage, null)
  const bytes: number[] = []
  for (let epoch = 1; epoch <= 1000; epoch++) bytes.push(await first.epoch())
  // Snapshot ids and epochs have more or fewer digits.
  expect(Math.abs(bytes.at(-1)! - bytes[1]!)).toBeLessThan(200)
  expect((await named(state, 'intents')).length).toBe(999)
  expect((await named(state, 'epochs')).length).toBe(1000)

  // A crash; the next start has them all, and commits them in their order.
  const last = await first.store.loadNewest()
  const second = new Run(state, outage, last)
  const started = second.commits.drain(10_000)
  outage.end()
  expect(await started).toBe(true)
  const { committed } = outage
  const ours = committed.slice(-1000)
  expect(ours.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 1000 }, (_, at) => at + 1))
  expect(ours[499]!.tables.map(({ table }) => table)).toEqual(TABLES)
  expect(ours[499]!.tables[3]!.committables).toMatchObject([{ deletes: deletesOf(500) }])

  // Three checkpoints later nothing is left of them.
  await second.garbage.sweep()
  for (let epoch = 1; epoch <= 4; epoch++) {
    await second.epoch()
    await second.commits.drain(1000)
  }
  expect(await named(state, 'intents')).toEqual([])
  expect(await named(state, 'epochs')).toEqual([1002, 1003, 1004].map(deletesOf))
})

test('an epoch that is committed before the next checkpoint is written nowhere else', async () => {
  const state = memoryStore()
  const outage = new Outage()
  outage.end()
  const run = new Run(state, outage, null)
  for (let epoch = 1; epoch <= 5; epoch++) {
    await run.epoch()
    await run.commits.drain(1000)
  }
  expect(await named(state, 'intents')).toEqual([])
  expect(outage.committed.length).toBe(5)
})

test('a crash between an intent and its checkpoint leaves a file that the next start removes', async () => {
  const state = memoryStore()
  const first = new Run(state, new Outage(), null)
  for (let epoch = 1; epoch <= 3; epoch++) await first.epoch()
  const before = await named(state, 'intents')
  const putIfAbsent = state.putIfAbsent.bind(state)
  state.putIfAbsent = (path, bytes) => {
    if (!path.startsWith('checkpoints/')) return putIfAbsent(path, bytes)
    return Promise.reject(new PipelineError('STORAGE_FULL', 'the disk is full'))
  }
  await expect(first.epoch()).rejects.toMatchObject({ error: 'STORAGE_FULL' })
  expect((await named(state, 'intents')).length).toBe(before.length + 1)

  state.putIfAbsent = putIfAbsent
  const last = await first.store.loadNewest()
  expect(last?.intents.map(({ epoch }) => epoch)).toEqual([1, 2, 3])
  const outage = new Outage()
  const second = new Run(state, outage, last)
  await second.garbage.sweep()
  expect(await named(state, 'intents')).toEqual(before)
  expect(await named(state, 'epochs')).toEqual([1, 2, 3].map(deletesOf))
  await second.epoch()
  outage.end()
  await second.commits.drain(1000)
  expect(outage.committed.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4])
})

test('an intent that is damaged, missing or another one is found by the next start', async () => {
  const state = memoryStore()
  const run = new Run(state, new Outage(), null)
  for (let epoch = 1; epoch <= 4; epoch++) await run.epoch()
  const paths = await named(state, 'intents')
  expect(paths.length).toBe(3)
  for (const path of paths) {
    const whole = state.objects.get(path)!
    for (let bit = 0; bit < whole.length * 8; bit += 997) {
      const damaged = Uint8Array.from(whole)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      state.objects.set(path, damaged)
      const wanted = { error: 'CHECKPOINT_CORRUPT', hint: expect.stringContaining('resync') }
      await expect(run.store.loadNewest(), `${path} bit ${bit}`).rejects.toMatchObject(wanted)
    }
    const other = state.objects.get(paths.find((one) => one !== path)!)!
    state.objects.set(path, other)
    await expect(run.store.loadNewest()).rejects.toMatchObject({ error: 'CHECKPOINT_CORRUPT' })
    state.objects.delete(path)
    await expect(run.store.loadNewest()).rejects.toMatchObject({ error: 'CHECKPOINT_CORRUPT' })
    state.objects.set(path, whole)
  }
  expect((await run.store.loadNewest())?.epoch).toBe(4)
})
