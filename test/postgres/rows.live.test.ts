// What the log says of rows under every replica identity, and what becomes of values that it left
// out or that the lake cannot hold.

import { expect } from 'vitest'
import {
  brief,
  freshDatabase,
  optionsFor,
  queryPostgres,
  readTable,
  run,
  startAll,
  testOn,
  UNCHANGED,
} from './harness.ts'

const servers = await startAll()

testOn(servers, 'a key change is a delete and an insert, under every identity', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE d (id int PRIMARY KEY, v text);
     CREATE TABLE f (id int PRIMARY KEY, v text); ALTER TABLE f REPLICA IDENTITY FULL;
     CREATE TABLE i (id int PRIMARY KEY, k int NOT NULL UNIQUE, v text);
     ALTER TABLE i REPLICA IDENTITY USING INDEX i_k_key;`,
  )
  const running = await run(optionsFor(server, changed))
  await queryPostgres(
    uri,
    `INSERT INTO d VALUES (1, 'a'), (2, 'b'); INSERT INTO f VALUES (1, 'a'), (2, 'b');
     INSERT INTO i VALUES (1, 10, 'a'), (2, 20, 'b');
     UPDATE d SET id = 3 WHERE id = 1; UPDATE d SET v = 'c'; DELETE FROM d WHERE id = 2;
     UPDATE f SET id = 3 WHERE id = 1; UPDATE f SET v = 'c'; DELETE FROM f WHERE id = 2;
     UPDATE i SET id = 3 WHERE id = 1; UPDATE i SET k = 11 WHERE k = 10; DELETE FROM i WHERE id = 2;`,
  )
  await running.caughtUp()
  for (const table of ['d', 'f']) {
    const changes = running.changes.filter((change) => change.table === `public.${table}`)
    expect(brief(changes, 'id', 'v')).toEqual([
      ['insert', 1, 'a'],
      ['insert', 2, 'b'],
      ['delete', 1, undefined],
      ['insert', 3, 'a'],
      ['update', 2, 'c'],
      ['update', 3, 'c'],
      ['delete', 2, undefined],
    ])
  }
  const changes = running.changes.filter(({ table }) => table === 'public.i')
  expect(brief(changes, 'id', 'k', 'v')).toEqual([
    ['insert', 1, 10, 'a'],
    ['insert', 2, 20, 'b'],
    ['update', 3, 10, 'a'],
    ['delete', undefined, 10, undefined],
    ['insert', 3, 11, 'a'],
    ['delete', undefined, 20, undefined],
  ])
  await running.stop()
})

testOn(servers, 'a swap of keys and a shift of all keys keep commit order', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, v text)')
  const running = await run(optionsFor(server, changed))
  await queryPostgres(
    uri,
    `INSERT INTO t VALUES (1, 'one'), (2, 'two');
     BEGIN; UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2;
     UPDATE t SET id = 2 WHERE id = -1; COMMIT;
     BEGIN; UPDATE t SET id = id + 100; COMMIT`,
  )
  await running.caughtUp()
  const live = new Map<unknown, unknown>()
  for (const { op, row } of running.changes) {
    if (op === 'delete') expect(live.delete(row['id'])).toBe(true)
    else live.set(row['id'], row['v'])
  }
  expect(live).toEqual(
    new Map([
      [101, 'two'],
      [102, 'one'],
    ]),
  )
  const places = running.changes.map(({ order, sequence }) => order * 1000n + BigInt(sequence))
  expect(places).toEqual(places.toSorted((left, right) => (left < right ? -1 : 1)))
  expect(new Set(places).size).toBe(places.length)
  await running.stop()
})

const LARGE = `(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i)`

testOn(servers, 'a large value that did not change is marked so, never null', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE d (id int PRIMARY KEY, n int, big text);
     ALTER TABLE d ALTER big SET STORAGE EXTERNAL;
     CREATE TABLE f (LIKE d INCLUDING ALL); ALTER TABLE f REPLICA IDENTITY FULL;
     CREATE TABLE k (id text PRIMARY KEY, n int); ALTER TABLE k ALTER id SET STORAGE EXTERNAL;
     INSERT INTO d SELECT 1, 1, ${LARGE}; INSERT INTO f SELECT 1, 1, ${LARGE};
     INSERT INTO k SELECT left(${LARGE}, 2500), 1;`,
  )
  const running = await run(optionsFor(server, changed))
  await queryPostgres(
    uri,
    `UPDATE d SET n = 2; UPDATE f SET n = 2; UPDATE d SET id = 5; UPDATE f SET id = 5;
     UPDATE d SET big = NULL; UPDATE k SET n = 2; DELETE FROM k`,
  )
  await running.caughtUp()
  const [row] = await queryPostgres(uri, 'SELECT big FROM f')
  const big = row?.['big']
  const of = (table: string): unknown[][] =>
    brief(
      running.changes.filter((change) => change.table === `public.${table}`),
      'id',
      'n',
      'big',
    )
  expect(of('d')).toEqual([
    ['update', 1, 2, UNCHANGED],
    ['delete', 1, undefined, undefined],
    ['insert', 5, 2, UNCHANGED],
    ['update', 5, 2, null],
  ])
  expect(of('f')).toEqual([
    ['update', 1, 2, big],
    ['delete', 1, undefined, undefined],
    ['insert', 5, 2, big],
  ])
  // A large key comes with every update, in the old tuple.
  expect(of('k').map(([op, id]) => [op, String(id).length])).toEqual([
    ['update', 2500],
    ['delete', 2500],
  ])
  await running.stop()
})

testOn(servers, 'TRUNCATE comes between the rows before and after it', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)`,
  )
  const running = await run(optionsFor(server, changed))
  const seen: string[] = []
  const { runtime } = running
  runtime.tableTruncated = (table) => {
    seen.push(`${table} after ${running.changes.length}`)
  }
  await queryPostgres(
    uri,
    `INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1); TRUNCATE a CASCADE;
     INSERT INTO a VALUES (3)`,
  )
  await running.caughtUp()
  expect(seen.sort()).toEqual(['public.a after 3', 'public.b after 3'])
  expect(brief(running.changes, 'id')).toHaveLength(4)
  await running.stop()
})

const UNREPRESENTABLE: readonly (readonly [string, string, string])[] = [
  ['date', 'infinity', 'infinity'],
  ['date', '0044-03-15 BC', 'Christ'],
  ['timestamp', '-infinity', 'infinity'],
  ['timestamptz', '0044-03-15 12:00:00+00 BC', 'Christ'],
  ['timestamptz', '294250-01-01 00:00:00+00', '294247'],
  ['timestamp', '294247-01-10 04:00:54.775808', '294247'],
  ['time', '24:00:00', '24:00:00'],
  ['numeric(5,2)', 'NaN', 'NaN'],
  ['numeric(30,2)', 'NaN', 'NaN'],
  ['int[]', '[0:1]={1,2}', 'first index'],
  ['int[]', '{{1,2},{3,4}}', 'dimension'],
]

testOn(servers, 'a value without a place in the lake parks its table alone', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const create = UNREPRESENTABLE.map(
    ([type], at) => `CREATE TABLE t${at} (id int PRIMARY KEY, other text, v ${type});`,
  )
  await queryPostgres(uri, `${create.join('\n')} CREATE TABLE good (id int PRIMARY KEY)`)
  const running = await run(optionsFor(server, changed))
  for (const [at, [, value]] of UNREPRESENTABLE.entries()) {
    const values = `(1, 'x', NULL), (2, 'y', '${value}'), (3, 'z', NULL)`
    await queryPostgres(uri, `INSERT INTO t${at} VALUES ${values}; INSERT INTO good VALUES (${at})`)
  }
  await running.caughtUp()
  const { parked, parkedRows } = running.runtime
  for (const [at, [, , reason]] of UNREPRESENTABLE.entries()) {
    const table = `public.t${at}`
    const error = parked.get(table)
    expect(error).toMatchObject({ error: 'VALUE_UNREPRESENTABLE' })
    expect(error).toHaveProperty('detail', expect.stringContaining(reason))
    expect(error).toHaveProperty('message', expect.stringContaining('"v"'))
    expect(error).toHaveProperty('message', expect.stringContaining('(2)'))
    expect(parkedRows.get(table)).toBe(2)
    const rows = running.changes.filter((change) => change.table === table)
    expect(brief(rows, 'id', 'v')).toEqual([['insert', 1, null]])
    parked.delete(table)
    await expect(readTable(running, table, 100)).rejects.toMatchObject({
      error: 'VALUE_UNREPRESENTABLE',
      message: expect.stringContaining('"v"') as string,
    })
  }
  const good = running.changes.filter(({ table }) => table === 'public.good')
  expect(good).toHaveLength(UNREPRESENTABLE.length)
  await running.stop()
})

testOn(
  servers,
  'by option such a value becomes null, the same in log and chunk',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const scalars = UNREPRESENTABLE.filter(([type]) => !type.endsWith('[]'))
    const columns = scalars.map(([type], at) => `v${at} ${type}`)
    await queryPostgres(uri, `CREATE TABLE t (id int PRIMARY KEY, ${columns.join(', ')}, last int)`)
    const running = await run(optionsFor(server, { ...changed, unrepresentable: 'null' }))
    const values = scalars.map(([, value]) => `'${value}'`)
    await queryPostgres(uri, `INSERT INTO t VALUES (1, ${values.join(', ')}, 7)`)
    await running.caughtUp()
    const expected = {
      id: 1,
      last: 7,
      ...Object.fromEntries(scalars.map((_, at) => [`v${at}`, null])),
    }
    expect(running.changes.map(({ row }) => row)).toEqual([expected])
    const { rows } = await readTable(running, 'public.t', 10)
    expect(rows.map(({ row }) => row)).toEqual([expected])
    await running.stop()
  },
)

testOn(servers, 'columns that the user wants as text have one text in both', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  await queryPostgres(
    uri,
    `CREATE TYPE pair AS (a int, b text);
     CREATE TABLE t (id int PRIMARY KEY, i inet, c cidr, v interval, m money, r int4range,
       p pair, x "char", a int[], d date, tz timetz, n numeric(5,2), b boolean, q pair)`,
  )
  const columnsAsText = (_: string, __: string, column: string): boolean => column !== 'id'
  const running = await run(optionsFor(server, { ...changed, columnsAsText }))
  await queryPostgres(
    uri,
    `INSERT INTO t VALUES (1, '10.0.0.1', '10.0.0.0/8', '1 mon 2 days 03:04:05.6', 12.5, '[1,5)',
       (1, 'x y'), 'c', '[0:1]={1,NULL}', 'infinity', '12:00:00+02', 'NaN', true, (NULL, NULL))`,
  )
  await running.caughtUp()
  const { rows } = await readTable(running, 'public.t', 10)
  expect(rows.map(({ row }) => row)).toEqual(running.changes.map(({ row }) => row))
  expect(rows[0]?.row).toMatchObject({
    i: '10.0.0.1',
    c: '10.0.0.0/8',
    v: '1 mon 2 days 03:04:05.6',
    r: '[1,5)',
    p: '(1,"x y")',
    x: 'c',
    a: '[0:1]={1,NULL}',
    d: 'infinity',
    tz: '12:00:00+02',
    n: 'NaN',
    b: 't',
    q: '(,)',
  })
  await running.stop()
})

testOn(
  servers,
  'chunks follow the key of any type and collation, in any chunk size',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(
      uri,
      `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    ).catch(() => [])
    const keys: readonly (readonly [string, string])[] = [
      ['text COLLATE "C"', `chr(32 + i) || '''\\' || i`],
      ['uuid', `md5(i::text)::uuid`],
      ['timestamptz', `'2000-01-01Z'::timestamptz + (i - 20) * interval '1.000001 s'`],
      ['date', `'0001-01-01'::date + i * 400`],
      ['time', `'00:00'::time + i * interval '1.000001 s'`],
      ['bytea', `decode(md5(i::text), 'hex')`],
      ['float8', `i / 3.0 - 5`],
      ['float4', `i / 3.0 - 5`],
      ['numeric(30,5)', `i / 3.0 - 5`],
      ['numeric', `i / 3.0 - 5`],
      ['boolean', `i = 1`],
      ['char(5)', `chr(64 + i)`],
    ]
    for (const [at, [type, value]] of keys.entries()) {
      await queryPostgres(
        uri,
        `CREATE TABLE k${at} (k ${type}, n int, PRIMARY KEY (k, n));
       INSERT INTO k${at} SELECT ${value}, i % 3 FROM generate_series(1, 40) i ON CONFLICT DO NOTHING`,
      )
    }
    const running = await run(optionsFor(server, changed))
    for (const [at] of keys.entries()) {
      const { rows } = await readTable(running, `public.k${at}`, 7)
      const [count] = await queryPostgres(uri, `SELECT count(*)::int AS n FROM k${at}`)
      expect(rows).toHaveLength(Number(count?.['n']))
      const whole = await readTable(running, `public.k${at}`, 1000)
      expect(rows.map(({ row }) => row)).toEqual(whole.rows.map(({ row }) => row))
    }
    await running.stop()
  },
)

testOn(
  servers,
  'a large transaction with savepoints that is rolled back leaves the log readable',
  async (server) => {
    const { uri, changed } = await freshDatabase(server)
    const { database } = changed
    // 18 looks at transactions that exceed this, and tells of their savepoints by Stream Abort.
    await queryPostgres(
      uri,
      `ALTER DATABASE ${database} SET logical_decoding_work_mem = '64kB';
       CREATE TABLE t (id int PRIMARY KEY, v text)`,
    )
    const options = optionsFor(server, changed)
    const first = await run(options)
    const saved = first.source.save()
    const { position, runtime } = first
    await first.stop()
    await queryPostgres(
      uri,
      `BEGIN; SAVEPOINT a; INSERT INTO t VALUES (0, 'never'); RELEASE a;
       INSERT INTO t SELECT id, repeat('x', 100) FROM generate_series(1, 2000) id; ROLLBACK;
       INSERT INTO t VALUES (1, 'kept')`,
    )
    const again = await run(options, saved, position, runtime)
    await again.caughtUp()
    expect(brief(again.changes, 'id', 'v')).toEqual([['insert', 1, 'kept']])
    await again.stop()
  },
)
