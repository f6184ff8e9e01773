// The shape of a table: its structure at one place of the log as the rows there have it, with the
// numbers of its columns. Made from a Relation message where rows follow, and from the catalog at
// the start, at a poll, and for tables that join.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey, type ExistingValue, type SourceColumn } from '../../runtime/data/schema.ts'
import type { SourceTable } from '../../runtime/data/schema.ts'
import { formatType } from '../../runtime/data/type.ts'
import type { CatalogColumn, CatalogTable } from './catalog.ts'
import { hasOtherFiles } from './leaves.ts'
import { literalOf } from './literal.ts'
import type { PostgresOptions } from './options.ts'
import type { Relation } from './relation.ts'
import type { KnownTable } from './state.ts'
import { mapType, typeName, type TypeLookup, type WireType } from './types.ts'

/** A column as the wire has it; excluded columns are in a tuple too. */
export interface ShapeColumn {
  readonly attnum: number
  readonly name: string
  readonly type: number
  readonly modifier: number
}

export interface TableShape {
  readonly oid: number
  readonly kind: 'r' | 'p'
  /** All columns that a tuple of the log has, in its order. */
  readonly columns: readonly ShapeColumn[]
  readonly source: SourceTable
  /** How the values lie on the wire, by attnum; only of columns of `source`. */
  readonly wires: ReadonlyMap<number, WireType>
  /** Key columns by their place in a tuple; [] without a key. */
  readonly keyColumns: Int32Array
}

export interface ShapeSource {
  readonly options: PostgresOptions
  readonly lookup: TypeLookup
  /** The publication carries stored generated columns. */
  readonly generated: boolean
  /** Columns that the publication carries, by attnum; `null`: all. */
  readonly published: ReadonlySet<number> | null
}

/** True for columns that the log has. */
export function isInLog(column: CatalogColumn, { generated, published }: ShapeSource): boolean {
  if (column.generated === 'v') return false
  // A list of columns that names a generated one carries it, whatever is published of others.
  if (published === null) return column.generated === '' || generated
  return column.dropped || published.has(column.attnum)
}

/**
 * The shape of a table as the catalog has it.
 *
 * @param before  what was known of it; `null`: the table has just been met
 * @throws PipelineError TYPE_UNSUPPORTED
 */
export function shapeOfCatalog(
  table: CatalogTable,
  before: KnownTable | null,
  source: ShapeSource,
): TableShape {
  const columns = table.columns
    .filter((column) => !column.dropped && isInLog(column, source))
    .map(({ attnum, name, type, modifier }) => ({ attnum, name, type, modifier }))
  const key = keyOf(table)
  return buildShape({ ...table, columns, key }, table, before, source)
}

/**
 * The shape of a table as a Relation message has it.
 *
 * @param attnums  of the relation's columns
 * @param before  what was known at the last place of the log; `null`: it has just been met
 * @throws PipelineError TYPE_UNSUPPORTED
 */
export function shapeOfRelation(
  relation: Relation,
  attnums: readonly number[],
  table: CatalogTable,
  before: KnownTable | null,
  source: ShapeSource,
): TableShape {
  const columns = relation.columns.map((column, index) => ({
    attnum: attnums[index] ?? 0,
    name: column.name,
    type: column.type,
    modifier: column.modifier,
  }))
  const flagged = relation.columns.flatMap(({ key }, index) =>
    key ? [columns[index]?.attnum ?? 0] : [],
  )
  const key = relationKey(relation.identity, flagged, table, before?.shape ?? null)
  const { oid, namespace, name } = relation
  const { kind, comment } = table
  return buildShape({ oid, namespace, name, kind, comment, columns, key }, table, before, source)
}

/**
 * The log flags the key columns, but not their order. Under FULL it flags all: then the key is the
 * primary key, whose values the old tuple has.
 */
function relationKey(
  identity: string,
  flagged: readonly number[],
  table: CatalogTable,
  before: TableShape | null,
): readonly number[] | null {
  if (identity === 'n') return null
  const known = before?.source.key?.map(Number) ?? null
  if (identity === 'f') return keyOf({ ...table, identity }) ?? null
  if (flagged.length === 0) return null
  const named = identity === 'i' ? table.indexes.filter((index) => index.identity) : []
  const candidates = [...named, ...table.indexes].map(({ key }) => key)
  const ordered = known === null ? candidates : [...candidates, known]
  const same = ordered.find(
    (key) => key.length === flagged.length && key.every((attnum) => flagged.includes(attnum)),
  )
  return same ?? flagged
}

/** @returns the columns that identify a row in the log, in index order; `null`: none do */
export function keyOf(table: CatalogTable): readonly number[] | null {
  const primary = table.indexes.find((index) => index.primary)?.key ?? null
  if (table.identity === 'd') return primary
  if (table.identity === 'i') return table.indexes.find((index) => index.identity)?.key ?? null
  if (table.identity !== 'f') return null
  const required = new Set(table.columns.filter(({ notNull }) => notNull).map((c) => c.attnum))
  const candidate = table.indexes.find(({ key }) => key.every((attnum) => required.has(attnum)))
  return primary ?? candidate?.key ?? null
}

interface ShapeInput {
  readonly oid: number
  readonly namespace: string
  readonly name: string
  readonly kind: 'r' | 'p'
  readonly comment: string | null
  readonly columns: readonly ShapeColumn[]
  readonly key: readonly number[] | null
}

function buildShape(
  { oid, namespace, name, kind, comment, columns, key }: ShapeInput,
  table: CatalogTable,
  before: KnownTable | null,
  source: ShapeSource,
): TableShape {
  const { options, lookup } = source
  const wires = new Map<number, WireType>()
  const kept: SourceColumn[] = []
  for (const column of columns) {
    if (options.columnsExclude(namespace, name, column.name)) continue
    const asText = options.columnsAsText(namespace, name, column.name)
    const mapping = mapType(column.type, column.modifier, lookup, asText)
    const sourceType = typeName(column.type, column.modifier, lookup)
    if (mapping.type === null) {
      throw unsupported(`${namespace}.${name}`, column.name, sourceType, mapping.note)
    }
    wires.set(column.attnum, mapping.wire)
    const now = table.columns.find(({ attnum }) => attnum === column.attnum)
    const { attnum } = column
    kept.push({
      identity: String(attnum),
      name: column.name,
      type: mapping.type,
      nullable: !(now?.notNull ?? false) || before?.loosened.has(attnum) === true,
      comment: now?.comment ?? null,
      sourceType,
      existing: existingValue(now, mapping.type, mapping.wire, before, table),
    })
  }
  const list = kept.find(({ identity, type }) => type.kind === 'list' && inKey(key, identity))
  if (list !== undefined && options.keyed) throw listKey(`${namespace}.${name}`, list.name)
  const whole = key !== null && list === undefined && key.every((attnum) => wires.has(attnum))
  const present = whole ? key : null
  const places = (present ?? []).map((attnum) => columns.findIndex((c) => c.attnum === attnum))
  return {
    oid,
    kind,
    columns,
    wires,
    keyColumns: Int32Array.from(places),
    source: {
      namespace,
      name,
      incarnation: String(oid),
      columns: kept,
      key: present === null ? null : present.map(String),
      comment,
    },
  }
}

/**
 * What rows that are older than a column hold in it. A constant default stands in the catalog; a
 * volatile one was written into every row, which shows as new files. After any rewrite the catalog
 * no longer says which it was. A column that was there before and not carried (excluded, generated)
 * has a value of its own in each row.
 */
function existingValue(
  column: CatalogColumn | undefined,
  type: SourceColumn['type'],
  wire: WireType,
  before: KnownTable | null,
  table: CatalogTable,
): ExistingValue {
  if (column === undefined || column.dropped) return { kind: 'null' }
  if (before !== null && wasLeftOut(column, before)) return { kind: 'unknown' }
  const [missing, other] = column.missing
  if (missing !== undefined) {
    const value = other === undefined ? literalOf(missing, type, wire) : null
    return value === null ? { kind: 'unknown' } : { kind: 'value', value }
  }
  if (before === null || !wasRewritten(before.reading.files, table)) return { kind: 'null' }
  return { kind: 'unknown' }
}

function wasLeftOut({ attnum }: CatalogColumn, { reading, shape }: KnownTable): boolean {
  const wasThere = reading.columns.some((column) => column.attnum === attnum)
  return wasThere && !shape.source.columns.some(({ identity }) => identity === String(attnum))
}

function wasRewritten(files: string, table: CatalogTable): boolean {
  return table.kind === 'p' ? hasOtherFiles(files, table.leaves) : files !== table.files
}

function inKey(key: readonly number[] | null, identity: string): boolean {
  return key?.includes(Number(identity)) === true
}

/** Lists have no text that a chunk could go on behind, and no hash that a row could be found by. */
export function listKey(table: string, column: string): PipelineError {
  const what = `key column "${column}" of table "${table}" is a list, which cannot be a key`
  return new PipelineError('TYPE_UNSUPPORTED', what, {
    hint: 'Give the table another key by `REPLICA IDENTITY USING INDEX`, or exclude the table.',
  })
}

function unsupported(
  table: string,
  column: string,
  sourceType: string,
  note: string,
): PipelineError {
  return new PipelineError(
    'TYPE_UNSUPPORTED',
    `column "${column}" of table "${table}" has type ${sourceType}, which the lake cannot hold`,
    { detail: `${note[0]?.toUpperCase()}${note.slice(1)}.` },
  )
}

/** @returns the same text for two shapes exactly when nothing has to be reported between them */
export function signatureOf({ source }: TableShape): string {
  const columns = source.columns.map(({ identity, name, type, nullable, comment }) => [
    identity,
    name,
    formatType(type) + (type.kind === 'string' && type.json ? ' json' : ''),
    nullable,
    comment,
  ])
  return JSON.stringify([tableKey(source), source.incarnation, source.key, source.comment, columns])
}
