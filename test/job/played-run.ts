// A run whose source and writer are played: they answer barriers, and a test steps in where it
// wants something else to happen.

import { join } from 'node:path'
import { localStore } from '../../connectors/storage/local.ts'
import { systemClock, type Clock } from '../../runtime/base/clock.ts'
import { recordOf } from '../../runtime/base/errors.ts'
import type { SourceCommand, SourceReport, WriterReport } from '../../runtime/job/messages.ts'
import { runPipeline, type PipelineControl, type WriterPlan } from '../../runtime/job/run.ts'
import type { Committer } from '../../runtime/sink.ts'
import { checkpointOf } from '../checkpoint/checkpoints.ts'
import { idleCommitter, PLAYED_TASK } from './played-parts.ts'

export interface Play {
  /** Of the sink. */
  readonly mode?: string
  readonly folder: string
  readonly clock?: Clock
  readonly intervalMs?: number
  readonly committer?: Partial<Committer<unknown>>
  onPlan?(plan: WriterPlan): void
  onNotice?(level: string, message: string): void
  /**
   * Sees each command to the source before it is answered.
   *
   * @returns a report that is sent instead of the answer
   */
  onCommand?(command: SourceCommand, control: PipelineControl): SourceReport | undefined
}

/** Source and writer of one run; the writer is told of barriers by the source. */
class Threads {
  tell: (report: SourceReport) => void = () => undefined
  tellWriter: (report: WriterReport) => void = () => undefined

  answer(command: SourceCommand): void {
    if (command.kind === 'stop') this.tell({ kind: 'stopped' })
    if (command.kind !== 'barrier') return
    const { epoch } = command
    const { source: checkpoint } = checkpointOf(epoch)
    this.tell({ kind: 'barrier', epoch, checkpoint, schemas: [], counts: [], refused: [] })
    const state = { data: null, files: [], nextFileId: 1 }
    const prepared = { epoch, committables: [], state, counts: [], parked: [] }
    this.tellWriter({ kind: 'prepared', prepared })
  }
}

/** @returns how it ended: the name of its error, if it was one */
export async function playRun(play: Play): Promise<string> {
  const { folder, clock = systemClock, intervalMs = 60_000, committer } = play
  const threads = new Threads()
  let control: PipelineControl = { stop: () => undefined }
  const parts = {
    name: 'shop',
    mode: play.mode ?? 'upsert',
    state: localStore(folder),
    lockPath: join(folder, 'lock.db'),
    parallelism: 1,
    intervalMs,
    checkpointsKept: 3,
    task: PLAYED_TASK,
    clock,
    createCommitter: async () => ({ ...idleCommitter, ...committer }),
    spawnSource: () => ({
      send: (command: SourceCommand) => {
        const report = play.onCommand?.(command, control)
        if (report === undefined) threads.answer(command)
        else threads.tell(report)
      },
      onReport: (listener: typeof threads.tell) => (threads.tell = listener),
      terminate: async () => undefined,
    }),
    spawnWriter: (plan: WriterPlan) => {
      play.onPlan?.(plan)
      return {
        send: () => undefined,
        onReport: (listener: typeof threads.tellWriter) => {
          threads.tellWriter = listener
          queueMicrotask(() => listener({ kind: 'ready' }))
        },
        terminate: async () => undefined,
      }
    },
    heldFiles: async () => [],
    announcements: null,
    onSnapshot: () => undefined,
    onNotice: (level: string, message: string) => play.onNotice?.(level, message),
  }
  try {
    return await runPipeline(parts, (given) => (control = given))
  } catch (error) {
    return recordOf(error).error
  }
}
