// Columns that every table has for its expressions, though `*` does not mean them: where a row comes
// from and what happened to it.

import type { ChangeBatch } from '../../runtime/data/batch.ts'
import {
  constantColumn,
  latestTimeColumn,
  opColumn,
  positionColumn,
  sequenceColumn,
  timeColumn,
  transactionColumn,
} from '../../runtime/data/change-columns.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { COMMIT_TIME_COLUMN } from '../../runtime/data/expression/compile.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import type { OldRows } from './old-rows.ts'
import type { RowTimes } from './options.ts'

export interface HiddenColumn {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** The same for all rows of the table: a key may hold it. `null`: each row has its own. */
  readonly constant: string | null
  /**
   * @param old  `null`: of a plan that reads no old rows
   * @throws PipelineError UNCHANGED_VALUE_MISSING
   */
  make(batch: ChangeBatch, old: OldRows | null): Column
}

const TEXT = { kind: 'string' } as const

/** Those of Flink CDC beside ours. */
const NAMESPACE = ['__db__', '__schema__', '__namespace_name__', '__schema_name__']
const TABLE = ['__table__', '__table_name__']

/** @returns those whose names no column of the table has */
export function hiddenColumns(
  { namespace, name, columns }: SourceTable,
  { commits }: RowTimes,
): HiddenColumn[] {
  const constant =
    (text: string) =>
    (column: string): HiddenColumn => ({
      name: column,
      type: TEXT,
      nullable: false,
      constant: text,
      make: ({ rows }) => constantColumn(text, rows),
    })
  const varying = { nullable: false, constant: null }
  const all: HiddenColumn[] = [
    ...NAMESPACE.map(constant(namespace)),
    ...TABLE.map(constant(name)),
    { name: '__op__', type: TEXT, ...varying, make: opColumn },
    { name: '__position__', type: TEXT, ...varying, make: positionColumn },
    { name: '__seq__', type: { kind: 'long' }, ...varying, make: sequenceColumn },
    { name: '__tx__', type: TEXT, ...varying, nullable: true, make: transactionColumn },
    {
      name: '__source_commit_time__',
      type: { kind: 'timestamptz' },
      ...varying,
      make: timeColumn,
    },
  ]
  if (commits) {
    const type = { kind: 'timestamptz' } as const
    all.push({ name: COMMIT_TIME_COLUMN, type, ...varying, make: latestTimeColumn })
  }
  return all.filter((hidden) => columns.every((column) => column.name !== hidden.name))
}

/**
 * @returns without names: whether a row is an update, then each column as it was before that; []:
 *   the table has no key, and its log no updates
 */
export function oldColumns({ columns, key }: SourceTable): HiddenColumn[] {
  if (key === null) return []
  const base = { name: '', constant: null }
  return [
    {
      ...base,
      type: { kind: 'boolean' },
      nullable: false,
      make: (_, old) => oldRowsOf(old).updates(),
    },
    ...columns.map(({ type }, index): HiddenColumn => {
      return { ...base, type, nullable: true, make: (_, old) => oldRowsOf(old).column(index) }
    }),
  ]
}

function oldRowsOf(old: OldRows | null): OldRows {
  if (old === null) throw new RangeError('an expression reads old rows that were not asked for')
  return old
}
