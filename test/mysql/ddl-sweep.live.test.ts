// Goal: no ALTER TABLE leaves old rows in the lake that are not those of the server. Method: each
// case runs on a table with rows, in strict mode and out of it, and its log is followed. What the
// tracker does not say to park must show in the lake what SELECT shows.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { cases } from './ddl-cases.ts'
import { sweep } from './ddl-sweep.ts'

const servers = new Map<string, MysqlServer>()

beforeAll(async () => {
  servers.set('mysql', await startMysql())
  servers.set('mariadb', await startMariadb())
})

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

test.each([
  ['mysql', 'strict', 'STRICT_TRANS_TABLES'],
  ['mysql', 'lenient', ''],
  ['mariadb', 'strict', 'STRICT_TRANS_TABLES'],
  ['mariadb', 'lenient', ''],
] as const)(
  '%s, %s: old rows are those of the server after every ALTER, or are read again',
  async (kind, database, mode) => {
    const own = cases.filter(({ only }) => only === undefined || only === kind)
    const outcomes = await sweep(servers.get(kind)!, database, mode, own)
    const wrong = outcomes.flatMap(({ ends, reason, lake, select }, index) => {
      const { columns, alter, follows = false } = own[index]!
      const about = { columns, alter, ends, reason }
      if (JSON.stringify(lake) !== JSON.stringify(select)) return [{ ...about, lake, select }]
      return follows && ends !== 'follows' ? [about] : []
    })
    expect(wrong).toEqual([])
    // What the server refuses in both modes says nothing.
    const refused = outcomes.flatMap(({ ends, reason }, index) =>
      ends === 'refused' && mode === '' ? [`${own[index]!.alter}: ${reason}`] : [],
    )
    expect(refused).toEqual([])
  },
)
