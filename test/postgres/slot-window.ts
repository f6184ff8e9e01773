// Has structure change in the moment that the server's decoder takes no notice of: while a slot is
// created, and waits for what was open when its creation began.

import type { Client } from 'pg'
import { expect } from 'vitest'
import { queryPostgres, withPostgres } from '../servers/clients.ts'

const WAIT = { timeout: 60_000, interval: 20 }

export interface SlotWindow<T> {
  /** Begins to create the slot, and does not wait for it. */
  create: () => T
  /** Runs in the first wait of the server, and commits by itself. */
  change: () => Promise<void>
  /** Runs when the slot is there, and a transaction open that is younger than both waits. */
  behind: () => Promise<void>
}

/**
 * Makes a table `gate` of its own. One slot at most may be on the server.
 *
 * @returns what `create` gave
 */
export async function changeWhileSlotIsCreated<T>(uri: string, window: SlotWindow<T>): Promise<T> {
  await queryPostgres(uri, 'CREATE TABLE gate (id int PRIMARY KEY)')
  return withPostgres(uri, async (first) =>
    withPostgres(uri, async (second) =>
      withPostgres(uri, async (third) => {
        const firstXid = await begin(first, 1)
        const created = window.create()
        await untilWaitedFor(uri, firstXid)
        const secondXid = await begin(second, 2)
        await window.change()
        await first.query('COMMIT')
        await untilWaitedFor(uri, secondXid)
        // Its row has the decoder build its view, which it then keeps.
        await begin(third, 3)
        await second.query('COMMIT')
        await expect.poll(async () => hasSlot(uri), WAIT).toBe(true)
        await window.behind()
        await third.query('COMMIT')
        return created
      }),
    ),
  )
}

/** @returns the id of a transaction that stays open */
async function begin(client: Client, id: number): Promise<string> {
  await client.query(`BEGIN; INSERT INTO gate VALUES (${id})`)
  const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid')
  return String(rows[0]?.xid)
}

async function untilWaitedFor(uri: string, xid: string): Promise<void> {
  const waiters = async (): Promise<number> => {
    const rows = await queryPostgres(
      uri,
      `SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted
         AND transactionid::text = '${xid}'`,
    )
    return rows.length
  }
  await expect.poll(waiters, WAIT).toBeGreaterThan(0)
}

async function hasSlot(uri: string): Promise<boolean> {
  const rows = await queryPostgres(
    uri,
    `SELECT 1 FROM pg_replication_slots
     WHERE confirmed_flush_lsn IS NOT NULL AND NOT temporary AND database = current_database()`,
  )
  return rows.length > 0
}
