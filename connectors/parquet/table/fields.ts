// The columns that a lake table really has, by mode. `changelog` tables carry four columns of our
// own; they hold the field ids 1 to 4 and the source's columns begin at 5, since an id high up
// would push `last-column-id` up with it, and every id that is given later must lie above that.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import type { PrimitiveType } from '../../../runtime/data/type.ts'

/** `upsert`: one row a key. `append`: each row as it came. `changelog`: each change as a row. */
export type TableMode = 'upsert' | 'append' | 'changelog'

function changelogField(id: number, name: string, kind: PrimitiveType['kind'], doc: string): Field {
  const type = { kind } as PrimitiveType
  const identity = `changelog:${name}`
  const nullable = name !== '_op'
  return { id, elementId: null, identity, name, type, nullable, comment: doc, initialDefault: null }
}

/** Columns of `changelog` tables, behind the table's own. */
export const CHANGELOG_FIELDS: readonly Field[] = [
  changelogField(1, '_op', 'string', 'c insert, u update, d delete, r first copy'),
  changelogField(
    2,
    '_pos',
    'string',
    'Order of the change: sorts as text, unique but for rows with _op r.',
  ),
  changelogField(3, '_ts', 'timestamptz', 'Commit time at the source.'),
  changelogField(4, '_tx', 'string', 'Transaction at the source.'),
]

/**
 * @returns the names that no column of the source may have. A reader of deletion vectors adds
 *          Iceberg's `_pos` to the columns: Java's library, and so Spark, Trino and Flink, refuses
 *          an `upsert` table that has one of its own, as soon as a row has been replaced
 */
export function reservedNames(mode: TableMode): readonly string[] {
  switch (mode) {
    case 'append':
      return []
    case 'upsert':
      return ['_pos']
    case 'changelog':
      return CHANGELOG_FIELDS.map(({ name }) => name)
  }
}

/** @returns the lowest field id that a column of the source may have */
export function firstFieldId(mode: TableMode): number {
  return mode === 'changelog' ? CHANGELOG_FIELDS.length + 1 : 1
}

/**
 * @returns the fields of the lake table, in the order in which schema and data files have them
 * @throws PipelineError DDL_UNMAPPABLE when a column has the name of a column of ours
 */
export function lakeFields(schema: TableSchema, mode: TableMode): readonly Field[] {
  if (mode !== 'changelog') return schema.fields
  const names = new Set(CHANGELOG_FIELDS.map(({ name }) => name))
  const taken = schema.fields.find(({ name }) => names.has(name))
  if (taken !== undefined) {
    const message = `column "${taken.name}" of ${schema.table} has the name of a changelog column`
    const detail = 'In `changelog` mode the lake table has the columns _op, _pos, _ts and _tx.'
    const hint = 'Exclude the column by `source.columns_exclude`, or rename it.'
    throw new PipelineError('DDL_UNMAPPABLE', message, { detail, hint })
  }
  // A delete carries the key only, so no column can be required.
  return [...schema.fields.map((field) => ({ ...field, nullable: true })), ...CHANGELOG_FIELDS]
}

/**
 * @returns ids of the key columns where Iceberg accepts them as identifier: all required, none a
 *          float; [] otherwise, and in the modes that keep several rows of one key
 */
export function identifierFieldIds(schema: TableSchema, mode: TableMode): readonly number[] {
  if (mode !== 'upsert' || schema.key === null) return []
  const fields = schema.key.map((index) => schema.fields[index])
  const ids: number[] = []
  for (const field of fields) {
    const kind = field?.type.kind
    const excluded = kind === 'float' || kind === 'double' || kind === 'list'
    if (field === undefined || field.nullable || excluded) return []
    ids.push(field.id)
  }
  return ids
}
