// LOW of MariaDB's chunks under load. The server names the place that its readers see up to, but
// the name belongs to no session, and behind a rotation it runs ahead of what they see. Every row
// is changed exactly once here: a change that a chunk neither sees nor is overtaken by stays lost.

import { afterAll, expect, test } from 'vitest'
import { differenceOf } from '../readers/canonical.ts'
import { readMysqlSource } from '../readers/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql, withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const missing = !(await available('mariadb'))
const TABLES = 60
const ROWS = 120
const WRITERS = 6
const READERS = 3

let known: MysqlServer | null = null
async function mariadb(): Promise<MysqlServer> {
  known ??= await startMariadb({ settings: { 'sync-binlog': '0' } })
  return known
}

afterAll(async () => known?.stop())

async function database(server: MysqlServer, name: string): Promise<void> {
  const copies = Array.from({ length: TABLES - 1 }, (_, at) => at + 1).map(
    (table) => `CREATE TABLE t${table} LIKE t0; INSERT INTO t${table} SELECT * FROM t0`,
  )
  await queryMysql(
    server.uri(),
    `CREATE DATABASE ${name}; USE ${name}; CREATE TABLE t0 (id int PRIMARY KEY, n int);
     INSERT INTO t0 SELECT seq, 0 FROM seq_1_to_${ROWS}; ${copies.join('; ')}`,
  )
}

/** Changes row i of every table in the i-th transaction. */
async function changeAll(
  uri: string,
  transaction: (i: number, updates: string) => string,
): Promise<void> {
  let last = 0
  const writer = async (): Promise<void> =>
    withMysql(uri, async (connection) => {
      while (last < ROWS) {
        const i = ++last
        const tables = Array.from({ length: TABLES }, (_, table) => table)
        const updates = tables.map((table) => `UPDATE t${table} SET n = ${i} WHERE id = ${i}`)
        for (const sql of transaction(i, updates.join('; ')).split('|')) await connection.query(sql)
      }
    })
  await Promise.all(Array.from({ length: WRITERS }, writer))
}

/** Copies all tables, one chunk each, while everything changes. @returns tables with stale rows */
async function staleTables(
  server: MysqlServer,
  name: string,
  transaction: (i: number, updates: string) => string,
): Promise<readonly string[]> {
  await database(server, name)
  const running = await RunningSource.start(optionsFor(server, name))
  const writing = changeAll(server.uri(name), transaction)
  const waiting = [...running.lake.tables.keys()]
  const reader = async (): Promise<void> => {
    for (let table = waiting.pop(); table !== undefined; table = waiting.pop()) {
      await running.backfill(table, ROWS + 1)
    }
  }
  await Promise.all([writing, ...Array.from({ length: READERS }, reader)])
  await running.catchUp()
  const stale: string[] = []
  for (const table of running.lake.tables.keys()) {
    const source = await readMysqlSource(server.uri(), table)
    const { extra } = differenceOf(source, running.lake.dump(table))
    if (extra.length > 0) stale.push(`${table}: ${extra.join(' ')}`)
  }
  await running.stop()
  return stale
}

test.skipIf(missing)(
  'mariadb: no row is stale when monitors ask for the status and the log rotates',
  async () => {
    const server = await mariadb()
    const stopping = new AbortController()
    const monitor = async (sql: string): Promise<void> =>
      withMysql(server.uri(), async (connection) => {
        while (!stopping.signal.aborted) await connection.query(sql)
      })
    const monitors = [monitor('SHOW GLOBAL STATUS'), monitor("SHOW STATUS LIKE 'binlog_%'")]
    try {
      for (const [round, size] of [65_536, 1 << 30].entries()) {
        await queryMysql(server.uri(), `SET GLOBAL max_binlog_size = ${size}`)
        const stale = await staleTables(
          server,
          `plain${round}`,
          (_, sql) => `BEGIN; ${sql}; COMMIT`,
        )
        expect(stale).toEqual([])
      }
    } finally {
      stopping.abort()
      await Promise.all(monitors)
    }
  },
)

test.skipIf(missing)('mariadb: no row of an XA transaction is stale under load', async () => {
  const server = await mariadb()
  const stale = await staleTables(
    server,
    'xa',
    (i, sql) => `XA START 'x${i}'; ${sql}; XA END 'x${i}'; XA PREPARE 'x${i}'|XA COMMIT 'x${i}'`,
  )
  expect(stale).toEqual([])
})

test.skipIf(missing)(
  'mariadb: an XA COMMIT that is in the log before the engine has it is not lost to a chunk',
  async () => {
    const server = await mariadb()
    await queryMysql(
      server.uri(),
      `CREATE DATABASE late; CREATE TABLE late.t (id int PRIMARY KEY, v int);
       INSERT INTO late.t VALUES (1, 0);
       CREATE TABLE late.words (id int PRIMARY KEY, v text, FULLTEXT (v))`,
    )
    const tables = (database: string, table: string): boolean =>
      database === 'late' && table === 't'
    const running = await RunningSource.start(optionsFor(server, 'late', { tables }))
    let late = 0
    await withMysql(server.uri('late'), async (connection) => {
      for (let round = 1; round <= 8 && late < 2; round++) {
        // The engine puts the words into their index when it commits, before anybody sees a row.
        await connection.query(
          `DELETE FROM words; XA START 'late'; UPDATE t SET v = ${round}; INSERT INTO words
             SELECT seq, REPEAT(CONCAT('word', seq, ' other', seq, ' '), 20) FROM seq_1_to_10000;
           XA END 'late'; XA PREPARE 'late'`,
        )
        const before = (await running.source.head()).order
        const commit = connection.query("XA COMMIT 'late'")
        while ((await running.source.head()).order === before) continue
        const [seen] = await queryMysql(server.uri('late'), 'SELECT v FROM t')
        if (seen?.['v'] !== round) late++
        await running.catchUp()
        await running.backfill('late.t')
        await commit
        await running.catchUp()
        expect(running.lake.dump('late.t').rows).toEqual([`["1","${round}"]`])
      }
    })
    expect(late).toBeGreaterThan(0)
    await running.stop()
  },
)

test.skipIf(missing)(
  'mariadb: a commit that waits for its replica behind a rotation is not lost to a chunk',
  async () => {
    const server = await mariadb()
    await queryMysql(
      server.uri(),
      `CREATE DATABASE semi; CREATE TABLE semi.t (id int PRIMARY KEY, v longtext);
       INSERT INTO semi.t VALUES (1, 'before'); SET GLOBAL max_binlog_size = 4096`,
    )
    const running = await RunningSource.start(optionsFor(server, 'semi'))
    // There is no replica: the first commit waits for so long, in the log and not in the engine.
    await queryMysql(
      server.uri(),
      `SET GLOBAL rpl_semi_sync_master_timeout = 1500, rpl_semi_sync_master_wait_point = AFTER_SYNC,
         rpl_semi_sync_master_enabled = ON`,
    )
    try {
      const commit = queryMysql(server.uri('semi'), "UPDATE t SET v = REPEAT('after', 2000)")
      await new Promise((resolve) => setTimeout(resolve, 300))
      const [seen] = await queryMysql(server.uri('semi'), 'SELECT v FROM t')
      expect(seen?.['v']).toBe('before')
      await running.backfill('semi.t')
      await commit
    } finally {
      await queryMysql(
        server.uri(),
        'SET GLOBAL rpl_semi_sync_master_enabled = OFF; SET GLOBAL max_binlog_size = 1073741824',
      )
    }
    await running.catchUp()
    const source = await readMysqlSource(server.uri(), 'semi.t')
    expect(differenceOf(source, running.lake.dump('semi.t'))).toEqual({ missing: [], extra: [] })
    await running.stop()
  },
)
