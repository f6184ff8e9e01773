// Random changes on a real server: the log file that they made, and what SELECT shows afterwards.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { withMysql } from '../servers/clients.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { columnsFor, Dice, selectOf, showOf, type TestColumn } from './decode-columns.ts'
import type { LogReplay } from './decode-replay.ts'

export interface Changes {
  readonly database: string
  readonly seed: number
  /** Rows at the start, and statements that change them. */
  readonly rows: number
  /** Statements before the table is made, and between that and the changes. */
  readonly settings?: readonly string[]
  readonly session?: readonly string[]
  readonly columns?: (column: TestColumn) => boolean
}

export type ShownRow = Readonly<Record<string, string | null>>

export interface Recording {
  /** The log file, magic included. */
  readonly log: Uint8Array
  /** Every row in the end, as SELECT shows it. */
  readonly shown: readonly ShownRow[]
}

/** Makes a table `t` of every type in a new database, changes it, and records both. */
export async function recordChanges(server: MysqlServer, changes: Changes): Promise<Recording> {
  const columns = columnsFor(server.kind).filter((column) => changes.columns?.(column) ?? true)
  return withMysql(server.uri(), async (connection) => {
    const run = async (sql: string): Promise<void> => {
      await connection.query(sql).catch((error: Error) => {
        throw new Error(`${error.message}: ${sql.slice(0, 2000)}`)
      })
    }
    await run("SET NAMES utf8mb4; SET time_zone = '+00:00', sql_mode = ''")
    for (const setting of changes.settings ?? []) await run(setting)
    await run('FLUSH BINARY LOGS')
    const log = newestLog(server)
    await run(`CREATE DATABASE ${changes.database}; USE ${changes.database}`)
    const definitions = columns.map(({ name, ddl }) => `\`${name}\` ${ddl}`).join(', ')
    await run(`CREATE TABLE t (id INT NOT NULL PRIMARY KEY, ${definitions}) CHARSET utf8mb4`)
    for (const setting of changes.session ?? []) await run(setting)
    await changeRows(run, columns, changes)
    await run('FLUSH BINARY LOGS')
    const shown = await selectRows(connection, columns)
    return { log: new Uint8Array(readFileSync(log)), shown }
  })
}

async function changeRows(
  run: (sql: string) => Promise<void>,
  columns: readonly TestColumn[],
  { seed, rows: count, session }: Changes,
): Promise<void> {
  const dice = new Dice(seed)
  const value = (column: TestColumn): string => (dice.chance(7) ? 'NULL' : column.value(dice))
  for (let id = 0; id < count; id += 10) {
    const rows = Array.from(
      { length: 10 },
      (_, index) => `(${[id + index, ...columns.map(value)].join(', ')})`,
    )
    await run(`INSERT INTO t VALUES ${rows.join(', ')}`)
  }
  for (let change = 0; change < count; change++) {
    const set = Array.from({ length: 1 + dice.below(4) }, () => {
      const column = dice.pick(columns)
      return `\`${column.name}\` = ${value(column)}`
    })
    await run(`UPDATE t SET ${set.join(', ')} WHERE id % ${1 + dice.below(9)} = 0`)
    // With columns left out of the images a change of the key is refused.
    if (dice.chance(6) && session === undefined) {
      await run(`UPDATE t SET id = id + 1000 WHERE id % 7 = ${dice.below(7)} ORDER BY id DESC`)
    }
    if (dice.chance(8)) await run(`DELETE FROM t WHERE id = ${dice.below(count)}`)
  }
  if (session === undefined) await run('UPDATE t SET id = id + 5000 ORDER BY id DESC LIMIT 3')
}

async function selectRows(
  connection: Connection,
  columns: readonly TestColumn[],
): Promise<readonly ShownRow[]> {
  const [rows] = await connection.query(
    `SELECT CAST(id AS CHAR) AS id, ${columns.map(selectOf).join(', ')} FROM t ORDER BY t.id`,
  )
  return rows as ShownRow[]
}

/** Path of the log file that is being written. */
export function newestLog(server: MysqlServer): string {
  const names = readdirSync(server.dataFolder).filter((name) => /^binlog\.\d+$/.test(name))
  return join(server.dataFolder, names.sort().at(-1)!)
}

/** One line a difference between the rows of a replay and those of SELECT. */
export function differences(
  replay: LogReplay,
  database: string,
  shown: readonly ShownRow[],
): string[] {
  const live = replay.tables.get(`${database}.t`)!
  const played = [...live.rows.values()].sort(
    (left, right) => Number(left['id']) - Number(right['id']),
  )
  const ids = (rows: readonly Readonly<Record<string, unknown>>[]): string =>
    rows.map((row) => row['id']).join(' ')
  if (ids(played) !== ids(shown)) return [`rows: log ${ids(played)} SELECT ${ids(shown)}`]
  return shown.flatMap((row, index) =>
    live.schema.fields.flatMap(({ name, type }) => {
      const expected = showOf(type, row[name] ?? null)
      const found = played[index]![name]
      return found === expected ? [] : [`${name}: log ${String(found)} SELECT ${expected}`]
    }),
  )
}
