// The structure of tables as information_schema has it at this moment. It starts the tracking of a
// table; from then on the log's own DDL moves it, because this moment is not that of the log.

import { isDeepStrictEqual } from 'node:util'
import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import { PRIMARY, type ColumnDefault, type ColumnState, type TableState } from './ddl/state.ts'
import type { KeyState } from './ddl/state.ts'
import { isCaptured, SYSTEM_DATABASES, type MysqlOptions } from './options.ts'
import { parseColumnType } from './types.ts'
import { asVersioned } from './versioned.ts'
import type { ControlConnection, ControlRow } from './wire/connect.ts'

/** Tables of one question; a list of thousands of names would not fit a statement. */
const TABLES_A_QUERY = 200

/** A captured table that exists now. */
export interface ListedTable {
  readonly database: string
  readonly name: string
  readonly rows: number | null
  readonly engine: string
  readonly collation: string
  readonly comment: string
  /** See versioned.ts. */
  readonly versioned: boolean
}

/**
 * MySQL counts rows of a MEMORY table by opening it. The first who does so after a restart finds it
 * empty and logs a TRUNCATE; but from within a count it is not logged, and then nobody logs it.
 */
export const ROWS_SQL = "IF(engine = 'MEMORY', NULL, table_rows)"

/** @returns the base tables that the pipeline captures, ordered by name */
export async function listTables(
  control: ControlConnection,
  options: MysqlOptions,
): Promise<readonly ListedTable[]> {
  const rows = await control.query(
    `SELECT table_schema AS d, table_name AS t, ${ROWS_SQL} AS n, engine AS e,
            table_collation AS c, table_comment AS m, table_type AS k
     FROM information_schema.tables
     WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_schema NOT IN (?)
     ORDER BY table_schema, table_name`,
    [SYSTEM_DATABASES],
  )
  return rows
    .map((row) => ({
      database: text(row, 'd'),
      name: text(row, 't'),
      rows: row['n'] === null ? null : Number(row['n']),
      engine: text(row, 'e'),
      collation: text(row, 'c'),
      comment: text(row, 'm'),
      versioned: text(row, 'k') === 'SYSTEM VERSIONED',
    }))
    .filter(({ database, name }) => isCaptured(options, database, name))
}

/** @returns the default charset of every database */
export async function readCharsets(
  control: ControlConnection,
): Promise<ReadonlyMap<string, string>> {
  const rows = await control.query(
    'SELECT schema_name AS d, default_character_set_name AS c FROM information_schema.schemata',
  )
  return new Map(rows.map((row) => [text(row, 'd'), text(row, 'c')]))
}

/** @returns the structures of `tables`, by `tableKey`; one that has gone is missing */
export async function readStructures(
  control: ControlConnection,
  tables: readonly ListedTable[],
  mariadb: boolean,
): Promise<ReadonlyMap<string, TableState>> {
  const structures = new Map<string, TableState>()
  for (let from = 0; from < tables.length; from += TABLES_A_QUERY) {
    const some = tables.slice(from, from + TABLES_A_QUERY)
    const columns = byTable(await control.query(...columnsQuery(some, mariadb)))
    const keys = byTable(await control.query(...keysQuery(some, mariadb)))
    for (const table of some) {
      const key = keyOfTable(table)
      const rows = columns.get(key)
      if (rows !== undefined) {
        structures.set(key, stateOf(table, rows, keys.get(key) ?? [], mariadb))
      }
    }
  }
  return structures
}

const READS_MAX = 50

/**
 * Structures that hold at a place of the log: read, the place taken, and read again until both
 * agree. DDL between the reads would otherwise be in the structure and come by the log as well.
 *
 * @param place  takes the place; called once a try
 * @throws PipelineError CONNECT_FAILED when DDL does not stop
 */
export async function structuresAt<P>(
  control: ControlConnection,
  options: MysqlOptions,
  mariadb: boolean,
  place: () => Promise<P>,
): Promise<{
  structures: ReadonlyMap<string, TableState>
  tables: readonly ListedTable[]
  place: P
}> {
  const read = async (): Promise<{
    tables: readonly ListedTable[]
    structures: ReadonlyMap<string, TableState>
  }> => {
    const tables = await listTables(control, options)
    return { tables, structures: await readStructures(control, tables, mariadb) }
  }
  let before = await read()
  for (let attempt = 0; attempt < READS_MAX; attempt++) {
    const taken = await place()
    const after = await read()
    if (isDeepStrictEqual(before.structures, after.structures)) return { ...after, place: taken }
    before = after
  }
  throw new PipelineError('CONNECT_FAILED', 'the tables change faster than they can be read')
}

/** @returns true when the name is that of a view, a sequence, or what else is no table */
export async function isOtherKind(
  control: ControlConnection,
  database: string,
  name: string,
): Promise<boolean> {
  const rows = await control.query(
    `SELECT table_type AS k FROM information_schema.tables
     WHERE table_schema = ? AND table_name = ?`,
    [database, name],
  )
  return rows.some((row) => !['BASE TABLE', 'SYSTEM VERSIONED'].includes(text(row, 'k')))
}

function text(row: ControlRow, name: string): string {
  const value = row[name]
  return value === null || value === undefined ? '' : String(value)
}

function keyOfTable({ database, name }: { database: string; name: string }): string {
  return tableKey({ namespace: database, name })
}

/**
 * MariaDB's information_schema takes `cafe` and `Café` for one name, and of tables that are equal
 * so it finds one. MySQL compares as its names do, and by an index.
 */
function isOneOf(tables: readonly ListedTable[], mariadb: boolean): [string, readonly string[]] {
  const names = mariadb ? 'BINARY table_schema, BINARY table_name' : 'table_schema, table_name'
  const marks = tables.map(() => '(?, ?)').join(', ')
  const values = tables.flatMap(({ database, name }) => [database, name])
  return [`(${names}) IN (${marks})`, values]
}

function columnsQuery(
  tables: readonly ListedTable[],
  mariadb: boolean,
): [string, readonly string[]] {
  const [condition, values] = isOneOf(tables, mariadb)
  const sql = `SELECT table_schema AS d, table_name AS t, column_name AS c, column_default AS v,
      is_nullable AS n, column_type AS y, character_set_name AS s, column_comment AS m, extra AS e
    FROM information_schema.columns
    WHERE ${condition}
    ORDER BY table_schema, table_name, ordinal_position`
  return [sql, values]
}

function keysQuery(tables: readonly ListedTable[], mariadb: boolean): [string, readonly string[]] {
  const [condition, values] = isOneOf(tables, mariadb)
  const sql = `SELECT table_schema AS d, table_name AS t, index_name AS i, column_name AS c,
      sub_part AS p
    FROM information_schema.statistics
    WHERE non_unique = 0 AND ${condition}
    ORDER BY table_schema, table_name, index_name, seq_in_index`
  return [sql, values]
}

function byTable(rows: readonly ControlRow[]): ReadonlyMap<string, readonly ControlRow[]> {
  const tables = new Map<string, ControlRow[]>()
  for (const row of rows) {
    const key = keyOfTable({ database: text(row, 'd'), name: text(row, 't') })
    const list = tables.get(key) ?? []
    list.push(row)
    tables.set(key, list)
  }
  return tables
}

function stateOf(
  table: ListedTable,
  rows: readonly ControlRow[],
  keyRows: readonly ControlRow[],
  mariadb: boolean,
): TableState {
  const columns = rows.map((row, at) => columnOf(row, String(at + 1), mariadb))
  const state = {
    database: table.database,
    name: table.name,
    incarnation: '1',
    columns,
    keys: keysOf(keyRows, columns),
    charset: table.collation.split('_')[0] ?? '',
    comment: table.comment === '' ? null : table.comment,
    nextIdentity: columns.length + 1,
  }
  return asVersioned(state, table.versioned)
}

function columnOf(row: ControlRow, identity: string, mariadb: boolean): ColumnState {
  const extra = text(row, 'e').toUpperCase()
  const nullable = text(row, 'n') === 'YES'
  const stored = /\b(STORED|PERSISTENT) GENERATED\b/.test(extra)
  const generated = stored ? 'stored' : extra.includes('VIRTUAL GENERATED') ? 'virtual' : null
  const charset = row['s'] === null ? null : text(row, 's')
  const comment = text(row, 'm')
  return {
    identity,
    name: text(row, 'c'),
    type: parseColumnType(text(row, 'y'), charset),
    nullable,
    default: generated === null ? defaultOf(row, extra, nullable, mariadb) : { kind: 'none' },
    generated,
    autoIncrement: extra.includes('AUTO_INCREMENT'),
    comment: comment === '' ? null : comment,
    existing: { kind: 'null' },
  }
}

/** MySQL prints a default without quotes and marks expressions; MariaDB prints it as SQL. */
function defaultOf(
  row: ControlRow,
  extra: string,
  nullable: boolean,
  mariadb: boolean,
): ColumnDefault {
  const value = row['v']
  if (value === null || value === undefined) return nullable ? { kind: 'null' } : { kind: 'none' }
  const printed = String(value)
  if (!mariadb) {
    if (extra.includes('DEFAULT_GENERATED')) return { kind: 'expression', text: printed }
    const hex = /^0x([0-9a-f]{2})*$/i.test(printed)
    return { kind: 'literal', text: printed, hex }
  }
  if (printed.toUpperCase() === 'NULL') return { kind: 'null' }
  // One string and nothing else: what is put together of several is an expression.
  const quoted = /^'((?:[^'\\]|''|\\[\s\S])*)'$/.exec(printed)
  if (quoted !== null) return { kind: 'literal', text: unescaped(quoted[1] ?? ''), hex: false }
  if (/^-?[\d.]+$/.test(printed)) return { kind: 'literal', text: printed, hex: false }
  return { kind: 'expression', text: printed }
}

const ESCAPES: Readonly<Record<string, string>> = { 0: '\0', n: '\n', r: '\r', Z: '\x1a' }

/** MariaDB prints with backslashes whatever the sql_mode is, of the table or of the reader. */
function unescaped(text: string): string {
  return text.replaceAll(/''|\\([\s\S])/g, (_, char: string | undefined) =>
    char === undefined ? "'" : (ESCAPES[char] ?? char),
  )
}

function keysOf(rows: readonly ControlRow[], columns: readonly ColumnState[]): readonly KeyState[] {
  const keys = new Map<string, (string | null)[]>()
  for (const row of rows) {
    const name = text(row, 'i')
    const key = name.toUpperCase() === PRIMARY ? PRIMARY : name
    const parts = keys.get(key) ?? []
    const column = columns.find((candidate) => candidate.name === text(row, 'c'))
    parts.push(row['p'] === null && column !== undefined ? column.identity : null)
    keys.set(key, parts)
  }
  return [...keys].map(([name, parts]) => ({ name, unique: true, columns: parts }))
}
