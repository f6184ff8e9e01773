// The end of the log behind what readers see, against a server that flushes when it likes.

import { expect, test } from 'vitest'
import { untilFlushed, visibleEnd } from '../../connectors/postgres/log-end.ts'
import { formatLsn } from '../../connectors/postgres/lsn.ts'
import type { ServerFacts } from '../../connectors/postgres/server.ts'
import { systemClock, type Clock } from '../../runtime/base/clock.ts'

const facts = {
  walPageBytes: 8192,
  walSegmentBytes: 16 * 1024 * 1024,
  walWriterDelayMs: 200,
} as ServerFacts

/** A server whose log is written up to a place, and flushed up to another as time passes. */
class Server {
  timeMs = 0
  nudges = 0
  private readonly flushedAt: (timeMs: number, nudges: number) => number
  readonly clock: Clock = {
    ...systemClock,
    elapsedMs: () => this.timeMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      this.timeMs += ms
    },
  }
  inserted = 20_000

  constructor(flushedAt: (timeMs: number, nudges: number) => number) {
    this.flushedAt = flushedAt
  }

  readonly ask = async (sql: string): Promise<Record<string, unknown>[]> => {
    if (sql.includes('pg_current_xact_id')) this.nudges++
    const flushed = this.flushedAt(this.timeMs, this.nudges)
    return [{ inserted: formatLsn(this.inserted), flushed: formatLsn(flushed) }]
  }
}

test('a place that is flushed already is not waited for', async () => {
  const server = new Server(() => 20_000)
  expect(await visibleEnd(server.ask, server.clock, facts)).toBe(20_000)
  expect(server).toMatchObject({ timeMs: 0, nudges: 0 })
})

test('a slow flush is waited for, however long the log writer takes', async () => {
  const server = new Server((timeMs) => (timeMs < 20_000 ? 19_999 : 30_000))
  expect(await visibleEnd(server.ask, server.clock, facts)).toBe(20_000)
  expect(server.timeMs).toBeGreaterThanOrEqual(20_000)
})

test('what an open transaction has written is flushed once somebody commits', async () => {
  const server = new Server((_, nudges) => (nudges === 0 ? 12_000 : 20_000))
  await untilFlushed(server.ask, server.clock, facts, 20_000, new AbortController().signal)
  expect(server.nudges).toBe(1)
  expect(server.timeMs).toBeLessThan(1000)
})

test('a server that never flushes is an error to be tried again, not an end', async () => {
  const server = new Server(() => 12_000)
  await expect(visibleEnd(server.ask, server.clock, facts)).rejects.toMatchObject({
    error: 'CONNECT_FAILED',
  })
})

test('whoever gives up does not wait', async () => {
  const server = new Server(() => 12_000)
  const stop = new AbortController()
  stop.abort(new Error('given up'))
  const waiting = untilFlushed(server.ask, server.clock, facts, 20_000, stop.signal)
  await expect(waiting).rejects.toThrow('given up')
  expect(server.timeMs).toBe(0)
})
