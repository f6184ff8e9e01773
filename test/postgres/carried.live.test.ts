// Columns that were not carried and now are, rewrites that keep every value, and keys whose order
// is the log's own.

import { expect, test } from 'vitest'
import { createPostgresInspector } from '../../connectors/postgres/inspect.ts'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  run,
  startAll,
  testOn,
  type RunningSource,
} from './harness.ts'

const servers = await startAll()

/** Waits until a look at the catalog of now has taken effect. */
async function settled(running: RunningSource): Promise<void> {
  for (let look = 0; look < 3; look++) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    await running.caughtUp()
  }
}

testOn(servers, 'a column that was left out has unknown values in older rows', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE a (id int PRIMARY KEY, w int); INSERT INTO a VALUES (1, 1);
     CREATE TABLE b (id int PRIMARY KEY, w int); INSERT INTO b VALUES (1, 1);
     CREATE TABLE c (id int PRIMARY KEY, w int)`,
  )
  const excluded = (_: string, table: string, column: string): boolean =>
    table !== 'c' && column === 'w'
  const first = await run(optionsFor(server, { ...changed, columnsExclude: excluded }))
  await settled(first)
  const saved = first.source.save()
  await first.stop()
  // A row follows in one table, nothing in the other.
  await queryPostgres(uri, 'INSERT INTO b VALUES (2, 2); ALTER TABLE c ADD x int DEFAULT 5')
  const second = await run(optionsFor(server, changed), saved, first.position, first.runtime)
  await settled(second)
  expect([...second.runtime.parked.keys()].sort()).toEqual(['public.a', 'public.b'])
  expect(String(second.runtime.parked.get('public.a'))).toContain('DDL_UNMAPPABLE')
  await second.stop()
})

testOn(servers, 'a generated column that becomes a plain one parks its table', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const create = (table: string): string =>
    `CREATE TABLE ${table} (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED);
     INSERT INTO ${table} (id) VALUES (1);`
  await queryPostgres(uri, create('a') + create('b'))
  const running = await run(optionsFor(server, changed))
  await settled(running)
  await queryPostgres(
    uri,
    `ALTER TABLE a ALTER g DROP EXPRESSION; ALTER TABLE b ALTER g DROP EXPRESSION;
     INSERT INTO b VALUES (50, 1)`,
  )
  await settled(running)
  expect([...running.runtime.parked.keys()].sort()).toEqual(['public.a', 'public.b'])
  await running.stop()
})

testOn(
  servers,
  'a column that a table got before it was met has the value of its default',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      'CREATE PUBLICATION own FOR ALL TABLES WITH (publish_via_partition_root = true)',
    )
    const options = optionsFor(server, { ...changed, publication: 'own' })
    const first = await run(options)
    const position = await first.caughtUp()
    const saved = first.source.save()
    await first.stop()
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
       ALTER TABLE t ADD c int DEFAULT 7; INSERT INTO t VALUES (2)`,
    )
    // The log is read before anybody has looked at the catalog.
    const again = { ...options, tables: () => true, tablesExclude: () => met }
    let met = true
    const second = await run(again, saved, position, first.runtime)
    met = false
    await settled(second)
    expect(second.runtime.parked).toEqual(new Map())
    const fields = second.runtime.schemas.get('public.t')?.fields ?? []
    expect(fields.map(({ name, initialDefault }) => [name, initialDefault])).toEqual([
      ['id', null],
      ['c', 7n],
    ])
    await second.stop()
  },
)

type Attempt = readonly [what: string, sql: string, parks: boolean]

/** Run on a table `t` of its own, each with a column `d` that has a default for older rows. */
const REWRITES: readonly Attempt[] = [
  ['vacuumed', 'VACUUM FULL t', false],
  ['clustered', 'CLUSTER t USING t_pkey', false],
  ['widened beside it', 'ALTER TABLE t ALTER id TYPE bigint', false],
  ['its values change', 'ALTER TABLE t ALTER d TYPE int USING d * 10', true],
  ['other values change', 'ALTER TABLE t ALTER n TYPE int USING n * 10', true],
  ['text becomes jsonb', 'ALTER TABLE t ALTER j TYPE jsonb USING j::jsonb', true],
  ['jsonb becomes text', 'ALTER TABLE t ALTER k TYPE text USING k::text', true],
  ['texts become jsonbs', 'ALTER TABLE t ALTER l TYPE jsonb[] USING l::jsonb[]', true],
]

testOn(servers, 'VACUUM FULL writes a default into every row and parks nothing', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  for (const at of REWRITES.keys()) {
    await queryPostgres(
      uri,
      `CREATE TABLE t${at} (id int PRIMARY KEY, n int, j text, k jsonb, l text[]);
       INSERT INTO t${at} VALUES (1, 1, '{"a":1}', '{"a":1}', '{"{\\"a\\":1}"}');
       ALTER TABLE t${at} ADD d int DEFAULT 5`,
    )
  }
  const running = await run(optionsFor(server, changed))
  await settled(running)
  for (const [at, [, sql]] of REWRITES.entries()) {
    await queryPostgres(uri, sql.replaceAll(/\bt(?=\b|_)/g, `t${at}`))
  }
  await settled(running)
  const { parked } = running.runtime
  const found = REWRITES.map(([what], at) => [what, parked.has(`public.t${at}`)])
  expect(found).toEqual(REWRITES.map(([what, , parks]) => [what, parks]))
  await running.stop()
})

testOn(servers, 'the key of an identity index has the order of that index', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE t (a int, b int, v text, PRIMARY KEY (a, b)); CREATE UNIQUE INDEX ba ON t (b, a);
     ALTER TABLE t REPLICA IDENTITY USING INDEX ba; INSERT INTO t VALUES (1, 2, 'x')`,
  )
  const running = await run(optionsFor(server, changed))
  const keyNames = (): unknown => {
    const schema = running.runtime.schemas.get('public.t')
    return schema?.key?.map((index) => schema.fields[index]?.name)
  }
  expect(keyNames()).toEqual(['b', 'a'])
  await queryPostgres(uri, `UPDATE t SET v = 'u'`)
  await running.caughtUp()
  expect(running.runtime.parked).toEqual(new Map())
  expect(keyNames()).toEqual(['b', 'a'])
  expect(brief(running.changes, 'a', 'b', 'v')).toEqual([['update', 1, 2, 'u']])
  await running.stop()
})

const newest = servers.get(18)

test.skipIf(newest === undefined)(
  'PostgreSQL 18: a list of columns carries a stored generated column that it names',
  async () => {
    if (newest === undefined) return
    const { uri, changed } = await freshDatabase(newest)
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED, w text);
       INSERT INTO t (id, w) VALUES (1, 'a');
       CREATE TABLE u (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED, w text);
       CREATE PUBLICATION pub FOR TABLE t (id, g, w), u (id, w)
         WITH (publish_via_partition_root = true)`,
    )
    const running = await run(optionsFor(newest, { ...changed, publication: 'pub' }))
    const { rows } = await readTable(running, 'public.t', 10)
    expect(rows.map(({ row }) => row)).toEqual([{ id: 1, g: 2, w: 'a' }])
    await queryPostgres(uri, `INSERT INTO t (id) VALUES (2); INSERT INTO u (id) VALUES (2)`)
    await settled(running)
    expect(running.runtime.parked).toEqual(new Map())
    expect(running.changes.map(({ row }) => row)).toEqual([
      { id: 2, g: 4, w: null },
      { id: 2, w: null },
    ])
    await running.stop()
    const inspector = createPostgresInspector(
      optionsFor(newest, { ...changed, publication: 'pub' }),
    )
    const tables = await inspector.discover()
    await inspector.close()
    const found = tables.map(({ columns }) => columns.map(({ lakeType }) => lakeType))
    expect(found).toEqual([
      ['int', 'int', 'string'],
      ['int', null, 'string'],
    ])
  },
)

test.skipIf(newest === undefined)(
  'PostgreSQL 18: NOT NULL that is not valid says nothing of the rows that are there',
  async () => {
    if (newest === undefined) return
    const { uri, changed } = await freshDatabase(newest)
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, NULL), (2, 'v');
       ALTER TABLE t ADD CONSTRAINT later NOT NULL v NOT VALID`,
    )
    const running = await run(optionsFor(newest, changed))
    const { rows } = await readTable(running, 'public.t', 10)
    expect(brief(rows, 'id', 'v')).toEqual([
      ['read', 1, null],
      ['read', 2, 'v'],
    ])
    await running.stop()
  },
)
