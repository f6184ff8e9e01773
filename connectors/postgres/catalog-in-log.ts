// What one side knows of a table and the other does not: the catalog is the one of now, the log
// shows the table as it was, and a table can be gone from either.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import type { CatalogColumn, CatalogTable } from './catalog.ts'
import type { Relation } from './relation.ts'
import { isInLog, type ShapeSource, type TableShape } from './shape.ts'
import type { KnownTable, TableReading } from './state.ts'

/** A table whose catalog rows are gone: its last rows in the log are those of its last shape. */
export function goneTable(relation: Relation, before: KnownTable | null): CatalogTable | null {
  if (before === null) return null
  const { oid, kind, source, columns } = before.shape
  const key = (source.key ?? []).map(Number)
  return {
    oid,
    kind,
    namespace: source.namespace,
    name: source.name,
    isPartition: false,
    identity: relation.identity,
    hidesRows: false,
    files: before.reading.files,
    leaves: [],
    readAt: before.reading.readAt,
    comment: source.comment,
    columns: columns.map((column) => {
      const read = before.reading.columns.find(({ attnum }) => attnum === column.attnum)
      const told = source.columns.find(({ identity }) => identity === String(column.attnum))
      return {
        ...column,
        notNull: told?.nullable === false,
        dropped: false,
        generated: '',
        missing: [],
        defaultId: null,
        labels: read?.labels ?? [],
        comment: told?.comment ?? null,
        changedBy: read?.changedBy ?? '',
      }
    }),
    indexes: key.length === 0 ? [] : [{ primary: true, identity: true, key }],
  }
}

/** A column of the log that a relation lacks came later: at this place it is not there. */
export function asOfRelation(
  reading: TableReading,
  attnums: readonly number[],
  table: CatalogTable,
  source: ShapeSource,
): TableReading {
  const isLater = (column: CatalogColumn): boolean =>
    isInLog(column, source) && !attnums.includes(column.attnum)
  const later = new Set(table.columns.filter(isLater).map(({ attnum }) => attnum))
  return { ...reading, columns: reading.columns.filter(({ attnum }) => !later.has(attnum)) }
}

export function withNullable(shape: TableShape, attnum: number): TableShape {
  const columns = shape.source.columns.map((column) =>
    column.identity === String(attnum) ? { ...column, nullable: true } : column,
  )
  return { ...shape, source: { ...shape.source, columns } }
}

/** Changes that were made while the table was out of the publication are in no log. */
export function membershipGap(
  before: KnownTable,
  now: KnownTable,
  joinedAgain: boolean,
): PipelineError | null {
  const sameMember = before.memberSince === now.memberSince
  if (sameMember && !joinedAgain) return null
  // From a table list to a whole schema or back: it may never have been out.
  if (!joinedAgain && entryOf(before) !== entryOf(now)) return null
  const name = tableKey(now.shape.source)
  return new PipelineError('DDL_UNMAPPABLE', `table "${name}" had left the publication`, {
    detail: 'Changes that were made meanwhile are not in the log.',
  })
}

/** What has the publication carry the table; '' also in checkpoints that do not tell a schema. */
function entryOf({ memberSince }: KnownTable): '' | 'schema' | 'table' {
  if (memberSince === '') return ''
  return memberSince.startsWith('s') ? 'schema' : 'table'
}

export function unclear(key: string): PipelineError {
  return new PipelineError('DDL_UNMAPPABLE', `the columns of table "${key}" cannot be told apart`, {
    detail: 'Several of them were dropped, added and renamed before the log showed a row.',
  })
}
