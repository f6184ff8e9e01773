// The columns that JSON is read into: where in a record each value stands, and how it is written.

import type { FormatTable } from '../format.ts'
import { formatType, type ColumnType } from '../../../runtime/data/type.ts'
import type { SourceColumn } from '../../../runtime/data/schema.ts'
import { AS_TEXT, type Encoding } from '../../../runtime/data/json/fill.ts'

export interface JsonColumn {
  readonly name: string
  /** Names that lead to the value, from the outermost object on. */
  readonly path: readonly string[]
  readonly type: ColumnType
  readonly nullable: boolean
  readonly encoding: Encoding
}

/** A column that is told by its value alone. */
export function plainColumn(name: string, type: ColumnType): JsonColumn {
  return { name, path: [name], type, nullable: true, encoding: AS_TEXT }
}

/** Columns of JSON have no identity but their names. */
export function formatTable(
  columns: readonly JsonColumn[],
  key: readonly string[] | null,
): FormatTable {
  return { columns: columns.map(sourceColumn), key, comment: null }
}

function sourceColumn({ name, type, nullable, encoding }: JsonColumn): SourceColumn {
  const written = encoding.kind === 'number' ? `number of ${encoding.unit}` : encoding.kind
  const suffix = encoding.kind === 'text' ? '' : ` (${written})`
  return {
    identity: name,
    name,
    type,
    nullable,
    comment: null,
    sourceType: `${formatType(type)}${suffix}`,
    // Records that were written before the column have no value for it.
    existing: { kind: 'null' },
  }
}
