// One attempt at running a pipeline: threads started from the newest checkpoint, an epoch every
// interval, until it is told to stop, has finished, or something fails. It leaves nothing half
// done: whatever was not in a checkpoint is read again by the next attempt.

import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Clock } from '../base/clock.ts'
import { errorOf, PipelineError, type ErrorRecord } from '../base/errors.ts'
import { Coordinator } from '../checkpoint/coordinator.ts'
import type { EpochDecisions, EpochReport, SourceCut } from '../checkpoint/coordinator.ts'
import type { CommitQueue } from '../checkpoint/commit.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import type { SinkParts } from '../checkpoint/sink-parts.ts'
import type { CheckpointStore } from '../checkpoint/store.ts'
import type { Shown } from '../data/element.ts'
import type { PreparedEpoch } from '../sink.ts'
import type {
  Repair,
  Repairs,
  SourceCommand,
  SourceProgress,
  SourceReport,
  SourceTaskOptions,
  WriterCommand,
  WriterReport,
} from './messages.ts'
import type { WorkerPort } from './worker-port.ts'

export interface ExecutionParts {
  readonly source: WorkerPort<SourceCommand, SourceReport>
  /** In the order of their key ranges. */
  readonly writers: readonly WorkerPort<WriterCommand, WriterReport>[]
  readonly store: CheckpointStore
  readonly commits: CommitQueue
  readonly decisions: EpochDecisions
  readonly clock: Clock
}

export interface ExecutionOptions {
  readonly pipeline: string
  readonly timeline: number
  readonly fence: string
  readonly mode: string
  readonly commitsFirst?: boolean
  readonly parts?: SinkParts | undefined
  readonly last: Checkpoint | null
  readonly intervalMs: number
  /** Rows may be held back for so long; 0: they may not. */
  readonly maxFreshnessMs: number
  readonly repairs: Repairs
  readonly parked: readonly { readonly table: string; readonly reason: ErrorRecord }[]
  readonly task: SourceTaskOptions
}

export interface ExecutionEvents {
  onEpoch(report: EpochReport): Promise<void>
  onProgress(progress: SourceProgress): void
}

/** Why an attempt ended; errors are thrown. */
export type ExecutionEnd = 'finished' | 'stopped' | 'restart'

interface Wait<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

/** An instance that is told to stop has half a minute for its last epoch and the last commits. */
const LAST_EPOCH_MS = 10_000
/** A source that has not closed its connections by then is ended. */
const HANG_UP_MS = 2000

export class Execution {
  private readonly parts: ExecutionParts
  private readonly options: ExecutionOptions
  private readonly events: ExecutionEvents
  private readonly coordinator: Coordinator
  private failure: { readonly error: unknown } | null = null
  /** Whoever waits for something that a failure would keep from coming. */
  private readonly onFailure = new Set<(error: unknown) => void>()
  private readonly barriers = new Map<number, Wait<SourceCut>>()
  private readonly prepared = new Map<string, Wait<PreparedEpoch<unknown>>>()
  private readonly ready: Promise<unknown>
  private readonly sourceStopped = Promise.withResolvers<void>()
  private wake = Promise.withResolvers<void>()
  private ending: ExecutionEnd | null = null
  /** Of the last epoch that has shown all rows up to it, and there were some. */
  private shownAtMs: number

  constructor(parts: ExecutionParts, options: ExecutionOptions, events: ExecutionEvents) {
    this.parts = parts
    this.options = options
    this.events = events
    this.ready = this.listen()
    const { pipeline, timeline, fence, mode, commitsFirst = false, parts: sinks, last } = options
    const { store, commits, clock, decisions } = parts
    // A clock that was set back says nothing: all is shown then.
    const sinceMs = clock.nowMs() - (last?.shownAtMs ?? Number.NEGATIVE_INFINITY)
    this.shownAtMs = clock.elapsedMs() - (sinceMs < 0 ? Number.POSITIVE_INFINITY : sinceMs)
    this.coordinator = new Coordinator(
      {
        barrier: (epoch, shows) => this.sendBarrier(epoch, shows),
        acknowledge: (receipt) => parts.source.send({ kind: 'acknowledge', receipt }),
        park: (table, reason) => parts.source.send({ kind: 'park', table, reason }),
      },
      parts.writers.map((_, index) => ({
        prepared: (epoch: number) => this.waitFor(this.prepared, `${index}/${epoch}`),
      })),
      store,
      commits,
      { pipeline, timeline, fence, mode, commitsFirst, parts: sinks, last, clock, decisions },
    )
  }

  /** @throws PipelineError what made a thread, a checkpoint or a commit fail */
  async run(): Promise<ExecutionEnd> {
    try {
      await this.orFailure(this.ready)
      this.connect()
      while (this.ending === null) {
        await this.orFailure(this.pause(this.options.intervalMs))
        await this.epoch(this.shown())
      }
      await this.lastEpoch()
      await this.hangUp()
      return this.ending
    } finally {
      await this.close()
    }
  }

  /** Ends the attempt with a last checkpoint. */
  stop(): void {
    this.end('stopped')
  }

  /** Ends the attempt with a last checkpoint; the next one begins from it. */
  restart(): void {
    this.end('restart')
  }

  lastCheckpoint(): Checkpoint | null {
    return this.coordinator.last()
  }

  repair(repair: Repair): void {
    this.parts.source.send({ kind: 'repair', repair })
  }

  parkTable(table: string, reason: ErrorRecord): void {
    this.coordinator.parkTable(table, reason)
  }

  fail(error: unknown): void {
    this.failure ??= { error }
    for (const reject of this.onFailure) reject(error)
  }

  private async epoch(shows: Shown): Promise<void> {
    const report = await this.orFailure(this.coordinator.checkpoint(shows))
    if (shows === 'all' && report.commits) this.shownAtMs = this.parts.clock.elapsedMs()
    await this.events.onEpoch(report)
  }

  /**
   * Rows are held back between two epochs that show all of them, which may have been another start's:
   * one that crashes again and again makes no small file each time. After a time without rows the
   * first ones are shown at once. An attempt that ends shows all; a partition that waits to be
   * announced is shown, and the others wait on.
   */
  private shown(): Shown {
    const { intervalMs, maxFreshnessMs } = this.options
    const sinceMs = this.parts.clock.elapsedMs() - this.shownAtMs
    if (this.ending !== null || intervalMs >= maxFreshnessMs) return 'all'
    return sinceMs < maxFreshnessMs ? this.parts.decisions.waiting : 'all'
  }

  /**
   * Rows that came while the last epoch was under way; what ends here is read up to here. One that
   * is told to stop does not wait for a source that is down, or in a transaction of minutes: the
   * next start goes on at the checkpoint that is there.
   */
  private async lastEpoch(): Promise<void> {
    const epoch = this.epoch('all')
    if (this.ending === 'finished') return epoch
    const late = Promise.withResolvers<void>()
    const cancel = this.parts.clock.after(LAST_EPOCH_MS, () => late.resolve())
    epoch.catch(() => undefined)
    try {
      await Promise.race([epoch, late.promise])
    } finally {
      cancel()
    }
  }

  private end(reason: ExecutionEnd): void {
    this.ending ??= reason
    this.wake.resolve()
  }

  private async pause(ms: number): Promise<void> {
    const cancel = this.parts.clock.after(ms, () => this.wake.resolve())
    await this.wake.promise
    cancel()
    if (this.ending === null) this.wake = Promise.withResolvers<void>()
  }

  /**
   * Not a race with one promise of the whole attempt: that would keep what every epoch resolved
   * with, as long as the attempt runs.
   */
  private async orFailure<T>(promise: Promise<T>): Promise<T> {
    const { promise: first, resolve, reject } = Promise.withResolvers<T>()
    this.onFailure.add(reject)
    promise.then(resolve, reject)
    if (this.failure !== null) reject(this.failure.error)
    try {
      return await first
    } finally {
      this.onFailure.delete(reject)
    }
  }

  /** @returns a promise that resolves when all writers have loaded their state */
  private listen(): Promise<unknown> {
    this.parts.source.onReport((report) => this.takeSourceReport(report))
    const ready = this.parts.writers.map((writer, index) => {
      const started = Promise.withResolvers<void>()
      writer.onReport((report) => {
        if (report.kind === 'ready') started.resolve()
        else this.takeWriterReport(index, report)
      })
      return started.promise
    })
    return Promise.all(ready)
  }

  private connect(): void {
    const channels: MessagePort[] = []
    for (const writer of this.parts.writers) {
      const { port1, port2 } = new MessageChannel()
      channels.push(port1)
      writer.send({ kind: 'start', channel: port2 }, [port2])
    }
    const { last, repairs, parked, task } = this.options
    const checkpoint = last?.source ?? null
    this.parts.source.send(
      { kind: 'start', checkpoint, repairs, parked, channels, options: task },
      channels,
    )
  }

  private takeSourceReport(report: SourceReport): void {
    switch (report.kind) {
      case 'barrier':
        this.settle(this.barriers, report.epoch, report)
        break
      case 'progress':
        this.events.onProgress(report)
        break
      case 'finished':
        this.end('finished')
        break
      case 'failed':
        this.fail(errorOf(report.error))
        break
      case 'stopped':
        this.sourceStopped.resolve()
        break
      case 'opened':
        // What the source has chosen to begin with must not be chosen anew after a crash: tables
        // may have changed by then, and `latest` would be another place.
        if (this.options.last === null) this.wake.resolve()
        break
    }
  }

  private takeWriterReport(index: number, report: WriterReport): void {
    switch (report.kind) {
      case 'prepared':
        this.settle(this.prepared, `${index}/${report.prepared.epoch}`, report.prepared)
        break
      case 'failed':
        this.fail(errorOf(report.error))
        break
      case 'ready':
      case 'stopped':
        break
    }
  }

  private sendBarrier(epoch: number, shows: Shown): Promise<SourceCut> {
    const wait = this.waitFor(this.barriers, epoch)
    this.parts.source.send({ kind: 'barrier', epoch, shows })
    return wait
  }

  /** A report may come before somebody waits for it, so either side makes the entry. */
  private waitFor<K, T>(waits: Map<K, Wait<T>>, key: K): Promise<T> {
    return this.entry(waits, key).promise.finally(() => waits.delete(key))
  }

  private settle<K, T>(waits: Map<K, Wait<T>>, key: K, value: T): void {
    this.entry(waits, key).resolve(value)
  }

  private entry<K, T>(waits: Map<K, Wait<T>>, key: K): Wait<T> {
    const known = waits.get(key)
    if (known !== undefined) return known
    const wait = Promise.withResolvers<T>()
    waits.set(key, wait)
    return wait
  }

  /**
   * Lets the source tell its server what it may forget, and close its connections: a thread that is
   * ended at once leaves both to time-outs of the server.
   */
  private async hangUp(): Promise<void> {
    const { source, clock } = this.parts
    const late = Promise.withResolvers<void>()
    const cancel = clock.after(HANG_UP_MS, () => late.resolve())
    source.send({ kind: 'stop' })
    await Promise.race([this.sourceStopped.promise, late.promise])
    cancel()
  }

  /** A checkpoint that is being written is waited for: the next attempt must not meet it. */
  private async close(): Promise<void> {
    const { source, writers } = this.parts
    await Promise.all([source.terminate(), ...writers.map((writer) => writer.terminate())])
    await this.coordinator.settled()
  }
}

/** True for errors after which a new attempt from the checkpoint may succeed by itself. */
export function mayRetry(error: unknown): error is PipelineError {
  return error instanceof PipelineError && error.spec.action === 'retry'
}
