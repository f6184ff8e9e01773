// Goal: what is wrong with a pipeline file is said at its first start, before anything is made, and
// what was left behind by somebody else ends no start. Method: real servers, the program as a
// process of its own.

import { existsSync } from 'node:fs'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { Pipeline } from '../acceptance/pipeline.ts'
import { edit, expectRefusal } from '../acceptance/refusal.ts'
import { available } from '../servers/available.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres } from '../servers/postgres.ts'

type Source = Record<string, unknown>

test.skipIf(!(await available('postgres18')))(
  'PostgreSQL: names that match nothing are refused at the first start, and never later',
  { timeout: 300_000 },
  async () => {
    const server = await startPostgres({ major: 18 })
    const sql = async (text: string): Promise<unknown[]> => queryPostgres(server.uri(), text)
    const pipeline = await Pipeline.create({ server, chunkRows: 50 })
    const set = async (changes: Source): Promise<void> =>
      edit(pipeline, ({ source }) => Object.assign(source ?? {}, changes))
    const run = async (): ReturnType<typeof pipeline.command> =>
      pipeline.command(['run', pipeline.file, '--once'])
    try {
      await sql(`CREATE TABLE orders (id int PRIMARY KEY, note text, secret text);
                 INSERT INTO orders SELECT n, 'n', 's' FROM generate_series(1, 20) n;
                 CREATE TABLE items (id int PRIMARY KEY)`)
      await set({ tables: ['public.orders', 'public.nothere'] })
      expectRefusal(await run(), 'TABLE_MISSING', ['source.tables[1]', 'public.nothere'])
      await set({ tables: ['public.orders'], columns_exclude: ['public.orders.sekret'] })
      expectRefusal(await run(), 'TABLE_MISSING', ['source.columns_exclude[0]', 'sekret'])
      await set({ columns_exclude: ['public.*.secret', 'public.orders.id'] })
      const keyless = await run()
      expectRefusal(keyless, 'TABLE_WITHOUT_KEY', ['source.columns_exclude[1]', 'key column'])
      const check = await pipeline.command(['check', pipeline.file])
      expect(check.stdout).toMatch(/^✗ source\.columns_exclude\[1\] +.* a key column/m)
      expect(check.code).toBe(3)
      const none = ['public.nothing_*', 'public.i*']
      await set({ tables: none, tables_exclude: ['public.items'], columns_exclude: [] })
      expectRefusal(await run(), 'NO_TABLES', ['millrace discover'])
      // None of these has left anything, in the lake or on the server.
      expect(existsSync(pipeline.catalog)).toBe(false)
      expect(await sql('SELECT * FROM pg_replication_slots')).toEqual([])

      const tables = ['public.orders', 'public.items']
      await set({ tables, tables_exclude: [], columns_exclude: ['*.*.ssn'] })
      const first = await run()
      expect(first.code, first.stdout + first.stderr).toBe(0)
      expect(first.stdout).toContain('matches no column, so it leaves nothing out')
      expect((await stat(pipeline.state)).mode & 0o777).toBe(0o700)

      await sql('DROP TABLE items')
      await mkdir(join(pipeline.state, 'requests'), { recursive: true })
      await writeFile(join(pipeline.state, 'requests/repair-x.json'), '{"tables":')
      const later = await run()
      expect(later.code, later.stdout + later.stderr).toBe(0)
      expect(later.stdout).toContain('a request cannot be read')
      expect(await readdir(join(pipeline.state, 'damaged-requests'))).toEqual(['repair-x.json'])
      expect(await readdir(join(pipeline.state, 'requests'))).toEqual([])
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)

test.skipIf(!(await available('postgres18')))(
  'PostgreSQL: verify advises by why the lake differs',
  { timeout: 300_000 },
  async () => {
    const server = await startPostgres({ major: 18 })
    const sql = async (text: string): Promise<unknown[]> => queryPostgres(server.uri(), text)
    const pipeline = await Pipeline.create({ server, chunkRows: 50 })
    const late = await Pipeline.create({
      server,
      name: 'late',
      source: { startup: { mode: 'latest' } },
    })
    const fixOf = async (from: Pipeline): Promise<string> => {
      const { code, stdout } = await from.command(['verify', from.file])
      expect(code, stdout).toBe(5)
      return / {4}fix: (.*)/.exec(stdout)?.[1] ?? stdout
    }
    try {
      await sql(`CREATE TABLE orders (id int PRIMARY KEY, note text);
                 INSERT INTO orders SELECT n, 'n' FROM generate_series(1, 20) n`)
      for (const one of [pipeline, late]) await one.once()
      expect(await fixOf(late)).toMatch(/^nothing, where only such rows are missing/)
      await sql('INSERT INTO orders VALUES (21)')
      expect(await fixOf(pipeline)).toMatch(/^millrace run \S+ --once, then verify again; .*resync/)
      // From now on the state knows that the table was there.
      await pipeline.once()
      await sql('INSERT INTO orders VALUES (22)')
      const catalog = new DatabaseSync(pipeline.catalog)
      catalog.exec('DELETE FROM iceberg_tables')
      catalog.close()
      expect(await fixOf(pipeline)).toBe(`millrace resync ${pipeline.file} --table public.orders`)
    } finally {
      for (const one of [pipeline, late]) await one.remove()
      await server.stop()
    }
  },
)

test.skipIf(!(await available('mysql')))(
  'MySQL: a database that is not there is refused, and a hidden table gets its GRANT',
  { timeout: 300_000 },
  async () => {
    const server = await startMysql()
    const pipeline = await Pipeline.create({ server })
    const source = async (changes: Source): Promise<void> =>
      edit(pipeline, (document) => Object.assign(document['source'] ?? {}, changes))
    const uri = (user: string, database: string): string =>
      `mysql://${user}@${server.host}:${server.port}/${database}`
    try {
      await queryMysql(
        server.uri(),
        `CREATE DATABASE shop; CREATE TABLE shop.orders (id int PRIMARY KEY);
         CREATE TABLE shop.hidden (id int PRIMARY KEY); INSERT INTO shop.orders VALUES (1);
         CREATE USER reader IDENTIFIED BY '${server.password}';
         GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO reader;
         GRANT SELECT ON shop.orders TO reader`,
      )
      await source({ uri: uri(server.user, 'nodb') })
      for (const verb of ['run', 'check']) {
        const exit = await pipeline.command([verb, pipeline.file])
        expectRefusal(exit, 'DATABASE_MISSING', ['"nodb"'])
      }
      await source({ uri: uri('reader', 'shop'), tables: ['shop.orders', 'shop.hidden'] })
      const hidden = await pipeline.command(['run', pipeline.file, '--once'])
      const grant = "GRANT SELECT ON `shop`.`hidden` TO 'reader'@'%';"
      expectRefusal(hidden, 'TABLE_MISSING', ['shop.hidden', 'the user may not see it', grant])
      expect((await pipeline.command(['check', pipeline.file])).stdout).toContain(`      ${grant}`)
      await queryMysql(server.uri(), grant)
      await pipeline.once()
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)
