// What real servers write into their logs besides rows: GTIDs with tags, XA, statements under every
// sql_mode, incidents of format. Each test makes events on purpose and reads them back.

import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EventReader } from '../../connectors/mysql/decode/event-reader.ts'
import type { BinlogEvent } from '../../connectors/mysql/decode/events.ts'
import { GtidSet } from '../../connectors/mysql/gtid.ts'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import { withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { newestLog } from './decode-changes.ts'
import { eventsOf, LogReplay } from './decode-replay.ts'

const servers = new Map<string, MysqlServer>()

beforeAll(async () => {
  servers.set('mysql', await startMysql())
  servers.set('mariadb', await startMariadb())
  for (const server of servers.values()) {
    await withMysql(server.uri(), (connection) => connection.query('CREATE DATABASE e'))
  }
})

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

/** Runs `work` and reads the log file that it wrote. */
async function logOf(
  kind: 'mysql' | 'mariadb',
  work: (connection: Connection) => Promise<unknown>,
): Promise<Uint8Array> {
  const server = servers.get(kind)!
  return withMysql(server.uri('e'), async (connection) => {
    await connection.query('FLUSH BINARY LOGS')
    const log = newestLog(server)
    await work(connection)
    await connection.query('FLUSH BINARY LOGS')
    return new Uint8Array(readFileSync(log))
  })
}

async function eventsIn(
  kind: 'mysql' | 'mariadb',
  statements: readonly string[],
): Promise<BinlogEvent[]> {
  const log = await logOf(kind, async (connection) => {
    for (const statement of statements) await connection.query(statement)
  })
  const reader = new EventReader(kind === 'mariadb')
  return [...eventsOf(log)].map(({ start, end }) => reader.read(log, start, end))
}

type Kind = BinlogEvent['kind']

function only<K extends Kind>(
  events: readonly BinlogEvent[],
  kind: K,
): Extract<BinlogEvent, { kind: K }>[] {
  return events.filter((event): event is Extract<BinlogEvent, { kind: K }> => event.kind === kind)
}

test('mysql: GTIDs with and without tags are read, and older ones are those of the file before', async () => {
  const events = await eventsIn('mysql', [
    'CREATE TABLE g (id INT PRIMARY KEY)',
    "SET gtid_next = 'AUTOMATIC:blue_1'",
    'INSERT INTO g VALUES (1)',
    'INSERT INTO g VALUES (2)',
    "SET gtid_next = 'AUTOMATIC'",
    'INSERT INTO g VALUES (3)',
  ])
  const gtids = only(events, 'gtid')
  expect(gtids.map(({ tag }) => tag)).toEqual(['', 'blue_1', 'blue_1', ''])
  for (const { commitTimeUs, transactionLength, timestampS } of gtids) {
    expect(Math.abs(Number(commitTimeUs / 1_000_000n) - timestampS)).toBeLessThan(5)
    expect(Number(transactionLength)).toBeGreaterThan(100)
  }
  const [last] = only(await eventsIn('mysql', []), 'previous-gtids')
  const executed = GtidSet.parse(last!.gtids)
  for (const { uuid, tag, gno } of gtids) expect(executed.has(uuid, tag, gno)).toBe(true)
  const shown = await withMysql(servers.get('mysql')!.uri(), async (connection) => {
    const [[row]] = (await connection.query('SELECT @@gtid_executed AS g')) as unknown as [
      [{ g: string }],
    ]
    return GtidSet.parse(row.g)
  })
  expect(executed.isSubsetOf(shown)).toBe(true)
  expect(shown.toString()).toContain(':blue_1:1-2')
})

test('mysql: sizes of events add up to the length of their transaction', async () => {
  const events = await eventsIn('mysql', [
    'CREATE TABLE len (id INT PRIMARY KEY)',
    'INSERT INTO len VALUES (1), (2)',
  ])
  const from = events.findLastIndex(({ kind }) => kind === 'gtid')
  const to = events.findLastIndex(({ kind }) => kind === 'xid')
  const length = events.slice(from, to + 1).reduce((sum, { size }) => sum + size, 0)
  expect(only(events, 'gtid').at(-1)!.transactionLength).toBe(BigInt(length))
})

test.each(['mysql', 'mariadb'] as const)(
  '%s: XA transactions have one name in every event',
  async (kind) => {
    const xid = "'tr-1','br',7"
    const events = await eventsIn(kind, [
      'CREATE TABLE xa (id INT PRIMARY KEY)',
      `XA START ${xid}`,
      'INSERT INTO xa VALUES (1)',
      `XA END ${xid}`,
      `XA PREPARE ${xid}`,
      `XA COMMIT ${xid}`,
      "XA START 'one'",
      'INSERT INTO xa VALUES (2)',
      "XA END 'one'",
      "XA COMMIT 'one' ONE PHASE",
    ])
    const name = "X'74722d31',X'6272',7"
    expect(only(events, 'xa-prepare').map((event) => [event.xid, event.onePhase])).toContainEqual([
      name,
      false,
    ])
    const options = { ansiQuotes: false, noBackslashEscapes: false, mariadb: kind === 'mariadb' }
    const statements = only(events, 'query').map(({ text }) => parseStatement(text, options))
    expect(statements).toContainEqual({ kind: 'xa', verb: 'commit', xid: name, onePhase: false })
    if (kind === 'mariadb') {
      const gtids = only(events, 'mariadb-gtid')
      expect(gtids.filter(({ preparedXa }) => preparedXa).map((event) => event.xid)).toEqual([name])
      expect(gtids.filter(({ completedXa }) => completedXa).map((event) => event.xid)).toEqual([
        name,
      ])
    }
  },
)

test.each(['mysql', 'mariadb'] as const)(
  '%s: statements tell the sql_mode and charset of their session',
  async (kind) => {
    const events = await eventsIn(kind, [
      'CREATE TABLE plain (id INT)',
      "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'",
      'CREATE TABLE "ansi" (id INT)',
      "SET sql_mode = ''; SET NAMES latin1",
      "CREATE TABLE umlaut (`\u00fc` INT COMMENT '\u00fc')",
      'ALTER DATABASE e CHARACTER SET latin1',
      'ALTER DATABASE e CHARACTER SET utf8mb4',
    ])
    const queries = new Map(
      only(events, 'query').map((event) => [
        /"?(plain|ansi|umlaut)"?/.exec(event.text)?.[1],
        event,
      ]),
    )
    expect(queries.get('plain')).toMatchObject({
      ansiQuotes: false,
      noBackslashEscapes: false,
      database: 'e',
    })
    expect(queries.get('ansi')).toMatchObject({
      ansiQuotes: true,
      noBackslashEscapes: true,
      strict: true,
    })
    expect(queries.get('umlaut')).toMatchObject({ strict: false })
    // The client follows the charset of the session, so the log has one byte for it.
    expect(queries.get('umlaut')!.text).toContain("(`\u00fc` INT COMMENT '\u00fc')")
    expect(queries.get('plain')!.serverCharset).toBe('utf8mb4')
  },
)

test('mysql: a compressed transaction larger than one call inflates gives every row', async () => {
  const log = await logOf('mysql', async (connection) => {
    await connection.query('CREATE TABLE big (id INT PRIMARY KEY, v LONGTEXT)')
    await connection.query('SET SESSION binlog_transaction_compression = ON')
    await connection.query('BEGIN')
    for (let id = 0; id < 40; id++) {
      await connection.query(`INSERT INTO big VALUES (${id}, REPEAT('${id}-', 200000))`)
    }
    await connection.query('COMMIT')
  })
  expect(log.length).toBeLessThan(1_000_000)
  const replay = new LogReplay({ mariadb: false })
  await replay.play(log)
  expect(replay.kinds.get('payload')).toBe(1)
  const rows = replay.tables.get('e.big')!.rows
  expect(rows.size).toBe(40)
  for (const [id, row] of rows) expect(row['v'] === `${id}-`.repeat(200_000)).toBe(true)
})

test('mysql: differences of JSON documents stop the table instead of being taken for values', async () => {
  const log = await logOf('mysql', async (connection) => {
    await connection.query('CREATE TABLE pj (id INT PRIMARY KEY, j JSON)')
    await connection.query(`INSERT INTO pj VALUES (1, '{"a": "${'x'.repeat(200)}", "b": [1, 2]}')`)
    await connection.query("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'")
    await connection.query("UPDATE pj SET j = JSON_SET(j, '$.b[1]', 5)")
  })
  await expect(new LogReplay({ mariadb: false }).play(log)).rejects.toMatchObject({
    error: 'LOG_UNKNOWN_EVENT',
    hint: expect.stringContaining('binlog_row_value_options'),
  })
})

test.each(['mysql', 'mariadb'] as const)(
  '%s: a statement-format session and LOAD DATA are seen as statements',
  async (kind) => {
    const server = servers.get(kind)!
    const file = join(server.dataFolder, 'load.txt')
    await writeFile(file, '5\n6\n')
    const events = await eventsIn(kind, [
      'CREATE TABLE st (id INT PRIMARY KEY, r DOUBLE)',
      'SET SESSION binlog_format = STATEMENT',
      'INSERT INTO st VALUES (1, RAND(3))',
      `LOAD DATA INFILE '${file}' INTO TABLE st (id)`,
    ])
    const options = { ansiQuotes: false, noBackslashEscapes: false, mariadb: kind === 'mariadb' }
    const dml = only(events, 'query')
      .map(({ text }) => parseStatement(text, options))
      .filter((statement) => statement.kind === 'dml')
    expect(dml.map(({ verb, tables }) => [verb, tables.map(({ name }) => name)])).toEqual([
      ['insert', ['st']],
      ['load', ['st']],
    ])
  },
)

test.each(['mysql', 'mariadb'] as const)(
  '%s: texts beside columns of other kinds have their own charsets',
  async (kind) => {
    const more = kind === 'mysql' ? ', w vector(3)' : ', w varchar(9) compressed, u inet6'
    const odd = `g geometry, p point NOT NULL${more}, e enum('a'), y year`
    const texts = 'l varchar(9) character set latin1, b blob, t text, c char(3)'
    const few = `m varchar(9) character set latin1, n text character set latin1`
    const events = await eventsIn(kind, [
      `CREATE TABLE g1 (id int PRIMARY KEY, ${odd}, ${texts})`,
      `CREATE TABLE g2 (id int PRIMARY KEY, ${few}, ${odd}, ${texts}, g3 polygon, z text)`,
      `INSERT INTO g1 (id, p) VALUES (1, ST_GeomFromText('POINT(1 2)'))`,
      `INSERT INTO g2 (id, p) VALUES (1, ST_GeomFromText('POINT(1 2)'))`,
    ])
    const shown = only(events, 'table-map').map(({ table }) =>
      Object.fromEntries(table.columns.map(({ name, charset }) => [name, charset])),
    )
    const own = { l: 'latin1', b: 'binary', t: 'utf8mb4', c: 'utf8mb4', e: 'utf8mb4' }
    expect(shown).toMatchObject([own, { ...own, m: 'latin1', n: 'latin1', z: 'utf8mb4' }])
  },
)

test('mysql: the text of statements with rows is skipped', async () => {
  const events = await eventsIn('mysql', [
    'CREATE TABLE rq (id INT PRIMARY KEY)',
    'SET SESSION binlog_rows_query_log_events = ON',
    'INSERT INTO rq VALUES (1)',
  ])
  expect(only(events, 'skipped').map(({ type }) => type)).toContain(29)
  expect(only(events, 'rows').length).toBe(1)
})
