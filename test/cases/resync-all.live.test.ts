// `resync --all` begins a log anew: the source has counted its columns anew (MySQL), and tables may
// have gone without a word. Each table comes back equal, and nothing waits for one that is gone.
import { expect, test } from 'vitest'
import { expectLakeEqualsSource } from '../acceptance/lake.ts'
import { Pipeline } from '../acceptance/pipeline.ts'
import { available } from '../servers/available.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'

interface Case {
  facility: 'postgres18' | 'mysql' | 'mariadb'
  start: () => Promise<PostgresServer | MysqlServer>
}

const cases: readonly Case[] = [
  { facility: 'postgres18', start: async () => startPostgres({ major: 18 }) },
  { facility: 'mysql', start: async () => startMysql() },
  { facility: 'mariadb', start: async () => startMariadb() },
]

const TABLES = ['shortened', 'moved', 'widened', 'plain']

for (const { facility, start } of cases) {
  test.skipIf(!(await available(facility)) || !(await available('python')))(
    `resync of all tables of ${facility} survives columns that moved and a table that is gone`,
    { timeout: 180_000 },
    async () => {
      const server = await start()
      const isPostgres = 'major' in server
      const run = async (sql: string): Promise<unknown> =>
        isPostgres ? queryPostgres(server.uri(), sql) : queryMysql(server.uri('shop'), sql)
      if (!isPostgres) await queryMysql(server.uri(), 'CREATE DATABASE shop')
      const pipeline = await Pipeline.create({ server, interval: '200ms' })
      try {
        for (const table of [...TABLES, 'gone']) {
          await run(`CREATE TABLE ${table} (id int PRIMARY KEY, a int, b int, w varchar(20))`)
          await run(`INSERT INTO ${table} VALUES (1, 1, 10, 'x'), (2, 2, 20, 'y')`)
        }
        await pipeline.once()
        await run('ALTER TABLE shortened DROP COLUMN a')
        await run(`INSERT INTO shortened VALUES (3, 30, 'z')`)
        if (!isPostgres) {
          await run('ALTER TABLE widened ADD COLUMN n int DEFAULT 5 FIRST')
          await run('ALTER TABLE moved MODIFY w varchar(20) AFTER id')
        }
        await pipeline.once()
        const resync = await pipeline.command(['resync', pipeline.file, '--all'])
        expect(resync.code, resync.stderr).toBe(0)
        await run(`INSERT INTO plain VALUES (9, 9, 9, 'nine')`)
        await run('DROP TABLE gone')
        await pipeline.once()
        await run('UPDATE shortened SET b = 7 WHERE id = 1')
        await run('ALTER TABLE plain DROP COLUMN a')
        await run(`INSERT INTO plain VALUES (10, 1, 'ten')`)
        await pipeline.once()
        const names = TABLES.map((table) => `${isPostgres ? 'public' : 'shop'}.${table}`)
        await expectLakeEqualsSource(pipeline, server, names, ['duckdb', 'pyiceberg'])
      } finally {
        await pipeline.remove()
        await server.stop()
      }
    },
  )
}
