// Where the log ends behind what readers see now. Two traps lie between that and a place which the
// stream can reach: log that is written but not flushed, and the header of an empty page.

import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Ask } from './catalog.ts'
import { beforePageHeader, formatLsn, parseLsn, type Lsn } from './lsn.ts'
import type { ServerFacts } from './server.ts'

const WAIT_MS = 20
/** Commits that somebody waits for are flushed by then. */
const NUDGE_MS = 50
/** A server that flushes nothing for so long has trouble of its own. */
const FLUSH_MS_MAX = 60_000

const INSERTED_SQL = 'SELECT pg_current_wal_insert_lsn()::text AS inserted'
const FLUSHED_SQL = 'SELECT pg_current_wal_flush_lsn()::text AS flushed'
/** Writes no row: the end of a transaction that has an id makes the log writer flush up to it. */
const NUDGE_SQL = 'SELECT pg_current_xact_id()'

/**
 * A place behind the commit record of every transaction that is visible at the call, which is
 * flushed: the stream reaches it, on an idle server too.
 */
export async function visibleEnd(
  ask: Ask,
  clock: Clock,
  facts: ServerFacts,
  signal?: AbortSignal,
): Promise<Lsn> {
  const [row] = await ask(INSERTED_SQL)
  const end = reachable(parseLsn(String(row?.['inserted'])), facts)
  await untilFlushed(ask, clock, facts, end, signal)
  return end
}

/** @returns the same place of the log, as the stream can reach it */
export function reachable(lsn: Lsn, { walPageBytes, walSegmentBytes }: ServerFacts): Lsn {
  return beforePageHeader(lsn, walPageBytes, walSegmentBytes)
}

/**
 * Waits until a crash of the server cannot take back what was written before `end`. A commit that
 * nobody waits for (synchronous_commit = off) is visible before it is flushed, and no question
 * tells it from the rows of an open transaction, which may stay unflushed for long. So there is no
 * time after which one may be taken for the other: the log writer is told to flush both.
 *
 * @throws PipelineError CONNECT_FAILED; what the signal was aborted with
 */
export async function untilFlushed(
  ask: Ask,
  clock: Clock,
  { walWriterDelayMs }: ServerFacts,
  end: Lsn,
  signal?: AbortSignal,
): Promise<void> {
  const startMs = clock.elapsedMs()
  let nudged = false
  for (;;) {
    const [row] = await ask(FLUSHED_SQL)
    if (parseLsn(String(row?.['flushed'])) >= end) return
    const waitedMs = clock.elapsedMs() - startMs
    if (!nudged && waitedMs >= NUDGE_MS) {
      nudged = true
      await ask(NUDGE_SQL)
    }
    if (waitedMs > Math.max(FLUSH_MS_MAX, 10 * walWriterDelayMs)) {
      const message = `the server does not flush its log up to ${formatLsn(end)}`
      throw new PipelineError('CONNECT_FAILED', message, {
        hint: "Look at the server's disk; Millrace tries again.",
      })
    }
    await clock.sleep(WAIT_MS, signal)
  }
}
