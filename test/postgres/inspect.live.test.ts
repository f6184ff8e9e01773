// What `check`, `discover` and `drop` say of real servers, and that each fix does what it promises.

import { expect } from 'vitest'
import { createPostgresInspector } from '../../connectors/postgres/inspect.ts'
import type { PostgresOptions } from '../../connectors/postgres/options.ts'
import { createPostgresSource } from '../../connectors/postgres/source.ts'
import type { DiscoveredTable, Finding } from '../../runtime/source.ts'
import {
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  run,
  startAll,
  started,
  testOn,
} from './harness.ts'

const servers = await startAll()

async function check(options: PostgresOptions): Promise<readonly Finding[]> {
  const inspector = createPostgresInspector(options)
  try {
    return await inspector.check()
  } finally {
    await inspector.close()
  }
}

async function discover(options: PostgresOptions): Promise<readonly DiscoveredTable[]> {
  const inspector = createPostgresInspector(options)
  try {
    return await inspector.discover()
  } finally {
    await inspector.close()
  }
}

const failures = (findings: readonly Finding[]): readonly Finding[] =>
  findings.filter(({ ok, warning }) => !ok && !warning)

testOn(servers, 'a list cannot be the key, unless it is taken as text', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE t (id int[] PRIMARY KEY, v int); INSERT INTO t VALUES ('{1,2}', 1), ('{3}', 2)`,
  )
  const options = optionsFor(server, changed)
  expect(failures(await check(options))).toMatchObject([
    { name: 'public.t', message: expect.stringContaining('"id"') as string },
  ])
  await expect(run(options)).rejects.toMatchObject({
    error: 'TYPE_UNSUPPORTED',
    message: expect.stringContaining('"id"') as string,
  })
  const asText = { ...options, columnsAsText: () => true }
  expect(failures(await check(asText))).toEqual([])
  const running = await run(asText)
  expect((await readTable(running, 'public.t', 1)).rows.map(({ row }) => row)).toEqual([
    { id: '{1,2}', v: '1' },
    { id: '{3}', v: '2' },
  ])
  await running.stop()
  // Without a key every row is kept, and read in one piece.
  const unkeyed = { ...options, keyed: false, slot: `${options.slot}_2` }
  expect(failures(await check(unkeyed))).toEqual([])
  const source = createPostgresSource(unkeyed)
  const { tables } = await source.open(null, null, false)
  expect(tables.map(({ key }) => key)).toEqual([null])
  await source.close()
})

testOn(servers, 'a server that is ready passes, before and after the first run', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const options = optionsFor(server, changed)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY)')
  const before = await check(options)
  expect(failures(before)).toEqual([])
  expect(before.find(({ name }) => name === 'publication')).toMatchObject({
    warning: true,
    fix:
      'CREATE PUBLICATION "millrace" FOR TABLE ONLY "public"."t" ' +
      'WITH (publish_via_partition_root = true);',
  })
  const running = await run(options)
  await running.caughtUp()
  const after = await check(options)
  expect(failures(after)).toEqual([])
  expect(after.find(({ name }) => name === 'publication')?.ok).toBe(true)
  await running.stop()
})

testOn(
  servers,
  'the fixes of all findings together make a plain user pass and run',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const user = `u_${changed.database}`
    await queryPostgres(
      uri,
      `CREATE ROLE ${user} LOGIN PASSWORD 'p'; CREATE SCHEMA app; REVOKE ALL ON SCHEMA app FROM PUBLIC;
     CREATE TABLE app.a (id int PRIMARY KEY, v text);
     CREATE TABLE app.b (id int PRIMARY KEY); ALTER TABLE app.b REPLICA IDENTITY NOTHING;
     CREATE TABLE app.c (id int NOT NULL UNIQUE, v int);
     CREATE PUBLICATION millrace WITH (publish = 'insert', publish_via_partition_root = true)`,
    )
    const options = optionsFor(server, {
      ...changed,
      user,
      password: () => 'p',
      tables: (namespace) => namespace === 'app',
    })
    const first = failures(await check(options))
    expect(first.length).toBeGreaterThan(5)
    for (let round = 0; round < 4; round++) {
      for (const { fix } of failures(await check(options))) {
        expect(fix).not.toBeNull()
        for (const statement of fix!.split('\n')) await queryPostgres(uri, statement)
      }
    }
    expect(failures(await check(options))).toEqual([])
    const running = await run(options)
    await queryPostgres(
      uri,
      `INSERT INTO app.a VALUES (1, 'x'); INSERT INTO app.b VALUES (2); INSERT INTO app.c VALUES (3, 4);
     UPDATE app.c SET id = 5; DELETE FROM app.b`,
    )
    await running.caughtUp()
    const changes = running.changes.map(({ table, op, row }) => [table, op, row['id']])
    // Rows of one table are in order; of two tables only between two looks at the progress.
    expect(
      changes.toSorted((left, right) => String(left[0]).localeCompare(String(right[0]))),
    ).toEqual([
      ['app.a', 'insert', 1],
      ['app.b', 'insert', 2],
      ['app.b', 'delete', 2],
      ['app.c', 'insert', 3],
      ['app.c', 'delete', 3],
      ['app.c', 'insert', 5],
    ])
    await running.stop()
    await queryPostgres(uri, `REASSIGN OWNED BY ${user} TO postgres; DROP OWNED BY ${user}`)
  },
)

testOn(servers, 'what cannot be copied is found, each by name', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE nokey (id int); CREATE TABLE types (id int PRIMARY KEY, i interval, r int4range);
     CREATE TABLE ok (id int PRIMARY KEY); SELECT pg_create_physical_replication_slot('${changed.slot}')`,
  )
  const found = failures(await check(optionsFor(server, changed)))
  expect(found.map(({ name }) => name).sort()).toEqual([
    'public.nokey',
    'public.types',
    'public.types',
    'slot',
  ])
  const append = failures(await check(optionsFor(server, { ...changed, keyed: false })))
  expect(append.find(({ name }) => name === 'public.nokey')?.message).toContain('replica identity')
  await queryPostgres(uri, `SELECT pg_drop_replication_slot('${changed.slot}')`)
  const nothing = await check(optionsFor(server, { ...changed, tables: () => false }))
  expect(failures(nothing).map(({ name }) => name)).toEqual(['tables'])
})

testOn(servers, 'discover lists tables with their key, size and lake types', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE b (x int, y text, z numeric, w interval, g int GENERATED ALWAYS AS (x * 2) STORED,
       PRIMARY KEY (y, x));
     CREATE TABLE a (id uuid PRIMARY KEY, tags text[], j jsonb, p numeric(10,2));
     INSERT INTO a SELECT gen_random_uuid() FROM generate_series(1, 50); ANALYZE a`,
  )
  const [a, b] = await discover(optionsFor(server, changed))
  expect(a).toMatchObject({ namespace: 'public', name: 'a', estimatedRows: 50, key: ['id'] })
  expect(a?.columns.map(({ name, sourceType, lakeType }) => [name, sourceType, lakeType])).toEqual([
    ['id', 'uuid', 'uuid'],
    ['tags', 'text[]', 'list<string>'],
    ['j', 'jsonb', 'string'],
    ['p', 'numeric(10,2)', 'decimal(10, 2)'],
  ])
  expect(b).toMatchObject({ estimatedRows: null, key: ['y', 'x'] })
  expect(b?.columns.map(({ name, lakeType, nullable }) => [name, lakeType, nullable])).toEqual([
    ['x', 'int', false],
    ['y', 'string', false],
    ['z', 'string', true],
    ['w', null, true],
    ['g', null, true],
  ])
  expect(b?.columns[3]?.note).toContain('interval')
})

testOn(servers, 'drop removes slot and publication, and nothing a second time', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY)')
  const options = optionsFor(server, changed)
  const running = await run(options)
  await running.stop()
  const inspector = createPostgresInspector(options)
  expect(await inspector.drop()).toEqual([
    { what: `replication slot "${changed.slot}"`, kept: null },
    { what: 'publication "millrace"', kept: null },
  ])
  expect(await inspector.drop()).toEqual([])
  await inspector.close()
  const left = await queryPostgres(
    uri,
    `SELECT slot_name FROM pg_replication_slots WHERE slot_name = '${changed.slot}'
     UNION ALL SELECT pubname FROM pg_publication`,
  )
  expect(left).toEqual([])
})

testOn(
  servers,
  'a server without a logical log is refused, with the setting',
  async ({ major }) => {
    const server = await started(major, { wal_level: 'replica' })
    try {
      await queryPostgres(server.uri(), 'CREATE TABLE t (id int PRIMARY KEY)')
      const options = optionsFor(server)
      expect(failures(await check(options))[0]).toMatchObject({
        name: 'wal_level',
        fix: expect.stringContaining('ALTER SYSTEM SET wal_level = logical') as string,
      })
      await expect(run(options)).rejects.toMatchObject({ error: 'SERVER_UNSUITABLE' })
      const [finding] = await check({ ...options, port: 1 })
      expect(finding).toMatchObject({ name: 'connection', ok: false })
    } finally {
      await server.stop()
    }
  },
)

testOn(
  servers,
  'a slot is told as ours whatever the name of its database looks like',
  async (server) => {
    // Written as UTF-8 into the catalog that all databases share, and read as LATIN1 by this one.
    const database = 'Läden'
    await queryPostgres(
      server.uri(),
      `CREATE DATABASE "${database}" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`,
    )
    await queryPostgres(server.uri(database), 'CREATE TABLE t (id int PRIMARY KEY)')
    const options = optionsFor(server, { database, slot: 's_latin' })
    const running = await run(options)
    await running.stop()
    expect(failures(await check(options))).toEqual([])
  },
)
