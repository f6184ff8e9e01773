// Goal: a double inside a JSON document has the text that SELECT gives it, whichever of its two
// forms that is. Method: random doubles of all magnitudes, most of them where the form changes; the
// text that the log's bytes become against the text of the server.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withMysql } from '../servers/clients.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { newestLog } from './decode-changes.ts'
import { Dice } from './decode-columns.ts'
import { LogReplay } from './decode-replay.ts'

let server: MysqlServer
const SEED = Number(process.env['DECODE_SEED'] ?? 1)
const DOCUMENTS = 100
const DOUBLES_A_DOCUMENT = 500

beforeAll(async () => {
  server = await startMysql()
})

afterAll(async () => server.stop())

/** A number of JSON that is stored as a double: it has a point or an exponent. */
function double(dice: Dice): string {
  const sign = dice.chance(2) ? '-' : ''
  switch (dice.below(5)) {
    case 0: {
      const view = new DataView(new ArrayBuffer(8))
      view.setUint32(0, dice.next())
      view.setUint32(4, dice.next())
      const value = view.getFloat64(0)
      return Number.isFinite(value) ? value.toExponential() : `${sign}0.0`
    }
    case 1:
      // The server's own limits: 15 digits before the point, 15 zeros behind it.
      return `${sign}${1 + dice.below(9)}${dice.digits(12 + dice.below(6))}.${dice.digits(dice.below(5))}0`
    case 2:
      return `${sign}0.${'0'.repeat(dice.below(20))}${1 + dice.below(9)}${dice.digits(dice.below(17))}`
    case 3:
      return `${sign}${1 + dice.below(9)}.${dice.digits(dice.below(18))}0e${dice.below(50) - 25}`
    default:
      return `${sign}${dice.below(1_000_000)}.${dice.digits(1 + dice.below(5))}`
  }
}

test('mysql: a double in a document is the text that SELECT shows', async () => {
  const dice = new Dice(SEED)
  const [log, shown] = await withMysql(server.uri(), async (connection) => {
    await connection.query('FLUSH BINARY LOGS; CREATE DATABASE doubles; USE doubles')
    const file = newestLog(server)
    await connection.query('CREATE TABLE t (id INT PRIMARY KEY, j JSON)')
    for (let id = 0; id < DOCUMENTS; id++) {
      const doubles = Array.from({ length: DOUBLES_A_DOCUMENT }, () => double(dice))
      await connection.query('INSERT INTO t VALUES (?, ?)', [id, `[${doubles.join(',')}]`])
    }
    await connection.query('FLUSH BINARY LOGS')
    const [rows] = await connection.query('SELECT CAST(j AS CHAR) AS j FROM t ORDER BY id')
    return [file, rows as { j: string }[]]
  })
  const replay = new LogReplay({ mariadb: false })
  await replay.play(new Uint8Array(readFileSync(log)))
  const played = [...replay.tables.get('doubles.t')!.rows.values()].map(({ j }) => String(j))
  const textsOf = (documents: readonly string[]): string[] =>
    documents.flatMap((text) => text.slice(1, -1).split(', '))
  const expected = textsOf(shown.map(({ j }) => j))
  const found = textsOf(played)
  expect(found.length).toBe(DOCUMENTS * DOUBLES_A_DOCUMENT)
  const different = found.flatMap((text, at) =>
    text === expected[at] ? [] : [`${text} is ${expected[at]}`],
  )
  expect(different.slice(0, 20)).toEqual([])
})
