// Transactions that are open on the server: what a new slot, or a table that joins, waits for.

import type { Ask } from './catalog.ts'

export interface OpenTransaction {
  /** The server process, or the prepared transaction. */
  readonly who: string
  readonly owner: string
  readonly database: string
  /** `null`: the server does not tell. */
  readonly since: string | null
}

/** @returns those with an id, of every database of the server, the oldest first, `max` at most */
export async function readOpenTransactions(
  ask: Ask,
  max: number,
): Promise<readonly OpenTransaction[]> {
  const rows = await ask(
    `SELECT pid::text AS pid, usename::text AS owner, datname::text AS database,
       xact_start::text AS since, NULL AS gid, age(backend_xid) AS age
     FROM pg_stat_activity WHERE backend_xid IS NOT NULL
     UNION ALL
     SELECT NULL, owner::text, database::text, prepared::text, gid, age(transaction)
     FROM pg_prepared_xacts
     ORDER BY age DESC LIMIT ${max}`,
  )
  return rows.map(({ pid, owner, database, since, gid }) => ({
    who: typeof pid === 'string' ? `process ${pid}` : `prepared transaction "${String(gid)}"`,
    owner: String(owner),
    database: String(database),
    since: typeof since === 'string' ? since : null,
  }))
}
