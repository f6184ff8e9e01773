// When a log counts as silent, and what is said of it: with a clock that the test moves.

import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import { LogNotices, LogWatch, type LogState } from '../../runtime/job/log-watch.ts'
import type { SourceProgress } from '../../runtime/job/messages.ts'
import { RunState } from '../../runtime/job/run-state.ts'
import type { LogLink } from '../../runtime/source.ts'

const SILENT_MS_MAX = 3000
const START_MS = Date.UTC(2026, 10, 28)
const LOST = new PipelineError('CONNECT_FAILED', 'no sign of life')

class Log {
  nowMs = 0
  private readonly watch = new LogWatch({
    ...systemClock,
    elapsedMs: () => this.nowMs,
    nowMs: () => START_MS + this.nowMs,
  })
  private heardMs: number | null = null
  private lost: PipelineError | null = null

  hear(): this {
    this.heardMs = this.nowMs
    this.lost = null
    return this
  }

  lose(): this {
    this.lost = LOST
    return this
  }

  look(afterMs = 0): LogState {
    this.nowMs += afterMs
    return this.watch.look(this.link())
  }

  private link(): LogLink | null {
    if (this.heardMs === null) return null
    const silentMs = this.nowMs - this.heardMs
    return { open: this.lost === null, silentMs, silentMsMax: SILENT_MS_MAX, lost: this.lost }
  }
}

test('a log is silent after three heartbeats without a sign of life, and not before', () => {
  const log = new Log()
  expect(log.look(250).condition).toBe('opening')
  expect(log.hear().look(250).condition).toBe('open')
  for (let ms = 250; ms < SILENT_MS_MAX; ms += 250) expect(log.look(250).condition).toBe('open')
  expect(log.look(250).condition).toBe('open')
  const silent = log.look(250)
  expect(silent).toEqual({ condition: 'silent', heardAtMs: START_MS + 250, error: null })
  expect(log.hear().look().condition).toBe('open')
})

test('a process that was stopped itself does not take the server for silent', () => {
  const log = new Log()
  expect(log.hear().look().condition).toBe('open')
  // The timers run before the bytes that lie in the socket are read.
  expect(log.look(3_600_000).condition).toBe('open')
  expect(log.look(10).condition).toBe('open')
  expect(log.hear().look(250).condition).toBe('open')
})

test('a log that is opened again is lost until it is open, with the error', () => {
  const log = new Log()
  log.hear().look()
  expect(log.lose().look(5000)).toMatchObject({
    condition: 'lost',
    heardAtMs: START_MS,
    error: { error: 'CONNECT_FAILED', message: 'no sign of life' },
  })
  expect(log.hear().look(250).condition).toBe('open')
})

test('each change is said once, since when, and with the code of the last error', () => {
  const said: unknown[] = []
  const notices = new LogNotices((level, message, facts) => said.push({ ...facts, level, message }))
  const log = new Log()
  const look = (afterMs: number): void => notices.heard(log.look(afterMs), START_MS + log.nowMs)
  look(0)
  log.hear()
  for (let ms = 0; ms < 6000; ms += 250) look(250)
  log.lose()
  for (let ms = 0; ms < 6000; ms += 250) look(250)
  log.hear()
  for (let ms = 0; ms < 1000; ms += 250) look(250)
  const since = new Date(START_MS).toISOString()
  expect(said).toEqual([
    { level: 'warn', message: 'the server of the log is silent', since, code: null },
    expect.objectContaining({
      level: 'warn',
      message: 'the log is lost and opened again',
      since,
      code: 'MR-2001',
    }),
    {
      level: 'info',
      message: 'the log is read again',
      since,
      code: 'MR-2001',
      forMs: 12_250,
    },
  ])
})

test('after a failed attempt the log is said to be read again once it is open', () => {
  const said: string[] = []
  const notices = new LogNotices((_, message) => said.push(message))
  notices.heard({ condition: 'open', heardAtMs: START_MS, error: null }, START_MS)
  const failed = notices.failed(recordOf(LOST), START_MS + 4000)
  expect(failed).toEqual({ since: new Date(START_MS).toISOString(), code: 'MR-2001' })
  notices.heard({ condition: 'opening', heardAtMs: START_MS + 5000, error: null }, START_MS + 5000)
  expect(said).toEqual([])
  notices.heard({ condition: 'open', heardAtMs: START_MS + 6000, error: null }, START_MS + 6000)
  expect(said).toEqual(['the log is read again'])
})

test('an attempt that follows a failure runs when its log is open, and not before', () => {
  const state = new RunState(START_MS)
  const phaseAfter = (log: LogState): string => {
    state.addProgress({ ...PROGRESS, log })
    return state.phase
  }
  const at = { heardAtMs: START_MS, error: null }
  expect(phaseAfter({ ...at, condition: 'open' })).toBe('starting')
  state.phase = 'retrying'
  state.error = recordOf(LOST)
  // The connection went with the attempt.
  expect(state.snapshot([], 0).source?.log).toMatchObject({ ...at, condition: 'lost', error: {} })
  expect(phaseAfter({ ...at, condition: 'opening' })).toBe('retrying')
  expect(state.error).not.toBeNull()
  expect(phaseAfter({ ...at, condition: 'open' })).toBe('running')
  expect(state.error).toBeNull()
  // It is told to stop: what the log does changes nothing.
  state.phase = 'stopping'
  expect(phaseAfter({ ...at, condition: 'open' })).toBe('stopping')
})

test('a log that is lost counts as one retry, however long it takes', () => {
  const state = new RunState(START_MS)
  state.phase = 'running'
  const log = new Log()
  log.hear()
  for (let ms = 0; ms < 2000; ms += 250) state.addProgress({ ...PROGRESS, log: log.look(250) })
  for (let loss = 0; loss < 2; loss++) {
    log.lose()
    for (let ms = 0; ms < 2000; ms += 250) state.addProgress({ ...PROGRESS, log: log.look(250) })
    state.addProgress({ ...PROGRESS, log: log.hear().look(250) })
  }
  expect(state.snapshot([], 0).retries).toEqual([
    { component: 'log', error: 'CONNECT_FAILED', count: 2 },
  ])
})

const PROGRESS: Omit<SourceProgress, 'log'> = {
  kind: 'progress',
  rowsSent: 0,
  queueFill: 0,
  headOrder: null,
  processedOrder: 0n,
  sourceTimeUs: 0n,
  throttle: null,
  tables: [],
}
