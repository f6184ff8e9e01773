// From one structure of a table to the next: which field ids stay, which are new, and which changes
// the lake cannot follow without reading the table again. Columns are matched by identity, never by
// name: a drop and an add of the same name are two columns, a rename is one.

import type { ErrorName } from '../base/errors.ts'
import type { Literal } from './literal.ts'
import { sameType, formatType, type ColumnType } from './type.ts'
import { tableKey, type Field, type SourceColumn, type SourceTable } from './schema.ts'
import type { TableSchema } from './schema.ts'

export type Evolution =
  | { readonly kind: 'same' }
  | { readonly kind: 'evolved'; readonly schema: TableSchema; readonly changes: readonly string[] }
  | Unmappable

export interface Unmappable {
  readonly kind: 'unmappable'
  readonly error: ErrorName
  /** Stands behind the table's name. */
  readonly reason: string
  /** What to do where the error's own hint is not it. */
  readonly hint?: string
}

export interface EvolutionOptions {
  /** Field ids below it belong to the sink (`changelog` has four columns of its own). */
  readonly firstFieldId: number
  /** Rows are told apart by the key, so it must exist and may not change. */
  readonly keyed: boolean
  /** Names that no column may have, since the lake has columns of its own under them. */
  readonly reservedNames?: readonly string[]
}

/**
 * What becomes of the lake's rows under the next structure. `carried`: they are the table's, and
 * each column must go on meaning the same for them. `gone`: the commit that brings the structure
 * removes them. `visible`: they are replaced later or never, and until then readers see them under
 * it, so it may require nothing of them that their files do not have: pyiceberg and Iceberg's Java
 * library refuse the whole table.
 */
export type OlderRows = 'carried' | 'gone' | 'visible'

/** @returns version 0 of a table that the pipeline sees for the first time */
export function firstSchema(table: SourceTable, options: EvolutionOptions): Evolution {
  const reserved = nameReserved(table, options)
  if (reserved !== null) return reserved
  const ids = new FieldIds(options.firstFieldId - 1)
  const fields = table.columns.map((column) => newField(column, ids))
  const key = keyIndexes(table, fields)
  if (options.keyed && key === null) return WITHOUT_KEY
  const schema: TableSchema = {
    table: tableKey(table),
    version: 0,
    fields,
    key,
    comment: table.comment,
    lastFieldId: ids.last,
  }
  return { kind: 'evolved', schema, changes: ['create table'] }
}

/**
 * The next version of `schema`, or why there is none.
 *
 * @param table  the table as the source has it now
 * @param older  unless `carried` (new incarnation, repair), columns are matched by name and type,
 *        and nothing has to be carried over
 */
export function evolve(
  schema: TableSchema,
  table: SourceTable,
  older: OlderRows,
  options: EvolutionOptions,
): Evolution {
  const twice = nameTwice(table)
  if (twice !== null) {
    return { kind: 'unmappable', error: 'DDL_UNMAPPABLE', reason: `two columns are "${twice}"` }
  }
  const reserved = nameReserved(table, options)
  if (reserved !== null) return reserved
  const carried = older === 'carried'
  const ids = new FieldIds(schema.lastFieldId)
  const changes: string[] = []
  const fields: Field[] = []
  for (const column of table.columns) {
    const before = schema.fields.find((field) =>
      carried
        ? field.identity === column.identity
        : field.name === column.name && widens(field.type, column.type),
    )
    const next = before === undefined ? added(column, ids, older) : changed(before, column, carried)
    if ('reason' in next)
      return { kind: 'unmappable', error: 'DDL_UNMAPPABLE', reason: next.reason }
    if (next.change !== null) changes.push(next.change)
    fields.push(next.field)
  }
  for (const field of schema.fields) {
    if (!fields.some(({ id }) => id === field.id)) changes.push(`drop column ${field.name}`)
  }
  const key = keyIndexes(table, fields)
  if (options.keyed && key === null) return WITHOUT_KEY
  if (!sameKey(schema, fields, key)) {
    const reason = 'the key columns changed'
    if (options.keyed && carried) return { kind: 'unmappable', error: 'KEY_CHANGED', reason }
    changes.push('another key')
  }
  if (table.comment !== schema.comment) changes.push('comment on table')
  if (changes.length === 0 && sameOrder(schema.fields, fields) && sameIdentities(schema, fields)) {
    return { kind: 'same' }
  }
  if (changes.length === 0) changes.push('reorder columns')
  const { version, table: name } = schema
  const comment = table.comment
  const next = { table: name, version: version + 1, fields, key, comment, lastFieldId: ids.last }
  return { kind: 'evolved', schema: next, changes }
}

/** No server has it: a source that says so has lost track, and no reader would take the table. */
function nameTwice({ columns }: SourceTable): string | null {
  const names = columns.map(({ name }) => name)
  return names.find((name, index) => names.indexOf(name) !== index) ?? null
}

/** What is said of a column whose name is among `reservedNames`. */
export function reservedReason(column: string): string {
  return `column "${column}" has the name of a column that the lake has of its own`
}

function nameReserved(
  { columns }: SourceTable,
  { reservedNames = [] }: EvolutionOptions,
): Unmappable | null {
  const column = columns.find(({ name }) => reservedNames.includes(name))
  if (column === undefined) return null
  const reason = reservedReason(column.name)
  const hint =
    'Rename the column or leave it out by `source.columns_exclude`; then, if the table is parked, ' +
    'run `millrace resync FILE --table TABLE`.'
  return { kind: 'unmappable', error: 'DDL_UNMAPPABLE', reason, hint }
}

class FieldIds {
  last: number
  constructor(last: number) {
    this.last = last
  }
  next(): number {
    this.last++
    return this.last
  }
}

function newField(column: SourceColumn, ids: FieldIds): Field {
  const { identity, name, type, nullable, comment } = column
  const id = ids.next()
  const elementId = type.kind === 'list' ? ids.next() : null
  return { id, elementId, identity, name, type, nullable, comment, initialDefault: null }
}

type FieldChange = { readonly field: Field; readonly change: string | null }
type Refusal = { readonly reason: string }

function added(column: SourceColumn, ids: FieldIds, older: OlderRows): FieldChange | Refusal {
  const { existing, name } = column
  const carried = older === 'carried'
  if (carried && existing.kind === 'unknown') {
    return { reason: `existing rows have unknown values in the new column "${name}"` }
  }
  // JSON has no NaN and no infinities: readers refuse the table, or read whatever bytes they find.
  if (carried && existing.kind === 'value' && isNotFinite(existing.value)) {
    return { reason: `existing rows have ${existing.value} in the new column "${name}"` }
  }
  const field = newField(column, ids)
  const change = `add column ${name}`
  if (older === 'gone') return { field, change }
  if (carried && existing.kind === 'value') {
    return { field: { ...field, initialDefault: existing.value }, change }
  }
  // Rows in older files read as null, whatever the source says about future rows.
  return { field: { ...field, nullable: true }, change }
}

function isNotFinite(value: Literal): value is number {
  return typeof value === 'number' && !Number.isFinite(value)
}

function changed(before: Field, column: SourceColumn, carried: boolean): FieldChange | Refusal {
  const { identity, name, type, comment } = column
  if (carried && !widens(before.type, type)) {
    const from = formatType(before.type)
    return { reason: `column "${name}" changed from ${from} to ${formatType(type)}` }
  }
  // A lake column cannot become required again: older files may hold nulls.
  const nullable = before.nullable || column.nullable
  const field: Field = { ...before, identity, name, type, nullable, comment }
  return { field, change: describeChange(before, field) }
}

function describeChange(before: Field, field: Field): string | null {
  if (before.name !== field.name) return `rename column ${before.name} to ${field.name}`
  if (formatType(before.type) !== formatType(field.type)) {
    return `widen column ${field.name} to ${formatType(field.type)}`
  }
  if (before.nullable !== field.nullable) return `allow nulls in column ${field.name}`
  if (before.comment !== field.comment) return `comment on column ${field.name}`
  return null
}

/** @returns true when values of `from` are read unchanged as `to` (Iceberg's type promotions) */
export function widens(from: ColumnType, to: ColumnType): boolean {
  if (sameType(from, to)) return true
  if (from.kind === 'string' && to.kind === 'string') return true
  if (from.kind === 'int' && to.kind === 'long') return true
  if (from.kind === 'float' && to.kind === 'double') return true
  if (from.kind === 'decimal' && to.kind === 'decimal') {
    return from.scale === to.scale && from.precision <= to.precision
  }
  if (from.kind === 'list' && to.kind === 'list') return widens(from.element, to.element)
  return false
}

function keyIndexes(table: SourceTable, fields: readonly Field[]): readonly number[] | null {
  if (table.key === null) return null
  const indexes = table.key.map((identity) =>
    fields.findIndex((field) => field.identity === identity),
  )
  // A key column that is excluded or refused leaves no key.
  return indexes.includes(-1) ? null : indexes
}

function sameKey(
  schema: TableSchema,
  fields: readonly Field[],
  key: readonly number[] | null,
): boolean {
  if (schema.key === null || key === null) return schema.key === key
  const before = schema.key.map((index) => schema.fields[index]?.id)
  const after = key.map((index) => fields[index]?.id)
  return before.length === after.length && before.every((id, at) => id === after[at])
}

function sameOrder(before: readonly Field[], after: readonly Field[]): boolean {
  return before.length === after.length && before.every(({ id }, at) => id === after[at]?.id)
}

function sameIdentities(schema: TableSchema, fields: readonly Field[]): boolean {
  return schema.fields.every(({ identity }, at) => identity === fields[at]?.identity)
}

const WITHOUT_KEY: Unmappable = {
  kind: 'unmappable',
  error: 'TABLE_WITHOUT_KEY',
  reason: 'it has no key that the log carries',
}
