// A pipeline whose source fails as soon as it starts, with threads of paper.

import { join } from 'node:path'
import { localStore } from '../../connectors/storage/local.ts'
import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import { recordOf, PipelineError, type ErrorName } from '../../runtime/base/errors.ts'
import type { SourceCommand, SourceReport, WriterReport } from '../../runtime/job/messages.ts'
import type { PipelineParts } from '../../runtime/job/run.ts'
import type { WorkerPort } from '../../runtime/job/worker-port.ts'
import { idleCommitter, PLAYED_TASK } from './played-parts.ts'

/** Nobody waits for seconds here. */
const clock: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(Math.min(ms, 50), task),
  sleep: async (ms, signal) => systemClock.sleep(Math.min(ms, 5), signal),
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

type Report = (report: SourceReport) => void

/** @param before  happens each time before the source fails, and may say something for it */
export function failingParts(
  folder: string,
  error: ErrorName,
  before: (report: Report) => Promise<void>,
): PipelineParts {
  return {
    name: 'shop',
    mode: 'upsert',
    state: localStore(folder),
    lockPath: join(folder, 'lock.db'),
    parallelism: 1,
    intervalMs: 60_000,
    checkpointsKept: 3,
    clock,
    task: PLAYED_TASK,
    createCommitter: async () => idleCommitter,
    spawnSource: () =>
      quiet<SourceCommand, SourceReport>((command, report) => {
        if (command.kind !== 'start') return
        const failed = { kind: 'failed', error: recordOf(new PipelineError(error, 'it fails')) }
        void before(report).then(() => report(failed as SourceReport))
      }),
    spawnWriter: () => quiet<unknown, WriterReport>(() => undefined, { kind: 'ready' }),
    heldFiles: async () => [],
    announcements: null,
    onSnapshot: () => undefined,
    onNotice: () => undefined,
  }
}
