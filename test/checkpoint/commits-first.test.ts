// A sink whose prepared epochs do not last: what is told to whom, and when; and what becomes of an
// epoch that came to nothing.

import { expect, test } from 'vitest'
import { nextTurn, systemClock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import { Coordinator, NO_DECISIONS } from '../../runtime/checkpoint/coordinator.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { wholeCheckpoint } from '../../runtime/job/whole-checkpoint.ts'
import type { Committer } from '../../runtime/sink.ts'
import { memoryStore } from '../index/memory-store.ts'
import { checkpointOf } from './checkpoints.ts'

const never = new AbortController().signal

/** Commits as it is told to, and writes down what happens. */
class Played {
  readonly events: string[] = []
  readonly store = new CheckpointStore(memoryStore())
  readonly coordinator: Coordinator
  outcome = Promise.withResolvers<void>()

  constructor(commitsFirst: boolean, last: Checkpoint | null = null) {
    const committer: Pick<Committer<unknown>, 'commit'> = {
      commit: async (intents) => {
        await this.outcome.promise
        this.events.push(`commit ${intents.map(({ epoch }) => epoch).join()}`)
        return []
      },
    }
    const commits = new CommitQueue(
      committer as Committer<unknown>,
      { intents: [], lake: [] },
      systemClock,
      {
        onRetry: () => undefined,
        onCommitted: () => undefined,
        onCancelled: () => undefined,
        onDiverged: () => undefined,
        onFatal: () => void this.events.push('fatal'),
      },
    )
    const source = {
      barrier: async (epoch: number) => {
        this.events.push(`barrier ${epoch}`)
        const checkpoint = { ...checkpointOf(epoch).source, tables: [] }
        const position = { split: 'log', order: BigInt(epoch), token: '' }
        return { checkpoint: { ...checkpoint, position }, schemas: [], counts: [], refused: [] }
      },
      acknowledge: ({ epoch }: { epoch: number }) => void this.events.push(`acknowledge ${epoch}`),
      park: () => undefined,
    }
    const prepared = async (epoch: number) => ({
      epoch,
      committables: [{ table: 't.', deletes: null }],
      state: { data: null, files: [], nextFileId: 1 },
      counts: [],
      parked: [],
    })
    this.coordinator = new Coordinator(source, [{ prepared }], this.store, commits, {
      pipeline: 'p',
      timeline: 1,
      fence: 'f',
      mode: 'upsert',
      last,
      clock: systemClock,
      decisions: NO_DECISIONS,
      commitsFirst,
    })
  }
}

test('an epoch ends when the one before is committed, and the source forgets only then', async () => {
  const played = new Played(true)
  await played.coordinator.checkpoint()
  const second = played.coordinator.checkpoint()
  for (let turn = 0; turn < 20; turn++) await nextTurn()
  expect(played.events).toEqual(['barrier 1'])
  played.outcome.resolve()
  await second
  expect(played.events.slice(0, 4)).toEqual(['barrier 1', 'commit 1', 'barrier 2', 'acknowledge 1'])
  expect(played.events).not.toContain('acknowledge 2')
})

test('a source that is begun again hears of its checkpoint when it has given a barrier', async () => {
  const played = new Played(true, checkpointOf(1))
  played.outcome.resolve()
  await played.coordinator.checkpoint()
  expect(played.events.slice(0, 2)).toEqual(['barrier 2', 'acknowledge 1'])
})

test('without it, a durable checkpoint is enough for both', async () => {
  const played = new Played(false)
  await played.coordinator.checkpoint()
  await played.coordinator.checkpoint()
  expect(played.events).toEqual(['barrier 1', 'acknowledge 1', 'barrier 2', 'acknowledge 2'])
})

test('no epoch follows one that is lost', async () => {
  const played = new Played(true)
  await played.coordinator.checkpoint()
  played.outcome.reject(new PipelineError('TRANSACTION_ABORTED', 'it was aborted'))
  await expect(played.coordinator.checkpoint()).rejects.toBeInstanceOf(PipelineError)
  expect(played.events).toEqual(['barrier 1', 'fatal'])
  expect(await played.store.epochs()).toEqual([1])
})

test('the checkpoint before a lost epoch goes on, and the epoch is written again', async () => {
  const store = new CheckpointStore(memoryStore())
  for (const epoch of [1, 2, 3]) await store.save(checkpointOf(epoch))
  const newest = await store.loadNewest()
  if (newest === null) throw new Error('it was saved')
  const told: number[] = []
  const isWhole = async ({ epoch }: { epoch: number }): Promise<boolean> => epoch < 3
  const base = await wholeCheckpoint(newest, store, isWhole, never, (epoch) => told.push(epoch))
  expect([base?.epoch, told]).toEqual([2, [3]])
  expect(await store.epochs()).toEqual([1, 2])
  await store.save(checkpointOf(3, { fence: 'next' }))
  expect((await store.loadNewest())?.fence).toBe('next')
})

test('the first epoch cannot be read again, and stays for who wants to look at it', async () => {
  const store = new CheckpointStore(memoryStore())
  await store.save(checkpointOf(1))
  const newest = await store.loadNewest()
  if (newest === null) throw new Error('it was saved')
  const lost = wholeCheckpoint(
    newest,
    store,
    async () => false,
    never,
    () => undefined,
  )
  await expect(lost).rejects.toMatchObject({ error: 'TRANSACTION_UNKNOWN' })
  expect(await store.epochs()).toEqual([1])
})
