// What a change of the publication leaves out of the log is noticed, also when it happened while
// nobody looked and everything is as before again.

import { expect } from 'vitest'
import { parseLsn } from '../../connectors/postgres/lsn.ts'
import { hangingCommits, holdCommits } from '../servers/standby.ts'
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

const TABLES = 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)'

testOn(
  servers,
  'a table that left the publication while the pipeline was down is parked',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    await queryPostgres(uri, TABLES)
    const first = await run(options)
    const position = await first.caughtUp()
    const saved = first.source.save()
    await first.stop()
    await queryPostgres(
      uri,
      `INSERT INTO t VALUES (1, 'in the log'); ALTER PUBLICATION millrace DROP TABLE t`,
    )
    await queryPostgres(uri, `INSERT INTO t VALUES (2, 'not in the log')`)
    await queryPostgres(uri, 'ALTER PUBLICATION millrace ADD TABLE ONLY t')
    await queryPostgres(uri, `INSERT INTO t VALUES (3, 'in the log'); INSERT INTO u VALUES (1)`)
    const second = await run(options, saved, position, first.runtime)
    await second.until(() => second.runtime.parked.has('public.t'))
    expect(second.runtime.parked.get('public.t')).toMatchObject({ error: 'DDL_UNMAPPABLE' })
    expect(second.runtime.parked.has('public.u')).toBe(false)
    await second.stop()
  },
)

testOn(
  servers,
  'a table that a schema no longer publishes was out until the start adds it',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, { ...changed, publication: 'own' })
    await queryPostgres(
      uri,
      `${TABLES}; CREATE PUBLICATION own FOR TABLES IN SCHEMA public
         WITH (publish_via_partition_root = true)`,
    )
    const first = await run(options)
    const position = await first.caughtUp()
    const saved = first.source.save()
    await first.stop()
    await queryPostgres(uri, 'ALTER PUBLICATION own DROP TABLES IN SCHEMA public')
    await queryPostgres(uri, `INSERT INTO t VALUES (2, 'not in the log')`)
    const second = await run(options, saved, position, first.runtime)
    await second.until(() => second.runtime.parked.size === 2)
    await second.stop()
  },
)

testOn(
  servers,
  'a table that comes back waits for transactions that were open then',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, TABLES)
    const options = optionsFor(server, changed)
    const running = await run(options)
    await ready(running.source, 'public.t')
    await running.caughtUp()
    await withPostgres(uri, async (client) => {
      // It has its number before the table comes back, however soon that is.
      await client.query('BEGIN; SELECT pg_current_xact_id()')
      await queryPostgres(uri, 'ALTER PUBLICATION millrace DROP TABLE t')
      // No event will ever carry this row, unless the table is back already; nobody sees it yet.
      await client.query(`INSERT INTO t VALUES (1, 'open')`)
      await running.until(() => running.runtime.parked.has('public.t'))
      expect(await running.source.mayBackfill('public.t')).toMatchObject({ ready: false })
      const saved = running.source.save()
      await running.stop()
      // The same for one that comes back by another hand, while the pipeline is down.
      await queryPostgres(uri, 'ALTER PUBLICATION millrace DROP TABLE u')
      await client.query('INSERT INTO u VALUES (1)')
      await queryPostgres(uri, 'ALTER PUBLICATION millrace ADD TABLE ONLY u')
      const second = await run(options, saved, running.position, running.runtime)
      await second.until(() => second.runtime.parked.has('public.u'))
      expect(await second.source.mayBackfill('public.t')).toMatchObject({ ready: false })
      expect(await second.source.mayBackfill('public.u')).toMatchObject({ ready: false })
      await client.query('COMMIT')
      await ready(second.source, 'public.t')
      await ready(second.source, 'public.u')
      await second.stop()
    })
  },
)

const WHOLE = `ALTER PUBLICATION millrace SET (publish = 'insert, update, delete, truncate')`

testOn(
  servers,
  'a publication that published less for a while has left changes out',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    await queryPostgres(uri, TABLES)
    const first = await run(options)
    // A table that we add ourselves alters nothing.
    await queryPostgres(uri, 'CREATE TABLE fresh (id int PRIMARY KEY)')
    await first.until(() => first.runtime.schemas.has('public.fresh'))
    await queryPostgres(uri, 'INSERT INTO fresh VALUES (1)')
    const position = await first.caughtUp()
    expect(brief(first.changes, 'id')).toEqual([['insert', 1]])
    const saved = first.source.save()
    await first.stop()
    const again = await run(options, saved, position, first.runtime)
    await again.caughtUp()
    await again.stop()
    await queryPostgres(uri, `ALTER PUBLICATION millrace SET (publish = 'insert')`)
    await queryPostgres(uri, 'DELETE FROM fresh')
    await queryPostgres(uri, WHOLE)
    await expect(run(options, saved, position)).rejects.toMatchObject({
      error: 'LOG_GAP',
      hint: expect.stringContaining('resync') as string,
    })
  },
)

testOn(servers, 'a publication that publishes less from now on ends the read', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, TABLES)
  const running = await run(optionsFor(server, changed))
  await running.caughtUp()
  await queryPostgres(uri, `ALTER PUBLICATION millrace SET (publish = 'insert')`)
  await expect(running.until(() => false)).rejects.toMatchObject({ error: 'SERVER_UNSUITABLE' })
  await running.stop()
  await queryPostgres(uri, WHOLE)
  const second = await run(optionsFor(server, { ...changed, slot: `${changed.slot}_2` }))
  await second.caughtUp()
  await queryPostgres(uri, `ALTER PUBLICATION millrace SET (publish = 'insert'); ${WHOLE}`)
  await expect(second.until(() => false)).rejects.toMatchObject({ error: 'LOG_GAP' })
  await second.stop()
})

testOn(servers, 'rows of a table whose creation nobody sees yet are read', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const publication = `own_${changed.database}`
  await queryPostgres(
    uri,
    `CREATE PUBLICATION ${publication} FOR ALL TABLES WITH (publish_via_partition_root = true);
     CREATE TABLE o (id int PRIMARY KEY)`,
  )
  const running = await run(optionsFor(server, { ...changed, publication, catalogPollMs: 1e9 }))
  await running.looked()
  // The log delivers a commit that waits for a standby before anybody sees it.
  const release = await holdCommits(uri)
  const sql = 'BEGIN; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); COMMIT'
  const hanging = queryPostgres(uri, sql)
  try {
    while ((await hangingCommits(uri)) === 0);
    const [row] = await queryPostgres(uri, 'SELECT pg_current_wal_flush_lsn()::text AS lsn')
    const end = BigInt(parseLsn(String(row?.['lsn'])))
    const asked = `SELECT FROM pg_stat_activity WHERE datname = current_database()
      AND query LIKE '%AccessExclusiveLock%' AND application_name LIKE '%control'`
    const isRead = async (): Promise<boolean> =>
      running.position.order >= end || (await queryPostgres(uri, asked)).length > 0
    await expect.poll(isRead, { timeout: 20_000, interval: 20 }).toBe(true)
  } finally {
    await release()
    await hanging
  }
  await queryPostgres(uri, 'INSERT INTO t VALUES (2)')
  await running.caughtUp()
  expect(brief(running.changes, 'id')).toEqual([
    ['insert', 1],
    ['insert', 2],
  ])
  await running.stop()
})

testOn(servers, 'rows that are older than their key park the table alone', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const publication = `own_${changed.database}`
  await queryPostgres(
    uri,
    `CREATE TABLE o (id int PRIMARY KEY);
     CREATE PUBLICATION ${publication} FOR ALL TABLES WITH (publish_via_partition_root = true)`,
  )
  // A look of before the log comes there would leave the rows to the backfill.
  const options = optionsFor(server, { ...changed, publication, catalogPollMs: 1e9 })
  const running = await run(options)
  await running.looked()
  await queryPostgres(
    uri,
    `BEGIN; CREATE TABLE t (id int, v text); ALTER TABLE t REPLICA IDENTITY FULL;
     INSERT INTO t VALUES (1, 'v'), (NULL, 'v'); DELETE FROM t WHERE id IS NULL;
     ALTER TABLE t ADD PRIMARY KEY (id); COMMIT; INSERT INTO o VALUES (1)`,
  )
  await running.caughtUp()
  const { parked } = running.runtime
  expect([...parked.keys()]).toEqual(['public.t'])
  expect(parked.get('public.t')).toMatchObject({ error: 'VALUE_UNREPRESENTABLE' })
  expect(running.changes.some(({ row }) => row['id'] === null)).toBe(false)
  expect(running.changes.filter(({ table }) => table === 'public.o').length).toBe(1)
  await running.stop()
})

const ABSENCES = [
  'ALTER TABLE t SET SCHEMA other; INSERT INTO other.t VALUES (1); ALTER TABLE other.t SET SCHEMA s',
  `ALTER PUBLICATION own DROP TABLES IN SCHEMA s; INSERT INTO t VALUES (1);
   ALTER PUBLICATION own ADD TABLES IN SCHEMA s`,
]

for (const [number, absence] of ABSENCES.entries()) {
  testOn(servers, `a table that left a published schema is parked (${number})`, async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE SCHEMA s; CREATE SCHEMA other; CREATE TABLE s.t (id int PRIMARY KEY);
       CREATE PUBLICATION own FOR TABLES IN SCHEMA s WITH (publish_via_partition_root = true)`,
    )
    const tables = (namespace: string): boolean => namespace === 's'
    const options = optionsFor(server, { ...changed, publication: 'own', tables })
    const first = await run(options)
    await queryPostgres(uri, 'VACUUM FULL s.t')
    // Seen together with a new column, other files would mean that its values may be unknown.
    await first.looked()
    await queryPostgres(uri, 'ALTER TABLE s.t ADD v text')
    // An idle server tells the end of its log when it is asked.
    while (first.runtime.schemas.get('s.t')?.fields.length !== 2) await first.caughtUp()
    expect(first.runtime.parked).toEqual(new Map())
    const saved = first.source.save()
    await first.stop()
    for (const statement of absence.split(';')) {
      await queryPostgres(uri, `SET search_path = s; ${statement}`)
    }
    const second = await run(options, saved, first.position, first.runtime)
    while (!second.runtime.parked.has('s.t')) await second.caughtUp()
    await second.stop()
  })
}

testOn(
  servers,
  'a table that was made and altered meanwhile is taken in as the log has it',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE TABLE kept (id int PRIMARY KEY);
    CREATE PUBLICATION millrace FOR ALL TABLES`,
    )
    const options = optionsFor(server, changed)
    const first = await run(options)
    await first.looked()
    const saved = first.source.save()
    await first.stop()
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1);
     ALTER TABLE t ALTER v TYPE bigint; INSERT INTO t VALUES (2, 5000000000)`,
    )
    const second = await run(options, saved, first.position, first.runtime)
    await second.looked()
    expect(second.runtime.parked).toEqual(new Map())
    await second.stop()
  },
)
