// Questions to the server beside the log: what a lock, a slow server and a change of structure do
// to them, and what they leave behind.

import { expect } from 'vitest'
import { Control } from '../../connectors/postgres/control.ts'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  ready,
  run,
  startAll,
  testOn,
  withPostgres,
} from './harness.ts'

const servers = await startAll()

testOn(servers, 'a question without an answer leaves no process at the server', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const options = optionsFor(server, { ...changed, heartbeatMs: 100 })
  const control = new Control(options)
  const busy = async (): Promise<unknown> => {
    const [row] = await queryPostgres(
      uri,
      `SELECT count(*)::int AS count FROM pg_stat_activity
       WHERE application_name = 'millrace ${options.slot} control' AND state = 'active'`,
    )
    return row?.['count']
  }
  // Whoever is patient waits for as long as it takes.
  const patient = new Control({ ...options, slot: `${options.slot}_2` })
  const waiting = patient.query('SELECT pg_sleep(6)', [], true)
  const asked = control.query('VALUES (pg_sleep(60))')
  await expect.poll(busy).toBe(1)
  await expect(asked).rejects.toMatchObject({ error: 'CONNECT_FAILED' })
  expect(await busy()).toBe(0)
  expect(await waiting).toHaveLength(1)
  const [setting] = await patient.query(`SELECT current_setting('lock_timeout') AS lock`)
  expect(setting).not.toEqual({ lock: '0' })
  await control.close()
  await patient.close()
})

const CREATE_BIG = `CREATE TABLE big (id int PRIMARY KEY, v text);
  INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 30000) i; ANALYZE big`

testOn(servers, 'a table that changes while it is cut is tried again', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, CREATE_BIG)
  const running = await run(optionsFor(server, { ...changed, catalogPollMs: 1e9 }))
  await ready(running.source, 'public.big')
  await running.caughtUp()
  const cut = async (): Promise<readonly string[]> =>
    running.source.splitKeys(running.runtime.schemas.get('public.big')!, 3)
  expect(await cut()).toHaveLength(2)
  await withPostgres(uri, async (client) => {
    await client.query('BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE')
    await expect(cut()).rejects.toMatchObject({ error: 'SCHEMA_MOVED' })
    await client.query('ROLLBACK')
  })
  await queryPostgres(uri, 'ALTER TABLE big RENAME COLUMN id TO id2')
  await expect(cut()).rejects.toMatchObject({ error: 'SCHEMA_MOVED' })
  // The refusal makes the source look at the catalog, so that the next attempt succeeds.
  const named = (name: string): boolean =>
    running.runtime.schemas.get('public.big')?.fields.some((field) => field.name === name) ?? false
  await running.until(() => named('id2'))
  expect(await cut()).toHaveLength(2)
  await queryPostgres(uri, 'DROP TABLE big')
  // The look at the catalog ends the table.
  await expect(cut()).rejects.toMatchObject({ error: 'SCHEMA_MOVED' })
  await running.stop()
})

testOn(servers, 'a table that may not be read is cut into one piece', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const role = `r_${changed.database}`
  await queryPostgres(
    uri,
    `${CREATE_BIG}; CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'r';
     CREATE PUBLICATION pub FOR TABLE big WITH (publish_via_partition_root = true)`,
  )
  const user = { user: role, password: () => 'r', publication: 'pub' }
  const running = await run(optionsFor(server, { ...changed, ...user }))
  expect(await running.source.splitKeys(running.runtime.schemas.get('public.big')!, 3)).toEqual([])
  await running.stop()
})

testOn(servers, 'a table that cannot join yet does not hold up the others', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)',
  )
  const running = await run(optionsFor(server, changed))
  await running.caughtUp()
  await withPostgres(uri, async (client) => {
    // As VACUUM and CREATE INDEX CONCURRENTLY do for as long as they take. In one go: a look at the
    // catalog between two of them would let the table join.
    await client.query(
      `BEGIN; ALTER PUBLICATION millrace DROP TABLE u; COMMIT;
       BEGIN; LOCK TABLE u IN SHARE UPDATE EXCLUSIVE MODE`,
    )
    await queryPostgres(uri, 'ALTER TABLE t ADD v int; INSERT INTO t VALUES (1, 2)')
    await queryPostgres(uri, 'CREATE TABLE fresh (id int PRIMARY KEY)')
    await running.until(() => running.runtime.schemas.has('public.fresh'), 10_000)
    await running.caughtUp()
    expect(brief(running.changes, 'id', 'v')).toEqual([['insert', 1, 2]])
    expect(running.runtime.events).not.toContain('dropped public.u')
    expect(running.runtime.parked).toEqual(new Map())
    await client.query('COMMIT')
  })
  await running.until(() => running.runtime.parked.has('public.u'), 10_000)
  await running.stop()
})
