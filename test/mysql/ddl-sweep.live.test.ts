// Goal: no ALTER TABLE leaves old rows in the lake that are not those of the server. Method: each
// case runs on a table with rows, in strict mode and out of it, and its log is followed. What the
// tracker does not say to park must show in the lake what SELECT shows.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { cases } from './ddl-cases.ts'
import { randomCases } from './ddl-random.ts'
import { sweep, type DdlCase, type Outcome } from './ddl-sweep.ts'

const servers = new Map<string, MysqlServer>()

beforeAll(async () => {
  servers.set('mysql', await startMysql())
  servers.set('mariadb', await startMariadb())
})

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

const SEED = Number(process.env['DDL_SEED'] ?? 1)
const RANDOM = 60

const RUNS = [
  ['mysql', 'strict', 'STRICT_TRANS_TABLES'],
  ['mysql', 'lenient', ''],
  ['mariadb', 'strict', 'STRICT_TRANS_TABLES'],
  ['mariadb', 'lenient', ''],
] as const

/** Cases whose rows the lake would show otherwise, and those that it should have followed. */
function wrongOf(cases: readonly DdlCase[], outcomes: readonly Outcome[]): object[] {
  return outcomes.flatMap(({ ends, reason, lake, select }, index) => {
    const { columns, alter, follows = false } = cases[index]!
    const about = { columns, alter, ends, reason }
    if (JSON.stringify(lake) !== JSON.stringify(select)) return [{ ...about, lake, select }]
    return follows && ends !== 'follows' ? [about] : []
  })
}

test.each(RUNS)(
  '%s, %s: old rows are those of the server after every ALTER, or are read again',
  async (kind, strictness, mode) => {
    const own = cases.filter(({ only }) => only === undefined || only === kind)
    const outcomes = await sweep(servers.get(kind)!, `written_${strictness}`, mode, own)
    expect(wrongOf(own, outcomes)).toEqual([])
    // What the server refuses in both modes says nothing.
    const refused = outcomes.flatMap(({ ends, reason }, index) =>
      ends === 'refused' && mode === '' ? [`${own[index]!.alter}: ${reason}`] : [],
    )
    expect(refused).toEqual([])
  },
)

test.each(RUNS)(
  '%s, %s: so they are when clauses meet in one statement',
  async (kind, strictness, mode) => {
    const drawn = randomCases(kind, SEED, RANDOM)
    const outcomes = await sweep(servers.get(kind)!, `random_${strictness}`, mode, drawn)
    expect(wrongOf(drawn, outcomes)).toEqual([])
    expect(outcomes.filter(({ ends }) => ends === 'follows').length).toBeGreaterThan(RANDOM / 10)
  },
)
