// Changes of structure: by the log where rows follow, by the catalog where none do, and over a
// restart. The runtime here evolves schemas as the real one does.

import { expect } from 'vitest'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  ready,
  run,
  startAll,
  testOn,
  withPostgres,
} from './harness.ts'
import { formatType } from '../../runtime/data/type.ts'
import type { RunningSource, TestRuntime } from './harness.ts'

const servers = await startAll()

function fieldsOf(runtime: TestRuntime, table: string): string[] {
  const fields = runtime.schemas.get(table)?.fields ?? []
  return fields.map(({ id, name, type, nullable }) => {
    return `${id} ${name} ${formatType(type)}${nullable ? '' : ' required'}`
  })
}

testOn(servers, 'rows are decoded with the structure at their place in the log', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a int, b text)')
  const running = await run(optionsFor(server, changed))
  // One transaction: the catalog is at its end when the first row of it is decoded.
  await queryPostgres(
    uri,
    `INSERT INTO t VALUES (1, 10, 'x');
     ALTER TABLE t ADD c text DEFAULT 'old'; INSERT INTO t VALUES (2, 20, 'y', 'new');
     ALTER TABLE t DROP a; INSERT INTO t VALUES (3, 'z', 'third');
     ALTER TABLE t RENAME b TO d; INSERT INTO t VALUES (4, 'w', 'fourth');`,
  )
  await running.caughtUp()
  await queryPostgres(
    uri,
    `ALTER TABLE t ALTER id TYPE bigint; INSERT INTO t VALUES (5000000000, 'v', 'fifth');
     ALTER TABLE t RENAME c TO tmp; ALTER TABLE t RENAME d TO c;
     ALTER TABLE t RENAME tmp TO d; INSERT INTO t VALUES (6, 'was d', 'was c');`,
  )
  await running.caughtUp()
  expect(running.changes.map(({ row }) => row)).toEqual([
    { id: 1, a: 10, b: 'x' },
    { id: 2, a: 20, b: 'y', c: 'new' },
    { id: 3, b: 'z', c: 'third' },
    { id: 4, d: 'w', c: 'fourth' },
    { id: 5000000000n, d: 'v', c: 'fifth' },
    { id: 6n, c: 'was d', d: 'was c' },
  ])
  const versions = running.runtime.versions.get('public.t') ?? []
  const added = versions[1]?.fields.find(({ name }) => name === 'c')
  expect(added?.initialDefault).toBe('old')
  expect(fieldsOf(running.runtime, 'public.t')).toEqual([
    '1 id long required',
    '3 c string',
    '4 d string',
  ])
  await running.stop()
})

testOn(
  servers,
  'a column dropped and added again under its name is another column',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a int)')
    const running = await run(optionsFor(server, changed))
    await queryPostgres(uri, 'INSERT INTO t VALUES (1, 1)')
    await running.caughtUp()
    await queryPostgres(uri, 'ALTER TABLE t DROP a; ALTER TABLE t ADD a int')
    await queryPostgres(uri, 'INSERT INTO t VALUES (2, 2)')
    await running.caughtUp()
    expect(brief(running.changes, 'id', 'a')).toEqual([
      ['insert', 1, 1],
      ['insert', 2, 2],
    ])
    expect(fieldsOf(running.runtime, 'public.t')).toEqual(['1 id int required', '3 a int'])
    await running.stop()
  },
)

testOn(servers, 'the catalog tells what no row shows', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL); CREATE TABLE gone (id int PRIMARY KEY);
     CREATE TABLE moved (id int PRIMARY KEY); INSERT INTO moved VALUES (1)`,
  )
  const running = await run(optionsFor(server, changed))
  await running.caughtUp()
  const { runtime } = running
  await queryPostgres(
    uri,
    `ALTER TABLE t ADD b date; ALTER TABLE t ALTER a DROP NOT NULL;
     COMMENT ON COLUMN t.a IS 'about a'; COMMENT ON TABLE t IS 'about t';
     DROP TABLE gone; CREATE TABLE fresh (id int PRIMARY KEY, v text);
     INSERT INTO fresh VALUES (1, 'one'); ALTER TABLE moved RENAME TO renamed;`,
  )
  await running.until(() => runtime.events.length >= 5)
  expect([...runtime.events].sort()).toEqual([
    'changed public.fresh',
    'changed public.renamed',
    'changed public.t',
    'dropped public.gone',
    'dropped public.moved',
  ])
  expect(fieldsOf(runtime, 'public.t')).toEqual(['1 id int required', '2 a int', '3 b date'])
  expect(runtime.schemas.get('public.t')?.comment).toBe('about t')
  expect(runtime.schemas.get('public.t')?.fields[1]?.comment).toBe('about a')
  await queryPostgres(uri, `INSERT INTO fresh VALUES (2, 'two'); INSERT INTO renamed VALUES (2)`)
  const { rows } = await readTable(running, 'public.fresh', 10)
  expect(brief(rows, 'id', 'v')).toEqual([
    ['read', 1, 'one'],
    ['read', 2, 'two'],
  ])
  expect((await readTable(running, 'public.renamed', 10)).rows).toHaveLength(2)
  await running.caughtUp()
  expect(brief(running.changes, 'id')).toEqual([
    ['insert', 2],
    ['insert', 2],
  ])
  await running.stop()
})

testOn(servers, 'a table created anew under its name is another incarnation', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)')
  const running = await run(optionsFor(server, changed))
  await queryPostgres(uri, 'INSERT INTO t VALUES (2)')
  await running.caughtUp()
  const before = running.runtime.incarnations.get('public.t')
  await queryPostgres(
    uri,
    'DROP TABLE t; CREATE TABLE t (id bigint PRIMARY KEY, v int); INSERT INTO t VALUES (7, 7)',
  )
  await running.until(() => running.runtime.incarnations.get('public.t') !== before)
  expect(running.runtime.parked).toEqual(new Map())
  const { rows } = await readTable(running, 'public.t', 10)
  expect(brief(rows, 'id', 'v')).toEqual([['read', 7n, 7]])
  await queryPostgres(uri, 'INSERT INTO t VALUES (8, 8)')
  await running.caughtUp()
  expect(brief(running.changes, 'id')).toEqual([
    ['insert', 2],
    ['insert', 8n],
  ])
  await running.stop()
})

const REWRITES: readonly (readonly [string, string, boolean])[] = [
  ['ALTER TABLE t ALTER n TYPE int USING n * 10', 'other values, same type', true],
  ['ALTER TABLE t ALTER n TYPE text USING n::text', 'another type', true],
  ['ALTER TABLE t ADD u uuid DEFAULT gen_random_uuid()', 'a volatile default', true],
  ['ALTER TABLE t ADD at timestamptz DEFAULT now()', 'a stable default', false],
  ['ALTER TABLE t ALTER n TYPE bigint', 'a wider type', false],
  ['ALTER TABLE t ALTER p TYPE numeric(12,2)', 'more digits', false],
  ['ALTER TABLE t ALTER p TYPE numeric(12,3)', 'another scale', true],
  ['ALTER TABLE t ALTER f TYPE float8', 'a wider float', false],
  ['ALTER TABLE t ALTER v TYPE varchar(50)', 'a longer string', false],
  ['VACUUM FULL t', 'the same rows in other files', false],
  ['CLUSTER t USING t_pkey', 'the same rows in another order', false],
  ['TRUNCATE t', 'no rows', false],
  ['ALTER TABLE t ADD CHECK (n < 1000), ALTER n SET DEFAULT 5', 'no rows touched', false],
]

testOn(
  servers,
  'a rewrite of values that the log does not show parks the table',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    // Each statement once with a row behind it, which the log shows, and once without.
    const tries = REWRITES.flatMap(([sql, what, parks], at) => [
      { sql: sql.replaceAll(/\bt\b/g, `a${at}`), what, parks, table: `a${at}`, rowFollows: false },
      { sql: sql.replaceAll(/\bt\b/g, `b${at}`), what, parks, table: `b${at}`, rowFollows: true },
    ])
    for (const { table } of tries) {
      await queryPostgres(
        uri,
        `CREATE TABLE ${table} (id int PRIMARY KEY, n int, p numeric(10,2), f float4, v varchar(20));
       INSERT INTO ${table} SELECT i, i, i, i, i FROM generate_series(1, 5) i`,
      )
    }
    const running = await run(optionsFor(server, changed))
    await settled(running)
    for (const { sql, table, rowFollows } of tries) {
      await queryPostgres(uri, sql.replace('t_pkey', `${table}_pkey`))
      if (rowFollows) await queryPostgres(uri, `INSERT INTO ${table} (id) VALUES (100)`)
    }
    await settled(running)
    const { parked } = running.runtime
    for (const { table, what, rowFollows, parks } of tries) {
      expect([what, rowFollows, parked.has(`public.${table}`)]).toEqual([what, rowFollows, parks])
    }
    await running.stop()
  },
)

/** Waits until a look at the catalog of now has taken effect. */
async function settled(running: RunningSource): Promise<void> {
  for (let look = 0; look < 3; look++) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    await running.caughtUp()
  }
}

testOn(
  servers,
  'DDL while the pipeline is down is followed from where it stopped',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a int, b int)')
    const first = await run(options)
    await queryPostgres(uri, 'INSERT INTO t VALUES (1, 1, 1)')
    const position = await first.caughtUp()
    const saved = first.source.save()
    await first.stop()
    await queryPostgres(
      uri,
      `INSERT INTO t VALUES (2, 2, 2); ALTER TABLE t DROP a; ALTER TABLE t ADD c int;
     INSERT INTO t VALUES (3, 3, 33); ALTER TABLE t RENAME c TO e; ALTER TABLE t RENAME b TO c;
     INSERT INTO t VALUES (4, 4, 44); CREATE TABLE fresh (id int PRIMARY KEY)`,
    )
    const second = await run(options, saved, position, first.runtime)
    await second.caughtUp()
    expect(second.changes.map(({ row }) => row)).toEqual([
      { id: 2, a: 2, b: 2 },
      { id: 3, b: 3, c: 33 },
      { id: 4, c: 4, e: 44 },
    ])
    expect(second.runtime.parked).toEqual(new Map())
    await second.stop()
  },
)

testOn(servers, 'a rewrite while the pipeline is down parks the table', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const options = optionsFor(server, changed)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a int)')
  const first = await run(options)
  const position = await first.caughtUp()
  const saved = first.source.save()
  await first.stop()
  await queryPostgres(uri, 'ALTER TABLE t ALTER a TYPE int USING a + 1')
  const second = await run(options, saved, position, first.runtime)
  await second.until(() => second.runtime.parked.size > 0)
  expect(second.runtime.events).toContain('parked public.t DDL_UNMAPPABLE')
  await second.stop()
})

testOn(
  servers,
  'a chunk under another structure than the log has shown is not read',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      'CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT i, i FROM generate_series(1, 50) i',
    )
    const running = await run(optionsFor(server, { ...changed, catalogPollMs: 1e9 }))
    await ready(running.source, 'public.t')
    await settled(running)
    const schema = running.runtime.schemas.get('public.t')!
    const chunk = { table: 'public.t', after: null, until: null }
    const open = async (): Promise<unknown> =>
      running.source.openChunk(chunk, 10, schema, running.position, AbortSignal.timeout(20_000))
    await queryPostgres(uri, 'ALTER TABLE t ADD b int DEFAULT 5')
    await expect(open()).rejects.toMatchObject({ error: 'SCHEMA_MOVED' })
    // The refusal makes the source look at the catalog, so that the next attempt succeeds.
    await running.until(() => running.runtime.events.includes('changed public.t'))
    const { rows } = await readTable(running, 'public.t', 20)
    expect(rows.map(({ row }) => row)).toContainEqual({ id: 50, a: 50, b: 5 })
    await queryPostgres(uri, 'DROP TABLE t')
    await expect(open()).rejects.toMatchObject({ error: 'SCHEMA_MOVED' })
    await running.stop()
  },
)

testOn(
  servers,
  'DDL waits for an open chunk, and rows of a chunk are of one structure',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE TABLE t (id int PRIMARY KEY, a text);
     INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 60000) i`,
    )
    const running = await run(optionsFor(server, changed))
    await ready(running.source, 'public.t')
    const schema = running.runtime.schemas.get('public.t')!
    const chunk = { table: 'public.t', after: null, until: null }
    const signal = AbortSignal.timeout(60_000)
    const read = await running.source.openChunk(chunk, 60_000, schema, running.position, signal)
    let altered = false
    const alter = queryPostgres(uri, 'ALTER TABLE t DROP a').then(() => {
      altered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(altered).toBe(false)
    let rows = 0
    for await (const part of read.parts) rows += part.batch.rows
    expect(rows).toBe(60_000)
    await alter
    await running.stop()
  },
)

testOn(
  servers,
  'null in a column that the catalog calls NOT NULL loosens the schema',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL)')
    const first = await run(options)
    const position = await first.caughtUp()
    const saved = first.source.save()
    await first.stop()
    await queryPostgres(
      uri,
      `ALTER TABLE t ALTER a DROP NOT NULL; INSERT INTO t VALUES (1, NULL); DELETE FROM t;
     ALTER TABLE t ALTER a SET NOT NULL; INSERT INTO t VALUES (2, 2)`,
    )
    const second = await run(options, saved, position, first.runtime)
    await second.caughtUp()
    expect(brief(second.changes, 'id', 'a')).toEqual([
      ['insert', 1, null],
      ['delete', 1, undefined],
      ['insert', 2, 2],
    ])
    expect(fieldsOf(second.runtime, 'public.t')).toEqual(['1 id int required', '2 a int'])
    await second.stop()
  },
)

testOn(servers, 'a label that an enum gains is carried like the others', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, m mood)`,
  )
  const running = await run(optionsFor(server, changed))
  await queryPostgres(uri, `INSERT INTO t VALUES (1, 'sad')`)
  await queryPostgres(uri, `ALTER TYPE mood ADD VALUE 'glad' BEFORE 'sad'`)
  await queryPostgres(uri, `INSERT INTO t VALUES (2, 'glad')`)
  await running.caughtUp()
  expect(brief(running.changes, 'm')).toEqual([
    ['insert', 'sad'],
    ['insert', 'glad'],
  ])
  await running.stop()
})

testOn(servers, 'partitions are one table, and silent partition DDL parks it', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE p (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
     CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
     INSERT INTO p VALUES (1, '2026-01-05'), (2, '2026-01-06')`,
  )
  const running = await run(optionsFor(server, changed))
  expect([...running.runtime.schemas.keys()]).toEqual(['public.p'])
  expect((await readTable(running, 'public.p', 1)).rows).toHaveLength(2)
  await queryPostgres(
    uri,
    `CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')`,
  )
  // In one transaction with the partition a deleted row could hide one that TRUNCATE took.
  await queryPostgres(
    uri,
    `INSERT INTO p VALUES (3, '2026-01-07'), (4, '2026-02-07');
     UPDATE p SET at = '2026-02-08' WHERE id = 3`,
  )
  await running.caughtUp()
  expect(brief(running.changes, 'id')).toEqual([
    ['insert', 3],
    ['insert', 4],
    ['delete', 3],
    ['insert', 3],
  ])
  await settled(running)
  expect(running.runtime.parked).toEqual(new Map())
  expect([...running.runtime.schemas.keys()]).toEqual(['public.p'])
  await queryPostgres(uri, 'TRUNCATE p2')
  await running.until(() => running.runtime.parked.has('public.p'))
  await running.stop()
})

testOn(
  servers,
  'a type without a mapping is refused at first, and parks its table later',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const options = optionsFor(server, changed)
    await queryPostgres(uri, 'CREATE TABLE bad (id int PRIMARY KEY, v interval)')
    await expect(run(options)).rejects.toMatchObject({
      error: 'TYPE_UNSUPPORTED',
      message: expect.stringContaining('"v"') as string,
    })
    // Arrays by their category, but not by their text.
    for (const type of ['int2vector', 'oidvector']) {
      await queryPostgres(uri, `ALTER TABLE bad ALTER v TYPE ${type} USING NULL`)
      await expect(run(options)).rejects.toMatchObject({ error: 'TYPE_UNSUPPORTED' })
    }
    await queryPostgres(uri, 'DROP TABLE bad; CREATE TABLE t (id int PRIMARY KEY)')
    const running = await run(options)
    await queryPostgres(uri, 'ALTER TABLE t ADD v interval; INSERT INTO t VALUES (1)')
    await running.until(() => running.runtime.parked.has('public.t'))
    expect(running.runtime.parked.get('public.t')).toMatchObject({ error: 'TYPE_UNSUPPORTED' })
    await running.stop()
  },
)

testOn(servers, 'excluded columns are neither in the schema nor in rows', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, secret interval, v int)')
  const columnsExclude = (_: string, __: string, column: string): boolean => column === 'secret'
  const running = await run(optionsFor(server, { ...changed, columnsExclude }))
  await queryPostgres(uri, `INSERT INTO t VALUES (1, '1 day', 2)`)
  await running.caughtUp()
  expect(running.changes.map(({ row }) => row)).toEqual([{ id: 1, v: 2 }])
  expect((await readTable(running, 'public.t', 9)).rows.map(({ row }) => row)).toEqual([
    { id: 1, v: 2 },
  ])
  await running.stop()
})

testOn(servers, 'generated columns are in neither backfill nor log', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE t (id int PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v * 2) STORED, w int)`,
  )
  const running = await run(optionsFor(server, changed))
  await withPostgres(uri, async (client) => {
    await client.query('INSERT INTO t (id, v, w) VALUES (1, 2, 3)')
    await client.query('UPDATE t SET v = 5')
  })
  await running.caughtUp()
  expect(brief(running.changes, 'id', 'v', 'g', 'w')).toEqual([
    ['insert', 1, 2, undefined, 3],
    ['update', 1, 5, undefined, 3],
  ])
  expect((await readTable(running, 'public.t', 9)).rows[0]?.row).toEqual({ id: 1, v: 5, w: 3 })
  await running.stop()
})
