// What information_schema says of tables: defaults as it prints them, against what the server puts
// into a row, and names that it takes for one.

import { expect, test } from 'vitest'
import { listTables, readStructures } from '../../connectors/mysql/structure.ts'
import { openControl } from '../../connectors/mysql/wire/connect.ts'
import { available } from '../servers/available.ts'
import { queryMysql, withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor } from './source-harness.ts'

const starters = { mysql: startMysql, mariadb: startMariadb } as const

/** Literals of SQL. */
const TEXTS = [
  String.raw`'a\\b'`,
  String.raw`'\\'`,
  String.raw`'\\\\n'`,
  String.raw`'\\''\''`,
  String.raw`'a\nb\rc\td\be\Zf\0g'`,
  String.raw`'100\% \_'`,
  `'it''s "x" é'`,
  `''''`,
  `''`,
]

for (const kind of ['mysql', 'mariadb'] as const) {
  test.skipIf(!(await available(kind)))(
    `${kind}: a default is read as the server stores it`,
    async () => {
      const server = await starters[kind]()
      const columns = TEXTS.map((text, at) => `c${at} varchar(40) DEFAULT ${text}`)
      await queryMysql(
        server.uri(),
        `CREATE DATABASE d CHARACTER SET utf8mb4; USE d;
         CREATE TABLE t (id int PRIMARY KEY, ${columns.join(', ')},
           e varchar(9) DEFAULT ('a' <> 'b'));
         INSERT INTO t (id) VALUES (1);
         SET sql_mode = 'NO_BACKSLASH_ESCAPES';
         ALTER TABLE t ADD raw varchar(9) DEFAULT 'a\\nb\\'`,
      )
      const options = optionsFor(server, 'd')
      const control = await openControl(options)
      for (const mode of ['', 'NO_BACKSLASH_ESCAPES']) {
        await control.query(`SET SESSION sql_mode = '${mode}'`)
        const tables = await listTables(control, options)
        const structures = await readStructures(control, tables, kind === 'mariadb')
        const state = [...structures.values()].find(({ name }) => name === 't')
        const read = (state?.columns ?? []).slice(1).map(({ name, default: value }) => {
          return [name, value.kind === 'literal' ? value.text : value.kind]
        })
        const [rows] = await withMysql(server.uri('d'), (connection) =>
          connection.query('SELECT * FROM t'),
        )
        const row = (rows as Record<string, string>[])[0] ?? {}
        const stored = Object.entries(row).slice(1)
        const expected = stored.map(([name, value]) => [name, name === 'e' ? 'expression' : value])
        expect(read).toEqual(expected)
      }
      await control.close()
      await server.stop()
    },
  )

  test.skipIf(!(await available(kind)))(
    `${kind}: tables whose names differ in case or accents only are all found`,
    async () => {
      const server = await starters[kind]()
      const tables = [
        ['d', 'cafe'],
        ['d', 'Cafe'],
        ['d', 'café'],
        ['D', 'cafe'],
      ] as const
      const sql = tables.map(
        ([database, name], at) =>
          `CREATE TABLE \`${database}\`.\`${name}\` (id${at} int, u${at} int, PRIMARY KEY (id${at}),
           UNIQUE (u${at}))`,
      )
      await queryMysql(server.uri(), `CREATE DATABASE d; CREATE DATABASE D; ${sql.join('; ')}`)
      const options = optionsFor(server, 'd', { tables: (name) => name.toLowerCase() === 'd' })
      const control = await openControl(options)
      const listed = await listTables(control, options)
      const structures = await readStructures(control, listed, kind === 'mariadb')
      for (const [at, [database, name]] of tables.entries()) {
        const state = structures.get(`${database}.${name}`)
        expect(state?.columns.map((column) => column.name)).toEqual([`id${at}`, `u${at}`])
        expect(state?.keys.map(({ columns }) => columns.join())).toEqual(['1', '2'])
      }
      expect(structures.size).toBe(tables.length)
      await control.close()
      await server.stop()
    },
  )
}
