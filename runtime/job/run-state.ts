// What a running pipeline knows about itself, collected from its threads: the one source of the
// progress line, of `status` and of the metrics. Counts are since the start of the process.

import type { ErrorRecord } from '../base/errors.ts'
import type { EpochReport } from '../checkpoint/coordinator.ts'
import type { KnownTable, SinkReach } from '../checkpoint/sink-parts.ts'
import type { RowCounts, TableCounts } from '../sink.ts'
import type { ReadySnapshot } from './announcer.ts'
import { EventCounts, type DdlCount, type ErrorCount, type RetryCount } from './event-counts.ts'
import type { NotificationCount } from './event-counts.ts'
import type { SourceProgress, TableProgress } from './messages.ts'

export type RunPhase = 'starting' | 'running' | 'retrying' | 'stopping' | 'stopped' | 'failed'

export interface OpCounts {
  insert: number
  update: number
  delete: number
  read: number
}

/** One table. `null`: not known, which is not the same as zero. */
export interface TableSnapshot {
  readonly progress: TableProgress
  readonly rows: RowCounts
  readonly ops: OpCounts
  readonly committedEpoch: number | null
  readonly committedTimeUs: bigint | null
  readonly metadataLocation: string | null
  /** How far each of several sinks is; missing: there is one. */
  readonly sinks?: readonly SinkReach[]
  /** `null`: its partitions are not announced. */
  readonly ready: ReadySnapshot | null
}

export interface RunSnapshot {
  readonly phase: RunPhase
  readonly startedAtMs: number
  readonly error: ErrorRecord | null
  readonly attempt: number
  readonly source: SourceProgress | null
  readonly tables: readonly TableSnapshot[]
  readonly checkpoint: {
    readonly epoch: number
    readonly atMs: number
    readonly durationMs: number
    readonly bytes: number
    readonly order: bigint
    readonly token: string
  } | null
  readonly checkpoints: number
  readonly commits: {
    readonly done: number
    readonly retries: number
    readonly pending: number
    readonly lastAtMs: number | null
    readonly lastDurationMs: number | null
    readonly lastEpoch: number | null
    readonly error: ErrorRecord | null
  }
  /** Since the process started. */
  readonly errors: readonly ErrorCount[]
  readonly retries: readonly RetryCount[]
  readonly ddl: readonly DdlCount[]
  readonly notifications: readonly NotificationCount[]
}

interface Totals {
  readonly rows: RowCounts
  readonly ops: OpCounts
}

/** Collects; `snapshot` copies. */
export class RunState {
  phase: RunPhase = 'starting'
  attempt = 0
  private lastError: ErrorRecord | null = null
  private readonly events = new EventCounts()
  private readonly startedAtMs: number
  private source: SourceProgress | null = null
  private readonly totals = new Map<string, Totals>()
  private checkpoint: RunSnapshot['checkpoint'] = null
  private checkpoints = 0
  private commits = {
    done: 0,
    retries: 0,
    lastAtMs: null as number | null,
    lastDurationMs: null as number | null,
    lastEpoch: null as number | null,
    error: null as ErrorRecord | null,
  }

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs
  }

  get error(): ErrorRecord | null {
    return this.lastError
  }

  /** Counts what ended an attempt: `phase` says already whether there will be another. */
  set error(error: ErrorRecord | null) {
    this.lastError = error
    if (error === null) return
    // The connection went with the attempt: what it said last is not so any more.
    if (this.source !== null) {
      const log = { ...this.source.log, condition: 'lost', error } as const
      this.source = { ...this.source, headOrder: null, log }
    }
    if (this.phase === 'failed') this.events.addError(error.error, 'fatal')
    else this.events.addRetry('pipeline', error)
  }

  /** The source could be reached, in this process. */
  get hasMetSource(): boolean {
    return this.source !== null
  }

  /** An attempt after a failure runs from the log's first sign of life on, not before. */
  addProgress(progress: SourceProgress): void {
    const { condition, error } = progress.log
    if (error !== null && this.source?.log.condition !== 'lost') this.events.addRetry('log', error)
    this.source = progress
    if (this.phase !== 'retrying' || condition !== 'open') return
    this.phase = 'running'
    this.lastError = null
  }

  addEpoch(report: EpochReport, atMs: number): void {
    for (const counts of report.counts) this.addCounts(counts)
    this.events.addCut(report.source.tables, report.refused)
    if (report.bytes === 0) return
    this.checkpoints++
    const { epoch, durationMs, bytes, source } = report
    const { order, token } = source.position
    this.checkpoint = { epoch, atMs, durationMs, bytes, order, token }
  }

  /** The source says so itself once it has heard of it; one that has ended says nothing more. */
  parkTable(table: string, reason: ErrorRecord): void {
    if (this.source === null) return
    const tables = this.source.tables.map((progress) =>
      progress.table === table ? { ...progress, phase: 'parked', reason } : progress,
    )
    this.source = { ...this.source, tables }
  }

  addCommit(epoch: number, durationMs: number, atMs: number): void {
    const { done, retries } = this.commits
    this.commits = {
      done: done + 1,
      retries,
      lastAtMs: atMs,
      lastDurationMs: durationMs,
      lastEpoch: epoch,
      error: null,
    }
  }

  /** @param error  `null`: it was taken */
  addNotification(action: string, error: ErrorRecord | null): void {
    this.events.addNotification(action, error === null ? 'ok' : 'failed')
  }

  addCommitRetry(error: ErrorRecord): void {
    this.commits = { ...this.commits, retries: this.commits.retries + 1, error }
    this.events.addRetry('commit', error)
  }

  snapshot(
    lake: readonly KnownTable[],
    pending: number,
    ready: (table: string) => ReadySnapshot | null = () => null,
  ): RunSnapshot {
    const { phase, startedAtMs, error, attempt, source, checkpoint, checkpoints, events } = this
    const byName = new Map(lake.map((table) => [table.table, table]))
    const tables = (source?.tables ?? []).map((progress): TableSnapshot => {
      const known = byName.get(progress.table)
      const totals = this.totals.get(progress.table) ?? noTotals()
      return {
        progress,
        rows: { ...totals.rows },
        ops: { ...totals.ops },
        committedEpoch: known?.committedEpoch ?? null,
        committedTimeUs: known?.committedTimeUs ?? null,
        metadataLocation: known?.metadataLocation ?? null,
        ...(known?.sinks === undefined ? {} : { sinks: known.sinks }),
        ready: ready(progress.table),
      }
    })
    const commits = { ...this.commits, pending }
    return {
      phase,
      startedAtMs,
      error,
      attempt,
      source,
      tables,
      checkpoint,
      checkpoints,
      commits,
      errors: events.errors(),
      retries: events.retries(),
      ddl: events.ddl(),
      notifications: events.notifications(),
    }
  }

  private addCounts({ table, ops, ...counts }: TableCounts): void {
    const totals = this.totals.get(table) ?? noTotals()
    this.totals.set(table, totals)
    for (const name of ['read', 'written', 'stale', 'absorbed', 'parked'] as const) {
      totals.rows[name] += counts[name]
    }
    totals.rows.held = counts.held
    for (const name of ['insert', 'update', 'delete', 'read'] as const) {
      totals.ops[name] += ops[name]
    }
  }
}

function noTotals(): Totals {
  return {
    rows: { read: 0, written: 0, stale: 0, absorbed: 0, parked: 0, held: 0 },
    ops: { insert: 0, update: 0, delete: 0, read: 0 },
  }
}
