// Chunks against real servers: every kind of key pages through its table without a gap, and a value
// that a chunk reads is the value that the log gives for the same row.

import { afterAll, expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import type { PipelineError } from '../../runtime/base/errors.ts'
import { differenceOf, type Cell } from '../readers/canonical.ts'
import { readMysqlSource } from '../readers/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql, withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { createMysqlTables, DATABASE } from '../workload/mysql.ts'
import { cellOf, MemoryLake, optionsFor, RunningSource } from './source-harness.ts'

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

/** Type of the key, and 40 different values as SQL. */
const KEYS: Readonly<Record<string, readonly [type: string, value: (n: number) => string]>> = {
  ints: ['int', (n) => String((n % 2 === 0 ? 1 : -1) * n * 50_000_000)],
  unsigned: ['bigint unsigned', (n) => String(18_446_744_073_709_551_615n - BigInt(n) ** 8n)],
  exact: ['decimal(30,10)', (n) => `${n - 20}.${String(n * 7919).padStart(10, '3')}`],
  float: ['float', (n) => `${n - 20}e-3`],
  double: ['double', (n) => `${(n - 20) * 1.1}e100`],
  ci: ['varchar(20) COLLATE utf8mb4_general_ci', (n) => `'${n % 2 === 0 ? 'A' : 'ä'}\\'"${n} '`],
  latin: ['char(20) CHARACTER SET latin1', (n) => `CONCAT('é€', ${n})`],
  bytes: ['varbinary(9)', (n) => `UNHEX(CONCAT('00ff', LPAD(HEX(${n}), 4, '0')))`],
  fixed: ['binary(6)', (n) => `UNHEX(LPAD(HEX(${n}), 4, '0'))`],
  dates: ['date', (n) => `'0999-12-31' + INTERVAL ${n * 80_000} DAY`],
  times: ['time(6)', (n) => `SEC_TO_TIME(${(n - 20) * 150_000}.123456)`],
  moments: ['datetime(6)', (n) => `'1969-12-31 23:59:50.000001' + INTERVAL ${n} SECOND`],
  stamps: ['timestamp(3)', (n) => `'2020-03-29 00:30:00.5' + INTERVAL ${n} MINUTE`],
  years: ['year', (n) => (n === 0 ? "'0000'" : String(1960 + n))],
  bits: ['bit(20)', (n) => String(n * 20_000)],
  labels: ["enum('z','y','x','w','v','u','t','s','r','q')", (n) => String(1 + (n % 10))],
  sets: ["set('c','b','a','d','e','f')", (n) => String(n)],
}

for (const kind of ['mysql', 'mariadb'] as const) {
  const missing = !(await available(kind))

  test.skipIf(missing)(
    `${kind}: every kind of key pages through its table in the server's order`,
    async () => {
      const server = await serverOf(kind)
      const d = `keys_${kind}`
      const names = Object.keys(KEYS)
      const create = names.map((name) => {
        const [type, value] = KEYS[name]!
        const rows = Array.from({ length: 40 }, (_, n) => `(${value(n)}, ${n})`).join(', ')
        const create = `CREATE TABLE \`${name}\` (k ${type} NOT NULL PRIMARY KEY, n int)`
        return `${create}; INSERT IGNORE INTO \`${name}\` VALUES ${rows}`
      })
      await queryMysql(server.uri(), `CREATE DATABASE ${d}; USE ${d}; ${create.join('; ')}`)
      await queryMysql(
        server.uri(d),
        `CREATE TABLE pairs (b varchar(5), a int, c datetime, n int, PRIMARY KEY (a, b, c));
       INSERT INTO pairs SELECT 'x', 1, '2020-01-01' + INTERVAL n DAY, n FROM ints;
       INSERT INTO pairs SELECT CONCAT('y', n % 3), n % 4, '2020-01-01' + INTERVAL n DAY, n FROM ints`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      for (const name of [...names, 'pairs']) {
        const table = `${d}.${name}`
        const parts = await running.backfill(table, 3)
        const dump = running.lake.dump(table)
        const columns = dump.columns
        // The oracle prints doubles in fewer digits; the values are compared below.
        const source = await readMysqlSource(server.uri(), table, { columns })
        if (name === 'double') expect(dump.rows.length).toBe(source.rows.length)
        else expect({ name, ...differenceOf(source, dump) }).toEqual({ name, ...SAME })
        expect(parts).toBeGreaterThanOrEqual(Math.ceil(dump.rows.length / 3))
      }
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a row has the same value by chunk and by the log, for every type`,
    async () => {
      const server = await serverOf(kind)
      const tables = await createMysqlTables(server, 5)
      const columnsExclude = (_: string, __: string, column: string): boolean => column === 'many'
      const running = await RunningSource.start(optionsFor(server, DATABASE, { columnsExclude }))
      for (const table of tables) {
        await running.backfill(table, 50)
        const chunk = running.lake.dump(table).rows
        const before = running.lake.history.length
        const [database, name] = table.split('.') as [string, string]
        const quoted = `\`${name.replaceAll('`', '``')}\``
        const copy = `copy_${before}`
        await queryMysql(
          server.uri(database),
          `CREATE TABLE ${copy} LIKE ${quoted}; INSERT INTO ${copy} SELECT * FROM ${quoted};
           DROP TABLE ${copy}`,
        )
        await running.catchUp()
        const copied = running.lake.history
          .slice(before)
          .filter((row) => row.table === `${database}.copy_${before}` && row.op === Op.insert)
          .map(({ cells }) => JSON.stringify(cells))
          .sort()
        expect(copied).toEqual(chunk)
      }
      await running.stop()
    },
  )

  test.skipIf(missing)(`${kind}: doubles are the stored bits`, async () => {
    const server = await serverOf(kind)
    const d = `doubles_${kind}`
    await queryMysql(
      server.uri(),
      `CREATE DATABASE ${d}; USE ${d}; CREATE TABLE t (id int PRIMARY KEY, f float, d double)`,
    )
    const values = [0.1, -2.0961100311034853e-10, 5e-324, 1.7976931348623157e308, 1 / 3, -0.5]
    await withMysql(server.uri(d), async (connection) => {
      for (const [id, value] of values.entries()) {
        await connection.execute('INSERT INTO t VALUES (?, ?, ?)', [id, Math.fround(id / 7), value])
      }
    })
    const running = await RunningSource.start(optionsFor(server, d))
    const { signal } = new AbortController()
    const schema = running.lake.schemaOf(`${d}.t`)!
    const chunk = { table: `${d}.t`, after: null, until: null }
    const read = await running.source.openChunk(chunk, 100, schema, running.position, signal)
    for await (const { batch } of read.parts) {
      const column = batch.columns[2]!
      const floats = batch.columns[1]!
      if (column.layout !== 'float64' || floats.layout !== 'float32') throw new Error('layout')
      expect([...column.values.subarray(0, batch.rows)]).toEqual(values)
      expect([...floats.values.subarray(0, batch.rows)]).toEqual(
        values.map((_, n) => Math.fround(n / 7)),
      )
    }
    await running.stop()
  })

  test.skipIf(missing)(
    `${kind}: a value without a place in the lake is refused by chunk and log alike`,
    async () => {
      const server = await serverOf(kind)
      const d = `bad_${kind}`
      const bad: Readonly<Record<string, readonly [string, string]>> = {
        zero: ['date', "'0000-00-00'"],
        partial: ['datetime', "'2010-00-15 00:00:00'"],
        stamp: ['timestamp NULL', "'0000-00-00 00:00:00'"],
        bits: ['bit(64)', "b'1000000000000000000000000000000000000000000000000000000000000000'"],
      }
      const creates = Object.entries(bad).map(
        ([name, [type, value]]) =>
          `CREATE TABLE ${name} (id int PRIMARY KEY, v ${type}); INSERT INTO ${name} VALUES (1, ${value})`,
      )
      await queryMysql(
        server.uri(),
        `SET sql_mode = ''; CREATE DATABASE ${d}; USE ${d}; ${creates.join('; ')}`,
      )
      const running = await RunningSource.start(optionsFor(server, d))
      for (const name of Object.keys(bad)) {
        const refused = await running.backfill(`${d}.${name}`).then(
          () => null,
          (error: unknown) => error as PipelineError,
        )
        expect([name, refused?.error]).toEqual([name, 'VALUE_UNREPRESENTABLE'])
      }
      const values = Object.entries(bad).map(
        ([name, [, value]]) => `INSERT INTO ${name} VALUES (2, ${value}), (3, NULL)`,
      )
      await queryMysql(server.uri(d), `SET sql_mode = ''; ${values.join('; ')}`)
      await running.catchUp()
      for (const name of Object.keys(bad)) {
        expect([name, running.lake.parked.get(`${d}.${name}`)?.error]).toEqual([
          name,
          'VALUE_UNREPRESENTABLE',
        ])
        expect(running.lake.parkedRows.get(`${d}.${name}`)).toBe(2)
      }
      await running.stop()
    },
  )

  test.skipIf(missing)(
    `${kind}: a table that changed under a chunk is asked for again, not misread`,
    async () => {
      const server = await serverOf(kind)
      const d = `moved_${kind}`
      await queryMysql(
        server.uri(),
        `CREATE DATABASE ${d}; USE ${d}; CREATE TABLE t (id int PRIMARY KEY, a int, b decimal(5,2));
       INSERT INTO t VALUES (1, 1, 1)`,
      )
      const running = await RunningSource.start(optionsFor(server, d), new MemoryLake())
      const schema = running.lake.schemaOf(`${d}.t`)!
      const chunk = { table: `${d}.t`, after: null, until: null }
      const steps = [
        'ALTER TABLE t MODIFY a bigint',
        'ALTER TABLE t MODIFY a int, MODIFY b decimal(6,3)',
        'ALTER TABLE t MODIFY b decimal(5,2), RENAME COLUMN a TO c',
        'DROP TABLE t',
      ]
      for (const sql of steps) {
        await queryMysql(server.uri(d), sql)
        const { signal } = new AbortController()
        const failed = await (async () => {
          const read = await running.source.openChunk(chunk, 10, schema, running.position, signal)
          const cells: Cell[] = []
          for await (const { batch } of read.parts) cells.push(cellOf(batch.columns[0]!, 0))
          return null
        })().catch((error: unknown) => error as PipelineError)
        expect([sql, failed?.error]).toEqual([sql, 'SCHEMA_MOVED'])
      }
      await running.stop()
    },
  )
}
