// The creation of the slot. The server waits in it until every transaction has ended that is open
// then, and so does the settling of the slot, however long that takes: whoever looks on must see
// what is waited for.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Ask } from './catalog.ts'
import { Control } from './control.ts'
import type { Lsn } from './lsn.ts'
import { readOpenTransactions } from './open-transactions.ts'
import type { PostgresOptions } from './options.ts'
import { createSlot } from './server.ts'
import { advanceSlot, mayBeStale, settleSlot } from './slot-settling.ts'

const FIRST_WORD_MS = 3_000
const NEXT_WORD_MS = 30_000
const NAMED_MAX = 10

/** @returns where the log of the slot begins */
export async function createSlotAloud(options: PostgresOptions, ask: Ask): Promise<Lsn> {
  const { slot, log } = options
  log.info('creating the replication slot', { slot })
  return aloud(options, async () => {
    const beginning = await createSlot(ask, slot)
    return (await mayBeStale(ask, slot)) ? settleSlot(options, ask, beginning) : beginning
  })
}

/**
 * Takes over a slot that nobody has read from, maybe one of ours whose process died before its
 * first checkpoint. A backfill brings all that has been committed by now: the slot is moved on to
 * here, since the log of before may have structures that the tables have no longer. Without a
 * backfill its changes are all there is, so they are kept.
 *
 * @returns where its log begins
 */
export async function adoptSlotAloud(
  options: PostgresOptions,
  ask: Ask,
  beginning: Lsn,
): Promise<Lsn> {
  const { slot, log, backfills } = options
  const isStale = await mayBeStale(ask, slot)
  if (backfills) {
    return aloud(options, async () =>
      isStale ? settleSlot(options, ask, beginning) : (await advanceSlot(ask, slot)).confirmed,
    )
  }
  if (isStale) {
    const message = 'the server may not know of structure that changed while the slot was created'
    log.warn(message, { slot })
  }
  return beginning
}

async function aloud(options: PostgresOptions, work: () => Promise<Lsn>): Promise<Lsn> {
  const stop = new AbortController()
  const speaking = speak(options, stop.signal)
  try {
    return await work()
  } finally {
    stop.abort()
    await speaking
  }
}

/** On a connection of its own: the other one waits. Nothing depends on what is found. */
async function speak(options: PostgresOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, slot } = options
  const control = new Control(options)
  try {
    for (let waitMs = FIRST_WORD_MS; !signal.aborted; waitMs = NEXT_WORD_MS) {
      await clock.sleep(waitMs, signal)
      const waitsFor = await openTransactions(async (sql) => control.query(sql)).catch(
        (error: unknown) => [`transactions that cannot be read: ${reasonOf(error)}`],
      )
      if (signal.aborted) return
      const message = 'the replication slot waits for transactions that are open to end'
      log.warn(message, { slot, waitsFor })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await control.close()
  }
}

function reasonOf(error: unknown): string {
  return error instanceof PipelineError ? error.message : String(error)
}

async function openTransactions(ask: Ask): Promise<readonly string[]> {
  const open = await readOpenTransactions(ask, NAMED_MAX)
  return open.map(({ who, owner, database, since }) => {
    const when = since === null ? '' : `, open since ${since}`
    return `${who} of ${owner} in database ${database}${when}`
  })
}
