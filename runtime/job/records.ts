// What the corridor makes of records of tables.

import type { Adoption } from '../checkpoint/commit.ts'
import type { EvolutionOptions } from '../data/evolution.ts'
import type { Field, SourceTable, TableSchema } from '../data/schema.ts'
import type { TableRecord } from '../flow/tables.ts'

/**
 * The structure under which an adopted table goes on: a version that the lake does not have yet,
 * and field ids of its own where those of the lake mean something else. Then the files that readers
 * see until the repair ends have none of its columns, and it requires none.
 */
export function renewed(schema: TableSchema, adoption: Adoption): TableSchema {
  const version = Math.max(schema.version, adoption.lastSchemaId) + 1
  const last = Math.max(schema.lastFieldId, adoption.lastColumnId)
  if (!adoption.renumber) return { ...schema, version, lastFieldId: last }
  let next = last
  const fields = schema.fields.map((field): Field => {
    const id = ++next
    const elementId = field.elementId === null ? null : ++next
    return { ...field, id, elementId, nullable: true, initialDefault: null }
  })
  return { ...schema, version, fields, lastFieldId: next }
}

export function setLakeSchema(record: TableRecord, schema: TableSchema): void {
  if (record.lake === null) record.schema = schema
  else record.lake = schema
}

export function takesRows({ phase }: TableRecord): boolean {
  return phase !== 'parked' && phase !== 'dropped'
}

/** The lake's table of one that is parked: it has no column that it could never take. */
export function withoutReserved(
  table: SourceTable,
  { reservedNames = [] }: EvolutionOptions,
): SourceTable {
  return { ...table, columns: table.columns.filter(({ name }) => !reservedNames.includes(name)) }
}
