// One attempt with threads of paper: what it holds on to, and how it ends when a thread does not
// answer any more.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import { NO_DECISIONS } from '../../runtime/checkpoint/coordinator.ts'
import type { EpochReport } from '../../runtime/checkpoint/coordinator.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { Execution, type ExecutionOptions } from '../../runtime/job/execution.ts'
import type { SourceCommand, SourceReport } from '../../runtime/job/messages.ts'
import type { WriterReport } from '../../runtime/job/messages.ts'
import type { WorkerPort } from '../../runtime/job/worker-port.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import type { Committer } from '../../runtime/sink.ts'
import type { Shown } from '../../runtime/data/element.ts'
import { PLAYED_TASK } from './played-parts.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

const idle: Committer<unknown> = {
  commit: async () => [],
  adopt: async () => null,
  changeProperties: async () => false,
  sweep: async () => 0,
  close: async () => undefined,
}

interface Scene {
  execution: Execution
  /** Epochs that were reported. */
  readonly epochs: number
  /** What its barriers made visible, in order. */
  readonly shown: readonly Shown[]
  /** As if the source thread had said it. */
  tell: (report: SourceReport) => void
}

interface SceneOptions {
  /** Answers barriers while it says so. */
  answers?: (epoch: number) => boolean
  store?: (state: ObjectStore) => ObjectStore
  clock?: Clock
  onEpoch?: (report: EpochReport) => Promise<void>
  options?: Partial<ExecutionOptions>
}

/** A source and a writer that answer each other, without threads. */
class Threads {
  /** Of the barriers so far. */
  readonly shown: Shown[] = []
  private readonly answers: (epoch: number) => boolean
  private readonly sourceListeners: ((report: SourceReport) => void)[] = []
  private readonly writerListeners: ((report: WriterReport) => void)[] = []

  constructor(answers: (epoch: number) => boolean) {
    this.answers = answers
  }

  tell(report: SourceReport): void {
    for (const listener of this.sourceListeners) listener(report)
  }

  source(): WorkerPort<SourceCommand, SourceReport> {
    return {
      send: (command) => this.take(command),
      onReport: (listener) => void this.sourceListeners.push(listener),
      terminate: async () => undefined,
    }
  }

  writer(): WorkerPort<unknown, WriterReport> {
    return {
      send: () => undefined,
      onReport: (listener) => {
        this.writerListeners.push(listener)
        queueMicrotask(() => listener({ kind: 'ready' }))
      },
      terminate: async () => undefined,
    }
  }

  private take(command: SourceCommand): void {
    if (command.kind === 'stop') this.tell({ kind: 'stopped' })
    if (command.kind !== 'barrier' || !this.answers(command.epoch)) return
    const { epoch, shows } = command
    this.shown.push(shows)
    const position = { split: 'log', order: BigInt(epoch), token: '' }
    const checkpoint = { position, sourceTimeUs: 0n, state: 's'.repeat(10_000), tables: [] }
    this.tell({ kind: 'barrier', epoch, checkpoint, schemas: [], counts: [], refused: [] })
    const state = { data: null, files: [], nextFileId: 1 }
    const prepared = { epoch, committables: [], state, counts: [], parked: [] }
    for (const listener of this.writerListeners) listener({ kind: 'prepared', prepared })
  }
}

const OPTIONS: ExecutionOptions = {
  pipeline: 'shop',
  timeline: 1,
  fence: '1',
  mode: 'upsert',
  last: null,
  maxFreshnessMs: 0,
  intervalMs: 1,
  repairs: { all: false, tables: [] },
  parked: [],
  task: PLAYED_TASK,
}

function scene(scene: SceneOptions): Scene {
  const { answers = () => true, store, clock = systemClock, onEpoch, options = {} } = scene
  const folder = mkdtempSync(join(tmpdir(), 'millrace-execution-'))
  folders.push(folder)
  const state = localStore(folder)
  const threads = new Threads(answers)
  const commits = new CommitQueue(idle, { intents: [], lake: [] }, clock, {
    onRetry: () => undefined,
    onCommitted: () => undefined,
    onCancelled: () => undefined,
    onDiverged: () => undefined,
    onFatal: () => undefined,
  })
  const checkpoints = new CheckpointStore(store === undefined ? state : store(state))
  const [source, writers] = [threads.source(), [threads.writer()]]
  let epochs = 0
  const execution = new Execution(
    { source, writers, store: checkpoints, commits, decisions: NO_DECISIONS, clock },
    { ...OPTIONS, ...options },
    {
      onEpoch: async (report) => {
        epochs++
        await onEpoch?.(report)
      },
      onProgress: () => undefined,
    },
  )
  return {
    execution,
    get epochs() {
      return epochs
    },
    shown: threads.shown,
    tell: (report) => threads.tell(report),
  }
}

test('an attempt of many epochs keeps nothing of those that are over', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const reports: WeakRef<EpochReport>[] = []
  let kept = Number.POSITIVE_INFINITY
  const { execution } = scene({
    onEpoch: async (report) => {
      reports.push(new WeakRef(report))
      if (report.epoch !== 200) return
      await sleep(20)
      collect()
      kept = reports.filter((reference) => reference.deref() !== undefined).length
      execution.stop()
    },
  })
  expect(await execution.run()).toBe('stopped')
  expect(reports.length).toBeGreaterThanOrEqual(200)
  expect(kept).toBeLessThan(20)
})

test('the very first checkpoint is taken as soon as the source is open', async () => {
  const running = scene({
    options: { intervalMs: 3_600_000 },
    onEpoch: async () => running.execution.stop(),
  })
  const end = running.execution.run()
  await sleep(5)
  expect(running.epochs).toBe(0)
  running.tell({ kind: 'opened', tables: [] })
  expect(await end).toBe('stopped')
  expect(running.epochs).toBe(2)
})

test('a stop does not wait for a source that does not answer', async () => {
  const waits: (() => void)[] = []
  const clock: Clock = {
    ...systemClock,
    // The interval of the epochs is 1 ms; whatever waits longer is a deadline.
    after: (ms, run) => {
      if (ms < 1000) return systemClock.after(ms, run)
      waits.push(run)
      return () => undefined
    },
  }
  const { execution } = scene({
    clock,
    answers: (epoch) => epoch < 5,
    onEpoch: async ({ epoch }) => {
      if (epoch === 4) execution.stop()
    },
  })
  const end = execution.run()
  while (waits.length === 0) await sleep(1)
  for (const run of waits.splice(0)) run()
  expect(await end).toBe('stopped')
})

test('what ends because it has read everything waits for its last epoch', async () => {
  const asked = Promise.withResolvers<void>()
  const running = scene({
    answers: (epoch) => {
      if (epoch === 5) asked.resolve()
      return epoch < 5
    },
    onEpoch: async ({ epoch }) => {
      if (epoch === 4) running.tell({ kind: 'finished' })
    },
  })
  const { execution } = running
  const end = execution.run()
  await asked.promise
  expect(await Promise.race([end, sleep(20, 'waits')])).toBe('waits')
  expect(running.epochs).toBe(4)
  execution.fail(new PipelineError('CONNECT_FAILED', 'enough'))
  await expect(end).rejects.toThrow('enough')
})

test('an attempt that fails ends only when its checkpoint is written', async () => {
  let written = false
  const { execution, tell } = scene({
    store: (state) => ({
      ...state,
      putIfAbsent: async (path, bytes) => {
        tell({ kind: 'failed', error: recordOf(new PipelineError('CONNECT_FAILED', 'gone')) })
        await sleep(50)
        const created = await state.putIfAbsent(path, bytes)
        written = path.endsWith('-b')
        return created
      },
    }),
  })
  await expect(execution.run()).rejects.toThrow('gone')
  expect(written).toBe(true)
})

/** @returns what the first barrier of a start shows, whose checkpoint says `shownAtMs` */
async function firstShown(shownAtMs: number | null): Promise<Shown | undefined> {
  const before = scene({ onEpoch: async () => before.execution.stop() })
  await before.execution.run()
  const checkpoint = before.execution.lastCheckpoint()
  const last = checkpoint && { ...checkpoint, ...(shownAtMs !== null && { shownAtMs }) }
  const onEpoch = async (): Promise<void> => next.execution.stop()
  const next = scene({ options: { last, maxFreshnessMs: 60_000 }, onEpoch })
  await next.execution.run()
  expect(next.shown.at(-1)).toBe('all')
  return next.shown[0]
}

test('rows are held back over a start for as long as they would have been without it', async () => {
  const nowMs = Date.now()
  expect(await firstShown(nowMs - 1000)).toEqual([])
  expect(await firstShown(nowMs - 61_000)).toBe('all')
  expect(await firstShown(null)).toBe('all')
  // The clock was set back.
  expect(await firstShown(nowMs + 3_600_000)).toBe('all')
})
