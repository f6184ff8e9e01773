// One structure for several tables: that of a table of the lake which they are parts of. It is
// never narrower than any of them: a column that one table has is there for all, a type is the
// widest, and what a table loses or renames stays for the others. Columns are matched by name,
// since each table has identities of its own.
//
// What rows of a table hold in a column that it does not have is the column's default in the lake:
// null, unless a table got the column with a default for its rows of before. So a column that comes
// to the tables one by one, in the same way to each, says the same of all rows at any time.

import {
  evolve,
  firstSchema,
  widens,
  type Evolution,
  type EvolutionOptions,
  type Unmappable,
} from './evolution.ts'
import type { Literal } from './literal.ts'
import { namesOf, shownTable, type Field, type SourceColumn, type SourceTable } from './schema.ts'
import type { TableSchema } from './schema.ts'
import { formatType, type ColumnType } from './type.ts'

export interface UnionPart {
  /** As its rows were before, in the names and types of the lake; `null`: it has none there yet. */
  readonly before: TableSchema | null
  /** As they are from now on. */
  readonly after: TableSchema
  /** The same as the source tells it, with what rows of before hold in new columns. */
  readonly shown: SourceTable
  /** Columns that it had once. */
  readonly gone: readonly string[]
}

export interface UnionStep {
  readonly evolution: Exclude<Evolution, Unmappable>
  readonly gone: readonly string[]
}

/**
 * @param union  the structure so far; `null`: this is the first part
 * @param name  `unionKey`
 * @returns what follows when a part joins or changes
 */
export function unite(
  union: TableSchema | null,
  name: string,
  part: UnionPart,
  options: EvolutionOptions,
): UnionStep | Unmappable {
  const { before, after, shown } = part
  const fault = before === null ? null : changeFault(union, before, part)
  if (fault !== null) return { kind: 'unmappable', error: 'DDL_UNMAPPABLE', reason: fault }
  const columns = (union?.fields ?? []).map(columnOf)
  const table = withPart({ name, columns, key: union === null ? null : keyNames(union) }, shown)
  if ('kind' in table) return table
  const { comment } = union ?? after
  const evolution =
    union === null
      ? firstSchema({ ...table, comment }, options)
      : evolve(union, { ...table, comment }, 'carried', options)
  if (evolution.kind === 'unmappable') return evolution
  return { evolution, gone: before === null ? part.gone : goneOf(before, part) }
}

/** @returns the structure of parts whose rows are all written anew */
export function uniteAll(
  union: TableSchema,
  parts: readonly SourceTable[],
  options: EvolutionOptions,
): Evolution {
  let table: UnionTable = { name: union.table, columns: [], key: null }
  let last: SourceTable | null = null
  for (const part of parts) {
    const next = withPart(table, part)
    if ('kind' in next) return next
    last = next
    table = { name: union.table, columns: next.columns, key: next.key }
  }
  if (last === null) return { kind: 'same' }
  return evolve(union, { ...last, comment: union.comment }, 'visible', options)
}

interface UnionTable {
  readonly name: string
  readonly columns: readonly SourceColumn[]
  /** `null`: there is no part yet. */
  readonly key: readonly string[] | null
}

/** @returns the table with the columns of one part more */
function withPart({ name, columns, key }: UnionTable, part: SourceTable): SourceTable | Unmappable {
  const names = part.key?.map((id) => nameOf(part.columns, id)) ?? null
  if (names === null) {
    const reason = 'it has no key, and shares a table of the lake with others'
    return { kind: 'unmappable', error: 'TABLE_WITHOUT_KEY', reason }
  }
  if (key !== null && key.join('\n') !== names.join('\n')) {
    const reason = `its key is (${names.join(', ')}), and (${key.join(', ')}) that of the others`
    return { kind: 'unmappable', error: 'KEY_CHANGED', reason: `${reason} of ${shownTable(name)}` }
  }
  const all = [...columns]
  for (const column of part.columns) {
    const at = all.findIndex((one) => one.name === column.name)
    const known = all[at]
    if (known === undefined) {
      all.push(ofUnion(column, names))
      continue
    }
    const type = wider(known.type, column.type)
    if (type === null) {
      const [own, others] = [formatType(column.type), formatType(known.type)]
      const reason = `column "${column.name}" is ${own}, and ${others} in the others of `
      return { kind: 'unmappable', error: 'DDL_UNMAPPABLE', reason: reason + shownTable(name) }
    }
    all[at] = { ...known, type, sourceType: formatType(type) }
  }
  const incarnation = 'union'
  return { ...namesOf(name), incarnation, columns: all, key: names, comment: null }
}

/** A part need not have a column, so none but those of the key is required. */
function ofUnion(column: SourceColumn, key: readonly string[]): SourceColumn {
  const { name, type, comment, existing } = column
  const nullable = !key.includes(name)
  return { identity: name, name, type, nullable, comment, sourceType: formatType(type), existing }
}

/** @returns a column of a union as one of a table of the source */
export function columnOf({ name, identity, type, nullable, comment }: Field): SourceColumn {
  const base = { identity, name, type, nullable, comment, sourceType: formatType(type) }
  return { ...base, existing: { kind: 'null' } }
}

/** @returns the type that values of both are read as; `null`: there is none */
function wider(one: ColumnType, other: ColumnType): ColumnType | null {
  if (widens(other, one)) return one
  return widens(one, other) ? other : null
}

/** Why rows of before cannot stand beside those of now; `null`: they can. */
function changeFault(
  union: TableSchema | null,
  before: TableSchema,
  { after, shown, gone }: UnionPart,
): string | null {
  for (const { id, name } of after.fields) {
    const older = before.fields.find((field) => field.id === id)
    if (older !== undefined) {
      if (older.name === name) continue
      return `column "${older.name}" became "${name}" here, and other tables share it`
    }
    const known = union?.fields.find((field) => field.name === name)
    if (known === undefined) continue
    if (gone.includes(name) || before.fields.some((field) => field.name === name)) {
      return `column "${name}" was there before, and the lake has its values of then`
    }
    const existing = shown.columns.find((column) => column.name === name)?.existing
    const value = existing?.kind === 'value' ? existing.value : null
    if (existing?.kind === 'unknown' || !sameLiteral(value, known.initialDefault)) {
      return `rows of before have other values in the new column "${name}" than the lake has there`
    }
  }
  return null
}

function goneOf(before: TableSchema, { after, gone }: UnionPart): readonly string[] {
  const lost = before.fields.filter(({ id }) => after.fields.every((field) => field.id !== id))
  return [...new Set([...gone, ...lost.map(({ name }) => name)])]
}

function sameLiteral(one: Literal | null, other: Literal | null): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) {
    return Buffer.compare(one, other) === 0
  }
  return one === other
}

export function keyNames({ key, fields }: TableSchema): readonly string[] | null {
  return key?.map((index) => fields[index]?.name ?? '') ?? null
}

function nameOf(columns: readonly SourceColumn[], identity: string): string {
  return columns.find((column) => column.identity === identity)?.name ?? ''
}
