// What has a name like a table and is none, or none that can be copied: system-versioned tables,
// whose DELETE is an UPDATE in the log, sequences and views.

import { afterAll, expect, test } from 'vitest'
import { createMysqlInspector } from '../../connectors/mysql/inspect.ts'
import type { PipelineError } from '../../runtime/base/errors.ts'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const missing = !(await available('mariadb'))

let known: MysqlServer | null = null
async function mariadb(): Promise<MysqlServer> {
  known ??= await startMariadb()
  return known
}

afterAll(async () => known?.stop())

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
    await running.stop()
    // Selected later, it stops the start as well.
    const later = await RunningSource.start(options, running.lake, {
      saved: running.saved,
      position: running.position,
    }).then(
      () => null,
      (error: unknown) => error as PipelineError,
    )
    expect(later?.error).toBe('TYPE_UNSUPPORTED')
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
