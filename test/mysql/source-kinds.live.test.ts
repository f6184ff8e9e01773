// Tables that are not like others: without a primary key, or forgetting their rows. And what has a
// name like a table and is none, or none that can be copied: system-versioned tables, whose DELETE
// is an UPDATE in the log, sequences and views.

import { afterAll, expect, test } from 'vitest'
import { createMysqlInspector } from '../../connectors/mysql/inspect.ts'
import type { PipelineError } from '../../runtime/base/errors.ts'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const missing = !(await available('mariadb'))

const starters = { mysql: startMysql, mariadb: startMariadb } as const
const servers = new Map<string, MysqlServer>()

async function serverOf(kind: keyof typeof starters): Promise<MysqlServer> {
  const known = servers.get(kind) ?? (await starters[kind]())
  servers.set(kind, known)
  return known
}

async function mariadb(): Promise<MysqlServer> {
  return serverOf('mariadb')
}

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

for (const kind of ['mysql', 'mariadb'] as const) {
  test.skipIf(!(await available(kind)))(
    `${kind}: a table whose rows a unique index tells apart is followed by that`,
    async () => {
      const server = await serverOf(kind)
      const columns = 'a int NOT NULL, b int NOT NULL, c varchar(9) NOT NULL, v int'
      await queryMysql(
        server.uri(),
        `CREATE DATABASE uniq; USE uniq; CREATE TABLE one (${columns}, UNIQUE k (b));
         CREATE TABLE two (${columns}, UNIQUE z (c, a), UNIQUE k (b), UNIQUE p (c(3)));
         INSERT INTO one VALUES (1, 10, 'x', 1); INSERT INTO two VALUES (1, 10, 'xxx', 1)`,
      )
      const running = await RunningSource.start(optionsFor(server, 'uniq'))
      for (const table of ['one', 'two']) await running.backfill(`uniq.${table}`)
      await queryMysql(
        server.uri('uniq'),
        `CREATE TABLE new (${columns}, UNIQUE k (a, c)); INSERT INTO new VALUES (1, 10, 'x', 1);
         INSERT INTO one VALUES (2, 20, 'y', 2); INSERT INTO two VALUES (2, 20, 'yyy', 2);
         UPDATE one SET v = 3; UPDATE two SET v = 3; UPDATE one SET b = 21 WHERE b = 20;
         ALTER TABLE one RENAME INDEX k TO m; DELETE FROM one WHERE b = 10`,
      )
      await running.catchUp()
      const { lake } = running
      expect([...lake.parked]).toEqual([])
      expect(lake.dump('uniq.one').rows).toEqual(['["2","21","y","3"]'])
      expect(lake.dump('uniq.two').rows).toEqual(['["1","10","xxx","3"]', '["2","20","yyy","3"]'])
      expect(lake.dump('uniq.new').rows).toEqual(['["1","10","x","1"]'])
      await running.stop()
    },
  )

  test.skipIf(!(await available(kind)))(
    `${kind}: a change that leaves out the key parks its table`,
    async () => {
      const server = await serverOf(kind)
      // Of two unique indexes the server takes the first, and the lake the first by name.
      const columns = 'a int NOT NULL, b int NOT NULL, v int, UNIQUE z (b), UNIQUE c (a)'
      await queryMysql(
        server.uri(),
        `CREATE DATABASE unnamed; USE unnamed; CREATE TABLE one (${columns});
         CREATE TABLE two (${columns}); INSERT INTO one VALUES (1, 10, 1); INSERT INTO two VALUES (1, 10, 1)`,
      )
      const running = await RunningSource.start(optionsFor(server, 'unnamed'))
      await queryMysql(
        server.uri('unnamed'),
        `SET binlog_row_image = MINIMAL; INSERT INTO one VALUES (2, 20, 2); UPDATE one SET v = 3;
         DELETE FROM two WHERE a = 1`,
      )
      await running.catchUp()
      for (const table of ['unnamed.one', 'unnamed.two']) {
        expect(running.lake.parked.get(table)?.error).toBe('UNCHANGED_VALUE_MISSING')
      }
      await running.stop()
    },
  )

  test.skipIf(!(await available(kind)))(
    `${kind}: rows of a MEMORY table that a restart has taken are gone`,
    async () => {
      const server = await starters[kind]()
      servers.set(`${kind} that restarts`, server)
      await queryMysql(
        server.uri(),
        `CREATE DATABASE d; USE d; CREATE TABLE m (id int PRIMARY KEY) ENGINE = MEMORY;
         INSERT INTO m VALUES (1), (2)`,
      )
      let running = await RunningSource.start(optionsFor(server, 'd'))
      await running.backfill('d.m')
      const { lake, options } = running
      expect(lake.dump('d.m').rows).toEqual(['["1"]', '["2"]'])
      const from = await running.stop()
      await server.restart()
      running = await RunningSource.start(options, lake, from)
      await running.source.estimateRows('d.m')
      await queryMysql(server.uri('d'), 'INSERT INTO m VALUES (7)')
      await running.catchUp()
      expect(lake.dump('d.m').rows).toEqual(['["7"]'])
      await running.stop()
    },
  )
}

const VERSIONED = '(id int PRIMARY KEY, a int) WITH SYSTEM VERSIONING'

test.skipIf(missing)(
  'mariadb: a system-versioned table is refused by its name, before the first row',
  async () => {
    const server = await mariadb()
    await queryMysql(
      server.uri(),
      `CREATE DATABASE old; USE old; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE v ${VERSIONED}`,
    )
    const options = optionsFor(server, 'old')
    const failure = await RunningSource.start(options).then(
      () => null,
      (error: unknown) => error as PipelineError,
    )
    expect(failure?.error).toBe('TYPE_UNSUPPORTED')
    expect(failure?.message).toContain('"old.v"')
    const inspector = createMysqlInspector(options)
    const finding = (await inspector.check()).find(({ name }) => name === 'table old.v')
    expect(finding).toMatchObject({ ok: false, warning: false })
    const found = (await inspector.discover()).find(({ name }) => name === 'v')
    expect(found?.columns.map(({ lakeType }) => lakeType)).toEqual([null, null])
    await inspector.close()
    const tables = (_: string, name: string): boolean => name === 't'
    const running = await RunningSource.start({ ...options, tables })
    const saved = await running.stop()
    // Selected later, it stays out alone: the others have been copied.
    const later = await RunningSource.start(options, running.lake, saved)
    await later.catchUp()
    expect([...later.lake.parked].map(([table, { error }]) => [table, error])).toEqual([
      ['old.v', 'TYPE_UNSUPPORTED'],
    ])
    await later.stop()
  },
)

test.skipIf(missing)(
  'mariadb: a table that becomes system-versioned parks, one that ceases to be begins',
  async () => {
    const server = await mariadb()
    await queryMysql(
      server.uri(),
      `CREATE DATABASE became; USE became; CREATE TABLE t (id int PRIMARY KEY);
       INSERT INTO t VALUES (1), (2)`,
    )
    let running = await RunningSource.start(optionsFor(server, 'became'))
    await running.backfill('became.t')
    await queryMysql(
      server.uri('became'),
      `CREATE TABLE v ${VERSIONED}; INSERT INTO v VALUES (1, 1), (2, 2); DELETE FROM v WHERE id = 1;
       CREATE TABLE w LIKE v; INSERT INTO w VALUES (1, 1); DELETE FROM w;
       CREATE TABLE x (id int PRIMARY KEY, s timestamp(6) GENERATED ALWAYS AS ROW START,
         e timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e))
         WITH SYSTEM VERSIONING; INSERT INTO x (id) VALUES (1); DELETE FROM x;
       ALTER TABLE t ADD SYSTEM VERSIONING; DELETE FROM t WHERE id = 1`,
    )
    await running.catchUp()
    const { lake, options } = running
    const parked = ['became.t', 'became.v', 'became.w', 'became.x']
    expect([...lake.parked.keys()].sort()).toEqual(parked)
    for (const table of parked) expect(lake.parked.get(table)?.error).toBe('TYPE_UNSUPPORTED')
    lake.parked.clear()
    running = await RunningSource.start(options, lake, await running.stop())
    await queryMysql(
      server.uri('became'),
      'DELETE FROM v WHERE id = 2; INSERT INTO x (id) VALUES (3)',
    )
    await running.catchUp()
    expect(lake.parked.get('became.v')?.error).toBe('TYPE_UNSUPPORTED')
    lake.parked.clear()
    await queryMysql(
      server.uri('became'),
      'ALTER TABLE v DROP SYSTEM VERSIONING; INSERT INTO v VALUES (5, 5)',
    )
    await running.catchUp()
    await running.backfill('became.v')
    expect(lake.dump('became.v').rows).toEqual(['["5","5"]'])
    await running.stop()
  },
)

test.skipIf(missing)(
  'mariadb: rows of a sequence do not make all structures be read again and again',
  async () => {
    const server = await mariadb()
    await queryMysql(
      server.uri(),
      `CREATE DATABASE seq; USE seq; CREATE TABLE t (id int PRIMARY KEY); CREATE SEQUENCE s NOCACHE`,
    )
    const running = await RunningSource.start(optionsFor(server, 'seq'))
    await running.catchUp()
    const selects = async (): Promise<number> => {
      const [row] = await queryMysql(server.uri(), "SHOW GLOBAL STATUS LIKE 'Com_select'")
      return Number(row!['Value'])
    }
    const rounds = async (sql: (round: number) => string): Promise<number> => {
      const before = await selects()
      for (let round = 0; round < 10; round++) {
        await queryMysql(server.uri('seq'), sql(round))
        await running.catchUp()
      }
      return (await selects()) - before
    }
    const usual = await rounds((round) => `INSERT INTO t VALUES (${round})`)
    expect(await rounds(() => 'DO NEXTVAL(s)')).toBeLessThan(usual + 20)
    // A table under that name is one.
    await queryMysql(
      server.uri('seq'),
      'DROP SEQUENCE s; CREATE TABLE s (id int PRIMARY KEY); INSERT INTO s VALUES (7)',
    )
    await running.catchUp()
    expect(running.lake.dump('seq.s').rows).toEqual(['["7"]'])
    await running.stop()
  },
)
