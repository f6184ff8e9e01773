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
    RENAME /* gh-ost */ TABLE ${d}.${table} TO ${d}._${table}_del, ${d}._${table}_gho TO ${d}.${table};
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
}
