// What the user may not see: rows that a policy hides must not be missing without a word.

import { expect } from 'vitest'
import { createPostgresInspector } from '../../connectors/postgres/inspect.ts'
import {
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  run,
  startAll,
  testOn,
  withPostgres,
} from './harness.ts'

const servers = await startAll()

testOn(servers, 'a table whose rows a policy hides is refused with the fix', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const role = `r_${changed.database}`
  await queryPostgres(
    uri,
    `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'r';
     CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100);
     CREATE POLICY even ON t USING (id % 2 = 0); GRANT SELECT ON t TO ${role};
     CREATE TABLE own (id int PRIMARY KEY); ALTER TABLE own OWNER TO ${role};
     ALTER TABLE own ENABLE ROW LEVEL SECURITY;
     CREATE PUBLICATION pub FOR TABLE t, own WITH (publish_via_partition_root = true)`,
  )
  const user = { user: role, password: () => 'r', publication: 'pub' }
  const options = optionsFor(server, { ...changed, ...user })
  const running = await run(options)
  expect((await readTable(running, 'public.t', 1000)).rows).toHaveLength(100)
  await queryPostgres(uri, 'ALTER TABLE t ENABLE ROW LEVEL SECURITY')
  const refusal = {
    error: 'PRIVILEGE_MISSING',
    message: expect.stringContaining('"public.t"') as string,
    hint: expect.stringContaining(`ALTER ROLE "${role}" BYPASSRLS`) as string,
  }
  await expect(readTable(running, 'public.t', 1000)).rejects.toMatchObject(refusal)
  // What the role may do changes, and nothing of the table.
  await queryPostgres(uri, `ALTER ROLE ${role} BYPASSRLS`)
  expect((await readTable(running, 'public.t', 1000)).rows).toHaveLength(100)
  await queryPostgres(uri, `ALTER ROLE ${role} NOBYPASSRLS`)
  await expect(readTable(running, 'public.t', 1000)).rejects.toMatchObject(refusal)
  // The owner of a table sees all of it.
  expect((await readTable(running, 'public.own', 1000)).rows).toEqual([])
  await running.stop()
  await expect(run({ ...options, slot: `${options.slot}_2` })).rejects.toMatchObject(refusal)
  const inspector = createPostgresInspector(options)
  const findings = (await inspector.check()).filter(({ ok, warning }) => !ok && !warning)
  expect(findings.map(({ name, fix }) => [name, fix])).toEqual([
    ['public.t', `ALTER ROLE "${role}" BYPASSRLS;`],
  ])
  await inspector.close()
})

testOn(
  servers,
  'a restart goes on beside a new table that is not ours to publish',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const role = `o_${changed.database}`
    await queryPostgres(
      uri,
      `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'r';
     GRANT CREATE ON DATABASE ${changed.database} TO ${role};
     CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO ${role}`,
    )
    const options = optionsFor(server, { ...changed, user: role, password: () => 'r' })
    const running = await run(options)
    const position = await running.caughtUp()
    await running.stop()
    await queryPostgres(
      uri,
      `CREATE TABLE foreigner (id int PRIMARY KEY); GRANT SELECT ON foreigner TO ${role};
     CREATE TABLE held (id int PRIMARY KEY); ALTER TABLE held OWNER TO ${role};
     CREATE TABLE other (id int PRIMARY KEY); ALTER TABLE other OWNER TO ${role};
     INSERT INTO t VALUES (1)`,
    )
    await withPostgres(uri, async (holder) => {
      // As VACUUM does.
      await holder.query('BEGIN; LOCK TABLE held IN SHARE UPDATE EXCLUSIVE MODE')
      const again = await run(options, running.source.save(), position, running.runtime)
      await again.until(() => again.changes.length === 1)
      const { parked, incarnations } = running.runtime
      await again.until(() => parked.has('public.foreigner'))
      expect(parked.get('public.foreigner')).toMatchObject({ error: 'PRIVILEGE_MISSING' })
      const members = await queryPostgres(
        uri,
        'SELECT prrelid::regclass::text AS name FROM pg_publication_rel ORDER BY 1',
      )
      expect(members.map(({ name }) => name)).toEqual(['other', 't'])
      expect(incarnations.has('public.held')).toBe(false)
      await holder.query('COMMIT')
      await again.until(() => incarnations.has('public.held'))
      expect([...parked.keys()]).toEqual(['public.foreigner'])
      await again.stop()
    })
  },
)
