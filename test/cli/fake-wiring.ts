// A wiring without threads and servers: it answers what the test tells it to, and keeps the state
// store in a folder of its own.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import type { ErrorRecord } from '../../runtime/base/errors.ts'
import type { Letter } from '../../runtime/cli/letter-reading.ts'
import { planPipeline } from '../../runtime/cli/planning.ts'
import { sampleTables } from '../../runtime/cli/sampling.ts'
import type { Repair, RunOptions, Wiring } from '../../runtime/cli/wiring.ts'
import type { PipelineSnapshot } from '../../runtime/console/status.ts'
import type { TableSnapshot } from '../../runtime/job/run-state.ts'
import type { DiscoveredTable, Finding, SourceInspector } from '../../runtime/source.ts'

/** Gone when the test that made it ends. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-state-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export class FakeWiring {
  findings: readonly Finding[] = []
  tables: readonly DiscoveredTable[] = []
  running = false
  closed = 0
  readonly calls: unknown[][] = []
  readonly state = localStore(temporaryFolder())
  runner: (options: RunOptions) => Promise<'finished' | 'stopped'> = async () => 'finished'
  differing: readonly string[] = []
  parked: readonly string[] = []
  repair: Repair = 'resync'
  letters: () => AsyncIterable<Letter> = async function* () {
    // Nothing was set aside.
  }
  sampled: SourceInspector['sample'] = async function* () {
    // A server without rows.
  }

  readonly wiring: Wiring = {
    run: async (_config, options) => this.runner(options),
    verify: async (_config, tables) =>
      (tables ?? ['public.orders']).map((table) => ({
        table,
        equal: !this.differing.includes(table) && !this.parked.includes(table),
        sourceRows: 3,
        lakeRows: this.differing.includes(table) ? 2 : 3,
        differences: this.differing.includes(table) ? 1 : 0,
        undecided: 0,
        note: null,
        repair: this.differing.includes(table) ? this.repair : null,
        reason: this.parked.includes(table) ? PARKED : null,
        examples: this.differing.includes(table) ? ['[7] is missing in the lake'] : [],
        verifiedThrough: '0/16B3748',
      })),
    resync: async (_config, tables) => {
      this.calls.push(['resync', tables])
    },
    drop: async (_config, { keepLake }) => {
      this.calls.push(['drop', { keepLake }])
      return [
        { what: 'slot millrace_shop', kept: null },
        { what: 'publication millrace_shop', kept: 'it belongs to role "admin"' },
        { what: 'state /lake/state/shop', kept: null },
      ]
    },
    sample: async (config, wish) =>
      sampleTables(config, await this.wiring.inspect(config, 'selected'), wish),
    letters: async () => ({ table: 'millrace.shop_dlq', letters: this.letters() }),
    plan: async (config) =>
      planPipeline(config, this.state, await this.wiring.inspect(config, 'selected')),
    inspect: async () => ({
      check: async () => this.findings,
      discover: async () => this.tables,
      drop: async () => [],
      scan: async () => null,
      sample: (...wish) => this.sampled(...wish),
      close: async () => {
        this.closed++
      },
    }),
    openState: async () => this.state,
    isRunning: async () => this.running,
  }
}

const PARKED: ErrorRecord = {
  error: 'TABLE_PARKED',
  message: 'table "public.users" is parked: a value',
  detail: null,
  hint: 'Run `millrace resync FILE --table TABLE`.',
}

export const ORDERS: DiscoveredTable = {
  namespace: 'public',
  name: 'orders',
  estimatedRows: 1_234_567,
  key: ['id'],
  columns: [
    { name: 'id', sourceType: 'bigint', nullable: false, lakeType: 'long', note: null },
    { name: 'doc', sourceType: 'jsonb', nullable: true, lakeType: 'string', note: 'JSON text' },
  ],
}

const STARTED_MS = Date.UTC(2026, 10, 20, 11, 59, 0)
const UNKNOWN = {
  reason: null,
  waitsFor: null,
  repair: false,
  rowsDone: null,
  rowsEstimated: null,
  watermarkUs: null,
  times: null,
} as const

const STREAMING: TableSnapshot = {
  progress: { ...UNKNOWN, table: 'public.orders', phase: 'streaming' },
  rows: { read: 100, written: 90, stale: 4, absorbed: 5, parked: 1, held: 0 },
  ops: { insert: 60, update: 30, delete: 10, read: 0 },
  committedEpoch: 41,
  committedTimeUs: BigInt(STARTED_MS + 55_000) * 1000n,
  metadataLocation: "file:///lake/it's/orders/metadata/00041.metadata.json",
  ready: null,
}

const BACKFILLING: TableSnapshot = {
  progress: {
    ...UNKNOWN,
    table: 'public.users',
    phase: 'backfilling',
    rowsDone: 400_000,
    rowsEstimated: 1_600_000,
    watermarkUs: null,
    times: null,
  },
  rows: { read: 400_000, written: 400_000, stale: 0, absorbed: 0, parked: 0, held: 0 },
  ops: { insert: 0, update: 0, delete: 0, read: 400_000 },
  committedEpoch: null,
  committedTimeUs: null,
  metadataLocation: null,
  ready: null,
}

/** A pipeline that streams one table and backfills another. */
export function snapshotOf(changes: Partial<PipelineSnapshot> = {}): PipelineSnapshot {
  return {
    phase: 'running',
    startedAtMs: STARTED_MS,
    error: null,
    attempt: 1,
    source: {
      kind: 'progress',
      rowsSent: 100,
      queueFill: 0.25,
      headOrder: (1n << 96n) | 0x16b3748n,
      processedOrder: (1n << 96n) | 0x16b3700n,
      sourceTimeUs: BigInt(STARTED_MS + 58_000) * 1000n,
      log: { condition: 'open', heardAtMs: STARTED_MS + 59_900, error: null },
      throttle: null,
      tables: [STREAMING.progress, BACKFILLING.progress],
    },
    tables: [STREAMING, BACKFILLING],
    checkpoint: {
      epoch: 42,
      atMs: STARTED_MS + 59_000,
      durationMs: 12.4,
      bytes: 5000,
      order: (1n << 96n) | 0x16b3000n,
      token: 'x',
    },
    checkpoints: 42,
    commits: {
      done: 41,
      retries: 1,
      pending: 1,
      lastAtMs: STARTED_MS + 58_500,
      lastDurationMs: 30,
      lastEpoch: 41,
      error: null,
    },
    errors: [
      { error: 'CONNECT_FAILED', class: 'retry', count: 3 },
      { error: 'KEY_CHANGED', class: 'notify', count: 1 },
    ],
    retries: [
      { component: 'pipeline', error: 'CONNECT_FAILED', count: 2 },
      { component: 'commit', error: 'CONNECT_FAILED', count: 1 },
    ],
    notifications: [],
    ddl: [
      { table: 'public.orders', kind: 'add_column', decision: 'applied', count: 2 },
      { table: 'public.gone', kind: 'drop_table', decision: 'kept', count: 1 },
    ],
    lake: {
      commits: { ok: 40, conflict: 1, unknown_resolved: 1, failed: 0 },
      files: 80,
      bytes: 123_456,
    },
    ...changes,
  }
}
