// Copies of tables that gh-ost and pt-online-schema-change make, change and swap in: with the same
// rows the table goes on, with others it begins anew, and a table that only looks like such a copy
// is a table like any other.

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

/** The statements of gh-ost up to its first copied row. */
function ghostBegin(d: string, table: string, alter: string): string {
  return `CREATE /* gh-ost */ TABLE ${d}._${table}_ghc (id bigint unsigned auto_increment,
      last_update timestamp not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
      hint varchar(64) charset ascii not null, value varchar(4096) charset ascii not null,
      primary key(id), unique key hint_uidx(hint)) auto_increment=256 comment='gh-ost changelog';
    CREATE /* gh-ost */ TABLE ${d}._${table}_gho LIKE ${d}.${table};
    ALTER /* gh-ost */ TABLE ${d}._${table}_gho ${alter};
    INSERT /* gh-ost */ INTO ${d}._${table}_ghc (id, hint, value)
      VALUES (1, 'state', 'GhostTableMigrated'), (2, 'heartbeat', NOW(6))`
}

function ghostEnd(d: string, table: string): string {
  return `CREATE /* gh-ost */ TABLE ${d}._${table}_del (id int auto_increment primary key)
      engine=innodb comment='ghost-cut-over-sentry';
    DROP TABLE ${d}._${table}_del; UPDATE ${d}._${table}_ghc SET value = NOW(6) WHERE id = 2;
    RENAME /* gh-ost */ TABLE ${d}.${table} TO ${d}._${table}_del,
      ${d}._${table}_gho TO ${d}.${table};
    DROP /* gh-ost */ TABLE IF EXISTS ${d}._${table}_ghc`
}

/** The statements of pt-online-schema-change around its copying. */
function percona(d: string, definition: string, alter: string, copy: string): string {
  const fresh = `\`${d}\`.\`_t_new\``
  return `CREATE TABLE ${fresh} (${definition}); ALTER TABLE ${fresh} ${alter};
    CREATE TRIGGER \`pt_osc_${d}_t_del\` AFTER DELETE ON \`${d}\`.\`t\` FOR EACH ROW
      DELETE IGNORE FROM ${fresh} WHERE ${fresh}.\`id\` <=> OLD.\`id\`;
    CREATE TRIGGER \`pt_osc_${d}_t_ins\` AFTER INSERT ON \`${d}\`.\`t\` FOR EACH ROW
      REPLACE INTO ${fresh} (\`id\`, \`a\`) VALUES (NEW.\`id\`, NEW.\`a\`);
    INSERT LOW_PRIORITY IGNORE INTO ${fresh} (id, a) SELECT id, a FROM \`${d}\`.\`t\` ${copy};
    RENAME TABLE \`${d}\`.\`t\` TO \`${d}\`.\`_t_old\`, ${fresh} TO \`${d}\`.\`t\`;
    DROP TABLE IF EXISTS \`${d}\`.\`_t_old\`; DROP TRIGGER IF EXISTS \`${d}\`.\`pt_osc_${d}_t_del\`;
    DROP TRIGGER IF EXISTS \`${d}\`.\`pt_osc_${d}_t_ins\``
}

for (const kind of ['mysql', 'mariadb'] as const) {
  const missing = !(await available(kind))

  test.skipIf(missing)(
    `${kind}: an online schema change is a change of structure, not a new table`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        `CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1), (2, 2);
       CREATE TABLE w (id int PRIMARY KEY); INSERT INTO w VALUES (1)`,
      )
      let running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`)
      await running.backfill(`${d}.w`)
      const before = running.lake.tables.get(`${d}.t`)!.incarnation
      const alter = 'ADD b int NOT NULL DEFAULT 5, RENAME COLUMN a TO aa'
      await queryMysql(
        server.uri(d),
        `${ghostBegin(d, 't', alter)}; INSERT INTO _t_gho (id, aa) SELECT id, a FROM t;
         INSERT INTO t VALUES (3, 3)`,
      )
      await running.catchUp()
      const { lake, options } = running
      running = await RunningSource.start(options, lake, await running.stop())
      await queryMysql(
        server.uri(d),
        `INSERT INTO _t_gho (id, aa) VALUES (3, 3); ${ghostEnd(d, 't')};
         INSERT INTO t VALUES (4, 4, 4); DROP TABLE _t_del`,
      )
      await same(server, running, `${d}.t`)
      await queryMysql(server.uri(d), 'ALTER TABLE t RENAME COLUMN aa TO a, DROP b')
      // A second run, of the other tool, and a third one.
      for (const column of ['c', 'd']) {
        const known = column === 'd' ? ', c int DEFAULT 9' : ''
        const definition = `id int NOT NULL, a int DEFAULT NULL${known}, PRIMARY KEY (id)`
        const alter = `ADD ${column} int DEFAULT 9, DROP PRIMARY KEY, ADD PRIMARY KEY (id)`
        await queryMysql(
          server.uri(d),
          `${percona(d, definition, alter, '')}; UPDATE t SET a = a + 1`,
        )
      }
      // One that is given up leaves no trace.
      await queryMysql(
        server.uri(d),
        `${ghostBegin(d, 't', 'ADD e int')}; INSERT INTO _t_gho SELECT t.*, 1 FROM t;
         DROP TABLE _t_gho; DROP TABLE _t_ghc`,
      )
      await same(server, running, `${d}.t`)
      expect(running.lake.tables.get(`${d}.t`)!.incarnation).toBe(before)
      expect([...running.lake.tables.keys()].sort()).toEqual([`${d}.t`, `${d}.w`])
      expect([...running.lake.parked]).toEqual([])
      // Two tables that swap names bring rows that the lake has elsewhere: they begin anew.
      const fresh: string[] = []
      running.lake.onNewTable = (table) => fresh.push(table)
      await queryMysql(server.uri(d), 'RENAME TABLE t TO x, w TO t, x TO w')
      await running.catchUp()
      expect(fresh.sort()).toEqual([`${d}.t`, `${d}.w`])
      for (const table of fresh) {
        await running.backfill(table)
        await same(server, running, table)
      }
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: tables that are only named like copies are copied like any other`,
    async () => {
      const server = await serverOf(kind)
      const names = ['_t_new', '_t_old', '_t_gho', '_t_ghc', '_t_del', '__t_new']
      const d = await database(
        server,
        ['t', ...names]
          .map(
            (name) => `CREATE TABLE ${name} (id int PRIMARY KEY); INSERT INTO ${name} VALUES (1)`,
          )
          .join('; '),
      )
      let running = await RunningSource.start(optionsFor(server, d))
      const insert = async (tables: readonly string[], id: number): Promise<void> => {
        await queryMysql(
          server.uri(d),
          tables.map((name) => `INSERT INTO ${name} VALUES (${id})`).join('; '),
        )
      }
      await insert(names, 2)
      for (const name of names) {
        await running.backfill(`${d}.${name}`)
        await same(server, running, `${d}.${name}`)
      }
      // Made while we read: real as soon as rows come that no tool has announced.
      const later = ['_w_new', '_w_gho', '_w_del']
      await queryMysql(
        server.uri(d),
        `CREATE TABLE w LIKE t; ${later.map((name) => `CREATE TABLE ${name} LIKE w`).join('; ')};
         CREATE TABLE gone LIKE t; INSERT INTO gone VALUES (1); RENAME TABLE gone TO _w_old`,
      )
      await insert([...later, '_w_old'], 3)
      await running.catchUp()
      const { lake, options } = running
      const from = await running.stop()
      running = await RunningSource.start(options, lake, from)
      await insert([...names, ...later, '_w_old'], 4)
      await running.catchUp()
      await running.backfill(`${d}._w_old`)
      for (const name of [...names, ...later, '_w_old']) {
        await same(server, running, `${d}.${name}`)
      }
      expect([...running.lake.parked]).toEqual([])
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a table that is swapped for a part of its rows begins anew`,
    async () => {
      const server = await serverOf(kind)
      for (const part of ['WHERE id > 1', 'WHERE id > 9', '']) {
        const d = await database(
          server,
          `CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)`,
        )
        const running = await RunningSource.start(optionsFor(server, d))
        await running.backfill(`${d}.t`)
        const fresh: string[] = []
        running.lake.onNewTable = (table) => fresh.push(table)
        await queryMysql(
          server.uri(d),
          `CREATE TABLE _t_new LIKE t; INSERT INTO _t_new SELECT * FROM t ${part};
           RENAME TABLE t TO _t_old, _t_new TO t; INSERT INTO t VALUES (4, 4)`,
        )
        await running.catchUp()
        expect(fresh).toContain(`${d}.t`)
        await running.backfill(`${d}.t`)
        await same(server, running, `${d}.t`)
        await running.stop()
      }
    },
  )

  test.skipIf(missing)(
    `${kind}: an online change while we were away leaves no table behind`,
    async () => {
      const server = await serverOf(kind)
      const d = await database(
        server,
        'CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1), (2, 2)',
      )
      let running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`)
      const before = running.lake.tables.get(`${d}.t`)!.incarnation
      const { lake, options } = running
      const from = await running.stop()
      await queryMysql(
        server.uri(d),
        `${ghostBegin(d, 't', 'ADD b int')}; INSERT INTO _t_gho (id, a) SELECT id, a FROM t;
         ${ghostEnd(d, 't')}; INSERT INTO t VALUES (3, 3, 3)`,
      )
      running = await RunningSource.start(options, lake, from)
      await same(server, running, `${d}.t`)
      expect(running.lake.tables.get(`${d}.t`)!.incarnation).toBe(before)
      const left = [...running.lake.tables].filter(([, { dropped }]) => !dropped)
      expect(left.map(([name]) => name)).toEqual([`${d}.t`])
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a copy with a new unique key parks its table: rows may have gone on the way`,
    async () => {
      const server = await serverOf(kind)
      const tables = `CREATE TABLE t (id int PRIMARY KEY, a int);
        INSERT INTO t VALUES (1, 1), (2, 1), (3, 3)`
      const keep = 'INSERT IGNORE INTO _t_gho (id, a) SELECT id, a FROM t'
      for (const [alter, parked] of [
        ['ADD UNIQUE KEY u (a)', true],
        ['ADD UNIQUE KEY u (a, id)', false],
        ['ADD KEY u (a)', false],
        ['DROP PRIMARY KEY, ADD PRIMARY KEY (a)', true],
      ] as const) {
        const d = await database(server, tables)
        const running = await RunningSource.start(optionsFor(server, d))
        await running.backfill(`${d}.t`)
        await queryMysql(
          server.uri(d),
          `${ghostBegin(d, 't', alter)}; ${keep}; ${ghostEnd(d, 't')}`,
        )
        await running.catchUp()
        const errors = [...running.lake.parked].map(([name, { error }]) => [name, error])
        expect(errors).toEqual(parked ? [[`${d}.t`, 'DDL_UNMAPPABLE']] : [])
        if (!parked) await same(server, running, `${d}.t`)
        await running.stop()
      }
      const d = await database(server, tables)
      const running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`)
      const definition = 'id int NOT NULL, a int DEFAULT NULL, PRIMARY KEY (id)'
      await queryMysql(server.uri(d), percona(d, definition, 'ADD UNIQUE KEY u (a)', ''))
      await running.catchUp()
      expect(running.lake.parked.get(`${d}.t`)?.detail).toContain('unique key "u"')
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a copy whose generated column is computed anew parks its table`,
    async () => {
      const server = await serverOf(kind)
      const tables = `CREATE TABLE t (id int PRIMARY KEY, a int, g int AS (a + 1) STORED);
        INSERT INTO t (id, a) VALUES (1, 1), (2, NULL)`
      for (const [alter, parked] of [
        ['MODIFY g int AS (a + 2) STORED', true],
        ['MODIFY g int AS (a + 2) STORED; ALTER TABLE _t_gho ADD b int', true],
        ['MODIFY a decimal(20,0)', true],
        ['ADD b int DEFAULT 5', false],
        ['MODIFY a bigint', false],
      ] as const) {
        const d = await database(server, tables)
        const running = await RunningSource.start(optionsFor(server, d))
        await running.backfill(`${d}.t`)
        await queryMysql(
          server.uri(d),
          `${ghostBegin(d, 't', alter)}; INSERT INTO _t_gho (id, a) SELECT id, a FROM t;
           ${ghostEnd(d, 't')}; INSERT INTO t (id, a) VALUES (3, 3)`,
        )
        await running.catchUp()
        const errors = [...running.lake.parked].map(([name, { error }]) => [alter, name, error])
        expect(errors).toEqual(parked ? [[alter, `${d}.t`, 'DDL_UNMAPPABLE']] : [])
        if (!parked) await same(server, running, `${d}.t`)
        await running.stop()
      }
      const d = await database(server, tables)
      const running = await RunningSource.start(optionsFor(server, d))
      await running.backfill(`${d}.t`)
      const definition = 'id int NOT NULL, a int, g int AS (a + 2) STORED, PRIMARY KEY (id)'
      await queryMysql(server.uri(d), percona(d, definition, 'ADD b int', ''))
      await running.catchUp()
      expect(running.lake.parked.get(`${d}.t`)?.detail).toContain('"g"')
      await running.stop()
    },
  )
}
