// Goal: every value of every type that the log brings is the one that SELECT shows. Method: random
// rows and random changes on a real server, its log files played through the decoders, and the live
// rows compared with a SELECT of all rows.

import { readFileSync } from 'node:fs'
import { expect, test, beforeAll, afterAll } from 'vitest'
import { withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { differences, newestLog, recordChanges, type Changes } from './decode-changes.ts'
import { LogReplay } from './decode-replay.ts'

const servers = new Map<string, MysqlServer>()

beforeAll(async () => {
  servers.set('mysql', await startMysql())
  servers.set('mariadb', await startMariadb())
})

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

const SEED = Number(process.env['DECODE_SEED'] ?? 1)
const ROWS = 60

/** Records changes and plays their log. @returns the replay, whose rows are those of SELECT */
async function playChanges(
  kind: 'mysql' | 'mariadb',
  database: string,
  parts: Partial<Changes> = {},
): Promise<LogReplay> {
  const changes = { database, seed: SEED, rows: ROWS, ...parts }
  const { log, shown } = await recordChanges(servers.get(kind)!, changes)
  expect(shown.length).toBeGreaterThan(10)
  // However the batches are cut, also in the middle of an event, the rows are the same.
  const cuts = [{ rowsMax: 2, bytesMax: 1 }, { rowsMax: 7, bytesMax: 5000 }, undefined]
  let replay = new LogReplay({ mariadb: kind === 'mariadb' })
  for (const limits of cuts) {
    replay = new LogReplay({ mariadb: kind === 'mariadb', ...(limits && { limits }) })
    await replay.play(log)
    expect(differences(replay, database, shown)).toEqual([])
  }
  return replay
}

test.each(['mysql', 'mariadb'] as const)(
  '%s: rows of every type are what SELECT shows',
  async (kind) => {
    const replay = await playChanges(kind, 'full_image')
    expect(replay.kinds.get('rows')).toBeGreaterThan(50)
  },
)

test.each(['mysql', 'mariadb'] as const)(
  '%s: columns that MINIMAL and NOBLOB images leave out keep their values',
  async (kind) => {
    for (const image of ['minimal', 'noblob']) {
      const session = [`SET SESSION binlog_row_image = ${image}`]
      const replay = await playChanges(kind, `image_${image}`, { session })
      expect(replay.partialImages).toBeGreaterThan(20)
    }
  },
)

test('mysql: compressed transactions have the same rows', async () => {
  const session = ['SET SESSION binlog_transaction_compression = ON']
  const replay = await playChanges('mysql', 'compressed', { session })
  expect(replay.kinds.get('payload')).toBeGreaterThan(50)
})

test('mariadb: compressed events have the same rows', async () => {
  const settings = ['SET GLOBAL log_bin_compress = ON', 'SET GLOBAL log_bin_compress_min_len = 10']
  try {
    await playChanges('mariadb', 'compressed', { settings })
  } finally {
    await withMysql(servers.get('mariadb')!.uri(), async (connection) => {
      await connection.query('SET GLOBAL log_bin_compress = OFF')
    })
  }
})

/** Runs statements in a new database and plays their log. */
async function playStatements(
  kind: 'mysql' | 'mariadb',
  database: string,
  statements: readonly string[],
): Promise<LogReplay> {
  const server = servers.get(kind)!
  return withMysql(server.uri(), async (connection) => {
    await connection.query('FLUSH BINARY LOGS')
    const log = newestLog(server)
    await connection.query(`CREATE DATABASE ${database}; USE ${database}`)
    for (const statement of statements) await connection.query(statement)
    await connection.query('FLUSH BINARY LOGS')
    const replay = new LogReplay({ mariadb: kind === 'mariadb' })
    await replay.play(new Uint8Array(readFileSync(log)))
    return replay
  })
}

test.each(['mysql', 'mariadb'] as const)(
  '%s: an insert that leaves columns out stores their defaults',
  async (kind) => {
    const replay = await playStatements(kind, 'insert_defaults', [
      `CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT DEFAULT -5,
      b VARCHAR(10) NOT NULL DEFAULT 'it''s',
      c DECIMAL(5,2) DEFAULT 1.5, d INT NULL, e BINARY(4) DEFAULT 'ab',
      f DATETIME(3) DEFAULT '2020-02-29 01:02:03.4',
      g ENUM('x','y') NOT NULL DEFAULT 'y', h BIGINT UNSIGNED DEFAULT 18446744073709551615,
      i TIME DEFAULT '-01:00:00',
      j BIT(9) DEFAULT b'101', k DOUBLE DEFAULT 1e10, l DATE DEFAULT '1999-12-31',
      m TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6))`,
      "SET SESSION binlog_row_image = minimal, time_zone = '+00:00'",
      'INSERT INTO t () VALUES (), ()',
      'INSERT INTO t (d) VALUES (3)',
    ])
    expect(replay.partialImages).toBe(2)
    const rows = [...replay.tables.get('insert_defaults.t')!.rows.values()]
    const row = {
      a: '-5',
      b: "it's",
      c: '150',
      e: '61620000',
      f: '1582938123400000',
      g: 'y',
      h: '18446744073709551615',
    }
    const rest = { i: '-3600000000', j: '5', k: '10000000000', l: '10956' }
    expect(rows).toMatchObject([
      { id: '1', d: null, ...row, ...rest },
      { id: '2', d: null, ...row, ...rest },
      { id: '3', d: '3', ...row, ...rest },
    ])
  },
)

test.each(['mysql', 'mariadb'] as const)(
  '%s: a change of the key with columns left out is refused, not guessed',
  async (kind) => {
    const played = playStatements(kind, 'key_partial', [
      'CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT)',
      "INSERT INTO t VALUES (1, 2, 'x')",
      'SET SESSION binlog_row_image = minimal',
      'UPDATE t SET id = 9',
    ])
    await expect(played).rejects.toMatchObject({ error: 'UNCHANGED_VALUE_MISSING' })
  },
)

test.each([
  ['DATE', "'0000-00-00'"],
  ['DATE', "'2010-00-15'"],
  ['DATE', "'2010-02-31'"],
  ['DATE', "'0000-01-01'"],
  ['DATETIME', "'0000-02-29 01:02:03'"],
  ['DATETIME(6)', "'0000-00-00'"],
  ['DATETIME(3)', "'2010-01-00 10:00:00'"],
  ['TIMESTAMP', '0'],
  ['TIMESTAMP(6)', '0'],
  ['BIT(64)', "b'1000000000000000000000000000000000000000000000000000000000000000'"],
])('%s %s is refused with its column', async (type, value) => {
  for (const kind of ['mysql', 'mariadb'] as const) {
    const good = type.startsWith('BIT') ? '1' : "'2020-01-01 00:00:00'"
    const played = playStatements(
      kind,
      `refused_${Buffer.from(type + value)
        .toString('hex')
        .slice(0, 50)}`,
      [
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        `CREATE TABLE t (id INT PRIMARY KEY, bad ${type} NULL)`,
        `INSERT INTO t VALUES (1, ${good}), (2, ${value}), (3, ${good})`,
      ],
    )
    await expect(played).rejects.toMatchObject({
      error: 'VALUE_UNREPRESENTABLE',
      message: expect.stringContaining('column "bad"'),
    })
  }
})

test('mariadb: a system-versioned table is refused: its old rows have the keys of new ones', async () => {
  const played = playStatements('mariadb', 'versioned', [
    `CREATE TABLE t (id INT PRIMARY KEY, b INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START,
      e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e))
      WITH SYSTEM VERSIONING`,
    'INSERT INTO t (id, b) VALUES (1, 2)',
    'UPDATE t SET b = 3',
  ])
  await expect(played).rejects.toThrow(/primary key in the log is \(id, e\), in the table \(id\)/)
})

test.each(['mysql', 'mariadb'] as const)(
  '%s: generated, invisible and hidden columns find their fields',
  async (kind) => {
    const unique = kind === 'mysql' ? 'KEY f ((a * 2))' : 'UNIQUE (b)'
    const replay = await playStatements(kind, 'hidden', [
      ...(kind === 'mysql' ? ['SET sql_generate_invisible_primary_key = ON'] : []),
      `CREATE TABLE t (a INT, b VARCHAR(2000), v INT GENERATED ALWAYS AS (a + 1) VIRTUAL,
      s INT GENERATED ALWAYS AS (a + 2) STORED, i INT INVISIBLE DEFAULT 7
      ${kind === 'mysql' ? '' : ', id INT PRIMARY KEY AUTO_INCREMENT'}, ${unique})`,
      "INSERT INTO t (a, b) VALUES (1, 'x'), (5, 'y')",
      "UPDATE t SET a = 2 WHERE b = 'x'",
      'ALTER TABLE t ADD c INT FIRST',
      "INSERT INTO t (c, a, b) VALUES (9, 8, 'z')",
    ])
    const rows = [...replay.tables.get('hidden.t')!.rows.values()]
    expect(rows.map(({ a, b, v, s, i }) => [a, b, v, s, i])).toEqual([
      ['2', 'x', '3', '4', '7'],
      ['5', 'y', '6', '7', '7'],
      ['8', 'z', '9', '10', '7'],
    ])
  },
)
