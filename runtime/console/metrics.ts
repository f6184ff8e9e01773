// A status as Prometheus metrics: base units, `_total` for counters, prefix `millrace_`. Positions
// never become labels, and tables beyond the limit share one, so that series stay few.

import { errorCodes } from '../base/error-codes.ts'
import { type Metric, MetricSet } from '../base/metrics.ts'
import type { PipelineState, PipelineStatus, TablePhase } from './status.ts'

/** Tables with labels of their own; all others are `__other__`. */
const TABLES_MAX = 500
const OTHER = '__other__'

const STATES: readonly PipelineState[] = [
  'STARTING',
  'BACKFILLING',
  'CATCHING_UP',
  'RUNNING',
  'STALLED',
  'RETRYING',
  'STOPPING',
  'STOPPED',
  'FAILED',
]
const PHASES: readonly TablePhase[] = [
  'structure',
  'backfill',
  'repairing',
  'catching-up',
  'streaming',
  'parked',
  'dropped',
]
const OPS = { insert: 'c', update: 'u', delete: 'd', read: 'read' } as const
const STAGES = ['written', 'stale', 'absorbed', 'parked'] as const

/** @returns the metrics of one moment; what is not known has no sample */
export function metricsOf(status: PipelineStatus, tablesMax = TABLES_MAX): MetricSet {
  const metrics = new MetricSet()
  addTables(metrics, status, tablesMax)
  addPipeline(metrics, status)
  addEvents(metrics, status, tablesMax)
  addPartitions(metrics, status, tablesMax)
  return metrics
}

function addTables(metrics: MetricSet, status: PipelineStatus, tablesMax: number): void {
  const { pipeline } = status
  const labels = ['pipeline', 'table']
  const read = metrics.counter('millrace_source_rows_total', 'Rows read from the source.', [
    ...labels,
    'op',
  ])
  const sink = metrics.counter('millrace_sink_rows_total', 'Rows by what became of them.', [
    ...labels,
    'stage',
  ])
  const held = metrics.gauge('millrace_held_rows', 'Rows that wait to be shown.', labels)
  const phases = metrics.gauge('millrace_table_phase', 'Tables in a phase.', [...labels, 'phase'])
  const backfill = metrics.gauge('millrace_backfill_rows', 'Rows of the backfill.', [
    ...labels,
    'kind',
  ])
  const watermarks = metrics.gauge(
    'millrace_watermark_timestamp_seconds',
    'No row with an earlier event time is to come.',
    labels,
  )
  for (const [index, table] of status.table_list.entries()) {
    const name = index < tablesMax ? table.table : OTHER
    const watermark = timestamp(table.watermark)
    // One value cannot stand for several tables.
    if (watermark !== null && name !== OTHER) {
      watermarks.set(watermarks.cell(pipeline, name), watermark)
    }
    for (const op of ['insert', 'update', 'delete', 'read'] as const) {
      read.add(read.cell(pipeline, name, OPS[op]), table.ops[op])
    }
    for (const stage of STAGES) sink.add(sink.cell(pipeline, name, stage), table.rows[stage])
    held.add(held.cell(pipeline, name), table.rows.held)
    for (const phase of PHASES) {
      phases.add(phases.cell(pipeline, name, phase), table.phase === phase ? 1 : 0)
    }
    const { rows_done: done, rows_est: estimated } = table.backfill
    if (done !== null) backfill.add(backfill.cell(pipeline, name, 'done'), done)
    if (estimated !== null) backfill.add(backfill.cell(pipeline, name, 'estimated'), estimated)
  }
}

/** Of the tables whose partitions are announced. */
function addPartitions(metrics: MetricSet, status: PipelineStatus, tablesMax: number): void {
  const { pipeline } = status
  const labels = ['pipeline', 'table']
  for (const [index, { table, partitions, event_time }] of status.table_list.entries()) {
    if (partitions === null) continue
    const name = index < tablesMax ? table : OTHER
    const add = (kind: 'counter' | 'gauge', metric: string, help: string, value: number): void => {
      const cells = metrics[kind](`millrace_${metric}`, help, labels)
      cells.add(cells.cell(pipeline, name), value)
    }
    const { open, reopened, announced, late_rows: late, notifiers } = partitions
    add('gauge', 'partitions_open', 'Partitions that are not announced yet.', open)
    add('gauge', 'partitions_reopened', 'Partitions that changed after that.', reopened)
    add('counter', 'partitions_ready_total', 'Announcements, each generation once.', announced)
    // Those that announced it again, and those that stayed out.
    const lateRows = late + (event_time?.late_rows ?? 0)
    add('counter', 'late_rows_total', 'Rows of partitions that were announced before.', lateRows)
    const help = 'Announcements that a notifier has not taken.'
    const backlog = metrics.gauge('millrace_outbox_backlog', help, [...labels, 'notifier'])
    for (const one of notifiers) backlog.add(backlog.cell(pipeline, name, one.name), one.backlog)
  }
  const help = 'Deliveries of announcements by how they ended.'
  const total = ['pipeline', 'action', 'result']
  const deliveries = metrics.counter('millrace_notifications_total', help, total)
  for (const { action, result, count } of status.events.notifications) {
    deliveries.add(deliveries.cell(pipeline, action, result), count)
  }
}

function addPipeline(metrics: MetricSet, status: PipelineStatus): void {
  const { pipeline, lag, checkpoint, commit, files } = status
  const states = metrics.gauge('millrace_pipeline_state', 'State of the pipeline: 1 for one.', [
    'pipeline',
    'state',
  ])
  for (const state of STATES) {
    states.set(states.cell(pipeline, state), status.state === state ? 1 : 0)
  }
  addConnection(metrics, status)
  const add = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    value: number | null,
  ): void => {
    if (value === null) return
    const metric = metrics[kind](`millrace_${name}`, help, ['pipeline'])
    metric.set(metric.cell(pipeline), value)
  }
  const lags = metrics.gauge('millrace_lag_seconds', 'Seconds behind the source.', [
    'pipeline',
    'stage',
  ])
  if (lag.source_s !== null) lags.set(lags.cell(pipeline, 'source'), lag.source_s)
  if (lag.e2e_s !== null) lags.set(lags.cell(pipeline, 'e2e'), lag.e2e_s)
  add('gauge', 'lag_bytes', 'Bytes of log behind the head of the source.', lag.bytes)
  add('gauge', 'lag_records', 'Records behind the ends of the partitions.', lag.records)
  add('gauge', 'queue_fill_ratio', 'Share of the fullest channel in use.', status.queue_fill)
  add('counter', 'attempts_total', 'Starts from a checkpoint in this process.', status.attempt)
  add('gauge', 'checkpoint_size_bytes', 'Size of the last checkpoint.', checkpoint.bytes)
  add(
    'gauge',
    'checkpoint_last_duration_seconds',
    'Duration of the last checkpoint.',
    inSeconds(checkpoint.duration_ms),
  )
  add(
    'gauge',
    'checkpoint_last_success_timestamp_seconds',
    'When the last checkpoint became durable.',
    timestamp(checkpoint.last_at),
  )
  add('counter', 'sink_bytes_total', 'Bytes of data files in the lake.', files.bytes_written)
  add('counter', 'commit_retries_total', 'Commits that were tried again.', commit.retries)
  add(
    'gauge',
    'commits_pending',
    'Epochs that are durable but not in the lake yet.',
    commit.pending,
  )
  add(
    'gauge',
    'commit_last_duration_seconds',
    'Duration of the last commit.',
    inSeconds(commit.duration_ms),
  )
  add(
    'gauge',
    'commit_last_success_timestamp_seconds',
    'When the last commit was known to be done.',
    timestamp(commit.last_at),
  )
}

function addConnection(metrics: MetricSet, { pipeline, log }: PipelineStatus): void {
  if (log === null) return
  const help = 'Whether what it names is connected and answers: 1, or 0.'
  const up = metrics.gauge('millrace_connection_up', help, ['pipeline', 'component'])
  up.set(up.cell(pipeline, 'log'), log.state === 'open' ? 1 : 0)
  const heard = metrics.gauge(
    'millrace_heartbeat_timestamp_seconds',
    'When the server of the log last gave a sign of life.',
    ['pipeline'],
  )
  heard.set(heard.cell(pipeline), Date.parse(log.heard_at) / 1000)
}

/** Counters of what happened, each with the kinds that have been seen. */
function addEvents(metrics: MetricSet, status: PipelineStatus, tablesMax: number): void {
  const { pipeline, checkpoint, commit, files, events } = status
  const counter = (name: string, help: string, ...labels: readonly string[]): Metric =>
    metrics.counter(`millrace_${name}`, help, ['pipeline', ...labels])
  const checkpoints = counter('checkpoints_total', 'Durable checkpoints.', 'result')
  checkpoints.add(checkpoints.cell(pipeline, 'ok'), checkpoint.total)
  const commits = counter('commits_total', 'Commits to the lake by how they ended.', 'result')
  for (const [result, count] of Object.entries(commit.results)) {
    commits.add(commits.cell(pipeline, result), count)
  }
  const written = counter('files_total', 'Files of this process in the lake.', 'kind', 'action')
  written.add(written.cell(pipeline, 'data', 'written'), files.data_written)
  const errors = counter('errors_total', 'Errors by what followed them.', 'code', 'class')
  for (const { error, class: kind, count } of events.errors) {
    errors.add(errors.cell(pipeline, errorCodes[error].code, kind), count)
  }
  const retries = counter('retries_total', 'What was tried again.', 'component', 'code')
  for (const { component, error, count } of events.retries) {
    retries.add(retries.cell(pipeline, component, errorCodes[error].code), count)
  }
  const help = 'Changes of structure, as they are seen between epochs; TRUNCATE is not.'
  const ddl = counter('ddl_total', help, 'table', 'kind', 'decision')
  const named = new Set(status.table_list.slice(0, tablesMax).map(({ table }) => table))
  for (const { table, kind, decision, count } of events.ddl) {
    ddl.add(ddl.cell(pipeline, named.has(table) ? table : OTHER, kind, decision), count)
  }
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000
}

function timestamp(time: string | null): number | null {
  return time === null ? null : Date.parse(time) / 1000
}
