// What the connector remembers of a table: its columns under identities that survive renames, and
// its keys. Plain JSON data, because it lies in the checkpoint between two runs.

import type { ExistingValue, SourceColumn, SourceTable } from '../../../runtime/data/schema.ts'
import { formatMysqlType, mapType, type MysqlType, type TypeOptions } from '../types.ts'

/** What rows get in a column that a statement does not mention. */
export type ColumnDefault =
  | { readonly kind: 'none' }
  | { readonly kind: 'null' }
  /** Text as the statement or the server writes it: `0`, `2020-01-01`, `abc`; `hex`: bytes. */
  | {
      readonly kind: 'literal'
      readonly text: string
      readonly hex: boolean
      /** A number or DATE'...': what of it becomes text, the server decides. */
      readonly unquoted?: boolean
    }
  /** CURRENT_TIMESTAMP, UUID(), ...: another value a row. */
  | { readonly kind: 'expression'; readonly text: string }

export interface ColumnState {
  /** Decimal number, unique in the life of the table. */
  readonly identity: string
  readonly name: string
  readonly type: MysqlType
  readonly nullable: boolean
  readonly default: ColumnDefault
  /** A generated column: its values are computed from others. */
  readonly generated: 'stored' | 'virtual' | null
  readonly autoIncrement: boolean
  readonly comment: string | null
  /** What rows older than the column hold in it; looked at only when the column is added. */
  readonly existing: ExistingValue
}

export interface KeyState {
  /** `PRIMARY` or the name of a unique index. */
  readonly name: string
  readonly unique: boolean
  /** Identities of its columns in index order; `null` where a part is a prefix or an expression. */
  readonly columns: readonly (string | null)[]
}

export interface TableState {
  readonly database: string
  readonly name: string
  /** Grows when the table is dropped and created again. */
  readonly incarnation: string
  readonly columns: readonly ColumnState[]
  readonly keys: readonly KeyState[]
  /** Charset of text columns that are added without one. */
  readonly charset: string
  readonly comment: string | null
  /** The identity of the next new column. */
  readonly nextIdentity: number
}

export interface UnsupportedColumn {
  readonly name: string
  readonly sourceType: string
  readonly reason: string
}

/**
 * The table as the runtime sees it.
 *
 * @param included  false leaves a column out (`columns_exclude`)
 * @returns `unsupported` lists included columns that the lake cannot hold; the caller refuses the
 *          table with TYPE_UNSUPPORTED, since leaving a column out silently would lose data
 */
export function sourceTableOf(
  state: TableState,
  options: TypeOptions,
  included: (column: string) => boolean,
): { readonly table: SourceTable; readonly unsupported: readonly UnsupportedColumn[] } {
  const columns: SourceColumn[] = []
  const unsupported: UnsupportedColumn[] = []
  for (const { identity, name, type, nullable, comment, existing } of state.columns) {
    if (!included(name)) continue
    const sourceType = formatMysqlType(type)
    const mapping = mapType(type, options)
    if (mapping.type === null) unsupported.push({ name, sourceType, reason: mapping.note })
    else
      columns.push({ identity, name, type: mapping.type, nullable, comment, sourceType, existing })
  }
  const { database, name, incarnation, comment } = state
  const key = keyOf(state)
  return { table: { namespace: database, name, incarnation, columns, key, comment }, unsupported }
}

/**
 * The columns that tell rows apart: the primary key, or else the first unique index (by name) whose
 * columns are whole and NOT NULL. @returns identities in index order, `null` without such a key
 */
export function keyOf(state: TableState): readonly string[] | null {
  const usable = state.keys.filter(
    ({ name, unique, columns }) =>
      (unique || name === PRIMARY) && columns.every((column) => isKeyPart(state, column)),
  )
  const primary = usable.find(({ name }) => name === PRIMARY)
  const first = [...usable].sort((left, right) => (left.name < right.name ? -1 : 1))[0]
  const key = primary ?? first
  return key === undefined ? null : key.columns.map((column) => column ?? '')
}

export const PRIMARY = 'PRIMARY'

function isKeyPart(state: TableState, identity: string | null): boolean {
  const column = state.columns.find((candidate) => candidate.identity === identity)
  return column !== undefined && !column.nullable
}
