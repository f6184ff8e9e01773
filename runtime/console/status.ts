// The one truth about a running pipeline, as plain JSON: the progress lines, `millrace status`,
// /healthz and /metrics all show it. What is not known is null and marked UNAVAILABLE, never zero.

import type { ErrorRecord } from '../base/errors.ts'
import { shownTable } from '../data/schema.ts'
import type { SplitReach } from '../flow/watermark.ts'
import type { LogCondition, LogState } from '../job/log-watch.ts'
import type { TableProgress } from '../job/messages.ts'
import type { RunSnapshot, TableSnapshot } from '../job/run-state.ts'
import type { ThrottleState } from '../job/throttle.ts'
import { RateMeter } from './rate.ts'

export const STATUS_FORMAT = 1

/** STALLED: the log's server says nothing. RETRYING: what was lost is being opened again. */
export type PipelineState =
  | 'STARTING'
  | 'BACKFILLING'
  | 'CATCHING_UP'
  | 'RUNNING'
  | 'STALLED'
  | 'RETRYING'
  | 'STOPPING'
  | 'STOPPED'
  | 'FAILED'

/** structure: known, its rows are still to come · parked: takes no rows, `reason` says why. */
export type TablePhase =
  | 'structure'
  | 'backfill'
  | 'repairing'
  | 'catching-up'
  | 'streaming'
  | 'parked'
  | 'dropped'

export type Accuracy = 'EXACT' | 'BEST_EFFORT' | 'UNAVAILABLE'

/** What this process has done to the lake. */
export interface LakeCounts {
  /** ok: visible by this call. unknown_resolved: an earlier one had done it, as was found out. */
  readonly commits: Readonly<Record<'ok' | 'conflict' | 'unknown_resolved' | 'failed', number>>
  /** Data files of this process that are in the lake, and their bytes. */
  readonly files: number
  readonly bytes: number
}

export interface PipelineSnapshot extends RunSnapshot {
  readonly lake: LakeCounts
}

/** Rows are counts since the process started; rates are rows a second over the last seconds. */
export interface TableStatus {
  readonly table: string
  readonly phase: TablePhase
  readonly reason: ErrorRecord | null
  readonly waits_for: string | null
  /** No row with an earlier event time is to come, ISO 8601; `null`: nothing can be promised yet. */
  readonly watermark: string | null
  /** What its watermark comes from; `null`: it goes by the commits of its source. */
  readonly event_time: EventTimeStatus | null
  /** What is announced of its partitions; `null`: nothing is. */
  readonly partitions: PartitionsStatus | null
  readonly backfill: { readonly rows_done: number | null; readonly rows_est: number | null }
  readonly ops: Readonly<Record<'insert' | 'update' | 'delete' | 'read', number>>
  readonly rows: Readonly<
    Record<'read' | 'written' | 'stale' | 'absorbed' | 'parked' | 'held', number>
  >
  readonly rate: { readonly read_rows: number; readonly written_rows: number }
  readonly commit: {
    readonly epoch: number | null
    /** Commit time at the source of the newest row in the lake, ISO 8601. */
    readonly source_time: string | null
    readonly metadata_location: string | null
    /** Of several sinks each; the above is that of the last of them. Missing: there is one. */
    readonly sinks?: readonly { sink: string; epoch: number | null; source_time: string | null }[]
  }
}

/** Splits that are waited for, less `max_out_of_order`; rows since the process started. */
export interface EventTimeStatus {
  readonly behind: { readonly split: string; readonly at: string | null } | null
  readonly ahead: { readonly split: string; readonly at: string | null } | null
  /** Rows too far ahead of the clock, without a time, and too late to be written. */
  readonly future_rows: number
  readonly missing_rows: number
  readonly late_rows: number
}

export interface PartitionsStatus {
  /** Known partitions that the watermark has not passed, or whose files are not all in the lake. */
  readonly open: number
  /** Announced ones that have changed since. */
  readonly reopened: number
  readonly last_ready: string | null
  readonly generation: number | null
  /** Announcements and late rows since the process started. */
  readonly announced: number
  readonly late_rows: number
  readonly notifiers: readonly {
    readonly name: string
    /** Announcements that it has not taken yet. */
    readonly backlog: number
    readonly error: ErrorRecord | null
  }[]
}

export interface PipelineStatus {
  readonly format: typeof STATUS_FORMAT
  readonly pipeline: string
  readonly pid: number
  readonly state: PipelineState
  /** Stage over all tables: structure → backfill → catching-up → streaming. */
  readonly phase: TablePhase
  readonly since: string
  readonly updated_at: string
  readonly attempt: number
  readonly error: ErrorRecord | null
  readonly tables: Readonly<Record<'total' | TablePhase, number>>
  readonly table_list: readonly TableStatus[]
  readonly backfill: { readonly rows_done: number | null; readonly rows_est: number | null }
  readonly position: {
    readonly type: PositionType
    readonly processed: string | null
    /** Of the newest durable checkpoint: what the source may forget. */
    readonly durable: string | null
    readonly source_head: string | null
  }
  /** The connection that the log comes by; `null` before the source has said anything of it. */
  readonly log: {
    readonly state: LogCondition
    /** The server's last sign of life. */
    readonly heard_at: string
    readonly silent_s: number
  } | null
  /** How fast the source may be read; `null`: as fast as it goes. */
  readonly limits: {
    readonly rows_per_second: number | null
    readonly bytes_per_second: number | null
    /** Patterns of tables with limits of their own. */
    readonly tables: number
    /** Something waits for its turn: it is a limit that makes the lag. */
    readonly held: boolean
  } | null
  /** Seconds behind the source's clock, and bytes or records of log behind its head. */
  readonly lag: {
    readonly source_s: number | null
    readonly e2e_s: number | null
    /** `null` where positions count records. */
    readonly bytes: number | null
    /** `null` where positions count bytes. */
    readonly records: number | null
    readonly accuracy: Readonly<Record<'source_s' | 'e2e_s' | 'bytes' | 'records', Accuracy>>
  }
  readonly checkpoint: {
    readonly last_id: number | null
    readonly last_at: string | null
    readonly duration_ms: number | null
    readonly age_s: number | null
    readonly bytes: number | null
    readonly total: number
  }
  readonly commit: {
    readonly last_epoch: number | null
    readonly last_at: string | null
    readonly duration_ms: number | null
    readonly pending: number
    /** Commits of this process that are visible; those that were there already do not count. */
    readonly total: number
    readonly results: LakeCounts['commits']
    readonly retries: number
    readonly error: ErrorRecord | null
  }
  readonly files: { readonly data_written: number; readonly bytes_written: number }
  /** By kind, since the process started. */
  readonly events: Pick<RunSnapshot, 'errors' | 'retries' | 'ddl' | 'notifications'>
  readonly rates: { readonly read_rows: number; readonly written_rows: number }
  /** Share of the fullest channel to a writer, 0...1; `null` before the threads run. */
  readonly queue_fill: number | null
}

/**
 * How an order of the source is written: `0/16B3748`, `17:4711` (file number, offset), or the sum of
 * the offsets of all partitions.
 */
export type PositionType = 'lsn' | 'binlog' | 'records'

/** Makes statuses of snapshots; remembers earlier ones for the rates. */
export class StatusTracker {
  readonly #pipeline: string
  readonly #positionType: PositionType
  readonly #rates = new RateMeter()

  constructor(pipeline: string, positionType: PositionType) {
    this.#pipeline = pipeline
    this.#positionType = positionType
  }

  /** @param nowMs  milliseconds since 1970 */
  statusOf(snapshot: PipelineSnapshot, nowMs: number): PipelineStatus {
    const tables = snapshot.tables.map((table) => this.#tableStatus(table, nowMs))
    const { source, checkpoint, commits, lake } = snapshot
    const rates = {
      read_rows: this.#rates.rate('/sent', source?.rowsSent ?? 0, nowMs),
      written_rows: tables.reduce((sum, { rate }) => sum + rate.written_rows, 0),
    }
    return {
      format: STATUS_FORMAT,
      pipeline: this.#pipeline,
      pid: process.pid,
      state: stateOf(snapshot, tables),
      phase: stageOf(tables),
      since: isoTime(snapshot.startedAtMs),
      updated_at: isoTime(nowMs),
      attempt: snapshot.attempt,
      error: snapshot.error ?? source?.log.error ?? null,
      tables: countPhases(tables),
      table_list: tables,
      backfill: backfillOf(tables),
      position: {
        type: this.#positionType,
        processed: source && this.#formatOrder(source.processedOrder),
        durable: checkpoint && this.#formatOrder(checkpoint.order),
        source_head: source?.headOrder == null ? null : this.#formatOrder(source.headOrder),
      },
      log: source && logOf(source.log, nowMs),
      limits: limitsOf(source?.throttle ?? null),
      lag: lagOf(snapshot, this.#positionType, nowMs),
      checkpoint: {
        last_id: checkpoint?.epoch ?? null,
        last_at: checkpoint && isoTime(checkpoint.atMs),
        duration_ms: checkpoint && Math.round(checkpoint.durationMs),
        age_s: checkpoint && seconds(nowMs - checkpoint.atMs),
        bytes: checkpoint?.bytes ?? null,
        total: snapshot.checkpoints,
      },
      commit: commitOf(commits, lake),
      files: { data_written: lake.files, bytes_written: lake.bytes },
      events: {
        errors: snapshot.errors,
        retries: snapshot.retries,
        ddl: snapshot.ddl,
        notifications: snapshot.notifications,
      },
      rates,
      queue_fill: source?.queueFill ?? null,
    }
  }

  #tableStatus({ progress, ...table }: TableSnapshot, nowMs: number): TableStatus {
    const { rows, ops } = table
    const name = progress.table
    // Rows are counted when their epoch ends; a backfill is seen to move before that.
    const moving = progress.rowsDone ?? rows.read
    return {
      table: shownTable(name),
      phase: phaseOf(progress),
      reason: progress.reason,
      waits_for: progress.waitsFor,
      watermark: isoTimeUs(progress.watermarkUs),
      event_time: eventTimeOf(progress.times),
      partitions: partitionsOf(table.ready),
      backfill: { rows_done: progress.rowsDone, rows_est: progress.rowsEstimated },
      ops: { ...ops },
      rows: { ...rows },
      rate: {
        read_rows: this.#rates.rate(`${name}/read`, moving, nowMs),
        written_rows: this.#rates.rate(`${name}/written`, rows.written, nowMs),
      },
      commit: {
        epoch: table.committedEpoch,
        source_time: isoTimeUs(table.committedTimeUs),
        metadata_location: table.metadataLocation,
        ...(table.sinks && {
          sinks: table.sinks.map(({ sink, committedEpoch: epoch, committedTimeUs: us }) => {
            return { sink, epoch, source_time: isoTimeUs(us) }
          }),
        }),
      },
    }
  }

  #formatOrder(order: bigint): string {
    return formatOrder(order, this.#positionType)
  }
}

function eventTimeOf(times: TableSnapshot['progress']['times']): EventTimeStatus | null {
  if (times === null) return null
  const at = (reach: SplitReach | null): EventTimeStatus['behind'] =>
    reach && { split: reach.split, at: isoTimeUs(reach.reachedUs) }
  const { behind, ahead, future, missing, late } = times
  const rows = { future_rows: future, missing_rows: missing, late_rows: late }
  return { behind: at(behind), ahead: at(ahead), ...rows }
}

function limitsOf(throttle: ThrottleState | null): PipelineStatus['limits'] {
  if (throttle === null) return null
  const { rowsPerSecond, bytesPerSecond, tables, held } = throttle
  return { rows_per_second: rowsPerSecond, bytes_per_second: bytesPerSecond, tables, held }
}

function partitionsOf(ready: TableSnapshot['ready']): PartitionsStatus | null {
  if (ready === null) return null
  const { open, reopened, last, announced, lateRows, notifiers } = ready
  return {
    open,
    reopened,
    last_ready: last?.value ?? null,
    generation: last?.generation ?? null,
    announced,
    late_rows: lateRows,
    notifiers: notifiers.map(({ notifier, backlog, error }) => ({
      name: notifier,
      backlog,
      error,
    })),
  }
}

function commitOf(
  { lastEpoch, lastAtMs, lastDurationMs, pending, retries, error }: RunSnapshot['commits'],
  lake: LakeCounts,
): PipelineStatus['commit'] {
  return {
    last_epoch: lastEpoch,
    last_at: lastAtMs === null ? null : isoTime(lastAtMs),
    duration_ms: lastDurationMs === null ? null : Math.round(lastDurationMs),
    pending,
    total: lake.commits.ok,
    results: lake.commits,
    retries,
    error,
  }
}

export function formatOrder(order: bigint, type: PositionType): string {
  const offset = order & 0xffff_ffff_ffff_ffffn
  if (type === 'records') return String(offset)
  if (type === 'binlog') return `${(order >> 64n) & 0xffff_ffffn}:${offset}`
  const hex = (half: bigint): string => half.toString(16).toUpperCase()
  return `${hex(offset >> 32n)}/${hex(offset & 0xffff_ffffn)}`
}

const IN_HAND_OVER: ReadonlySet<TablePhase> = new Set(['structure', 'backfill', 'catching-up'])

const PHASES: Readonly<Record<string, TablePhase>> = {
  waiting: 'structure',
  backfilling: 'backfill',
  'catching-up': 'catching-up',
  streaming: 'streaming',
  parked: 'parked',
  dropped: 'dropped',
}

function phaseOf({ phase, repair }: TableProgress): TablePhase {
  const known = PHASES[phase] ?? 'structure'
  // Readers must know that such a table is not as the source was at any time.
  return repair && IN_HAND_OVER.has(known) ? 'repairing' : known
}

function countPhases(tables: readonly TableStatus[]): PipelineStatus['tables'] {
  const counts = {
    total: tables.length,
    structure: 0,
    backfill: 0,
    repairing: 0,
    'catching-up': 0,
    streaming: 0,
    parked: 0,
    dropped: 0,
  }
  for (const { phase } of tables) counts[phase]++
  return counts
}

/** The stage of the whole is that of the table that is furthest behind. */
function stageOf(tables: readonly TableStatus[]): TablePhase {
  for (const phase of ['structure', 'backfill', 'repairing', 'catching-up'] as const) {
    if (tables.some((table) => table.phase === phase)) return phase
  }
  return tables.length === 0 ? 'structure' : 'streaming'
}

function stateOf(snapshot: RunSnapshot, tables: readonly TableStatus[]): PipelineState {
  switch (snapshot.phase) {
    case 'starting':
      return 'STARTING'
    case 'retrying':
      return 'RETRYING'
    case 'stopping':
      return 'STOPPING'
    case 'stopped':
      return 'STOPPED'
    case 'failed':
      return 'FAILED'
    case 'running': {
      // The threads run, but have not said yet what they found.
      if (snapshot.source === null) return 'STARTING'
      const { condition } = snapshot.source.log
      if (condition === 'silent') return 'STALLED'
      if (condition === 'lost') return 'RETRYING'
      const stage = stageOf(tables)
      if (stage === 'streaming') return 'RUNNING'
      return stage === 'catching-up' ? 'CATCHING_UP' : 'BACKFILLING'
    }
  }
}

function logOf({ condition, heardAtMs }: LogState, nowMs: number): PipelineStatus['log'] {
  return {
    state: condition,
    heard_at: isoTime(heardAtMs),
    silent_s: seconds(nowMs - heardAtMs),
  }
}

function backfillOf(tables: readonly TableStatus[]): PipelineStatus['backfill'] {
  const known = tables.filter(({ backfill }) => backfill.rows_done !== null)
  if (known.length === 0) return { rows_done: null, rows_est: null }
  const estimated = known.every(({ backfill }) => backfill.rows_est !== null)
  const sum = (name: 'rows_done' | 'rows_est'): number =>
    known.reduce((total, { backfill }) => total + (backfill[name] ?? 0), 0)
  return { rows_done: sum('rows_done'), rows_est: estimated ? sum('rows_est') : null }
}

/** Rows that the sink holds back came after the last commit that showed all of their table. */
function heldSeconds({ tables }: RunSnapshot, nowMs: number): number {
  const since = tables.map(({ rows, committedTimeUs }) =>
    rows.held === 0 || committedTimeUs === null || !isKnownTime(committedTimeUs)
      ? 0
      : seconds(nowMs - Number(committedTimeUs / 1000n)),
  )
  return Math.max(0, ...since)
}

function lagOf(snapshot: RunSnapshot, type: PositionType, nowMs: number): PipelineStatus['lag'] {
  const { source, checkpoint, commits } = snapshot
  const none = { source_s: null, e2e_s: null, bytes: null, records: null } as const
  const unavailable = {
    source_s: 'UNAVAILABLE',
    e2e_s: 'UNAVAILABLE',
    bytes: 'UNAVAILABLE',
    records: 'UNAVAILABLE',
  } as const
  if (source === null) return { ...none, accuracy: unavailable }
  const { headOrder, processedOrder, sourceTimeUs } = source
  const caughtUp = headOrder !== null && processedOrder >= headOrder
  // The two clocks need not agree, so this is an estimate unless nothing is left to read.
  const behind = isKnownTime(sourceTimeUs) ? seconds(nowMs - Number(sourceTimeUs / 1000n)) : null
  const sourceS = caughtUp ? 0 : behind
  // Everything read is in the lake or in the rows read since the last checkpoint.
  const done = commits.pending === 0 && checkpoint !== null && sourceS !== null
  // An idle pipeline writes no checkpoints: then the last one is as fresh as the source.
  const sinceS =
    checkpoint === null || (caughtUp && checkpoint.order >= processedOrder)
      ? 0
      : seconds(nowMs - checkpoint.atMs)
  const e2eS = done ? Math.max(sourceS + sinceS, heldSeconds(snapshot, nowMs)) : null
  const sameFile = headOrder !== null && headOrder >> 64n === processedOrder >> 64n
  const behindHead = sameFile ? Math.max(0, Number(headOrder - processedOrder)) : null
  const bytes = type === 'records' ? null : behindHead
  const records = type === 'records' ? behindHead : null
  return {
    source_s: sourceS,
    e2e_s: e2eS,
    bytes,
    records,
    accuracy: {
      source_s: caughtUp ? 'EXACT' : sourceS === null ? 'UNAVAILABLE' : 'BEST_EFFORT',
      e2e_s: e2eS === null ? 'UNAVAILABLE' : 'BEST_EFFORT',
      bytes: bytes === null ? 'UNAVAILABLE' : 'EXACT',
      // Gaps of compaction and the markers of transactions count as records.
      records: records === null ? 'UNAVAILABLE' : 'BEST_EFFORT',
    },
  }
}

function seconds(ms: number): number {
  return Math.max(0, Math.round(ms / 100) / 10)
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** PostgreSQL's clock begins in 2000, Unix's in 1970: a source that says either knows no time. */
const EARLIEST_US = 946_684_800_000_000n

function isKnownTime(timeUs: bigint): boolean {
  return timeUs > EARLIEST_US
}

/** Times beyond what a JavaScript date can hold are shown as unknown. */
function isoTimeUs(timeUs: bigint | null): string | null {
  if (timeUs === null || !isKnownTime(timeUs)) return null
  const date = new Date(Number(timeUs / 1000n))
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
