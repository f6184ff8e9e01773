// What `millrace check`, `discover` and `drop` say of real servers.

import { afterAll, expect, test } from 'vitest'
import { createMysqlInspector } from '../../connectors/mysql/inspect.ts'
import type { MysqlOptions } from '../../connectors/mysql/options.ts'
import type { Finding } from '../../runtime/source.ts'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor } from './source-harness.ts'

const starters = { mysql: startMysql, mariadb: startMariadb } as const
const servers: MysqlServer[] = []

afterAll(async () => {
  for (const server of servers) await server.stop()
})

async function check(options: MysqlOptions): Promise<readonly Finding[]> {
  const inspector = createMysqlInspector(options)
  try {
    return await inspector.check()
  } finally {
    await inspector.close()
  }
}

function failures(findings: readonly Finding[]): string[] {
  return findings.filter(({ ok, warning }) => !ok && !warning).map(({ name }) => name)
}

for (const kind of ['mysql', 'mariadb'] as const) {
  const missing = !(await available(kind))

  test.skipIf(missing)(
    `${kind}: a suitable server passes, and each flaw is named with its fix`,
    async () => {
      const server = await starters[kind]()
      servers.push(server)
      await queryMysql(
        server.uri(),
        `CREATE DATABASE d; USE d; CREATE TABLE t (id int PRIMARY KEY, v varchar(9), p point);
       CREATE TABLE k (a int); CREATE TABLE parent (id int PRIMARY KEY);
       CREATE TABLE child (id int PRIMARY KEY, p int, CONSTRAINT f FOREIGN KEY (p)
         REFERENCES parent (id)
         ON DELETE CASCADE)`,
      )
      const options = optionsFor(server, 'd')
      expect(failures(await check(options)).sort()).toEqual(['table d.k', 'table d.t'])
      const columnsExclude = (_: string, __: string, column: string): boolean => column === 'p'
      const tables = (_: string, table: string): boolean => table === 't'
      expect(failures(await check({ ...options, tables, columnsExclude }))).toEqual([])
      const unkeyed = await check({ ...options, keyed: false, columnsExclude })
      expect(failures(unkeyed)).toEqual([])
      const cascades = unkeyed.filter(({ message }) => message.includes('foreign key f'))
      // MySQL 9.6 and later write row events for them.
      expect(cascades.length).toBe(kind === 'mysql' ? 0 : 1)
      const none = await check({ ...options, tables: () => false })
      expect(failures(none)).toEqual(['tables'])
      const set = kind === 'mysql' ? 'SET PERSIST' : 'SET GLOBAL'
      await queryMysql(
        server.uri(),
        "SET GLOBAL binlog_row_metadata = 'MINIMAL'; SET GLOBAL binlog_row_image = 'MINIMAL'",
      )
      const flawed = await check({ ...options, tables, columnsExclude })
      expect(failures(flawed)).toEqual(['binlog_row_metadata'])
      const fixes = flawed.flatMap(({ fix }) => (fix === null ? [] : [fix])).join('\n')
      expect(fixes).toContain(`${set} binlog_row_metadata = 'FULL';`)
      expect(fixes).toContain(`${set} binlog_row_image = 'FULL';`)
      await queryMysql(server.uri(), fixes.replaceAll(/^--.*$/gm, ''))
      expect(failures(await check({ ...options, tables, columnsExclude }))).toEqual([])
    },
  )

  test.skipIf(missing)(
    `${kind}: a user is told which privilege is missing, and the GRANT works`,
    async () => {
      const server = await starters[kind]()
      servers.push(server)
      await queryMysql(
        server.uri(),
        `CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY);
       CREATE USER little@'%' IDENTIFIED BY 'p'; GRANT SELECT ON d.* TO little@'%'`,
      )
      const options = { ...optionsFor(server, 'd'), user: 'little', password: () => 'p' }
      const findings = await check(options)
      expect(failures(findings).length).toBe(2)
      for (const { fix } of findings.filter(({ ok, warning }) => !ok && !warning)) {
        await queryMysql(server.uri(), fix!)
      }
      expect(failures(await check(options))).toEqual([])
    },
  )

  test.skipIf(missing)(
    `${kind}: discover lists columns with their type in the lake, or why not`,
    async () => {
      const server = await starters[kind]()
      servers.push(server)
      await queryMysql(
        server.uri(),
        `CREATE DATABASE d; CREATE TABLE d.t (b bigint unsigned, a int, g geometry, n text NOT NULL,
         PRIMARY KEY (a, b))`,
      )
      const inspector = createMysqlInspector(optionsFor(server, 'd'))
      const [table] = await inspector.discover()
      expect(table).toMatchObject({ namespace: 'd', name: 't', key: ['a', 'b'] })
      expect(
        table!.columns.map(({ name, nullable, lakeType }) => [name, nullable, lakeType]),
      ).toEqual([
        ['b', false, 'decimal(20, 0)'],
        ['a', false, 'int'],
        ['g', true, null],
        ['n', false, 'string'],
      ])
      expect(await inspector.drop()).toEqual([])
      await inspector.close()
    },
  )
}

test.skipIf(!(await available('mariadb')))(
  'mariadb: a server whose commits of a group become visible one by one is refused',
  async () => {
    const server = await startMariadb({ settings: { 'binlog-optimize-thread-scheduling': 'OFF' } })
    servers.push(server)
    await queryMysql(server.uri(), 'CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY)')
    expect(failures(await check(optionsFor(server, 'd')))).toEqual([
      'binlog_optimize_thread_scheduling',
    ])
  },
)
