// A pipeline from its lock to its exit: takes the newest checkpoint, finishes its commits, and runs
// attempts until one is told to stop, finishes, or fails for good. Knows no connector: the
// composition root gives it the threads and the committer.

import { shownTable } from '../data/schema.ts'
import { randomUuid, systemClock, type Clock } from '../base/clock.ts'
import { errorCodes } from '../base/error-codes.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import { CommitQueue } from '../checkpoint/commit.ts'
import { NO_DECISIONS, type EpochReport } from '../checkpoint/coordinator.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import { SinkTables } from '../checkpoint/sink-parts.ts'
import { CheckpointStore } from '../checkpoint/store.ts'
import type { Committer, TableClaim } from '../sink.ts'
import { announcementEvents, Announcer } from './announcer.ts'
import type { ReadySnapshot } from './announcer.ts'
import { Crashes, isCatalogDown, isConnectionLost, isCrash } from './crashes.ts'
import { Execution, mayRetry, type ExecutionEnd } from './execution.ts'
import { StateGarbage } from './garbage.ts'
import { LateCommitter } from './late-committer.ts'
import { acquireLock } from './lock.ts'
import { LogNotices } from './log-watch.ts'
import type { Repairs } from './messages.ts'
import { requireSameMode } from './mode-change.ts'
import { requireSameSinks } from './sink-change.ts'
import { RepairRequests } from './repairs.ts'
import type { PipelineParts, WriterPlan } from './run-parts.ts'
import { RunState } from './run-state.ts'
import { wholeCheckpoint } from './whole-checkpoint.ts'

const BACKOFF_MS_MIN = 200
const BACKOFF_MS_MAX = 10_000
const COMMITS_AT_START_MS = 5000
const COMMITS_AT_END_MS = 15_000
/** Who does not take a message until then is told by the next start. */
const ANNOUNCE_AT_END_MS = 10_000
/** Is there while no process runs that could have left files behind. */
const CLEAN_END = 'clean-end'
const REQUESTS_MS = 1000
const SNAPSHOT_MS = 500
/** `once` is called by a scheduler, which has its own retries. */
const ONCE_ATTEMPTS_MAX = 5

/** Of a checkpoint: which it is, and whose. */
type Written = Pick<Checkpoint, 'epoch' | 'fence'>

export type { PipelineParts, WriterPlan } from './run-parts.ts'

export interface PipelineControl {
  /** Last checkpoint, last commit, then the run resolves. */
  stop(): void
}

/** @throws PipelineError what ended the pipeline for good; the state is consistent then */
export async function runPipeline(
  parts: PipelineParts,
  onControl: (control: PipelineControl) => void,
): Promise<ExecutionEnd> {
  const clock = parts.clock ?? systemClock
  const lock = await acquireLock(parts.lockPath, clock)
  try {
    return await new PipelineRun(parts, clock, lock.fence, onControl).run()
  } finally {
    lock.release()
  }
}

class PipelineRun {
  private readonly parts: PipelineParts
  private readonly clock: Clock
  private readonly fence: string
  private readonly store: CheckpointStore
  private readonly garbage: StateGarbage
  private readonly state: RunState
  private readonly stopping = new AbortController()
  private execution: Execution | null = null
  private commits: CommitQueue | null = null
  private announcer: Announcer | null = null
  private readonly requests: RepairRequests
  /** Tables that are parked, as of the last epoch. */
  private readonly parked = new Map<string, ErrorRecord>()
  private polling = false
  private readonly logNotices: LogNotices
  private readonly crashes: Crashes
  /** Of the last attempt. */
  private fileSuffix = ''
  /** What there was at the start, or what was gone back to. */
  private first: Written | null = null

  constructor(
    parts: PipelineParts,
    clock: Clock,
    fence: string,
    onControl: (control: PipelineControl) => void,
  ) {
    this.parts = parts
    this.clock = clock
    this.fence = fence
    this.store = new CheckpointStore(parts.state, parts.checkpointsKept, (error) =>
      parts.onNotice('warn', 'one copy of a checkpoint is bad, the other is used', error),
    )
    this.garbage = new StateGarbage(parts.state, this.store)
    this.requests = new RepairRequests(parts.state)
    this.crashes = new Crashes(clock)
    this.logNotices = new LogNotices((...notice) => parts.onNotice(...notice))
    this.state = new RunState(clock.nowMs())
    onControl({ stop: () => this.stop() })
  }

  async run(): Promise<ExecutionEnd> {
    const timer = this.clock.every(SNAPSHOT_MS, () => this.publish())
    const requests = this.clock.every(REQUESTS_MS, () => void this.pollRequests())
    try {
      const end = await this.attempts()
      this.state.phase = 'stopped'
      return end
    } catch (error) {
      this.state.phase = 'failed'
      this.state.error = recordOf(error)
      throw error
    } finally {
      timer()
      requests()
      this.publish()
    }
  }

  private stop(): void {
    this.state.phase = 'stopping'
    this.stopping.abort()
    this.execution?.stop()
  }

  private async attempts(): Promise<ExecutionEnd> {
    let last = await this.load()
    this.first = await this.store.peekNewest()
    await this.garbage.sweep()
    for (let failures = 0; ; last = await this.load()) {
      const before = await this.store.peekNewest()
      this.requireOurs(before)
      try {
        const end = await this.attempt(last)
        if (end !== 'restart') return end
        failures = 0
      } catch (error) {
        const newest = await this.store.peekNewest()
        // Whatever it met (a slot that is ahead, a marker that it does not know), another instance
        // made it so: a repair would be wrong advice.
        this.requireOurs(newest, error)
        // To read on is no progress where the catalog is what fails: `once` would never end.
        const progressed = newest?.epoch !== before?.epoch && !isCatalogDown(error)
        failures = progressed ? 1 : failures + 1
        // What a new attempt would mend, the next start mends as well.
        if (this.stopping.signal.aborted && mayRetry(error)) return this.stoppedBy(error)
        if (this.stopping.signal.aborted || !this.shouldRetry(error, failures)) throw error
        // What stays is found by the next start.
        await this.garbage.sweepAttempt(this.fileSuffix).catch(() => undefined)
        await this.backOff(error, failures)
        if (this.stopping.signal.aborted) return 'stopped'
      }
    }
  }

  /**
   * @returns what the next attempt begins with. Where all tables are read again, damage that made
   *          somebody ask for it must not be in the way
   */
  private async load(): Promise<Checkpoint | null> {
    const all = await this.requests.wantsAll()
    const last = all ? await this.store.loadForResync() : await this.store.loadNewest()
    requireSameMode(last, this.parts.mode)
    requireSameSinks(last, this.parts.parts?.sinks)
    if (last !== null) await this.parts.requireContinuable?.(last)
    return last
  }

  /**
   * During or between two attempts another instance may have taken over (this one was stopped for
   * so long that its lock was thought dead): its checkpoints are newer than ours, and of another
   * fence.
   */
  private requireOurs(newest: Written | null, cause?: unknown): void {
    const { first, fence } = this
    if (newest === null || newest.epoch === first?.epoch || newest.fence === fence) return
    const message = `checkpoint ${newest.epoch} was written by another instance`
    throw new PipelineError('FENCED', message, { cause })
  }

  private shouldRetry(error: unknown, failures: number): boolean {
    if (isCrash(error)) {
      if (!this.crashes.mayGoOn()) return false
    } else {
      if (!mayRetry(error)) return false
      const { retriesMax } = error.spec
      // An error that ends by itself after some tries says nothing of the configuration.
      if (retriesMax !== undefined) return failures <= retriesMax
    }
    // Nobody waits for a server whose address is wrong: before the first epoch it is an error. One
    // that has been there goes away for a while, and epochs may be an hour apart.
    const isGone = isConnectionLost(error) && this.state.hasMetSource
    const isFirst = this.state.snapshot([], 0).checkpoints === 0 && this.state.attempt <= 1
    if (isFirst && !isGone) return false
    return !this.parts.task.once || failures <= ONCE_ATTEMPTS_MAX
  }

  private stoppedBy(error: PipelineError): ExecutionEnd {
    this.parts.onNotice('warn', 'stopped at the last checkpoint', recordOf(error))
    return 'stopped'
  }

  private async backOff(error: unknown, failures: number): Promise<void> {
    const ms = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures, 8))
    const record = recordOf(error)
    this.state.phase = 'retrying'
    this.state.error = record
    const level = isCrash(error) ? 'error' : 'warn'
    const facts = { ...this.logNotices.failed(record, this.clock.nowMs()), ...record, waitMs: ms }
    this.parts.onNotice(level, 'retrying from the last checkpoint', facts)
    await this.clock.sleep(ms, this.stopping.signal).catch(() => undefined)
  }

  private async attempt(newest: Checkpoint | null): Promise<ExecutionEnd> {
    this.state.attempt++
    const last = await this.settle(newest)
    const committer = new LateCommitter(async () => this.parts.createCommitter())
    const commits = this.openCommits(committer, last)
    try {
      this.announcer = await this.openAnnouncer(commits, last)
      // At the very first start nothing piles up at the source yet, and its owner is watching.
      if (last === null) await committer.open()
      const repairs = await this.requests.takeAtStart(last, commits, this.claim(last))
      // A catalog that is down must not keep us from reading; the log would pile up at the source.
      const committed = await this.finishCommits(commits, COMMITS_AT_START_MS)
      const swept = await this.sweep(committed ? last : null, committer)
      const execution = this.openExecution(commits, last, repairs)
      this.execution = execution
      // An attempt that follows a failure has to hear from its source first.
      if (this.state.phase === 'starting') this.state.phase = 'running'
      if (this.stopping.signal.aborted) execution.stop()
      const end = await execution.run()
      const done = await this.finishCommits(commits, COMMITS_AT_END_MS)
      // An epoch that may be lost is read again from the checkpoint before, which names them.
      if (done || this.parts.settle === undefined) {
        await this.parts.deleteLeftovers?.(execution.lastCheckpoint())
      }
      if (!done && end === 'finished') {
        throw new PipelineError('CATALOG_UNAVAILABLE', 'the last epochs are not committed', {
          detail: 'They are durable in the state folder; the next start commits them first.',
        })
      }
      await this.announcer?.drain(ANNOUNCE_AT_END_MS)
      if (swept) await this.parts.state.put(CLEAN_END, new Uint8Array(0))
      if (end === 'finished') this.refuseParked()
      return end
    } finally {
      this.execution = null
      await this.announcer?.stop()
      await commits.stop()
      await committer.close()
    }
  }

  private async settle(newest: Checkpoint | null): Promise<Checkpoint | null> {
    const { parts, store } = this
    if (newest === null || parts.settle === undefined) return newest
    const isWhole = parts.settle.bind(parts)
    const base = await wholeCheckpoint(newest, store, isWhole, this.stopping.signal, (epoch) => {
      parts.onNotice('warn', `epoch ${epoch} was not committed and is read again`, { epoch })
    })
    // What was gone back to is not another instance's.
    if (base !== newest) this.first = base
    return base
  }

  /**
   * Files that a crash left are looked for after a crash only: it takes reading all manifests.
   *
   * @param last  `null`: it cannot be told now which files are needed, so a later start looks
   * @returns true when no crash has left files
   */
  private async sweep(last: Checkpoint | null, committer: Committer<unknown>): Promise<boolean> {
    const { state } = this.parts
    const clean = await state.exists(CLEAN_END)
    await state.delete(CLEAN_END)
    if (clean || last === null) return clean
    const tables = last.source.tables.map(({ schema }) => schema.table)
    try {
      await committer.sweep(tables, new Set(await this.parts.heldFiles(last)))
      return true
    } catch (error) {
      if (!mayRetry(error)) throw error
      this.parts.onNotice('warn', 'files of a crash are looked for later', recordOf(error))
      return false
    }
  }

  /** @returns true when nothing is pending; throws what cannot be committed for good */
  private async finishCommits(commits: CommitQueue, ms: number): Promise<boolean> {
    const done = await commits.drain(ms)
    if (this.fatal !== null) throw this.fatal
    return done
  }

  private fatal: Error | null = null

  private openCommits(committer: Committer<unknown>, last: Checkpoint | null): CommitQueue {
    this.fatal = null
    const content = last ?? { intents: [], lake: [] }
    const commits = new CommitQueue(committer, content, this.clock, {
      onRetry: (error) => {
        this.state.addCommitRetry(error)
        this.parts.onNotice('warn', 'the commit failed and is tried again', error)
      },
      onCommitted: (epoch, tables, durationMs) => {
        this.state.addCommit(epoch, durationMs, this.clock.nowMs())
        this.parts.onNotice('info', 'committed', { epoch, tables: tables.length, durationMs })
        this.announcer?.committed(epoch, tables)
      },
      onCancelled: (table, from) => this.announcer?.cancelled(table, from),
      onDiverged: (table, reason) => this.diverged(table, reason),
      onFatal: (error) => {
        this.fatal = error instanceof Error ? error : new Error(String(error))
        this.execution?.fail(error)
      },
    })
    this.commits = commits
    return commits
  }

  private async openAnnouncer(
    commits: CommitQueue,
    last: Checkpoint | null,
  ): Promise<Announcer | null> {
    const { name, state, announcements } = this.parts
    if (announcements === null) return null
    const events = announcementEvents(this.state, (...notice) => this.parts.onNotice(...notice))
    const context = { pipeline: name, state, clock: this.clock, commits, ...events }
    return Announcer.open(announcements, context, last)
  }

  /** Tables that diverge before the threads run are parked as soon as they do. */
  private readonly divergedEarly = new Map<string, ErrorRecord>()

  private diverged(table: string, reason: ErrorRecord): void {
    // No epoch may follow that says so: `once` ends with the commits of its last one.
    this.announceTrouble(table, reason)
    this.state.parkTable(table, reason)
    if (this.execution === null) this.divergedEarly.set(table, reason)
    else this.execution.parkTable(table, reason)
  }

  private openExecution(
    commits: CommitQueue,
    last: Checkpoint | null,
    repairs: Repairs,
  ): Execution {
    const { parts, clock, store, fence } = this
    const parked = [...this.divergedEarly].map(([table, reason]) => ({ table, reason }))
    this.divergedEarly.clear()
    const source = parts.spawnSource()
    const plans = this.writerPlans(last)
    const execution = new Execution(
      {
        source,
        writers: plans.map((plan) => parts.spawnWriter(plan)),
        store,
        commits,
        decisions: this.announcer ?? NO_DECISIONS,
        clock,
      },
      {
        pipeline: parts.name,
        timeline: last?.timeline ?? 1,
        fence,
        mode: parts.mode,
        commitsFirst: parts.settle !== undefined,
        parts: parts.parts,
        last,
        intervalMs: parts.intervalMs,
        maxFreshnessMs: parts.maxFreshnessMs ?? 0,
        repairs,
        parked,
        task: parts.task,
      },
      {
        onEpoch: async (report) => {
          this.state.addEpoch(report, clock.nowMs())
          this.announceParked(report)
          if (report.bytes === 0) return
          const checkpoint = execution.lastCheckpoint()
          if (checkpoint !== null) await this.garbage.collect(checkpoint)
          await this.requests.afterCheckpoint()
        },
        onProgress: (progress) => {
          // What a thread that has been ended still said is of the past.
          if (this.execution !== execution) return
          this.state.addProgress(progress)
          this.logNotices.heard(progress.log, clock.nowMs())
        },
      },
    )
    for (const { table, reason } of parked) execution.parkTable(table, reason)
    return execution
  }

  private writerPlans(last: Checkpoint | null): WriterPlan[] {
    const { parallelism } = this.parts
    this.fileSuffix = randomUuid().replaceAll('-', '').slice(0, 16)
    const { fileSuffix } = this
    return Array.from({ length: parallelism }, (_, index) => ({
      index,
      count: parallelism,
      states: last?.writers ?? [],
      firstFileId: (last?.nextFileId ?? 1) + index,
      fileSuffix,
    }))
  }

  /** A table that takes no more rows is said once, and again when it is parked anew. */
  private announceParked({ source, refused }: EpochReport): void {
    const now = new Map(refused.map(({ table, reason }) => [table, reason]))
    for (const { schema, phase, reason, united } of source.tables) {
      if (united !== undefined) continue
      if (phase === 'parked' && reason !== null) now.set(shownTable(schema.table), reason)
    }
    for (const table of this.parked.keys()) if (!now.has(table)) this.parked.delete(table)
    for (const [table, reason] of now) this.announceTrouble(table, reason)
  }

  private announceTrouble(name: string, reason: ErrorRecord): void {
    const table = shownTable(name)
    if (this.parked.has(table)) return
    this.parked.set(table, reason)
    const { code } = errorCodes[reason.error]
    this.parts.onNotice('error', `table "${table}" is parked`, { table, code, ...reason })
  }

  /** `once` ends well only if every table is in the lake: a scheduler sees nothing but the code. */
  private refuseParked(): void {
    if (!this.parts.task.once || this.parked.size === 0) return
    const names = [...this.parked.keys()]
    const reasons = [...this.parked].map(([table, { error, message, hint }]) => {
      const command = hint.replaceAll('--table TABLE', `--table ${table}`)
      return `${table}: ${errorCodes[error].code} ${message}. ${command}`
    })
    throw new PipelineError('TABLE_PARKED', `parked and not up to date: ${names.join(', ')}`, {
      detail: `${reasons.join('\n')}\nAll other tables are in the lake up to the log's end.`,
    })
  }

  /** While running: a request for single tables is served at once, one for all by a new attempt. */
  private async pollRequests(): Promise<void> {
    const { execution, commits } = this
    if (execution === null || commits === null || this.polling) return
    this.polling = true
    try {
      const last = execution.lastCheckpoint()
      const { all, tables } = await this.requests.poll(last, commits, this.claim(last))
      if (all) execution.restart()
      for (const repair of tables) execution.repair(repair)
    } catch (error) {
      this.parts.onNotice('warn', 'requests cannot be served now', recordOf(error))
    } finally {
      this.polling = false
    }
  }

  private claim(last: Checkpoint | null): TableClaim {
    const { timeline = 1, epoch = 0 } = last ?? {}
    return { timeline, epoch, fence: this.fence }
  }

  private publish(): void {
    const { commits } = this
    const pending = commits?.pending().length ?? 0
    const ready = (table: string): ReadySnapshot | null => this.announcer?.statusOf(table) ?? null
    const lake = new SinkTables(this.parts.parts ?? null).lake(commits?.lake() ?? [])
    this.parts.onSnapshot(this.state.snapshot(lake, pending, ready))
  }
}
