// What stands in logs of real servers beside plain rows: compression, row images that leave columns
// out, statements instead of rows, online schema changes, and commits that readers do not see yet.

import { afterAll, expect, test } from 'vitest'
import { differenceOf } from '../readers/canonical.ts'
import { readMysqlSource } from '../readers/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql, withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const SAME = { missing: [], extra: [] }
const starters = { mysql: startMysql, mariadb: startMariadb } as const
const servers = new Map<string, MysqlServer>()

async function serverOf(kind: keyof typeof starters): Promise<MysqlServer> {
  const settings = kind === 'mysql' ? {} : { 'log-bin-compress': 'ON' }
  const known = servers.get(kind) ?? (await starters[kind]({ settings }))
  servers.set(kind, known)
  return known
}

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

let databases = 0
async function database(server: MysqlServer, sql: string): Promise<string> {
  const name = `d${++databases}`
  await queryMysql(server.uri(), `CREATE DATABASE ${name}; USE ${name}; ${sql}`)
  return name
}

async function same(server: MysqlServer, running: RunningSource, table: string): Promise<void> {
  await running.catchUp()
  const source = await readMysqlSource(server.uri(), table)
  expect(differenceOf(source, running.lake.dump(table))).toEqual(SAME)
}

test.skipIf(!(await available('mysql')))(
  'mysql: compressed transactions give the same rows, also with savepoints, XA and many megabytes',
  async () => {
    const server = await serverOf('mysql')
    const d = await database(server, 'CREATE TABLE t (id int PRIMARY KEY, v longtext)')
    const running = await RunningSource.start(optionsFor(server, d))
    const on = 'SET SESSION binlog_transaction_compression = ON'
    const wide = "INSERT INTO t SELECT id + 500000000, REPEAT('abcdefgh', 50) FROM t"
    await queryMysql(
      server.uri(d),
      `${on}; INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET v = 'c' WHERE id = 2;
       BEGIN; INSERT INTO t VALUES (3, 'a'); SAVEPOINT s; INSERT INTO t VALUES (4, 'a');
       SAVEPOINT u; INSERT INTO t VALUES (5, 'a'); ROLLBACK TO s; INSERT INTO t VALUES (6, 'a'); COMMIT;
       XA START 'p'; INSERT INTO t VALUES (7, 'a'); XA END 'p'; XA PREPARE 'p'; XA COMMIT 'p';
       XA START 'q'; INSERT INTO t VALUES (8, 'a'); XA END 'q'; XA PREPARE 'q'; XA ROLLBACK 'q';
       INSERT INTO t SELECT id + 10, v FROM t; INSERT INTO t SELECT id + 100, v FROM t;
       INSERT INTO t SELECT id + 1000, v FROM t; INSERT INTO t SELECT id + 10000, v FROM t;
       INSERT INTO t SELECT a.id * 100000 + b.id + 1000000, REPEAT('abcdefgh', 50)
         FROM t a, t b WHERE a.id < 200; ${wide};
       SET SESSION binlog_transaction_compression = OFF; DELETE FROM t WHERE id % 3 = 0`,
    )
    await same(server, running, `${d}.t`)
    expect(running.lake.history.some(({ cells }) => cells[0] === '4' || cells[0] === '8')).toBe(
      false,
    )
    await running.stop()
  },
)

test.skipIf(!(await available('mysql')))(
  'mysql: differences of JSON park their table alone, also in a transaction that is held back',
  async () => {
    const server = await serverOf('mysql')
    const update = "UPDATE t SET j = JSON_SET(j, '$.b', 3)"
    for (const sql of [
      update,
      `BEGIN; INSERT INTO t VALUES (2, '{}'); SAVEPOINT s; ${update}; COMMIT`,
      `XA START 'j'; ${update}; XA END 'j'; XA PREPARE 'j'; XA COMMIT 'j'`,
    ]) {
      const d = await database(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, j json); CREATE TABLE u (id int PRIMARY KEY);
         INSERT INTO t VALUES (1, '{"a": "12345678901234567890", "b": 2}')`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await queryMysql(
        server.uri(d),
        `SET SESSION binlog_row_value_options = 'PARTIAL_JSON'; ${sql}; ${update}; INSERT INTO u VALUES (1)`,
      )
      await same(server, running, `${d}.u`)
      const reason = running.lake.parked.get(`${d}.t`)
      expect([reason?.error, reason?.message]).toEqual([
        'LOG_UNKNOWN_EVENT',
        `updates of table "${d}.t" are in the log as differences of JSON documents`,
      ])
      expect(reason?.hint).toMatch(/binlog_row_value_options[^]*millrace resync/)
      await running.stop()
    }
  },
)

for (const kind of ['mysql', 'mariadb'] as const) {
  const missing = !(await available(kind))

  test.skipIf(missing)(
    `${kind}: a column that an update leaves out keeps its value, NULL is a value`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, a int, b text, c int NOT NULL DEFAULT 7);
       INSERT INTO t VALUES (1, 1, 'one', 1), (2, 2, 'two', 2)`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`)
      await queryMysql(
        server.uri(d),
        `SET SESSION binlog_row_image = MINIMAL; UPDATE t SET a = NULL WHERE id = 1;
       UPDATE t SET b = 'zwei' WHERE id = 2; INSERT INTO t (id, a) VALUES (3, 3); DELETE FROM t WHERE id = 1;
       SET SESSION binlog_row_image = NOBLOB; UPDATE t SET a = 33 WHERE id = 3`,
      )
      await same(server, running, `${d}.t`)
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a computed column that an update leaves out never keeps a value of before`,
    async () => {
      const server = await serverOf(kind)
      const computed = (how: string): string =>
        `(id int PRIMARY KEY, a int, b text, g int AS (a + 1) ${how}, h text AS (concat(b, a)) ${how})`
      const d = await database(
        server,
        `CREATE TABLE s ${computed('STORED')}; CREATE TABLE v ${computed('VIRTUAL')};
         INSERT INTO s (id, a, b) VALUES (1, 1, 'one'), (2, 2, 'two');
         INSERT INTO v (id, a, b) SELECT id, a, b FROM s`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      for (const table of ['s', 'v']) await running.backfill(`${d}.${table}`)
      const update = (table: string): string =>
        `UPDATE ${table} SET a = 7 WHERE id = 1; UPDATE ${table} SET b = 'zwei' WHERE id = 2;`
      await queryMysql(
        server.uri(d),
        `SET SESSION binlog_row_image = NOBLOB; ${update('s')}
         SET SESSION binlog_row_image = MINIMAL; ${update('s')} ${update('v')}`,
      )
      await same(server, running, `${d}.s`)
      if (kind === 'mysql') await same(server, running, `${d}.v`)
      else {
        const { error, message } = running.lake.parked.get(`${d}.v`) ?? {}
        expect(error).toBe('UNCHANGED_VALUE_MISSING')
        expect(message).toBe(`an update left out column "g" of table "${d}.v"`)
      }
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: rows changed by statement park their table, the others go on`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)',
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await queryMysql(
        server.uri(d),
        `SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (1); SET SESSION binlog_format = ROW;
       INSERT INTO t VALUES (2), (3); INSERT INTO u VALUES (1)`,
      )
      await same(server, running, `${d}.u`)
      expect(running.lake.parked.get(`${d}.t`)?.error).toBe('LOG_STATEMENT')
      expect(running.lake.parkedRows.get(`${d}.t`)).toBe(2)
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: rows that DDL changes without row events park the table`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        `CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)
         (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20));
       CREATE TABLE q (id int PRIMARY KEY, v varchar(10)); CREATE TABLE r (id int PRIMARY KEY)`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await queryMysql(
        server.uri(d),
        `INSERT INTO p VALUES (1), (11); ALTER TABLE p TRUNCATE PARTITION a;
       INSERT INTO q VALUES (1, '1'); ALTER TABLE q MODIFY v int; INSERT INTO r VALUES (1)`,
      )
      await same(server, running, `${d}.r`)
      expect([...running.lake.parked.keys()].sort()).toEqual([`${d}.p`, `${d}.q`])
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a commit that is in the log before readers see it is not lost to a chunk`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)',
      )
      const delay = kind === 'mysql' ? 'binlog_group_commit_sync_delay' : 'binlog_commit_wait_usec'
      const count =
        kind === 'mysql' ? 'binlog_group_commit_sync_no_delay_count' : 'binlog_commit_wait_count'
      await queryMysql(server.uri(), `SET GLOBAL ${delay} = 400000; SET GLOBAL ${count} = 1000`)
      try {
        const running = await RunningSource.start(optionsFor(server, d))
        await withMysql(server.uri(d), async (connection) => {
          for (let value = 1; value <= 4; value++) {
            const commit = connection.query('UPDATE t SET v = ? WHERE id = 1', [value])
            await new Promise((resolve) => setTimeout(resolve, 100 * value))
            await running.backfill(`${d}.t`)
            await commit
            await same(server, running, `${d}.t`)
          }
        })
        await running.stop()
      } finally {
        await queryMysql(server.uri(), `SET GLOBAL ${delay} = 0; SET GLOBAL ${count} = 0`)
      }
    },
  )

  test.skipIf(missing)(
    `${kind}: rows of 5 and of 20 MiB come by chunk and log, in one piece`,
    async () => {
      const server = await serverOf(kind)
      await queryMysql(server.uri(), 'SET GLOBAL max_allowed_packet = 67108864')
      const d = await database(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, v longblob);
       INSERT INTO t VALUES (1, REPEAT('a', 5242880)), (2, REPEAT('b', 20971520)), (3, 'c')`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`)
      await queryMysql(
        server.uri(d),
        "UPDATE t SET v = CONCAT(v, 'x'); INSERT INTO t VALUES (4, REPEAT('d', 16777210)), (5, 'e')",
      )
      await running.catchUp()
      const rows = await queryMysql(
        server.uri(d),
        'SELECT id, LENGTH(v) AS n, RIGHT(v, 2) AS e FROM t',
      )
      const found = running.lake.dump(`${d}.t`).rows.map((row) => {
        const [id, hex] = JSON.parse(row) as [string, string]
        return { id: Number(id), n: hex.length / 2, e: hex.slice(-4) }
      })
      expect(found.sort((left, right) => left.id - right.id)).toEqual(
        rows.map(({ id, n, e }) => ({ id, n, e: (e as Buffer).toString('hex') })),
      )
      await running.stop()
    },
  )
}

test.skipIf(!(await available('mariadb')))(
  'mariadb: an ALTER in two phases takes effect once, where it ends, and never when it fails',
  async () => {
    const server = await serverOf('mariadb')
    const d = await database(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1), (2, 1);
       CREATE TABLE u (id int PRIMARY KEY)`,
    )
    const running = await RunningSource.start(optionsFor(server, d))
    await running.backfill(`${d}.t`)
    const two = 'SET SESSION binlog_alter_two_phase = ON'
    const failing = `${two}; ALTER TABLE t ADD x int, ADD UNIQUE (a)`
    await expect(queryMysql(server.uri(d), failing)).rejects.toThrow(/Duplicate/)
    await queryMysql(
      server.uri(d),
      `INSERT INTO t VALUES (3, 3); ${two}; ALTER TABLE t ADD b int DEFAULT 5;
       ALTER TABLE u ADD v varchar(10); INSERT INTO t VALUES (4, 4, 4); INSERT INTO u VALUES (1, 'x')`,
    )
    await same(server, running, `${d}.t`)
    await same(server, running, `${d}.u`)
    expect(running.lake.dump(`${d}.t`).columns).toEqual(['id', 'a', 'b'])
    expect([...running.lake.parked]).toEqual([])
    await running.stop()
  },
)
