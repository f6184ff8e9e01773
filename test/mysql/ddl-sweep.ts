// One ALTER TABLE on a table with rows, on a real server, and what the tracker makes of it: either
// every old row shows in the lake what SELECT shows afterwards, or the table is to be read again.

import { readFileSync } from 'node:fs'
import type { Connection } from 'mysql2/promise'
import { evolve, firstSchema } from '../../runtime/data/evolution.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { EventReader } from '../../connectors/mysql/decode/event-reader.ts'
import type { QueryEvent } from '../../connectors/mysql/decode/events.ts'
import { alterTable, contextOf, createTable } from '../../connectors/mysql/ddl/apply.ts'
import { parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import type { Statement } from '../../connectors/mysql/ddl/statement.ts'
import { sourceTableOf, type TableState } from '../../connectors/mysql/ddl/state.ts'
import { withMysql } from '../servers/clients.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { newestLog } from './decode-changes.ts'
import { showOf } from './decode-columns.ts'
import { eventsOf } from './decode-replay.ts'

const types = { tinyint1AsBoolean: false }
const evolution = { firstFieldId: 1, keyed: true }

export interface DdlCase {
  /** Behind `id int NOT NULL` in CREATE TABLE. */
  readonly columns: string
  /** Behind the columns of CREATE TABLE. */
  readonly options?: string
  /** Values behind the id, a row each. */
  readonly rows: readonly string[]
  /** The statement; `t` is the table. */
  readonly alter: string
  /** Session variables while it runs. */
  readonly session?: Readonly<Record<string, string>>
  readonly only?: 'mysql' | 'mariadb'
  /** The lake must be able to follow it. */
  readonly follows?: boolean
}

export interface Outcome {
  /** The lake keeps its rows, or they are read again, or the server refused the statement. */
  readonly ends: 'follows' | 'parks' | 'refused'
  /** Why it parks, or what the server said. */
  readonly reason: string
  /** What the lake would show of its old rows, and what SELECT shows; equal, or both empty. */
  readonly lake: readonly string[]
  readonly select: readonly string[]
}

type Row = Readonly<Record<string, string | null>>

interface Recorded {
  readonly table: string
  readonly refusal: string | null
  readonly before: readonly Row[]
  readonly after: readonly Row[]
}

/** Runs the cases under one sql_mode and follows them through the log. */
export async function sweep(
  server: MysqlServer,
  database: string,
  mode: string,
  cases: readonly DdlCase[],
): Promise<Outcome[]> {
  return withMysql(server.uri(), async (connection) => {
    await connection.query("SET NAMES utf8mb4; SET time_zone = '+00:00', sql_mode = ''")
    await connection.query('FLUSH BINARY LOGS')
    const log = newestLog(server)
    await connection.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4; USE ${database}`)
    const recorded: Recorded[] = []
    for (const [index, some] of cases.entries()) {
      recorded.push(await record(connection, `c${index}`, mode, some))
    }
    await connection.query('FLUSH BINARY LOGS')
    const statements = statementsOf(log)
    return recorded.map((each) => outcomeOf(each, statements, server.kind === 'mariadb'))
  })
}

async function record(
  connection: Connection,
  table: string,
  mode: string,
  { columns, options = '', rows, alter, session = {} }: DdlCase,
): Promise<Recorded> {
  const key = /primary key/i.test(columns) ? '' : ', PRIMARY KEY (id)'
  await connection.query(`CREATE TABLE ${table} (id int NOT NULL, ${columns}${key}) ${options}`)
  for (const [index, row] of rows.entries()) {
    await connection.query(`INSERT INTO ${table} VALUES (${index + 1}, ${row})`)
  }
  const before = await selectRows(connection, table)
  const variables = Object.entries({ sql_mode: `'${mode}'`, ...session })
  for (const [name, value] of variables) await connection.query(`SET SESSION ${name} = ${value}`)
  const refusal = await connection.query(alter.replace(/\bt\b/, table)).then(
    () => null,
    (error: Error) => error.message,
  )
  for (const name of Object.keys(session)) {
    await connection.query(`SET SESSION ${name} = DEFAULT`)
  }
  await connection.query("SET sql_mode = ''")
  return { table, refusal, before, after: await selectRows(connection, table) }
}

async function selectRows(connection: Connection, table: string): Promise<readonly Row[]> {
  const query = async (sql: string): Promise<Row[]> =>
    (await connection.query(sql))[0] as unknown as Row[]
  const columns = await query(
    `SELECT column_name AS n, column_type AS y FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name = '${table}' ORDER BY ordinal_position`,
  )
  const shown = columns.map(({ n, y }) => {
    const quoted = `\`${(n ?? '').replaceAll('`', '``')}\``
    if (/binary|blob|geometry|vector/.test(y ?? '')) return `LOWER(HEX(${quoted})) AS ${quoted}`
    if (/^(bit|year)|zerofill/.test(y ?? '')) return `CAST(${quoted} + 0 AS CHAR) AS ${quoted}`
    if (/^(float|double)/.test(y ?? '')) return `CAST(${quoted} + 0e0 AS CHAR) AS ${quoted}`
    return `CAST(${quoted} AS CHAR) AS ${quoted}`
  })
  return query(`SELECT ${shown.join(', ')} FROM ${table}`)
}

/** CREATE TABLE and what follows it, by table. */
function statementsOf(log: string): ReadonlyMap<string, readonly QueryEvent[]> {
  const bytes = new Uint8Array(readFileSync(log))
  const reader = new EventReader(false)
  const statements = new Map<string, QueryEvent[]>()
  for (const { start, end } of eventsOf(bytes)) {
    const event = reader.read(bytes, start, end)
    if (event.kind !== 'query') continue
    const table = /\b(c\d+)\b/.exec(event.text)?.[1]
    if (table !== undefined) statements.set(table, [...(statements.get(table) ?? []), event])
  }
  return statements
}

function outcomeOf(
  { table, refusal, before, after }: Recorded,
  statements: ReadonlyMap<string, readonly QueryEvent[]>,
  mariadb: boolean,
): Outcome {
  const nothing = { lake: [], select: [] }
  if (refusal !== null) return { ends: 'refused', reason: refusal, ...nothing }
  const [create, alter] = statements.get(table) ?? []
  if (create === undefined || alter === undefined) throw new Error(`${table} is not in the log`)
  const state = stateOf(parsed(create, mariadb))
  const statement = parsed(alter, mariadb)
  if (statement.kind !== 'alter-table') throw new Error(`not an ALTER: ${alter.text}`)
  const applied = alterTable(state, statement.actions, contextOf(alter, types))
  if (applied.kind === 'unmappable') return { ends: 'parks', reason: applied.reason, ...nothing }
  const schema = schemaOf(state)
  const refused = [state, applied.state].flatMap((each) => unsupportedOf(each))[0]
  if (refused !== undefined) return { ends: 'parks', reason: refused.reason, ...nothing }
  const next = evolve(schema, tableOf(applied.state), 'carried', evolution)
  if (next.kind === 'unmappable') return { ends: 'parks', reason: next.reason, ...nothing }
  const now = next.kind === 'evolved' ? next.schema : schema
  return {
    ends: 'follows',
    reason: '',
    lake: before.map((row) => lakeRow(row, schema, now)).sort(),
    select: after.map((row) => selectedRow(row, now)).sort(),
  }
}

function parsed({ text, ansiQuotes, noBackslashEscapes }: QueryEvent, mariadb: boolean): Statement {
  return parseStatement(text, { ansiQuotes, noBackslashEscapes, mariadb })
}

function stateOf(statement: Statement): TableState {
  if (statement.kind !== 'create-table' || statement.definition === null) {
    throw new Error(`not a CREATE TABLE: ${statement.kind}`)
  }
  const origin = { database: 'sweep', name: 't', incarnation: '1', charset: 'utf8mb4' }
  return createTable(statement.definition, origin)
}

function tableOf(state: TableState): ReturnType<typeof sourceTableOf>['table'] {
  return sourceTableOf(state, types, () => true).table
}

function unsupportedOf(state: TableState): ReturnType<typeof sourceTableOf>['unsupported'] {
  return sourceTableOf(state, types, () => true).unsupported
}

function schemaOf(state: TableState): TableSchema {
  const first = firstSchema(tableOf(state), evolution)
  if (first.kind !== 'evolved') throw new Error(JSON.stringify(first))
  return first.schema
}

/** An old row under the new structure: its values by field id, and initial defaults. */
function lakeRow(row: Row, before: TableSchema, now: TableSchema): string {
  return JSON.stringify(
    now.fields.map(({ id, name, initialDefault }) => {
      const old = before.fields.find((field) => field.id === id)
      if (old !== undefined) return [name, showOf(old.type, row[old.name] ?? null)]
      if (initialDefault === null) return [name, null]
      if (!(initialDefault instanceof Uint8Array)) return [name, String(initialDefault)]
      return [name, Buffer.from(initialDefault).toString('hex')]
    }),
  )
}

/** Columns that the table does not know, or knows in another order, make it another text. */
function selectedRow(row: Row, now: TableSchema): string {
  return JSON.stringify(
    Object.entries(row).map(([name, shown]) => {
      const field = now.fields.find((candidate) => candidate.name === name)
      return [name, field === undefined ? 'not known' : showOf(field.type, shown)]
    }),
  )
}
