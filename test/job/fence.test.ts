// An instance that slept while another took over finds its world changed: whatever it stumbles
// over first, it says that it was replaced, for the repair that belongs to the error would be
// wrong.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { recordOf, PipelineError, type ErrorName } from '../../runtime/base/errors.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import type { SourceCommand, SourceReport, WriterReport } from '../../runtime/job/messages.ts'
import { checkpointOf } from '../checkpoint/checkpoints.ts'
import { runPipeline, type PipelineParts } from '../../runtime/job/run.ts'
import type { WorkerPort } from '../../runtime/job/worker-port.ts'
import type { Committer } from '../../runtime/sink.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

const checkpoint = (epoch: number, fence: string): Checkpoint => checkpointOf(epoch, { fence })

const idle: Committer<unknown> = {
  commit: async () => [],
  adopt: async () => null,
  sweep: async () => 0,
  close: async () => undefined,
}

function quiet<Command, Report>(
  onSend: (command: Command, report: (value: Report) => void) => void,
  first: Report | null = null,
): WorkerPort<Command, Report> {
  let report: (value: Report) => void = () => undefined
  return {
    send: (command) => onSend(command, (value) => report(value)),
    onReport: (listener) => {
      report = listener
      if (first !== null) queueMicrotask(() => listener(first))
    },
    terminate: async () => undefined,
  }
}

/** A pipeline whose source fails as soon as it starts, after `before` has happened. */
function parts(folder: string, error: ErrorName, before: () => Promise<void>): PipelineParts {
  return {
    name: 'shop',
    state: localStore(folder),
    lockPath: join(folder, 'lock.db'),
    parallelism: 1,
    intervalMs: 60_000,
    checkpointsKept: 3,
    task: {
      startup: 'initial',
      once: false,
      backfillParallelism: 1,
      chunkRows: 1,
      keyed: true,
      appends: false,
      firstFieldId: 1,
    },
    createCommitter: async () => idle,
    spawnSource: () =>
      quiet<SourceCommand, SourceReport>((command, report) => {
        if (command.kind !== 'start') return
        const failed = { kind: 'failed', error: recordOf(new PipelineError(error, 'it fails')) }
        void before().then(() => report(failed as SourceReport))
      }),
    spawnWriter: () => quiet<unknown, WriterReport>(() => undefined, { kind: 'ready' }),
    heldFiles: async () => [],
    onSnapshot: () => undefined,
    onNotice: () => undefined,
  }
}

async function endOf(error: ErrorName, replaced: boolean): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-fence-'))
  folders.push(folder)
  const store = new CheckpointStore(localStore(folder))
  await store.save(checkpoint(7, '000000000000001'))
  const before = async (): Promise<void> => {
    if (replaced) await store.save(checkpoint(8, '999999999999999'))
  }
  try {
    return await runPipeline(parts(folder, error, before), () => undefined)
  } catch (thrown) {
    return recordOf(thrown).error
  }
}

const errors: readonly ErrorName[] = ['LOG_GAP', 'SLOT_IN_USE', 'TIMELINE_AHEAD', 'STORAGE_FAILED']

for (const error of errors) {
  test(`an instance that was replaced ends as FENCED, though it met ${error}`, async () => {
    expect(await endOf(error, true)).toBe('FENCED')
  })

  test(`${error} stays what it is when nobody took over`, async () => {
    expect(await endOf(error, false)).toBe(error)
  })
}
