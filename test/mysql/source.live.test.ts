// The MySQL source against real servers: what the log and the chunks give is what SELECT gives.

import { afterAll, expect, test } from 'vitest'
import { differenceOf } from '../readers/canonical.ts'
import { readMysqlSource } from '../readers/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const SAME = { missing: [], extra: [] }

const starters = { mysql: startMysql, mariadb: startMariadb } as const
const servers = new Map<string, MysqlServer>()

async function serverOf(kind: keyof typeof starters): Promise<MysqlServer> {
  const known = servers.get(kind) ?? (await starters[kind]())
  servers.set(kind, known)
  return known
}

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

let databases = 0
async function database(server: MysqlServer, sql = ''): Promise<string> {
  const name = `d${++databases}`
  await queryMysql(server.uri(), `CREATE DATABASE ${name}; USE ${name}; ${sql}`)
  return name
}

for (const kind of ['mysql', 'mariadb'] as const) {
  const missing = !(await available(kind))

  test.skipIf(missing)(
    `${kind}: rows before the start come by chunks, later ones by the log`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        `CREATE TABLE t (id bigint PRIMARY KEY, name varchar(20), amount decimal(12,2),
         at timestamp(6) NULL, flag tinyint(1), note text);
       INSERT INTO t VALUES (1, 'één', 1.50, '2020-01-01 00:00:00.123456', 1, NULL),
         (2, NULL, -0.01, NULL, 0, 'x'), (3, '', 1234567890.12, '1970-01-01 00:00:01', NULL, '')`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`, 2)
      expect(
        differenceOf(await readMysqlSource(server.uri(), `${d}.t`), running.lake.dump(`${d}.t`)),
      ).toEqual(SAME)
      await queryMysql(
        server.uri(d),
        `INSERT INTO t VALUES (4, 'four', 4, NOW(6), 1, 'n'); UPDATE t SET name = 'zwei' WHERE id = 2;
       DELETE FROM t WHERE id = 1; UPDATE t SET id = 30 WHERE id = 3`,
      )
      await running.catchUp()
      expect(
        differenceOf(await readMysqlSource(server.uri(), `${d}.t`), running.lake.dump(`${d}.t`)),
      ).toEqual(SAME)
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: DDL of the log moves the tables, also when rows come before and behind it`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(10) NOT NULL DEFAULT 'x');
         INSERT INTO t (id, a) VALUES (1, 1), (2, 2)`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`)
      const steps = [
        'ALTER TABLE t ADD c decimal(5,2) NOT NULL DEFAULT 1.5, ADD d int FIRST',
        'INSERT INTO t (id, a) VALUES (3, 3); UPDATE t SET a = 20 WHERE id = 2',
        'ALTER TABLE t RENAME COLUMN a TO aa, DROP b',
        'INSERT INTO t (id, aa) VALUES (4, 4)',
        'ALTER TABLE t MODIFY aa bigint, COMMENT "wider"',
        'INSERT INTO t (id, aa) VALUES (5, 5000000000)',
        'CREATE TABLE u LIKE t; INSERT INTO u (id, aa) VALUES (1, 1)',
        'CREATE TABLE v (k varchar(8) PRIMARY KEY) AS SELECT 7 AS n, "s" AS k',
        'TRUNCATE u; INSERT INTO u (id, aa) VALUES (9, 9)',
        'DROP TABLE v',
      ]
      for (const sql of steps) {
        await queryMysql(server.uri(d), sql)
        await running.catchUp()
      }
      for (const table of ['t', 'u']) {
        const name = `${d}.${table}`
        expect(
          differenceOf(await readMysqlSource(server.uri(), name), running.lake.dump(name)),
        ).toEqual(SAME)
      }
      expect(running.lake.events.filter((event) => event.includes('.v'))).toEqual([
        `changed ${d}.v`,
        `dropped ${d}.v`,
      ])
      expect([...running.lake.parked]).toEqual([])
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a table from where nothing is captured brings its own rows to a captured name`,
    async () => {
      const server = await serverOf(kind)
      const aside = await database(server)
      const d = await database(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2);
         CREATE TABLE u LIKE t; INSERT INTO u VALUES (1, 1)`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      const { lake } = running
      for (const table of ['t', 'u']) await running.backfill(`${d}.${table}`)
      const begun: string[] = []
      lake.onNewTable = (table) => begun.push(table)
      await queryMysql(
        server.uri(d),
        `CREATE TABLE ${aside}.fresh LIKE t; INSERT INTO ${aside}.fresh VALUES (2, 20), (3, 30);
         RENAME TABLE t TO ${aside}.old, ${aside}.fresh TO t; INSERT INTO t VALUES (4, 40);
         ${kind === 'mariadb' ? `CREATE OR REPLACE TABLE u LIKE ${aside}.old; ` : ''}
         UPDATE t SET v = 31 WHERE id = 3; INSERT INTO u VALUES (5, 50)`,
      )
      await running.catchUp()
      for (const table of begun) await running.backfill(table)
      for (const name of [`${d}.t`, `${d}.u`]) {
        expect(differenceOf(await readMysqlSource(server.uri(), name), lake.dump(name))).toEqual(
          SAME,
        )
      }
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: rows of an XA transaction appear at its commit, also after a restart, never at rollback`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(server, 'CREATE TABLE t (id int PRIMARY KEY, v longtext)')
      let running = await RunningSource.start(optionsFor(server, d))
      const ids = async (): Promise<string[]> => {
        await running.catchUp()
        return running.lake.dump(`${d}.t`).rows.map((row) => (JSON.parse(row) as string[])[0]!)
      }
      await queryMysql(
        server.uri(d),
        `XA START 'a'; INSERT INTO t VALUES (1, 'x'), (2, REPEAT('y', 100000)); XA END 'a'; XA PREPARE 'a'`,
      )
      await queryMysql(
        server.uri(d),
        `XA START 'b', 'q', 7; INSERT INTO t VALUES (3, 'x'); XA END 'b', 'q', 7; XA PREPARE 'b', 'q', 7`,
      )
      await queryMysql(server.uri(d), 'INSERT INTO t VALUES (4, "z")')
      expect(await ids()).toEqual(['4'])
      const { lake, options } = running
      running = await RunningSource.start(options, lake, await running.stop())
      await queryMysql(server.uri(d), 'INSERT INTO t VALUES (5, "z")')
      expect(await ids()).toEqual(['4', '5'])
      await queryMysql(server.uri(d), "XA COMMIT 'a'")
      expect(await ids()).toEqual(['1', '2', '4', '5'])
      await queryMysql(server.uri(d), "XA ROLLBACK 'b', 'q', 7")
      await queryMysql(
        server.uri(d),
        "XA START 'c'; UPDATE t SET v = 'one' WHERE id = 1; XA END 'c'; XA COMMIT 'c' ONE PHASE",
      )
      expect(await ids()).toEqual(['1', '2', '4', '5'])
      expect(
        differenceOf(await readMysqlSource(server.uri(), `${d}.t`), running.lake.dump(`${d}.t`)),
      ).toEqual(SAME)
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: rows that ROLLBACK or ROLLBACK TO take back never appear`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE m (id int PRIMARY KEY) ENGINE=MyISAM',
      )
      const running = await RunningSource.start(optionsFor(server, d))
      await queryMysql(
        server.uri(d),
        `BEGIN; INSERT INTO t VALUES (1, 'a'); CREATE TEMPORARY TABLE x (a int);
         DROP TEMPORARY TABLE x; ROLLBACK;
         BEGIN; INSERT INTO t VALUES (2, 'a'); SAVEPOINT s; INSERT INTO t VALUES (3, 'a');
         ROLLBACK TO s; INSERT INTO t VALUES (4, 'b'); SAVEPOINT s; INSERT INTO t VALUES (5, 'b'); COMMIT`,
      )
      await queryMysql(server.uri(d), 'INSERT INTO m VALUES (1), (2)')
      if (kind === 'mariadb') {
        await queryMysql(
          server.uri(d),
          `BEGIN; INSERT INTO t VALUES (6, 'a'); SAVEPOINT p; INSERT INTO t VALUES (7, 'a');
           INSERT INTO m VALUES (3); ROLLBACK TO p; INSERT INTO t VALUES (8, 'a'); COMMIT`,
        )
      }
      await running.catchUp()
      for (const table of ['t', 'm']) {
        const name = `${d}.${table}`
        expect(
          differenceOf(await readMysqlSource(server.uri(), name), running.lake.dump(name)),
        ).toEqual(SAME)
      }
      expect(
        running.lake.history.some(({ table, cells }) => table === `${d}.t` && cells[0] === '3'),
      ).toBe(false)
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: defaults of the server's sessions neither hide tables nor cut them off`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        `CREATE TABLE \`tä'b\` (\`ключ\` int PRIMARY KEY, a char(5), b enum('é'), c int, e int);
         INSERT INTO \`tä'b\` VALUES (1, 'x', 'é', 1, 1), (2, 'y', 'é', 2, 2), (3, 'z', 'é', 3, 3);
         CREATE USER plain IDENTIFIED BY '${server.password}'; GRANT SELECT ON *.* TO plain;
         GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO plain;
         SET GLOBAL sql_select_limit = 2; SET GLOBAL autocommit = 0;
         SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH';
         SET GLOBAL max_join_size = 2;
         SET GLOBAL init_connect = 'SET NAMES latin1, time_zone = ''+05:00'''`,
      )
      const running = await RunningSource.start(optionsFor(server, d, { user: 'plain' }))
      const reset = ['sql_select_limit', 'autocommit', 'sql_mode', 'max_join_size']
        .map((name) => `SET GLOBAL ${name} = DEFAULT, SESSION ${name} = DEFAULT;`)
        .join(' ')
      await queryMysql(
        server.uri(d),
        `${reset} SET GLOBAL init_connect = ''; INSERT INTO \`tä'b\` VALUES (4, 'v', 'é', 4, 4)`,
      )
      await running.backfill(`${d}.tä'b`, 2)
      await running.catchUp()
      expect(
        differenceOf(
          await readMysqlSource(server.uri(), `${d}.tä'b`),
          running.lake.dump(`${d}.tä'b`),
        ),
      ).toEqual(SAME)
      await running.stop()
    },
  )
}
