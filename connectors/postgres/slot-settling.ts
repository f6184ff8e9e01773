// A new slot is moved on until the server decodes with the structure that its tables have.
//
// The server learns the structure while it creates the slot, in two waits for transactions that are
// open. What others commit in the first wait it passes over (xact_decode in its decode.c, before
// SNAPBUILD_FULL_SNAPSHOT), and it goes on with that view until somebody changes structure again:
// it refuses rows of new tables ("could not map filenumber ... to relation OID"), and leaves new
// columns out without a word. A view that it loads from disk is whole. It writes one at every list
// of running transactions in the log behind the place where the slot began: so the slot has to
// restart at one of those. Seen with PostgreSQL 15 and 18; `slot-window.live.test.ts` shows it.

import { sqlStateOf } from './connect.ts'
import type { Ask } from './catalog.ts'
import { parseLsn, type Lsn } from './lsn.ts'
import type { PostgresOptions } from './options.ts'

/** All slots of the server are taken. */
const NO_FREE_SLOT = '53400'
/** Two lists of running transactions fit in; no change of structure does besides. */
const NO_CHANGE_BYTES = 128
const SERVER_LIST_POLL_MS = 1_000

interface Places {
  /** The server reads its log from here, to know what is open at `confirmed`. */
  readonly restart: Lsn
  readonly confirmed: Lsn
}

/** @returns false when nobody can have changed structure while the slot was created */
export async function mayBeStale(ask: Ask, slot: string): Promise<boolean> {
  const { restart, confirmed } = await readPlaces(ask, slot)
  return confirmed - restart > NO_CHANGE_BYTES
}

/**
 * Waits for transactions that are open now; what has been committed by then is not in the log of
 * the slot any more. Nobody may read from the slot meanwhile.
 *
 * @param beginning  where the log of the slot begins so far
 * @returns where it begins from now on
 */
export async function settleSlot(options: PostgresOptions, ask: Ask, beginning: Lsn): Promise<Lsn> {
  const { slot } = options
  for (;;) {
    await listRunningTransactions(options, ask)
    const { restart, confirmed } = await advanceSlot(ask, slot)
    if (restart >= beginning) return confirmed
  }
}

/**
 * Moves a slot on to the end of the log; its log has what is committed from there on. Nobody may
 * read from it meanwhile.
 *
 * @returns where it stands from now on: its log begins at `confirmed`
 */
export async function advanceSlot(ask: Ask, slot: string): Promise<Places> {
  // Servers before 15.13, 16.9 and 17.5 may let go of old catalog rows too early here; they do
  // so when a vacuum of the catalog falls into the moment before the log is read.
  await ask('SELECT pg_replication_slot_advance($1, pg_current_wal_flush_lsn())', [slot], true)
  return readPlaces(ask, slot)
}

async function readPlaces(ask: Ask, slot: string): Promise<Places> {
  const [row] = await ask(
    `SELECT restart_lsn::text AS restart, confirmed_flush_lsn::text AS confirmed
     FROM pg_replication_slots WHERE slot_name = $1`,
    [slot],
  )
  return {
    restart: parseLsn(String(row?.['restart'])),
    confirmed: parseLsn(String(row?.['confirmed'])),
  }
}

/**
 * Has the server write lists into its log until none of what is open now is in them. The creation
 * of any slot does that, with no right but the one that we need anyway.
 */
async function listRunningTransactions({ clock }: PostgresOptions, ask: Ask): Promise<void> {
  const name = `'millrace_' || pg_backend_pid()`
  try {
    await ask(
      `SELECT pg_drop_replication_slot(slot_name)
       FROM pg_create_logical_replication_slot(${name}, 'pgoutput', true)`,
      [],
      true,
    )
  } catch (error) {
    if (sqlStateOf(error) !== NO_FREE_SLOT) throw error
    // The server writes a list by itself, every 15 seconds in which its log has grown.
    await ask('SELECT pg_current_xact_id()')
    await clock.sleep(SERVER_LIST_POLL_MS)
  }
}
