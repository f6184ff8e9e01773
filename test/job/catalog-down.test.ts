// A catalog that is down when the pipeline starts delays what is visible, and nothing else.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import { PendingIntent } from '../../runtime/checkpoint/pending-intent.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { LateCommitter } from '../../runtime/job/late-committer.ts'
import type { SourceCommand, SourceReport, WriterReport } from '../../runtime/job/messages.ts'
import { runPipeline, type PipelineControl, type PipelineParts } from '../../runtime/job/run.ts'
import type { Committer } from '../../runtime/sink.ts'
import { checkpointOf } from '../checkpoint/checkpoints.ts'
import { PLAYED_TASK } from './played-parts.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

const EPOCH_1 = checkpointOf(1)

function catalog(sweeps: string[]): Committer<unknown> {
  return {
    commit: async () => [],
    adopt: async () => null,
    changeProperties: async () => false,
    sweep: async () => sweeps.push('sweep'),
    close: async () => undefined,
  }
}

/** Nobody waits for seconds here. */
const clock: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(Math.min(ms, 50), task),
  sleep: async (ms, signal) => systemClock.sleep(Math.min(ms, 50), signal),
}

interface Scene {
  folder: string
  /** Throws while the catalog is down. */
  open: () => Promise<Committer<unknown>>
  onStart: (control: PipelineControl) => void
  /** The source has reached its end at once. */
  once?: boolean
}

/** A run whose source does nothing but say that it has started. */
async function run({ folder, open, onStart, once = false }: Scene): Promise<string> {
  let control: PipelineControl | null = null
  let tell: (report: SourceReport) => void = () => undefined
  let tellWriter: (report: WriterReport) => void = () => undefined
  const source = (command: SourceCommand): void => {
    if (command.kind === 'start' && control !== null) onStart(control)
    if (command.kind === 'start' && once) tell({ kind: 'finished' })
    if (command.kind === 'stop') tell({ kind: 'stopped' })
    if (command.kind !== 'barrier') return
    const { epoch } = command
    // The log always goes on, so that each epoch is news.
    const position = { split: 'log', order: BigInt(epoch), token: '' }
    const checkpoint = { position, sourceTimeUs: 0n, state: '', tables: [] }
    tell({ kind: 'barrier', epoch, checkpoint, schemas: [], counts: [], refused: [] })
    const state = { data: null, files: [], nextFileId: 1 }
    const prepared = { epoch, committables: [], state, counts: [], parked: [] }
    tellWriter({ kind: 'prepared', prepared })
  }
  const parts: PipelineParts = {
    name: 'shop',
    mode: 'upsert',
    state: localStore(folder),
    lockPath: join(folder, 'lock.db'),
    parallelism: 1,
    intervalMs: 60_000,
    checkpointsKept: 3,
    clock,
    task: { ...PLAYED_TASK, once },
    createCommitter: open,
    spawnSource: () => ({
      send: source,
      onReport: (listener) => (tell = listener),
      terminate: async () => undefined,
    }),
    spawnWriter: () => ({
      send: () => undefined,
      onReport: (listener) => {
        tellWriter = listener
        queueMicrotask(() => listener({ kind: 'ready' }))
      },
      terminate: async () => undefined,
    }),
    heldFiles: async () => [],
    announcements: null,
    onSnapshot: () => undefined,
    onNotice: () => undefined,
  }
  try {
    return await runPipeline(parts, (given) => (control = given))
  } catch (error) {
    return recordOf(error).error
  }
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-catalog-down-'))
  folders.push(folder)
  return folder
}

async function down(): Promise<never> {
  throw new PipelineError('CATALOG_UNAVAILABLE', 'the catalog is down')
}

test('a pipeline that has run before reads while its catalog is down', async () => {
  const folder = newFolder()
  await new CheckpointStore(localStore(folder)).save(EPOCH_1)
  let started = 0
  const end = await run({
    folder,
    open: down,
    onStart: (control) => {
      started++
      control.stop()
    },
  })
  expect({ end, started }).toEqual({ end: 'stopped', started: 1 })
})

test('a run --once whose catalog stays down ends, though each attempt reads on', async () => {
  const folder = newFolder()
  const { pipeline, timeline, epoch, fence, source } = EPOCH_1
  const pending = { pipeline, timeline, epoch, fence, ...source, tables: [] }
  const intents = [PendingIntent.of(pending)]
  await new CheckpointStore(localStore(folder)).save({ ...EPOCH_1, intents })
  let started = 0
  const end = await run({
    folder,
    open: down,
    once: true,
    onStart: (control) => {
      if (++started === 20) control.stop()
    },
  })
  expect({ end, started }).toEqual({ end: 'CATALOG_UNAVAILABLE', started: 6 })
})

test('at the very first start a catalog that is down is an error', async () => {
  const open = down
  const end = await run({ folder: newFolder(), open, onStart: (control) => control.stop() })
  expect(end).toBe('CATALOG_UNAVAILABLE')
})

test('a catalog that could not be opened is tried again by the next call', async () => {
  const sweeps: string[] = []
  const answers = [down, async () => catalog(sweeps)]
  const committer = new LateCommitter(async () => (answers.shift() ?? down)())
  await expect(committer.adopt('t', { timeline: 1, epoch: 1, fence: '1' })).rejects.toThrow('down')
  expect(await committer.adopt('t', { timeline: 1, epoch: 1, fence: '1' })).toBeNull()
  await committer.close()
})

test('files that a crash left are swept by the first start that can, and by one only', async () => {
  const folder = newFolder()
  const state = localStore(folder)
  const store = new CheckpointStore(state)
  const sweeps: string[] = []
  const up = async (): Promise<Committer<unknown>> => catalog(sweeps)
  const stop = (control: PipelineControl): void => control.stop()
  const { pipeline, timeline, epoch, fence, source } = EPOCH_1
  const pending = { pipeline, timeline, epoch, fence, ...source, tables: [] }
  // A crash, then a start that cannot commit, and ends well.
  await store.save({ ...EPOCH_1, epoch: 2, intents: [PendingIntent.of(pending)] })
  expect(await run({ folder, open: down, onStart: stop })).toBe('stopped')
  expect(sweeps).toEqual([])
  expect(await run({ folder, open: up, onStart: stop })).toBe('stopped')
  expect(sweeps).toEqual(['sweep'])
  expect(await run({ folder, open: up, onStart: stop })).toBe('stopped')
  expect(sweeps).toEqual(['sweep'])
})
