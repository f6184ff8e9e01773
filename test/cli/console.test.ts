// Status, progress lines, metrics and the HTTP server: one truth in four forms.

import { request } from 'node:http'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateMeter } from '../../runtime/console/rate.ts'
import { formatCount, formatSeconds, renderProgress } from '../../runtime/console/progress.ts'
import { type Console, startConsole } from '../../runtime/console/server.ts'
import {
  type PipelineSnapshot,
  type PipelineStatus,
  StatusTracker,
} from '../../runtime/console/status.ts'
import { readStatus, writeStatus } from '../../runtime/console/status-file.ts'
import { metricsOf } from '../../runtime/console/metrics.ts'
import type { LogState } from '../../runtime/job/log-watch.ts'
import { FakeWiring, snapshotOf } from './fake-wiring.ts'

const NOW_MS = Date.UTC(2026, 10, 20, 12)

function statusOf(changes: Partial<PipelineSnapshot> = {}): PipelineStatus {
  return new StatusTracker('shop', 'lsn').statusOf(snapshotOf(changes), NOW_MS)
}

test('a status says what is known, and null where nothing is', () => {
  const { lag, position, checkpoint, commit, backfill, state, phase } = statusOf()
  expect({ state, phase, backfill }).toEqual({
    state: 'BACKFILLING',
    phase: 'backfill',
    backfill: { rows_done: 400_000, rows_est: 1_600_000 },
  })
  expect(position).toEqual({
    type: 'lsn',
    processed: '0/16B3700',
    durable: '0/16B3000',
    source_head: '0/16B3748',
  })
  expect(lag).toEqual({
    source_s: 2,
    e2e_s: null,
    bytes: 0x48,
    records: null,
    accuracy: {
      source_s: 'BEST_EFFORT',
      e2e_s: 'UNAVAILABLE',
      bytes: 'EXACT',
      records: 'UNAVAILABLE',
    },
  })
  expect(checkpoint).toMatchObject({ last_id: 42, age_s: 1, duration_ms: 12, total: 42 })
  expect(commit).toMatchObject({ last_epoch: 41, pending: 1, total: 40, retries: 1 })
  expect(statusOf({ source: null, tables: [] }).state).toBe('STARTING')
  const unknown = statusOf({ source: null, checkpoint: null, tables: [], phase: 'starting' })
  expect(unknown).toMatchObject({
    state: 'STARTING',
    phase: 'structure',
    lag: { source_s: null, e2e_s: null, bytes: null },
    position: { processed: null, durable: null, source_head: null },
    checkpoint: { last_id: null, last_at: null },
    backfill: { rows_done: null, rows_est: null },
  })
})

test('a log that is silent or lost is in the state, the progress line and the metrics', () => {
  const seen = (log: LogState): object => {
    const status = statusOf({ source: { ...snapshotOf().source!, log } })
    const metrics = metricsOf(status).all()
    const one = (name: string): unknown =>
      metrics.find(({ family }) => family.name === name)?.samples()
    const states = one('millrace_pipeline_state') as { labels: { state: string }; value: number }[]
    return {
      state: status.state,
      error: status.error?.message ?? null,
      line: renderProgress(status, 200)[0]?.split('  ').slice(7) ?? [],
      metric: states.filter(({ value }) => value === 1).map(({ labels }) => labels.state),
      up: one('millrace_connection_up'),
      heard: one('millrace_heartbeat_timestamp_seconds'),
    }
  }
  const heardAtMs = NOW_MS - 35_000
  const labels = { pipeline: 'shop' }
  const heard = [{ labels, value: heardAtMs / 1000 }]
  const up = (value: number): object[] => [{ labels: { ...labels, component: 'log' }, value }]
  expect(seen({ condition: 'silent', heardAtMs, error: null })).toEqual({
    state: 'STALLED',
    error: null,
    line: ['server silent for 35s'],
    metric: ['STALLED'],
    up: up(0),
    heard,
  })
  const error = { error: 'CONNECT_FAILED', message: 'it is gone', detail: null, hint: '' } as const
  expect(seen({ condition: 'lost', heardAtMs, error })).toEqual({
    state: 'RETRYING',
    error: 'it is gone',
    line: ['server silent for 35s', 'it is gone'],
    metric: ['RETRYING'],
    up: up(0),
    heard,
  })
  expect(seen({ condition: 'open', heardAtMs, error: null })).toMatchObject({
    state: 'BACKFILLING',
    line: [],
    up: up(1),
  })
})

test('nothing left to read is no lag, whatever the clocks say', () => {
  const source = { ...snapshotOf().source!, headOrder: 5n, processedOrder: 5n }
  const checkpoint = { ...snapshotOf().checkpoint!, order: 4n }
  const commits = { ...snapshotOf().commits, pending: 0 }
  const { lag } = statusOf({ source, commits, checkpoint })
  expect(lag).toMatchObject({ source_s: 0, e2e_s: 1, bytes: 0 })
  expect(lag.accuracy.source_s).toBe('EXACT')
})

test('an idle pipeline whose last checkpoint holds everything has no lag, however old it is', () => {
  const source = { ...snapshotOf().source!, headOrder: 5n, processedOrder: 5n }
  const commits = { ...snapshotOf().commits, pending: 0 }
  const hourAgo = { ...snapshotOf().checkpoint!, atMs: NOW_MS - 3_600_000 }
  const holding = statusOf({ source, commits, checkpoint: { ...hourAgo, order: 5n } })
  expect(holding.lag).toMatchObject({ source_s: 0, e2e_s: 0 })
  const behind = statusOf({ source, commits, checkpoint: { ...hourAgo, order: 4n } })
  expect(behind.lag).toMatchObject({ source_s: 0, e2e_s: 3600 })
})

test('a position of a binary log is its file and offset', () => {
  const order = (3n << 96n) | (17n << 64n) | 4711n
  const source = { ...snapshotOf().source!, processedOrder: order }
  const status = new StatusTracker('shop', 'binlog').statusOf(snapshotOf({ source }), NOW_MS)
  expect(status.position.processed).toBe('17:4711')
  // Two files, or two source epochs: a difference of offsets would mean nothing.
  expect(status.lag.bytes).toBeNull()
})

test('a lag behind topics is one of records', () => {
  const source = { ...snapshotOf().source!, processedOrder: 4711n, headOrder: 5000n }
  const status = new StatusTracker('shop', 'records').statusOf(snapshotOf({ source }), NOW_MS)
  expect(status.position).toMatchObject({ processed: '4711', source_head: '5000' })
  expect(status.lag).toMatchObject({ bytes: null, records: 289 })
})

test('a status comes back from the state store as it went in', async () => {
  const { state } = new FakeWiring()
  expect(await readStatus(state)).toBeNull()
  const status = statusOf()
  await writeStatus(state, status)
  expect(await readStatus(state)).toEqual(status)
  await state.put('status.json', Buffer.from('{"format":0}'))
  await expect(readStatus(state)).rejects.toThrow('has another format')
  await state.put('status.json', Buffer.from('{'))
  await expect(readStatus(state)).rejects.toThrow('is not JSON')
})

test('a rate is the growth over the last seconds', () => {
  const meter = new RateMeter()
  const totals = [0, 100, 200, 300, 400, 500, 600, 700, 700, 700, 700, 700, 700, 700]
  const rates = totals.map((total, second) => meter.rate('t', total, second * 1000))
  expect(rates).toEqual([0, 100, 100, 100, 100, 100, 100, 100, 80, 60, 40, 20, 0, 0])
  // A process that starts again counts from zero.
  expect(meter.rate('t', 5, 14_000)).toBe(0)
  expect(meter.rate('t', 25, 15_000)).toBe(20)
})

test('progress lines fit the terminal and cannot steer it', () => {
  const name = fc.string({ unit: 'binary', maxLength: 60 })
  const phase = fc.constantFrom('waiting', 'backfilling', 'streaming', 'parked', 'new one')
  const count = fc.option(fc.nat(1e12))
  const table = fc.record({ name, phase, rowsDone: count, rowsEstimated: count })
  fc.assert(
    fc.property(
      fc.array(table, { maxLength: 12 }),
      fc.nat(150),
      fc.nat(12),
      (tables, columns, max) => {
        const template = snapshotOf().tables[0]!
        const status = statusOf({
          tables: tables.map(({ name: text, ...rest }) => ({
            ...template,
            progress: { ...template.progress, ...rest, table: text, repair: false },
          })),
        })
        expect(JSON.parse(JSON.stringify(status))).toEqual(status)
        const lines = renderProgress(status, columns, max + 2)
        expect(lines.length).toBeLessThanOrEqual(max + 2)
        for (const line of lines) {
          expect(line.length).toBeLessThanOrEqual(columns)
          expect(line).not.toMatch(/\p{Cc}/u)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('80 columns show all of a line: a long name gives way, not the last commit', () => {
  const [streaming, backfilling] = snapshotOf().tables
  if (streaming === undefined || backfilling === undefined) throw new Error('there are two tables')
  const named = (table: string, phase: string): typeof streaming => ({
    ...streaming,
    progress: { ...backfilling.progress, table, phase },
    ops: { insert: 123_456, update: 98_765, delete: 1234, read: 0 },
  })
  const tables = [
    named('public.order_items_of_the_last_quarter', 'streaming'),
    named('public.users', 'catching-up'),
    named('public.orders', 'backfilling'),
  ]
  // A terminal of 80 columns: the last stays free.
  for (const width of [79, 80]) {
    const [, ...lines] = renderProgress(statusOf({ tables }), width)
    expect(lines).toHaveLength(3)
    for (const line of lines) {
      expect(line.length).toBeLessThanOrEqual(width)
      expect(line).toMatch(/\/s lag 2\.0s +commit 5\.0s ago$/)
    }
    expect(lines.join('\n')).toContain('  publi')
  }
})

test('a table that waits says for what, in the place of numbers that do not move', () => {
  const [, backfilling] = snapshotOf().tables
  if (backfilling === undefined) throw new Error('there is a second table')
  const waitsFor = 'the transaction of process 4711, open since 11:00'
  const progress = { ...backfilling.progress, phase: 'waiting', waitsFor }
  const [, line] = renderProgress(statusOf({ tables: [{ ...backfilling, progress }] }), 79)
  expect(line).toBe(
    '  public.users structure waits for the transaction of process 4711, open sin...',
  )
})

test('a backfill is seen to move before its epoch ends', () => {
  const tracker = new StatusTracker('shop', 'lsn')
  const at = (rowsDone: number, nowMs: number): PipelineStatus => {
    const template = snapshotOf().tables[1]!
    const progress = { ...template.progress, rowsDone }
    const source = { ...snapshotOf().source!, rowsSent: rowsDone + 7 }
    return tracker.statusOf(snapshotOf({ tables: [{ ...template, progress }], source }), nowMs)
  }
  at(0, NOW_MS)
  const status = at(5000, NOW_MS + 1000)
  expect(status.rates.read_rows).toBe(5000)
  expect(status.table_list[0]?.rate.read_rows).toBe(5000)
})

test('progress lines put first what somebody waits for or must act on', () => {
  const template = snapshotOf().tables[0]!
  const tables = ['streaming', 'parked', 'backfilling', 'catching-up'].map((phase) => ({
    ...template,
    progress: {
      table: `public.${phase}`,
      phase,
      reason: phase === 'parked' ? REASON : null,
      repair: false,
      waitsFor: null,
      rowsDone: 250,
      rowsEstimated: 1000,
      watermarkUs: null,
      times: null,
    },
  }))
  const lines = renderProgress(statusOf({ tables }), 120)
  expect(lines.map((line) => line.trim().split(/\s+/)[0])).toEqual([
    'shop',
    'public.parked',
    'public.backfilling',
    'public.catching-up',
    'public.streaming',
  ])
  expect(lines[1]).toContain('the key changed')
  expect(lines[2]).toContain('250/~1,000 25%')
  expect(lines[4]).toContain('+60 ~30 -10')
  expect(lines[4]).toMatch(/lag 2\.0s\s+commit 5\.0s ago$/)
  expect(renderProgress(statusOf({ tables }), 120, 3).at(-1)).toBe('  and 3 more tables')
})

const REASON = { error: 'KEY_CHANGED', message: 'the key changed', detail: null, hint: '' } as const

test('numbers are short enough for a line', () => {
  expect([0, 999_999, 1_000_000, 12_345_678, 2e9].map(formatCount)).toEqual([
    '0',
    '999,999',
    '1.0M',
    '12.3M',
    '2.0G',
  ])
  expect([null, 0, 9.94, 10, 119, 120, 7200, 200_000].map(formatSeconds)).toEqual([
    '?',
    '0.0s',
    '9.9s',
    '10s',
    '119s',
    '2m',
    '2h',
    '2d',
  ])
})

test('metrics beyond the limit of tables share one label and lose nothing', () => {
  const template = snapshotOf().tables[0]!
  const tables = Array.from({ length: 10 }, (_, index) => ({
    ...template,
    progress: { ...template.progress, table: `t${index}` },
  }))
  const written = (limit: number): Record<string, number> => {
    const metric = metricsOf(statusOf({ tables }), limit)
      .all()
      .find(({ family }) => family.name === 'millrace_sink_rows_total')!
    const samples = metric.samples().filter(({ labels }) => labels['stage'] === 'written')
    return Object.fromEntries(samples.map(({ labels, value }) => [labels['table'], value]))
  }
  expect(written(2)).toEqual({ t0: 90, t1: 90, __other__: 720 })
  expect(Object.keys(written(500))).toHaveLength(10)
})

/** fetch would not let us choose the Host header. */
function get(
  served: Console,
  path: string,
  options: { host?: string; method?: string } = {},
): Promise<{ code: number; type: string; body: string }> {
  const { hostname, port, host } = new URL(served.url)
  const headers = { host: options.host ?? host }
  return new Promise((resolve, reject) => {
    const { method = 'GET' } = options
    const sent = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () => {
        resolve({
          code: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          body,
        })
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

test('the server answers what it has, to whom it should', async () => {
  let status: PipelineStatus | null = null
  const options = { host: '127.0.0.1', port: 0, insecure: false, status: () => status }
  const served = await startConsole(options)
  try {
    expect(await get(served, '/healthz')).toMatchObject({ code: 200, type: 'application/json' })
    expect((await get(served, '/metrics')).code).toBe(200)
    status = statusOf()
    const { code, body } = await get(served, '/metrics?x=1')
    expect(code).toBe(200)
    for (const line of [
      'millrace_source_rows_total{pipeline="shop",table="public.orders",op="c"} 60',
      'millrace_sink_rows_total{pipeline="shop",table="public.orders",stage="written"} 90',
      'millrace_table_phase{pipeline="shop",table="public.users",phase="backfill"} 1',
      'millrace_backfill_rows{pipeline="shop",table="public.users",kind="estimated"} 1600000',
      'millrace_pipeline_state{pipeline="shop",state="BACKFILLING"} 1',
      'millrace_lag_seconds{pipeline="shop",stage="source"} 2',
      'millrace_checkpoints_total{pipeline="shop",result="ok"} 42',
      'millrace_commits_total{pipeline="shop",result="ok"} 40',
      'millrace_commits_total{pipeline="shop",result="unknown_resolved"} 1',
      'millrace_files_total{pipeline="shop",kind="data",action="written"} 80',
      'millrace_sink_bytes_total{pipeline="shop"} 123456',
      'millrace_errors_total{pipeline="shop",code="MR-2001",class="retry"} 3',
      'millrace_retries_total{pipeline="shop",component="commit",code="MR-2001"} 1',
      'millrace_ddl_total{pipeline="shop",table="public.orders",kind="add_column",decision="applied"} 2',
      'millrace_ddl_total{pipeline="shop",table="__other__",kind="drop_table",decision="kept"} 1',
      'millrace_commits_pending{pipeline="shop"} 1',
      '# TYPE millrace_source_rows_total counter',
    ]) {
      expect(body.split('\n')).toContain(line)
    }
    expect(body).toMatch(/^process_cpu_seconds_total \d/m)
    // What is not known has no sample, rather than a zero.
    expect(body).not.toContain('stage="e2e"')
    expect((await get(served, '/')).code).toBe(404)
    expect((await get(served, '/../etc/passwd')).code).toBe(404)
    expect((await get(served, '/metrics', { method: 'POST' })).code).toBe(405)
    expect((await get(served, '/metrics', { method: 'HEAD' })).body).toBe('')
    expect((await get(served, '/metrics', { host: 'evil.example' })).code).toBe(421)
    expect((await get(served, '/metrics', { host: 'localhost:80' })).code).toBe(200)
    status = statusOf({ phase: 'failed', error: { ...REASON } })
    const failed = await get(served, '/healthz')
    expect(failed.code).toBe(503)
    expect(JSON.parse(failed.body)).toMatchObject({ status: 'failed', error: 'the key changed' })
    const taken = { ...options, port: Number(new URL(served.url).port) }
    await expect(startConsole(taken)).rejects.toThrow('cannot listen on 127.0.0.1:')
  } finally {
    await served.close()
  }
})

test('a lag is not known before the first commit time is', () => {
  const { source } = snapshotOf()
  if (source === null) throw new Error('there is a source')
  // Unix time begins in 1970, PostgreSQL's in 2000: a connector may say either of a log's start.
  for (const sourceTimeUs of [0n, 946_684_800_000_000n]) {
    const [first] = snapshotOf().tables
    if (first === undefined) throw new Error('there is a table')
    const snapshot = snapshotOf({
      source: { ...source, sourceTimeUs },
      tables: [{ ...first, committedTimeUs: sourceTimeUs }],
    })
    const status = new StatusTracker('shop', 'lsn').statusOf(snapshot, Date.UTC(2026, 10, 20, 12))
    expect(status.lag).toMatchObject({
      source_s: null,
      e2e_s: null,
      accuracy: { source_s: 'UNAVAILABLE', e2e_s: 'UNAVAILABLE' },
    })
    expect(status.table_list[0]?.commit.source_time).toBeNull()
  }
})

test('a table that is read again is shown as repairing until it is handed over', () => {
  const [first] = snapshotOf().tables
  if (first === undefined) throw new Error('there is a table')
  const shown = (phase: string, repair: boolean): string | undefined => {
    const progress = { ...first.progress, phase, repair, rowsDone: 10, rowsEstimated: 20 }
    const snapshot = snapshotOf({ tables: [{ ...first, progress }] })
    const status = new StatusTracker('shop', 'lsn').statusOf(snapshot, 0)
    return status.table_list[0]?.phase
  }
  for (const phase of ['waiting', 'backfilling', 'catching-up']) {
    expect(shown(phase, true)).toBe('repairing')
    expect(shown(phase, false)).not.toBe('repairing')
  }
  expect(shown('parked', true)).toBe('parked')
  expect(shown('streaming', false)).toBe('streaming')
})
