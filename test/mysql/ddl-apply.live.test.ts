// Goal: after any ALTER TABLE the tracked table is the one that the server has. Method: random
// ALTERs on real servers; after each one what information_schema shows is noted. Then the log alone
// is played, and the tracked table compared with the notes, statement by statement. What a new
// column holds in old rows is compared with a SELECT of an old row.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { widens } from '../../runtime/data/evolution.ts'
import type { ExistingValue } from '../../runtime/data/schema.ts'
import { EventReader } from '../../connectors/mysql/decode/event-reader.ts'
import { differenceOf } from '../../connectors/mysql/decode/column-plan.ts'
import { alterTable, createTable, type Applied } from '../../connectors/mysql/ddl/apply.ts'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import { keyOf, type TableState } from '../../connectors/mysql/ddl/state.ts'
import {
  formatMysqlType,
  mapType,
  parseColumnType,
  type MysqlType,
} from '../../connectors/mysql/types.ts'
import { withMysql } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { columnsFor, Dice, showOf } from './decode-columns.ts'
import { eventsOf } from './decode-replay.ts'

const servers = new Map<string, MysqlServer>()
const options = { tinyint1AsBoolean: false }
const SEED = Number(process.env['DDL_SEED'] ?? 1)
const STATEMENTS = 100

beforeAll(async () => {
  servers.set('mysql', await startMysql())
  servers.set('mariadb', await startMariadb())
})

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

interface Note {
  readonly sql: string
  /** `name type nullable` of each column. */
  readonly columns: readonly string[]
  /** Names of the primary key's columns. */
  readonly primary: readonly string[]
  /** Values of an old row as SELECT shows them, by column: after the statement, and before it. */
  readonly old: OldRow
  readonly before: OldRow
}

type OldRow = Readonly<Record<string, string | null>>

const DEFAULTS = ['', '', 'NOT NULL', 'NOT NULL', 'DEFAULT NULL']

/** A column definition, sometimes with a default that suits its type. */
function definition(dice: Dice, kind: 'mysql' | 'mariadb'): string {
  const column = dice.pick(columnsFor(kind))
  const ddl = column.ddl.replace(/ null$/, '')
  if (dice.chance(2) || /text|blob|json|compressed|bit|uuid/.test(ddl)) {
    return `${ddl} ${dice.pick(DEFAULTS)}`
  }
  const value = column.value(dice).replace(/^_utf8mb4/, '')
  return `${ddl} ${dice.pick(['', 'NOT NULL'])} DEFAULT ${value} ${dice.chance(3) ? "COMMENT 'c, (d'" : ''}`
}

function action(dice: Dice, names: readonly string[], kind: 'mysql' | 'mariadb'): string {
  // `id` stays: it finds the old row.
  const others = names.filter((candidate) => candidate !== 'id')
  const name = (): string => `\`${others.length === 0 ? 'none' : dice.pick(others)}\``
  const fresh = (): string => `\`n${dice.below(40)} ${dice.pick(['x', 'Y', 'ü'])}\``
  const place = (): string => dice.pick(['', '', 'FIRST', `AFTER ${name()}`])
  switch (dice.below(11)) {
    case 0:
    case 1:
    case 2:
      return `ADD COLUMN ${fresh()} ${definition(dice, kind)} ${place()}`
    case 3:
      return `ADD (${fresh()} int, ${fresh()} varchar(5) NOT NULL)`
    case 4:
      return `DROP COLUMN ${name()}`
    case 5:
      return `RENAME COLUMN ${name()} TO ${fresh()}`
    case 6: {
      const [a, b] = [name(), name()]
      return `RENAME COLUMN ${a} TO ${b}, RENAME COLUMN ${b} TO ${a}`
    }
    case 7:
      return `CHANGE ${name()} ${fresh()} ${definition(dice, kind)} ${place()}`
    case 8:
      return `MODIFY ${name()} ${definition(dice, kind)} ${place()}`
    case 9:
      return dice.pick([
        `ALTER ${name()} DROP DEFAULT`,
        `ADD UNIQUE (${name()}, ${name()})`,
        'DROP PRIMARY KEY, ADD PRIMARY KEY (id)',
        `DEFAULT CHARACTER SET ${dice.pick(['latin1', 'utf8mb4', 'utf8'])}`,
        'ENGINE=InnoDB',
        `COMMENT 'x' , ALGORITHM=COPY`,
      ])
    default:
      return `CONVERT TO CHARACTER SET ${dice.pick(['utf8mb4', 'utf8mb3'])}`
  }
}

async function note(connection: Connection, sql: string, before: OldRow): Promise<Note> {
  const rows = async (query: string): Promise<Record<string, string | null>[]> =>
    (await connection.query(query))[0] as Record<string, string | null>[]
  const where = "WHERE table_schema = DATABASE() AND table_name = 't'"
  const columns = await rows(
    `SELECT column_name AS n, column_type AS y, is_nullable AS u, character_set_name AS c
     FROM information_schema.columns ${where} ORDER BY ordinal_position`,
  )
  const keys = await rows(
    `SELECT column_name AS n FROM information_schema.statistics
     ${where} AND index_name = 'PRIMARY' ORDER BY seq_in_index`,
  )
  const shown = columns.map(({ n, y }) => {
    const quoted = `\`${n}\``
    if (/binary|blob/.test(y ?? '')) return `LOWER(HEX(${quoted})) AS ${quoted}`
    if (/^(bit|year)/.test(y ?? '')) return `CAST(${quoted} + 0 AS CHAR) AS ${quoted}`
    if (y?.startsWith('float') === true) return `CAST(${quoted} + 0e0 AS CHAR) AS ${quoted}`
    return `CAST(${quoted} AS CHAR) AS ${quoted}`
  })
  const [old = {}] = await rows(`SELECT ${shown.join(', ')} FROM t WHERE id = 1`)
  return {
    sql,
    columns: columns.map(({ n, y, u, c }) =>
      describe(n ?? '', parseColumnType(y ?? '', c ?? null), u === 'YES'),
    ),
    primary: keys.map(({ n }) => n ?? ''),
    old,
    before,
  }
}

/**
 * Without the display widths of numbers, which MySQL no longer shows, and without the text of
 * labels: CONVERT TO CHARACTER SET damages those beyond ASCII on both servers.
 */
function describe(name: string, type: MysqlType, nullable: boolean): string {
  const width = /int$|year|float|double/.test(type.base) ? null : type.length
  const labels = type.labels.length
  return `${name} ${JSON.stringify({ ...type, length: width, labels })} ${nullable}`
}

async function alterAtRandom(server: MysqlServer, kind: 'mysql' | 'mariadb'): Promise<Note[]> {
  const dice = new Dice(SEED)
  const notes: Note[] = []
  await withMysql(server.uri(), async (connection) => {
    await connection.query("SET NAMES utf8mb4; SET time_zone = '+00:00', sql_mode = ''")
    await connection.query('FLUSH BINARY LOGS; CREATE DATABASE ddl CHARACTER SET utf8mb4; USE ddl')
    const create =
      'CREATE TABLE t (id int NOT NULL, a int, b varchar(10) NOT NULL, PRIMARY KEY (id))'
    await connection.query(`${create}; INSERT INTO t VALUES (1, 2, 'three')`)
    notes.push(await note(connection, create, {}))
    while (notes.length < STATEMENTS) {
      const names = notes.at(-1)!.columns.map((text) => text.slice(0, text.indexOf(' {')))
      await changeOldRow(connection, dice, names, kind)
      const { old } = await note(connection, '', {})
      const actions = Array.from({ length: 1 + dice.below(3) }, () => action(dice, names, kind))
      // Together with ADD COLUMN, MariaDB converts the new column and MySQL does not.
      const alone = actions.find((text) => text.startsWith('CONVERT'))
      // Others the next time: the server refuses to drop what an index needs.
      const drops = names.filter((name) => name !== 'id' && dice.chance(3))
      const drop = drops.map((name) => `DROP \`${name}\``).join(', ')
      const sql = `ALTER TABLE t ${names.length > 30 && drop !== '' ? drop : (alone ?? actions.join(', '))}`
      await connection.query(`SET sql_mode = '${dice.pick(['', 'STRICT_TRANS_TABLES'])}'`)
      // What the server refuses is not in the log.
      const done = await connection.query(sql).then(
        () => true,
        () => false,
      )
      await connection.query("SET sql_mode = ''")
      if (done) notes.push(await note(connection, sql, old))
    }
  })
  return notes
}

/** Values of all kinds in the old row, as far as its columns take them. */
async function changeOldRow(
  connection: Connection,
  dice: Dice,
  names: readonly string[],
  kind: 'mysql' | 'mariadb',
): Promise<void> {
  for (const name of names) {
    if (name === 'id' || !dice.chance(3)) continue
    const value = dice.pick(columnsFor(kind)).value(dice)
    const update = `UPDATE IGNORE t SET \`${name}\` = ${value} WHERE id = 1`
    await connection.query(update).catch(() => null)
  }
}

function statementsOf(server: MysqlServer): { text: string; strict: boolean }[] {
  const files = readdirSync(server.dataFolder)
    .filter((name) => /^binlog\.\d+$/.test(name))
    .sort()
  const bytes = new Uint8Array(readFileSync(join(server.dataFolder, files.at(-1)!)))
  const reader = new EventReader(server.kind === 'mariadb')
  const statements = []
  for (const { start, end } of eventsOf(bytes)) {
    const event = reader.read(bytes, start, end)
    if (event.kind === 'query' && /^(CREATE|ALTER) TABLE/.test(event.text)) statements.push(event)
  }
  return statements
}

test.each(['mysql', 'mariadb'] as const)(
  '%s: the tracked table is the one of the server after every ALTER',
  async (kind) => {
    const server = servers.get(kind)!
    const notes = await alterAtRandom(server, kind)
    const statements = statementsOf(server)
    expect(statements.length).toBe(notes.length)
    let state: TableState | null = null
    let added = 0
    let unmappable = 0
    let kept = 0
    statements.forEach(({ text, strict }, index) => {
      const expected = notes[index]!
      const statement = parseStatement(text, {
        ansiQuotes: false,
        noBackslashEscapes: false,
        mariadb: kind === 'mariadb',
      })
      const before: TableState | null = state
      if (statement.kind === 'create-table') {
        const origin = { database: 'ddl', name: 't', incarnation: '1', charset: 'utf8mb4' }
        state = createTable(statement.definition!, origin)
      } else if (statement.kind === 'alter-table') {
        const context = { types: options, strict }
        const applied: Applied = alterTable(before!, statement.actions, context)
        if (applied.kind === 'unmappable') unmappable++
        else kept += expectKept(text, before!, applied.state, expected)
        state = applied.state
      }
      const now = state!
      expect({
        text,
        columns: now.columns.map(({ name, type, nullable }) => describe(name, type, nullable)),
      }).toEqual({ text, columns: expected.columns })
      const key = keyOf(now)?.map(
        (identity) => now.columns.find((column) => column.identity === identity)?.name,
      )
      expect(key).toEqual(expected.primary)
      for (const column of now.columns) {
        if (before === null || before.columns.some(({ identity }) => identity === column.identity))
          continue
        added++
        expectExisting(text, column.existing, column.type, expected.old[column.name] ?? null)
      }
    })
    expect(added).toBeGreaterThan(50)
    expect(unmappable).toBeLessThan(STATEMENTS / 2)
    expect(kept).toBeGreaterThan(STATEMENTS)
  },
)

/**
 * A statement that is not said to be unmappable left every value as it was, wherever the
 * lake can follow the change of type. @returns values compared
 */
function expectKept(sql: string, before: TableState, after: TableState, noted: Note): number {
  let compared = 0
  for (const column of after.columns) {
    const old = before.columns.find(({ identity }) => identity === column.identity)
    const was = noted.before[old?.name ?? ''] ?? null
    const is = noted.old[column.name] ?? null
    if (old === undefined || was === null) continue
    const from = mapType(old.type, options).type!
    const to = mapType(column.type, options).type!
    // What the runtime refuses is no concern here; a wider type shows the same value.
    if (!widens(from, to) || from.kind !== to.kind) continue
    compared++
    const change = `${formatMysqlType(old.type)} -> ${formatMysqlType(column.type)}`
    expect({ sql, change, value: showOf(to, is) }).toEqual({
      sql,
      change,
      value: showOf(from, was),
    })
  }
  return compared
}

function expectExisting(
  sql: string,
  existing: ExistingValue,
  type: MysqlType,
  shown: string | null,
): void {
  const lake = mapType(type, options).type!
  if (existing.kind === 'unknown') return
  if (existing.kind === 'null') {
    expect({ sql, shown }).toEqual({ sql, shown: null })
    return
  }
  const value =
    existing.value instanceof Uint8Array
      ? Buffer.from(existing.value).toString('hex')
      : String(existing.value)
  expect({ sql, value }).toEqual({ sql, value: showOf(lake, shown) })
}

test('the columns of the log and of the tracked table are compared by name', () => {
  const map = { full: true, columns: [{ name: 'ID' }, { name: 'b' }, { name: 'DB_ROW_HASH_1' }] }
  const state = (names: string[]): TableState =>
    ({ columns: names.map((name) => ({ name })) }) as unknown as TableState
  const difference = (names: string[]): string | null => differenceOf(map as never, state(names))
  expect(difference(['id', 'B'])).toBeNull()
  expect(difference(['id'])).toMatch(/has a column "b"/)
  expect(difference(['id', 'b', 'c'])).toMatch(/no column "c"/)
})
