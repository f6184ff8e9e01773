// What the commands need of the pipeline and the connectors. The commands know this interface only,
// so they can be tested without a server, and no connector is loaded that a command does not use.

import type { ErrorRecord } from '../base/errors.ts'
import type { Log, LogLevel } from '../base/log.ts'
import type { PipelineSnapshot } from '../console/status.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Removal, SourceInspector } from '../source.ts'
import type { LetterTable } from './letter-reading.ts'
import type { PipelinePlan } from './planning.ts'
import type { SampleWish, Sampling } from './sampling.ts'

export interface RunOptions {
  /** Read up to the log end of the start, commit, and end. */
  readonly once: boolean
  /** Aborts: take a last checkpoint, commit, and end. */
  readonly stop: AbortSignal
  readonly log: Log
  /** For the lines that threads of the pipeline write themselves. */
  readonly logLevel: LogLevel
  /** Called twice a second and at the end, under the instance lock. */
  readonly onSnapshot: (snapshot: PipelineSnapshot) => void
}

/** finished: `once` has read all there was · stopped: as the signal asked. */
export type ExitReason = 'finished' | 'stopped'

/**
 * What brings a lake that differs to its source. run: the log has moved on, and nobody reads it;
 * only what still differs afterwards is lost. wait: a pipeline runs, but has not got there. resync:
 * nothing else will. history: it was never to have rows from before the first start.
 */
export type Repair = 'run' | 'wait' | 'resync' | 'history'

/** One table of `verify`. */
export interface TableVerdict {
  readonly table: string
  /** False also for a table that could not be compared: `reason` says why. */
  readonly equal: boolean
  /** Of the last reading; beside writers the two may differ although no row does. */
  readonly sourceRows: number
  readonly lakeRows: number
  /** Rows that differ for good, or columns that do. */
  readonly differences: number
  /** Rows that were different ones in each round: they change faster than both sides are read. */
  readonly undecided: number
  /** Keys (as JSON) of some rows that differ, with what is wrong with them. */
  readonly examples: readonly string[]
  /** End of the log when the source was read last. */
  readonly verifiedThrough: string | null
  /** What one must know to judge the verdict: that the lake is behind. */
  readonly note: string | null
  /** `null`: nothing differs, or `reason` says what to do. */
  readonly repair: Repair | null
  /** Why the table could not be compared, such as TABLE_PARKED. */
  readonly reason: ErrorRecord | null
}

/**
 * Compares tables of the source with the lake, row by row; `null`: all of them.
 *
 * @param notice  called with a sentence about what is being waited for
 */
export type Verify = (
  config: PipelineConfig,
  tables: readonly string[] | null,
  notice: (text: string) => void,
) => Promise<readonly TableVerdict[]>

/**
 * selected: the tables and columns of the pipeline. included: all that `source.tables` matches, with
 * what the excludes leave out. all: every table of the server.
 */
export type InspectorScope = 'selected' | 'included' | 'all'

export interface DropOptions {
  readonly keepLake: boolean
  /** Called with a sentence about what is being waited for. */
  readonly notice: (text: string) => void
}

export interface Wiring {
  /** @throws PipelineError what ended the pipeline for good */
  run(config: PipelineConfig, options: RunOptions): Promise<ExitReason>
  /** `null`: this build has no verification, and the command line no such verb. */
  readonly verify: Verify | null
  /** Asks the pipeline, running or not, to read tables again; `null`: all of them. */
  resync(config: PipelineConfig, tables: readonly string[] | null): Promise<void>
  /**
   * Removes what the pipeline has made: on the source, in the state store, and, unless told to
   * keep them, its lake tables. Takes the instance lock first.
   *
   * @returns what was removed, and what had to stay
   */
  drop(config: PipelineConfig, options: DropOptions): Promise<readonly Removal[]>
  /** Puts rows of the source through what a run puts them through; writes nothing. */
  sample(config: PipelineConfig, wish: SampleWish): Promise<Sampling>
  /** The dead letters in the lake; writes nothing. */
  letters(config: PipelineConfig): Promise<LetterTable>
  /** What the next run would do otherwise than the last one; writes nothing. */
  plan(config: PipelineConfig): Promise<PipelinePlan>
  inspect(config: PipelineConfig, scope: InspectorScope): Promise<SourceInspector>
  openState(config: PipelineConfig): Promise<ObjectStore>
  /** True while a process holds the instance lock. */
  isRunning(config: PipelineConfig): Promise<boolean>
}
