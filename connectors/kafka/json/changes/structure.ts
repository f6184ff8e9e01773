// The columns of a stream of changes: declared, or the union of what records have said of their
// types. Records of an older structure go on to be read: what they lack is null.

import { PipelineError } from '../../../../runtime/base/errors.ts'
import { widens } from '../../../../runtime/data/evolution.ts'
import { parseType } from '../../../../runtime/data/type-text.ts'
import { formatType, sameType, type ColumnType } from '../../../../runtime/data/type.ts'
import type { FormatTable } from '../../format.ts'
import { typeChanged } from '../../retyped.ts'
import { formatTable, type JsonColumn } from '../columns.ts'
import { AS_TEXT, type Encoding } from '../../../../runtime/data/json/fill.ts'
import type { TypedField } from './protocol.ts'

export interface StructureOptions {
  /** `null`: records say the types. */
  readonly columns: readonly JsonColumn[] | null
  /** `null`: records say the key, or nobody does. */
  readonly primaryKeys: readonly string[] | null
}

/** As a checkpoint has it. */
interface Saved {
  readonly columns: readonly (readonly [name: string, type: string, nullable: boolean])[]
  readonly key: readonly string[] | null
  /** The table that a topic of several may hold. */
  readonly table: string | null
}

export class ChangeStructure {
  columns: readonly JsonColumn[]
  key: readonly string[] | null
  table: FormatTable
  /** `database.table` of the records, where they say it. */
  source: string | null
  readonly declared: boolean

  constructor({ columns, primaryKeys }: StructureOptions, saved: string | null) {
    const before = saved === null ? null : (JSON.parse(saved) as Saved)
    this.declared = columns !== null
    this.source = before?.table ?? null
    this.key = primaryKeys ?? before?.key ?? null
    this.columns = columns ?? (before?.columns ?? []).map(columnOf)
    this.table = this.makeTable()
  }

  /** Indexes of the columns of the key; those that the table does not have are left out. */
  keyColumns(): number[] {
    const names = this.columns.map(({ name }) => name)
    return (this.key ?? []).map((name) => names.indexOf(name)).filter((index) => index >= 0)
  }

  /** True when rows with these fields need no other structure. */
  holds(fields: readonly TypedField[]): boolean {
    const byName = new Map(this.columns.map((column) => [column.name, column]))
    const held = fields.every(({ name, type, nullable }) => {
      const column = byName.get(name)
      return column !== undefined && widens(type, column.type) && (column.nullable || !nullable)
    })
    const names = new Set(fields.map(({ name }) => name))
    return held && this.columns.every(({ name, nullable }) => nullable || names.has(name))
  }

  /** @throws PipelineError FORMAT_TYPE_CHANGED */
  take(fields: readonly TypedField[], key: readonly string[] | null): void {
    const byName = new Map(fields.map((field) => [field.name, field]))
    const kept = this.columns.map((column): JsonColumn => {
      const field = byName.get(column.name)
      if (field === undefined) return { ...column, nullable: true }
      const type = commonType(column.name, column.type, field.type)
      return { ...column, type, nullable: column.nullable || field.nullable }
    })
    const known = new Set(this.columns.map(({ name }) => name))
    const added = fields
      .filter(({ name }) => !known.has(name))
      .map((field): JsonColumn => {
        const nullable = field.nullable || this.columns.length > 0
        return { ...field, path: [field.name], nullable }
      })
    this.columns = [...kept, ...added]
    this.key ??= key
    this.table = this.makeTable()
  }

  save(): string | null {
    if (this.declared && this.source === null && this.key === null) return null
    const columns = this.declared ? [] : this.columns
    const saved: Saved = {
      columns: columns.map(({ name, type, nullable }) => [name, typeText(type), nullable]),
      key: this.key,
      table: this.source,
    }
    return JSON.stringify(saved)
  }

  private makeTable(): FormatTable {
    const { columns, key } = this
    const required = (name: string): boolean => key?.includes(name) === true
    const table = columns.map((column) =>
      required(column.name) ? { ...column, nullable: false } : column,
    )
    return formatTable(table, key)
  }
}

function columnOf([name, text, nullable]: Saved['columns'][number]): JsonColumn {
  const type = parseType(text)
  if (type === null) {
    throw new PipelineError('CHECKPOINT_CORRUPT', `a column of a topic has the type "${text}"`)
  }
  return { name, path: [name], type, nullable, encoding: AS_TEXT }
}

function typeText(type: ColumnType): string {
  return type.kind === 'string' && type.json === true ? 'json' : formatType(type)
}

function commonType(name: string, before: ColumnType, after: ColumnType): ColumnType {
  if (sameType(before, after) || widens(after, before)) return before
  if (widens(before, after)) return after
  throw typeChanged(name, before, after)
}

/** How the record's own types write the values of a column; what they do not name is absent. */
export function encodingOf(
  fields: readonly TypedField[],
  { name, encoding }: JsonColumn,
): Encoding {
  return fields.find((field) => field.name === name)?.encoding ?? encoding
}
