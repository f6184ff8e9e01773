// DML that stands in the log as text: which tables it changes, the text alone does not say. What
// servers and tools write so every day must park nothing; what may change a captured table must.

import { afterAll, expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

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

const STATEMENT = 'SET SESSION binlog_format = STATEMENT'

/** Captured: tables named t and u. The other tables of the database are not. */
async function begin(
  kind: keyof typeof starters,
  database: string,
  sql: string,
  user: { user: string; password: () => string } | null = null,
): Promise<RunningSource> {
  const server = await serverOf(kind)
  await queryMysql(
    server.uri(),
    `CREATE DATABASE ${database}; USE ${database}; CREATE TABLE t (id int PRIMARY KEY);
     CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY); ${sql}`,
  )
  const tables = (name: string, table: string): boolean =>
    name === database && (table === 't' || table === 'u')
  return RunningSource.start(optionsFor(server, database, { tables, ...user }))
}

function parked(running: RunningSource): readonly string[] {
  return [...running.lake.parked]
    .map(([table, { error }]) => `${table.split('.')[1]} ${error}`)
    .sort()
}

const BOTH = ['t LOG_STATEMENT', 'u LOG_STATEMENT']

for (const kind of ['mysql', 'mariadb'] as const) {
  const missing = !(await available(kind))

  test.skipIf(missing)(
    `${kind}: statements on tables that nobody copies park nothing`,
    async () => {
      const running = await begin(
        kind,
        'calm',
        'CREATE DATABASE tools; CREATE TABLE tools.sums (id int PRIMARY KEY)',
      )
      await queryMysql(
        (await serverOf(kind)).uri('calm'),
        `${STATEMENT}; REPLACE INTO tools.sums SELECT COUNT(*) FROM t; INSERT INTO other VALUES (1);
         DELETE FROM other; UPDATE mysql.help_keyword SET name = name WHERE help_keyword_id = 1;
         CREATE TEMPORARY TABLE scratch (id int PRIMARY KEY); INSERT INTO scratch VALUES (1), (2);
         DELETE FROM scratch WHERE id = 1; DROP TEMPORARY TABLE scratch`,
      )
      await running.catchUp()
      expect(parked(running)).toEqual([])
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a temporary table with the name of a captured one changes nothing of it`,
    async () => {
      const running = await begin(kind, 'hides', 'INSERT INTO t VALUES (1), (2)')
      await running.backfill('hides.t')
      await queryMysql(
        (await serverOf(kind)).uri('hides'),
        `${STATEMENT}; CREATE TEMPORARY TABLE t (a int, b int); ALTER TABLE t DROP a;
         CREATE INDEX i ON t (b); TRUNCATE TABLE t; ALTER TABLE t RENAME TO x;
         ALTER TABLE x RENAME TO t; DROP TABLE t`,
      )
      await running.catchUp()
      expect(running.lake.events).toEqual(['changed hides.t', 'changed hides.u'])
      // What calls CONNECTION_ID() looks the same in the log, and is about the table itself.
      await queryMysql(
        (await serverOf(kind)).uri('hides'),
        `ALTER TABLE u ADD c bigint DEFAULT (CONNECTION_ID()); ALTER TABLE u DROP c;
         INSERT INTO u VALUES (3)`,
      )
      await running.catchUp()
      expect([...running.lake.parked.keys()]).toEqual(['hides.u'])
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a statement that reaches a table by a view or a trigger parks what it may reach`,
    async () => {
      const server = await serverOf(kind)
      const cases = {
        view: ['CREATE VIEW v AS SELECT id FROM t', 'INSERT INTO v VALUES (1)'],
        far: [
          'CREATE DATABASE far_views; CREATE VIEW far_views.v AS SELECT id FROM t',
          'INSERT INTO far_views.v VALUES (1)',
        ],
        trigger: [
          'CREATE TRIGGER g AFTER INSERT ON other FOR EACH ROW INSERT INTO t VALUES (NEW.id)',
          'INSERT INTO other VALUES (1)',
        ],
        own: [
          'CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW INSERT INTO u VALUES (NEW.id)',
          'INSERT INTO t VALUES (1)',
        ],
      } as const
      for (const [name, [before, statement]] of Object.entries(cases)) {
        const running = await begin(kind, `reach_${name}`, before)
        await queryMysql(server.uri(`reach_${name}`), `${STATEMENT}; ${statement}`)
        await running.catchUp()
        expect({ name, parked: parked(running) }).toEqual({ name, parked: BOTH })
        await running.stop()
      }
    },
  )

  test.skipIf(missing)(
    `${kind}: a trigger that was made and dropped since the statement still counts`,
    async () => {
      const server = await serverOf(kind)
      let running = await begin(kind, 'late', '')
      await running.catchUp()
      const { lake, options } = running
      const from = await running.stop()
      await queryMysql(
        server.uri('late'),
        `CREATE TRIGGER g AFTER INSERT ON other FOR EACH ROW INSERT INTO t VALUES (NEW.id);
         ${STATEMENT}; INSERT INTO other VALUES (1); DROP TRIGGER g`,
      )
      running = await RunningSource.start(options, lake, from)
      await running.catchUp()
      expect(parked(running)).toEqual(BOTH)
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a user who sees no triggers is told so, and the GRANT helps`,
    async () => {
      const server = await serverOf(kind)
      await queryMysql(
        server.uri(),
        `CREATE USER blind@'%' IDENTIFIED BY 'p'; GRANT REPLICATION SLAVE ON *.* TO blind@'%';
         GRANT ${kind === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR'} ON *.* TO blind@'%';
         GRANT SELECT ON blind.* TO blind@'%'; CREATE DATABASE unseen;
         CREATE TABLE unseen.x (id int PRIMARY KEY)`,
      )
      const user = { user: 'blind', password: () => 'p' }
      let running = await begin(kind, 'blind', '', user)
      const insert = (table: string, id: number): string =>
        `${STATEMENT}; INSERT INTO ${table} VALUES (${id})`
      // A database of which nothing is copied is none of ours.
      await queryMysql(server.uri('blind'), insert('unseen.x', 1))
      await running.catchUp()
      expect(parked(running)).toEqual([])
      await queryMysql(server.uri('blind'), insert('other', 1))
      await running.catchUp()
      expect(parked(running)).toEqual(BOTH)
      expect(running.lake.parked.get('blind.t')?.detail).toContain('GRANT TRIGGER ON `blind`.*')
      const { options } = running
      await running.stop()
      await queryMysql(server.uri(), "GRANT TRIGGER ON `blind`.* TO blind@'%'")
      running = await RunningSource.start(options)
      await queryMysql(server.uri('blind'), insert('other', 2))
      await running.catchUp()
      expect(parked(running)).toEqual([])
      await running.stop()
    },
  )
}
