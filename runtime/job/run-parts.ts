// What a run of a pipeline is given by the composition root: threads, committer, state, and what
// the sink has a say in.

import type { Clock } from '../base/clock.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import type { SinkParts } from '../checkpoint/sink-parts.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Committer, WriterState } from '../sink.ts'
import type { AnnouncerParts } from './announcer.ts'
import type { SourceTaskOptions } from './messages.ts'
import type { SourceCommand, SourceReport, WriterCommand, WriterReport } from './messages.ts'
import type { RunSnapshot } from './run-state.ts'
import type { WorkerPort } from './worker-port.ts'

/** What a writer thread is started with. */
export interface WriterPlan {
  readonly index: number
  readonly count: number
  /** Of all writers of the checkpoint: their number may have been another. */
  readonly states: readonly WriterState[]
  readonly firstFileId: number
  /** Part of every file name of this attempt: no attempt meets the files of another. */
  readonly fileSuffix: string
}

export interface PipelineParts {
  readonly name: string
  /** Of the sink: how it keeps rows. A pipeline has one for life. */
  readonly mode: string
  /** Missing: there is one sink. */
  readonly parts?: SinkParts
  readonly state: ObjectStore
  /** Absolute path of the lock file. */
  readonly lockPath: string
  readonly parallelism: number
  readonly intervalMs: number
  /** Rows may be held back for so long, to make larger files of them; missing: they may not. */
  readonly maxFreshnessMs?: number
  /** 1 or more. */
  readonly checkpointsKept: number
  readonly task: SourceTaskOptions
  readonly clock?: Clock
  createCommitter(): Promise<Committer<unknown>>
  spawnSource(): WorkerPort<SourceCommand, SourceReport>
  spawnWriter(plan: WriterPlan): WorkerPort<WriterCommand, WriterReport>
  /**
   * Whether this pipeline file can go on from a checkpoint, as far as the sink is concerned.
   *
   * @throws PipelineError
   */
  requireContinuable?(checkpoint: Checkpoint): Promise<void>
  /**
   * Of a sink whose prepared epochs do not last: commits what the checkpoint has prepared, before
   * anything else is written. Then an epoch is committed before the next one ends, and the source
   * keeps what is not committed, so that the checkpoint before can be gone on from.
   *
   * @returns false: the epoch is lost
   * @throws PipelineError
   */
  settle?(checkpoint: Checkpoint, signal: AbortSignal): Promise<boolean>
  /** Files of the sink that the checkpoint needs and no lake table names yet. */
  heldFiles(checkpoint: Checkpoint): Promise<readonly string[]>
  /** Removes files that older checkpoints named and this one does not; no thread is running. */
  deleteLeftovers?(checkpoint: Checkpoint | null): Promise<void>
  /** `null`: no partitions are announced. */
  readonly announcements: AnnouncerParts | null
  onSnapshot(snapshot: RunSnapshot): void
  /** Something that an operator may want to read. */
  onNotice(level: 'info' | 'warn' | 'error', message: string, facts: object): void
}
