// The SQL that `init` writes, run as it is against real servers, is enough for the whole way from
// the first look to a committed lake, and not more than that.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres } from '../servers/postgres.ts'
import { millrace } from './program.ts'

const PASSWORD = 'choose-one'

const ENV = { MILLRACE_PG_PASSWORD: PASSWORD, MILLRACE_MYSQL_PASSWORD: PASSWORD }

/** What `init` writes, with the server's port in it. */
async function initialised(from: 'postgres' | 'mysql', port: number): Promise<[string, string]> {
  const file = join(mkdtempSync(join(tmpdir(), 'millrace-grants-')), 'shop.yaml')
  expect(await millrace(ENV, 'init', file, '--from', from)).toMatchObject({ code: 0 })
  const text = readFileSync(file, 'utf8').replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`)
  writeFileSync(file, text)
  return [file, readFileSync(file.replace('.yaml', '.sql'), 'utf8')]
}

/** @returns what `drop` said */
async function expectTheWholeWay(file: string, table: string): Promise<string> {
  const check = await millrace(ENV, 'check', file)
  expect(check.output).toMatch(/ready to run\n$/)
  expect(check.code).toBe(0)
  const discover = await millrace(ENV, 'discover', file, '--json')
  const tables = JSON.parse(discover.output) as { name: string; selected: boolean }[]
  expect(tables.filter(({ selected }) => selected).map(({ name }) => name)).toContain(table)
  const run = await millrace(ENV, 'run', file, '--once')
  expect(run.code, run.output).toBe(0)
  const status = await millrace(ENV, 'status', file, '--json')
  expect(JSON.parse(status.output)).toMatchObject({ running: false, state: 'STOPPED' })
  const drop = await millrace(ENV, 'drop', file)
  expect(drop.output).toContain('removed lake table')
  expect(drop.code).toBe(0)
  expect((await millrace(ENV, 'status', file)).code).toBe(4)
  return drop.output
}

for (const major of [15, 18] as const) {
  test.skipIf(!(await available(`postgres${major}`)))(
    `the grants of init are enough on PostgreSQL ${major}, and drop leaves no slot`,
    async () => {
      const server = await startPostgres({ major })
      try {
        await queryPostgres(server.uri(), 'CREATE DATABASE shop')
        const [file, grants] = await initialised('postgres', server.port)
        await queryPostgres(
          server.uri('shop'),
          `CREATE TABLE orders (id int PRIMARY KEY, note text);
           INSERT INTO orders SELECT i, 'n' || i FROM generate_series(1, 100) i;
           CREATE TABLE parts (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
           CREATE TABLE parts_all PARTITION OF parts DEFAULT`,
        )
        await queryPostgres(server.uri('shop'), grants)
        const dropped = await expectTheWholeWay(file, 'orders')
        const left = await queryPostgres(server.uri('shop'), 'SELECT * FROM pg_replication_slots')
        expect(left).toEqual([])
        const published = await queryPostgres(
          server.uri('shop'),
          `SELECT string_agg(tablename, ',' ORDER BY tablename) AS tables FROM pg_publication_tables`,
        )
        // The administrator made it, so the administrator has to drop it.
        expect(published).toEqual([{ tables: 'orders,parts' }])
        expect(dropped).toContain('kept publication "millrace_shop": it belongs to role "postgres"')
      } finally {
        await server.stop()
      }
    },
  )
}

for (const major of [15, 18] as const) {
  test.skipIf(!(await available(`postgres${major}`)))(
    `who may run the grants of init on PostgreSQL ${major} is who its comment says`,
    async () => {
      const server = await startPostgres({ major })
      try {
        const [, grants] = await initialised('postgres', server.port)
        await queryPostgres(server.uri(), 'CREATE ROLE keeper CREATEROLE REPLICATION')
        await queryPostgres(server.uri(), 'CREATE DATABASE shop OWNER keeper')
        const owned = 'CREATE TABLE public.orders (id int PRIMARY KEY)'
        const as = async (sql: string): Promise<unknown> =>
          queryPostgres(server.uri('shop'), `SET ROLE keeper; ${sql}`)
        await queryPostgres(server.uri('shop'), 'ALTER SCHEMA public OWNER TO keeper')
        await as(owned)
        if (major >= 16) await as(grants)
        else await expect(as(grants)).rejects.toThrow('must be superuser to create replication')
      } finally {
        await server.stop()
      }
    },
  )
}

for (const [name, start] of [
  ['mysql', startMysql],
  ['mariadb', startMariadb],
] as const) {
  test.skipIf(!(await available(name)))(`the grants of init are enough on ${name}`, async () => {
    const server = await start()
    try {
      const [file, grants] = await initialised('mysql', server.port)
      await queryMysql(
        server.uri(),
        `CREATE DATABASE shop; CREATE TABLE shop.orders (id int PRIMARY KEY, note text);
         INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b')`,
      )
      await queryMysql(server.uri(), grants)
      await expectTheWholeWay(file, 'orders')
    } finally {
      await server.stop()
    }
  })
}
