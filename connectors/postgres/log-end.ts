// Where the log ends behind what readers see now. Two traps lie between that and a place which the
// stream can reach: log that is written but not flushed, and the header of an empty page.

import type { Clock } from '../../runtime/base/clock.ts'
import type { Ask } from './catalog.ts'
import { beforePageHeader, parseLsn, type Lsn } from './lsn.ts'
import type { ServerFacts } from './server.ts'

const WAIT_MS = 20
/** Commits that nobody waits for are flushed within three rounds of the log writer. */
const WRITER_ROUNDS = 4

const END_SQL = `SELECT pg_current_wal_insert_lsn()::text AS inserted,
  pg_current_wal_flush_lsn()::text AS flushed`

/**
 * A place behind the commit record of every transaction that is visible at the call.
 *
 * Everything before it is flushed, so a crash of the server cannot take back what a chunk has seen
 * of an application that does not wait for its commits (synchronous_commit = off), and the stream
 * reaches it on an idle server too: what a transaction that is still open has written may stay
 * unflushed for long, but after some rounds of the log writer it is no commit.
 */
export async function visibleEnd(ask: Ask, clock: Clock, facts: ServerFacts): Promise<Lsn> {
  const { walPageBytes, walSegmentBytes, walWriterDelayMs } = facts
  const read = async (): Promise<{ inserted: Lsn; flushed: Lsn }> => {
    const [row] = await ask(END_SQL)
    const inserted = parseLsn(String(row?.['inserted']))
    const flushed = parseLsn(String(row?.['flushed']))
    return { inserted: beforePageHeader(inserted, walPageBytes, walSegmentBytes), flushed }
  }
  const { inserted: end, flushed: first } = await read()
  const deadline = clock.elapsedMs() + WRITER_ROUNDS * walWriterDelayMs
  let flushed = first
  while (flushed < end && clock.elapsedMs() < deadline) {
    await clock.sleep(WAIT_MS)
    flushed = (await read()).flushed
  }
  return Math.min(end, flushed)
}
