// Names that are given again: a column of the name of a dropped one, tables that swap theirs, a
// table in the place of a parked one, another name of a schema, another text of a label.

import { expect } from 'vitest'
import { holdCommits } from '../servers/standby.ts'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  run,
  startAll,
  testOn,
  withPostgres,
} from './harness.ts'

const servers = await startAll()

const all = (): boolean => true

/** A question is there to be seen until the next one. */
const FAST = { timeout: 20_000, interval: 5 }

interface Again {
  readonly name: string
  /** Statements of one transaction on a table (id, a text) that the session may have announced. */
  readonly change: string
  readonly isAnnounced: boolean
  /** What became of column `a` in the rows; `null`: the table is parked. */
  readonly rows: readonly unknown[] | null
}

const ANEW = 'ALTER TABLE t DROP a; ALTER TABLE t ADD a text'
const OTHER = 'ALTER TABLE t DROP a; SAVEPOINT s2; ALTER TABLE t ADD a int'

const AGAIN: readonly Again[] = [
  {
    name: 'rows behind a drop of their own transaction are of the new column',
    change: `${ANEW}; INSERT INTO t VALUES (2, 'new')`,
    isAnnounced: true,
    rows: ['new'],
  },
  {
    name: 'rows before and behind it cannot be told apart',
    change: `INSERT INTO t VALUES (2, 'old'); ${ANEW}; INSERT INTO t VALUES (3, 'new')`,
    isAnnounced: false,
    rows: null,
  },
  {
    name: 'they cannot either once something else has had the table announced',
    change: `INSERT INTO t VALUES (2, 'old'); ${ANEW}; INSERT INTO t VALUES (3, 'new')`,
    isAnnounced: true,
    rows: null,
  },
  {
    name: 'a drop in a subtransaction has a later id than the rows behind it',
    change: `SAVEPOINT s; ${ANEW}; RELEASE s; INSERT INTO t VALUES (2, 'new')`,
    isAnnounced: true,
    rows: null,
  },
  {
    name: 'a drop in a subtransaction is not that of a later transaction',
    change: `SAVEPOINT s; ${ANEW}; RELEASE s; INSERT INTO t VALUES (2, 'new')`,
    isAnnounced: false,
    rows: null,
  },
  {
    name: 'another type tells the columns apart',
    change: `SAVEPOINT s; ${OTHER}; INSERT INTO t VALUES (2, 7)`,
    isAnnounced: false,
    rows: [7],
  },
  {
    name: 'another type tells the columns apart on either side of the drop',
    change: `INSERT INTO t VALUES (2, 'old'); SAVEPOINT s; ${OTHER}; INSERT INTO t VALUES (3, 7)`,
    isAnnounced: true,
    rows: ['old', 7],
  },
]

for (const { name, change, isAnnounced, rows } of AGAIN) {
  testOn(servers, `a column of one name again: ${name}`, async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a text)')
    const running = await run(optionsFor(server, changed))
    if (isAnnounced) await queryPostgres(uri, `INSERT INTO t VALUES (1, 'first')`)
    await running.caughtUp()
    // The server announces the table anew after this.
    await queryPostgres(uri, 'ANALYZE t')
    const seen = running.changes.length
    await queryPostgres(uri, `BEGIN; ${change}; COMMIT`)
    await running.caughtUp()
    const { parked, schemas } = running.runtime
    expect([...parked.keys()]).toEqual(rows === null ? ['public.t'] : [])
    if (rows !== null) {
      expect(running.changes.slice(seen).map(({ row }) => row['a'])).toEqual(rows)
      expect(schemas.get('public.t')?.fields.map(({ identity }) => identity)).toEqual(['1', '3'])
    }
    await running.stop()
  })
}

testOn(
  servers,
  'rows of a column of one name again wait until the catalog shows which',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a text)')
    const running = await run(optionsFor(server, { ...changed, catalogPollMs: 1e9 }))
    await running.looked()
    // The log delivers a commit that waits for a standby before anybody sees it.
    const release = await holdCommits(uri)
    const sql = `BEGIN; ${ANEW}; INSERT INTO t VALUES (2, 'new'); COMMIT`
    const hanging = queryPostgres(uri, sql)
    try {
      const asked = `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%AccessExclusiveLock%'
          AND application_name LIKE '%control'`
      const isAsked = async (): Promise<boolean> => (await queryPostgres(uri, asked)).length > 0
      await expect
        .poll(async () => running.changes.length > 0 || (await isAsked()), FAST)
        .toBe(true)
    } finally {
      await release()
      await hanging
    }
    await running.caughtUp()
    expect(running.changes).toEqual([])
    expect([...running.runtime.parked.keys()]).toEqual(['public.t'])
    await running.stop()
  },
)

testOn(servers, 'tables of other columns that swap their names go on', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    'CREATE TABLE a (id int PRIMARY KEY, x text); CREATE TABLE b (id int PRIMARY KEY, y int)',
  )
  const running = await run(optionsFor(server, changed))
  await queryPostgres(uri, `INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1, 1)`)
  await running.caughtUp()
  const seen = running.changes.length
  await queryPostgres(
    uri,
    `BEGIN; ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b;
     INSERT INTO b VALUES (2, 'z'); INSERT INTO a VALUES (2, 2); COMMIT`,
  )
  await running.caughtUp()
  expect(running.runtime.parked).toEqual(new Map())
  const rows = running.changes.slice(seen).map(({ table, row }) => [table, ...Object.values(row)])
  expect(rows).toEqual([
    ['public.b', 2, 'z'],
    ['public.a', 2, 2],
  ])
  await running.stop()
})

testOn(servers, 'a table in the place of a parked one is told from it', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, v text)')
  const running = await run(optionsFor(server, { ...changed, catalogPollMs: 1_000_000 }))
  await queryPostgres(uri, `INSERT INTO t VALUES (1, 'v')`)
  await running.caughtUp()
  await withPostgres(uri, async (client) => {
    await client.query(`ALTER TABLE t ALTER v TYPE int USING 1; INSERT INTO t VALUES (2, 2)`)
    await running.until(() => running.runtime.parked.has('public.t'))
    running.runtime.events.length = 0
    await client.query('BEGIN; DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v int); COMMIT')
  })
  await running.looked()
  expect(running.runtime.events).toEqual(['dropped public.t', 'changed public.t'])
  await running.stop()
})

testOn(servers, 'another name of a schema needs no row to be noticed', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, 'CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY)')
  const running = await run(optionsFor(server, { ...changed, tables: all }))
  await running.looked()
  await queryPostgres(uri, 'ALTER SCHEMA s RENAME TO z')
  await running.looked()
  expect([...running.runtime.schemas.keys()]).toEqual(['z.t'])
  await running.stop()
})

testOn(servers, 'another text of a label parks the tables that have it', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN checked AS mood;
     CREATE TYPE other AS ENUM ('sad');
     CREATE TABLE plain (id int PRIMARY KEY, m mood); INSERT INTO plain VALUES (1, 'sad');
     CREATE TABLE list (id int PRIMARY KEY, m mood[]); CREATE TABLE o (id int, m other PRIMARY KEY);
     CREATE TABLE domain (id int PRIMARY KEY, m checked); CREATE TABLE late (id int PRIMARY KEY)`,
  )
  const running = await run(optionsFor(server, changed))
  await running.looked()
  await queryPostgres(uri, `ALTER TYPE mood ADD VALUE 'new' BEFORE 'glad'`)
  await queryPostgres(uri, `ALTER TABLE late ADD m mood; INSERT INTO late VALUES (1, 'new')`)
  await running.looked()
  expect(running.runtime.parked).toEqual(new Map())
  await queryPostgres(uri, `ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'`)
  await running.looked()
  const tables = [...running.runtime.parked.keys()].sort()
  expect(tables).toEqual(['public.domain', 'public.late', 'public.list', 'public.plain'])
  expect(String(running.runtime.parked.get('public.plain'))).toContain('label "sad" of column "m"')
  await running.stop()
})

testOn(servers, 'a label that got another text meanwhile parks the table', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, m mood)`,
  )
  const first = await run(optionsFor(server, changed))
  await first.looked()
  const saved = first.source.save()
  await first.stop()
  await queryPostgres(
    uri,
    `INSERT INTO t VALUES (1, 'sad'); ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
     INSERT INTO t VALUES (2, 'blue')`,
  )
  const second = await run(optionsFor(server, changed), saved, first.position, first.runtime)
  await second.looked()
  expect([...second.runtime.parked.keys()]).toEqual(['public.t'])
  await second.stop()
})

testOn(servers, 'a table that is left out is gone before the log goes on', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, `CREATE TABLE kept (id int PRIMARY KEY); CREATE TABLE t (LIKE kept)`)
  await queryPostgres(uri, `ALTER TABLE t ADD PRIMARY KEY (id)`)
  const options = optionsFor(server, changed)
  const first = await run(options)
  await first.looked()
  const saved = first.source.save()
  await first.stop()
  const { position, runtime } = first
  const dropped: string[] = []
  Object.assign(runtime, {
    tableDropped: (table: string, order: bigint) => {
      dropped.push(`${table} ${order === position.order ? 'at the start' : 'later'}`)
    },
  })
  // Its rows are skipped from here on: a checkpoint between them and a look at the catalog would
  // take it for read.
  await queryPostgres(uri, `INSERT INTO t VALUES (1); INSERT INTO kept VALUES (1)`)
  const second = await run(
    { ...options, tablesExclude: (_, name) => name === 't' },
    saved,
    position,
    runtime,
  )
  await second.looked()
  expect(dropped).toEqual(['public.t at the start'])
  await second.stop()
})

testOn(
  servers,
  'a table that gets its name back is another one than who had it',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (LIKE a INCLUDING ALL);
     INSERT INTO b VALUES (9, 'of b')`,
    )
    const running = await run(optionsFor(server, { ...changed, catalogPollMs: 3_600_000 }))
    await running.looked()
    const { events } = running.runtime
    events.length = 0
    const swap = 'ALTER TABLE a RENAME TO t; ALTER TABLE b RENAME TO a; ALTER TABLE t RENAME TO b'
    await queryPostgres(
      uri,
      `BEGIN; INSERT INTO a VALUES (1, 'of a'); ${swap}; UPDATE a SET v = 'of b under a'; ${swap};
     INSERT INTO a VALUES (2, 'of a again'); COMMIT`,
    )
    await running.caughtUp()
    const named = events.filter((event) => event.endsWith(' public.a'))
    expect(named).toEqual([
      'dropped public.a',
      'changed public.a',
      'dropped public.a',
      'changed public.a',
    ])
    expect(brief(running.changes, 'id', 'v').at(-1)).toEqual(['insert', 2, 'of a again'])
    await running.stop()
  },
)
