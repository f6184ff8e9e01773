// What a workload knows of a table: enough to create it and to write statements that hit its rows
// again and again, because the key space is small.
import type { Draw } from './values.ts'

export interface WorkloadColumn {
  name: string
  /** As CREATE TABLE wants it. */
  type: string
  draw: Draw
}

export interface WorkloadTable {
  name: string
  keyColumns: readonly { name: string; type: string }[]
  /** Literals of the n-th key, 0 and up; different numbers give different keys. */
  key: (number: number) => readonly string[]
  /** Keys that writers use: 0 to this. */
  keys: number
  /** Besides the key. */
  columns: readonly WorkloadColumn[]
  /** Statements after CREATE TABLE. */
  after?: readonly string[]
  /** Text behind the column list of CREATE TABLE. */
  suffix?: string
  /** Writers may change keys, and swap two. */
  changesKeys: boolean
  /** Writers may empty it. */
  truncates: boolean
}

/** How the two families of servers spell a statement. */
export interface Dialect {
  quoteName: (name: string) => string
  /** An insert that leaves a row alone that is already there. */
  insertNew: (table: WorkloadTable, rows: readonly (readonly string[])[]) => string
  /** An insert that overwrites such a row. */
  upsert: (table: WorkloadTable, row: readonly string[]) => string
  truncate: (table: WorkloadTable) => string
  /** TRUNCATE ends the transaction that it stands in. */
  truncateCommits: boolean
  /** True for failures that a busy database answers with: deadlock, duplicate key, lock timeout. */
  isConflict: (error: unknown) => boolean
}

export function createTable(dialect: Dialect, table: WorkloadTable): string[] {
  const name = dialect.quoteName
  const columns = [
    ...table.keyColumns.map((column) => ({ ...column, type: `${column.type} NOT NULL` })),
    ...table.columns,
  ]
  const list = columns.map((column) => `${name(column.name)} ${column.type}`).join(', ')
  const key = table.keyColumns.map((column) => name(column.name)).join(', ')
  const create = `CREATE TABLE ${name(table.name)} (${list}, PRIMARY KEY (${key})) ${table.suffix ?? ''}`
  return [create, ...(table.after ?? [])]
}

export function allColumns(table: WorkloadTable): string[] {
  return [...table.keyColumns, ...table.columns].map(({ name }) => name)
}

/** `a = 1 AND b = 'x'` for the n-th key. */
export function whereKey(dialect: Dialect, table: WorkloadTable, number: number): string {
  const literals = table.key(number)
  return table.keyColumns
    .map((column, index) => `${dialect.quoteName(column.name)} = ${literals[index]}`)
    .join(' AND ')
}

/** `a = 1, b = 'x'` for the n-th key. */
export function setKey(dialect: Dialect, table: WorkloadTable, number: number): string {
  return whereKey(dialect, table, number).replaceAll(' AND ', ', ')
}
