// Structure of tables: as a source shows it (SourceTable) and as the pipeline and the lake know it
// (TableSchema, with field ids that are never used twice).

import type { Literal } from './literal.ts'
import type { ColumnType } from './type.ts'

/** What rows that were written before a column existed hold in it. */
export type ExistingValue =
  | { readonly kind: 'null' }
  | { readonly kind: 'value'; readonly value: Literal }
  /** Each row has another value, or the source cannot say: the table must be read again. */
  | { readonly kind: 'unknown' }

/** A column as the source has it now. */
export interface SourceColumn {
  /** Survives a rename: PostgreSQL's attnum; for MySQL a number that the connector assigns. */
  readonly identity: string
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  readonly comment: string | null
  /** The type in the source's words, for messages and `discover`. */
  readonly sourceType: string
  /** Looked at only when the column is added to a table that exists. */
  readonly existing: ExistingValue
  /** The value that all rows of the table have in it, now and later. Missing: not known. */
  readonly constant?: string
}

/** A table as the source has it now, excluded columns left out. */
export interface SourceTable {
  /** Schema (PostgreSQL) or database (MySQL). */
  readonly namespace: string
  readonly name: string
  /** Changes when the table is dropped and created again. */
  readonly incarnation: string
  readonly columns: readonly SourceColumn[]
  /** Identities of the key columns, in key order; `null`: the log carries no key. */
  readonly key: readonly string[] | null
  readonly comment: string | null
}

export interface Field {
  /** Iceberg field id: never reused in the life of the lake table. */
  readonly id: number
  /** Field id of the elements of a list. */
  readonly elementId: number | null
  readonly identity: string
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  readonly comment: string | null
  /** What data files without this column read as; `null`: null. */
  readonly initialDefault: Literal | null
}

/** One version of a table's structure. Version n is the Iceberg schema id n. */
export interface TableSchema {
  /** `tableKey` of the source table. */
  readonly table: string
  readonly version: number
  readonly fields: readonly Field[]
  /** Indexes into `fields`, in key order; `null`: no key. */
  readonly key: readonly number[] | null
  readonly comment: string | null
  /** Highest field id that any version has used. */
  readonly lastFieldId: number
}

/**
 * The name under which the pipeline knows a table: `namespace.name`. A dot of the namespace itself
 * is escaped as in the patterns of a pipeline file: else table c of schema "a.b" and table "b.c" of
 * schema a would be one table, with the rows of either.
 */
export function tableKey(table: { readonly namespace: string; readonly name: string }): string {
  return `${table.namespace.replaceAll(/[\\.]/g, String.raw`\$&`)}.${table.name}`
}

/** What `tableKey` made a key of. */
export function namesOf(key: string): { readonly namespace: string; readonly name: string } {
  const [namespace = ''] = /^(?:\\.|[^\\.])*/s.exec(key) ?? []
  const name = key.slice(namespace.length + 1)
  return { namespace: namespace.replaceAll(/\\(.)/gs, '$1'), name }
}

/**
 * @param target  name in the sink of one table that is made of several of the source
 * @returns what the pipeline knows it by: no schema or database has an empty name, so no table of
 *   the source has this key
 */
export function unionKey(target: { readonly namespace: string; readonly name: string }): string {
  return tableKey({ namespace: '', name: tableKey(target) })
}

/** @returns the name in the sink of what `unionKey` made a key of; `null`: it is another table's */
export function unionTarget(
  table: string,
): { readonly namespace: string; readonly name: string } | null {
  return isUnion(table) ? namesOf(namesOf(table).name) : null
}

export function isUnion(table: string): boolean {
  return table.startsWith('.')
}

/** @returns how people call it: a union has the name that it has in the sink */
export function shownTable(table: string): string {
  return isUnion(table) ? namesOf(table).name : table
}
