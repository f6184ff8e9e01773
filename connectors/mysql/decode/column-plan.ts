// Which column of a row image goes into which field, and whether they fit. The table map is the
// truth about the bytes, the schema about the field; where they disagree the tracked structure is
// wrong, and the table must stop instead of writing one column's bytes into another's field.

import { layoutOf, sameType, formatType, type ColumnType } from '../../../runtime/data/type.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import { PRIMARY, type TableState } from '../ddl/state.ts'
import { DECIMAL_PRECISION_MAX } from '../types.ts'
import { charsetKind } from './charset.ts'
import type { MapColumn, TableMap } from './events.ts'
import { ColumnCode } from './table-map.ts'

/** By field of the schema: index of its column in the table map. */
export type Binding = readonly number[]

export type BindingResult =
  | { readonly binding: Binding; readonly mismatch: null }
  | { readonly binding: null; readonly mismatch: string }

/**
 * Binds the fields of `schema` to the columns of `map` by way of the tracked table: a field's
 * identity names a column of `state`, whose name must stand in the map with a type that fits.
 *
 * @returns `mismatch`: a sentence about what the log shows and what was expected; the caller parks
 *          the table with DDL_UNMAPPABLE
 */
export function bindColumns(map: TableMap, state: TableState, schema: TableSchema): BindingResult {
  if (!map.full) {
    return unbound('The log names no columns; `binlog_row_metadata=FULL` was off.')
  }
  const difference = differenceOf(map, state) ?? keyDifference(map, state)
  if (difference !== null) return unbound(difference)
  const binding: number[] = []
  for (const field of schema.fields) {
    const tracked = state.columns.find(({ identity }) => identity === field.identity)
    if (tracked === undefined) return unbound(`Field "${field.name}" has no column in the table.`)
    const index = map.columns.findIndex(({ name }) => sameName(name, tracked.name))
    const column = map.columns[index]
    if (column === undefined) return unbound(`The log has no column "${tracked.name}".`)
    const problem = fits(column, field)
    if (problem !== null) return unbound(`Column "${tracked.name}": ${problem}.`)
    binding.push(index)
  }
  return { binding, mismatch: null }
}

function unbound(mismatch: string): BindingResult {
  return { binding: null, mismatch }
}

/** Column names are compared without case, as the servers do. */
export function sameName(left: string | null, right: string): boolean {
  return left !== null && (left === right || left.toLowerCase() === right.toLowerCase())
}

/**
 * Compares the tracked structure with what the log shows now.
 *
 * @returns a sentence, or `null` when both have the same columns. Neither order matters, nor do
 *          columns that the server hides (DB_ROW_HASH_1 of MariaDB)
 */
export function differenceOf(map: TableMap, state: TableState): string | null {
  for (const { name } of state.columns) {
    if (!map.columns.some((column) => sameName(column.name, name))) {
      return `The log has no column "${name}", which the table should have.`
    }
  }
  for (const { name } of map.columns) {
    const known = state.columns.some((column) => sameName(name, column.name))
    if (!known && !HIDDEN.test(name ?? '')) {
      return `The log has a column "${name}", which the table should not have.`
    }
  }
  return null
}

/**
 * Compares primary keys. MariaDB adds the end of a row's life to the key of a system-versioned
 * table and inserts the old versions of rows as well: by the declared key they would overwrite new
 * ones. Of a table without a primary key the log names a unique one in its place, where its columns
 * are NOT NULL.
 *
 * @returns a sentence, or `null` when both have the same
 */
export function keyDifference(map: TableMap, state: TableState): string | null {
  const primary = state.keys.find(({ name }) => name === PRIMARY)
  const logged = (map.primaryKey ?? []).map((index) => map.columns[index]?.name ?? '')
  if (primary === undefined && logged.length === 0) return null
  const keys = primary === undefined ? state.keys.filter(({ unique }) => unique) : [primary]
  // A prefix or expression has no identity there, so such keys are compared by their length alone.
  const named = keys.map(({ columns }) =>
    columns.map((part) => state.columns.find(({ identity }) => identity === part)?.name ?? null),
  )
  const same = named.some(
    (names) =>
      names.length === logged.length &&
      names.every((name) => name === null || logged.some((other) => sameName(other, name))),
  )
  if (same) return null
  const tracked = named.map((names) => `(${names.join(', ')})`).join(' or ')
  return `The primary key in the log is (${logged.join(', ')}), in the table ${tracked || '()'}.`
}

const HIDDEN = /^DB_ROW_HASH_\d+$/

/** @returns why values of `column` cannot go into `field`; `null` when they can */
function fits(column: MapColumn, field: Field): string | null {
  // A null in a required field would be refused by every reader of the lake.
  if (column.nullable && !field.nullable) return 'it allows nulls in the log but not in the lake'
  const types = lakeTypes(column)
  if (types.length === 0) return `its type in the log (${column.type}) has no form in the lake`
  if (types.some((type) => sameLayoutType(type, field.type))) return null
  const found = types.map((type) => formatType(type)).join(' or ')
  return `the log has ${found}, the lake ${formatType(field.type)}`
}

/** JSON of MariaDB is text with a check, so the mark on the field may differ. */
function sameLayoutType(left: ColumnType, right: ColumnType): boolean {
  if (left.kind === 'string') return right.kind === 'string'
  return sameType(left, right) && layoutOf(left) === layoutOf(right)
}

/** The types that values of a column may have in the lake; [] when none. */
export function lakeTypes(column: MapColumn): readonly ColumnType[] {
  switch (column.type) {
    case ColumnCode.tiny:
      return [{ kind: 'int' }, { kind: 'boolean' }]
    case ColumnCode.short:
    case ColumnCode.int24:
    case ColumnCode.year:
      return [{ kind: 'int' }]
    case ColumnCode.long:
      return [{ kind: column.unsigned ? 'long' : 'int' }]
    case ColumnCode.longlong:
      if (column.unsigned) return [{ kind: 'decimal', precision: 20, scale: 0 }]
      return [{ kind: 'long' }]
    case ColumnCode.newDecimal: {
      const precision = column.meta >> 8
      if (precision > DECIMAL_PRECISION_MAX) return [{ kind: 'string' }]
      return [{ kind: 'decimal', precision, scale: column.meta & 0xff }]
    }
    case ColumnCode.float:
      return [{ kind: 'float' }]
    case ColumnCode.double:
      return [{ kind: 'double' }]
    case ColumnCode.bit:
    case ColumnCode.time:
    case ColumnCode.time2:
      return [{ kind: 'long' }]
    case ColumnCode.date:
    case ColumnCode.newDate:
      return [{ kind: 'date' }]
    case ColumnCode.datetime:
    case ColumnCode.datetime2:
      return [{ kind: 'timestamp' }]
    case ColumnCode.timestamp:
    case ColumnCode.timestamp2:
      return [{ kind: 'timestamptz' }]
    case ColumnCode.json:
      return [{ kind: 'string', json: true }]
    default:
      return textTypes(column)
  }
}

function textTypes(column: MapColumn): readonly ColumnType[] {
  const { type, charset, meta } = column
  const text = charset !== null && charsetKind(charset) !== null
  switch (type) {
    case ColumnCode.enum:
    case ColumnCode.set:
      return text ? [{ kind: 'string' }] : []
    case ColumnCode.string:
    case ColumnCode.varString:
      if (charset === 'binary') return meta === 16 ? [{ kind: 'binary' }, { kind: 'uuid' }] : BINARY
      return text ? [{ kind: 'string' }] : []
    case ColumnCode.varchar:
    case ColumnCode.varcharCompressed:
    case ColumnCode.blob:
    case ColumnCode.blobCompressed:
      if (charset === 'binary') return BINARY
      return text ? [{ kind: 'string' }] : []
    default:
      return []
  }
}

const BINARY: readonly ColumnType[] = [{ kind: 'binary' }]
