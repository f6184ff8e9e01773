// Statements of clients that write in another charset than UTF-8: the log has their text as they
// sent it, and the names in it mean the same tables as everybody else's.

import mysql from 'mysql2/promise'
import { afterAll, expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { optionsFor, RunningSource } from './source-harness.ts'

const starters = { mysql: startMysql, mariadb: startMariadb } as const
const servers: MysqlServer[] = []

afterAll(async () => {
  for (const server of servers) await server.stop()
})

/** A collation of the client's charset, and a word that the charset has. */
const CLIENTS: readonly (readonly [collation: string, word: string])[] = [
  ['gbk_chinese_ci', '订单'],
  ['gb2312_chinese_ci', '数据'],
  ['big5_chinese_ci', '訂單功能'],
  // The second byte of the first character is a backslash.
  ['sjis_japanese_ci', '表データ'],
  ['cp932_japanese_ci', '能①'],
  ['ujis_japanese_ci', '注文'],
  ['euckr_korean_ci', '주문'],
  ['latin1_swedish_ci', 'größe'],
  ['tis620_thai_ci', 'ตาราง'],
]

for (const kind of ['mysql', 'mariadb'] as const) {
  test.skipIf(!(await available(kind)))(
    `${kind}: a table keeps its name whatever charset a client writes it in`,
    async () => {
      const server = await starters[kind]()
      servers.push(server)
      const tables = CLIENTS.map(([, word]) =>
        ['cut', 'gone', 'moved']
          .map(
            (what) => `CREATE TABLE \`${what}_${word}\` (id int PRIMARY KEY);
             INSERT INTO \`${what}_${word}\` VALUES (1)`,
          )
          .join('; '),
      )
      await queryMysql(server.uri(), `CREATE DATABASE d; USE d; ${tables.join('; ')}`)
      const running = await RunningSource.start(optionsFor(server, 'd'))
      await running.catchUp()
      const { host, port, user, password } = server
      for (const [charset, word] of CLIENTS) {
        const from = running.lake.events.length
        const client = await mysql.createConnection({ host, port, user, password, charset })
        await client.query(`TRUNCATE TABLE d.\`cut_${word}\``)
        await client.query(`ALTER TABLE d.\`cut_${word}\` ADD \`${word}\` int DEFAULT 7`)
        await client.query(`DROP TABLE d.\`gone_${word}\``)
        await client.query(`RENAME TABLE d.\`moved_${word}\` TO d.\`new_${word}\``)
        await client.query(`CREATE TABLE d.\`own_${word}\` (id int PRIMARY KEY, \`${word}\` int)`)
        await client.end()
        await queryMysql(server.uri('d'), `INSERT INTO \`own_${word}\` VALUES (1, 2)`)
        await running.catchUp()
        expect(running.lake.events.slice(from).sort()).toEqual(
          [
            `changed d.cut_${word}`,
            `changed d.new_${word}`,
            `changed d.own_${word}`,
            `dropped d.gone_${word}`,
            `dropped d.moved_${word}`,
            `truncated d.cut_${word}`,
          ].sort(),
        )
        expect(running.lake.dump(`d.own_${word}`)).toMatchObject({
          columns: ['id', word],
          rows: ['["1","2"]'],
        })
      }
      await running.stop()
    },
  )
}
