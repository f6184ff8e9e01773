// The table that a topic becomes: the columns of its key, of its value and of what else is known of
// a record, and where the values of each come from. A name that key and value share is one column,
// and the key's: it is what a record without a value still says.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey, type SourceColumn, type SourceTable } from '../../runtime/data/schema.ts'
import { metadataColumn } from './decode/metadata-columns.ts'
import type { FormatTable } from './format.ts'
import type { MetadataColumn } from './options.ts'

export type ColumnOrigin =
  | { readonly part: 'key' | 'value'; readonly index: number }
  | { readonly part: 'metadata'; readonly name: MetadataColumn }

export interface TableShape {
  readonly table: SourceTable
  /** By column of `table`. */
  readonly origins: readonly ColumnOrigin[]
  readonly keyTable: FormatTable | null
  readonly valueTable: FormatTable
  /** A record without a value names its row: every key column comes from its key. */
  readonly deletable: boolean
}

export interface ShapeOptions {
  readonly namespace: string
  readonly metadata: readonly MetadataColumn[]
  readonly primaryKeys: readonly string[] | null
}

/** @throws PipelineError TABLE_WITHOUT_KEY, DDL_UNMAPPABLE */
export function shapeOf(
  topic: { readonly name: string; readonly id: string },
  keyTable: FormatTable | null,
  valueTable: FormatTable,
  { namespace, metadata, primaryKeys }: ShapeOptions,
): TableShape {
  const columns: SourceColumn[] = []
  const origins: ColumnOrigin[] = []
  const add = (column: SourceColumn, origin: ColumnOrigin): void => {
    columns.push(column)
    origins.push(origin)
  }
  const ofKey = new Set(keyTable?.columns.map(({ name }) => name))
  for (const [index, column] of (keyTable?.columns ?? []).entries()) {
    add({ ...column, identity: `key:${column.identity}` }, { part: 'key', index })
  }
  for (const [index, column] of valueTable.columns.entries()) {
    if (ofKey.has(column.name)) continue
    add({ ...column, identity: `value:${column.identity}` }, { part: 'value', index })
  }
  for (const name of metadata) add(metadataColumn(name), { part: 'metadata', name })
  const table = tableKey({ namespace, name: topic.name })
  const twice = columns.find(({ name }, index) =>
    columns.some((o, at) => at < index && o.name === name),
  )
  if (twice !== undefined) {
    const reason = `table "${table}" would have two columns "${twice.name}"`
    throw new PipelineError('DDL_UNMAPPABLE', reason, {
      hint: 'Take the column out of `source.metadata`, or rename the field at the producer.',
    })
  }
  const key =
    primaryKeys === null
      ? ownKey(keyTable, valueTable, ofKey)
      : namedKey(table, columns, primaryKeys)
  return {
    table: {
      namespace,
      name: topic.name,
      incarnation: topic.id,
      columns: columns.map((column) =>
        key?.includes(column.identity) === true ? { ...column, nullable: false } : column,
      ),
      key,
      comment: valueTable.comment,
    },
    origins,
    keyTable,
    valueTable,
    deletable: key !== null && key.every((identity) => identity.startsWith('key:')),
  }
}

function namedKey(
  table: string,
  columns: readonly SourceColumn[],
  names: readonly string[],
): readonly string[] {
  return names.map((name) => {
    const column = columns.find((candidate) => candidate.name === name)
    if (column !== undefined) return column.identity
    throw new PipelineError(
      'TABLE_WITHOUT_KEY',
      `table "${table}" has no column "${name}" of source.primary_keys`,
      { detail: `It has ${columns.map((candidate) => candidate.name).join(', ')}.` },
    )
  })
}

/** What the format knows: an envelope says which columns tell rows apart. */
function ownKey(
  keyTable: FormatTable | null,
  valueTable: FormatTable,
  ofKey: ReadonlySet<string>,
): readonly string[] | null {
  if (valueTable.key === null) return null
  return valueTable.key.map((identity) => {
    const name = valueTable.columns.find((column) => column.identity === identity)?.name ?? ''
    if (!ofKey.has(name)) return `value:${identity}`
    return `key:${keyTable?.columns.find((column) => column.name === name)?.identity ?? ''}`
  })
}
