// Commits that are in the log and that nobody sees: they wait for a standby that does not exist.

import { queryPostgres, withPostgres } from './clients.ts'

/**
 * From here on every commit that asks for a standby is delivered, and stays invisible.
 *
 * The server's settings take effect some time after they are loaded again: its checkpointer has to
 * see them first. So a commit is tried until one hangs, which is then let go.
 *
 * @returns lets all of them become visible
 */
export async function holdCommits(uri: string): Promise<() => Promise<void>> {
  await queryPostgres(uri, `ALTER SYSTEM SET synchronous_standby_names = 'nosuch'`)
  await queryPostgres(uri, 'SELECT pg_reload_conf()')
  for (let hangs = false; !hangs;) hangs = await commitHangs(uri)
  return async () => {
    await queryPostgres(uri, 'ALTER SYSTEM RESET synchronous_standby_names')
    await queryPostgres(uri, 'SELECT pg_reload_conf()')
  }
}

/** How many commits wait now. */
export async function hangingCommits(uri: string): Promise<number> {
  const sql = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
  const [row] = await queryPostgres(uri, sql)
  return Number(row?.['n'])
}

/** Commits something that changes nothing, and takes the wait of this commit back. */
async function commitHangs(uri: string): Promise<boolean> {
  return withPostgres(uri, async (client) => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const pid = Number(rows[0]?.pid)
    await client.query('SET synchronous_commit = on')
    const ended = new AbortController()
    const commit = client
      .query(`SELECT pg_logical_emit_message(true, 'probe', '')`)
      .finally(() => ended.abort())
    let hung = false
    while (!ended.signal.aborted && !hung) {
      const waits = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
        WHERE pid = ${pid} AND wait_event = 'SyncRep'`
      hung = (await queryPostgres(uri, waits)).length > 0
    }
    await commit
    return hung
  })
}
