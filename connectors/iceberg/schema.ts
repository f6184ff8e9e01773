// Schemas as table metadata has them: written from the pipeline's own, read as far as a reader of
// rows needs. The schema id is the version of the TableSchema.
// Source: Apache Iceberg specification, "Schemas and Data Types" and Appendix C, "Schemas".

import { assert } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Literal } from '../../runtime/data/literal.ts'
import type { Field, TableSchema } from '../../runtime/data/schema.ts'
import type { ColumnType, PrimitiveType } from '../../runtime/data/type.ts'
import { formatType } from '../../runtime/data/type.ts'
import type { SingleValue } from '../parquet/encode/single-value.ts'
import { formatSingleValue } from '../parquet/encode/single-value.ts'
import { identifierFieldIds, lakeFields, type TableMode } from '../parquet/table/fields.ts'
import { asInteger, asList, asObject, asText, parseJson } from './json.ts'
import type { Json, JsonObject } from './json.ts'

/** A schema of table metadata. `json` is what the file says, unknown keys included. */
export interface IcebergSchema {
  readonly schemaId: number
  readonly json: JsonObject
}

/** A top-level column of a schema in the lake. */
export interface IcebergField {
  readonly id: number
  readonly name: string
  readonly required: boolean
  /** `null`: a type that Millrace does not write (struct, map, nanoseconds, ...). */
  readonly type: ColumnType | null
  readonly elementId: number | null
  readonly doc: string | null
  readonly initialDefault: Json
}

/** @returns the schema that a version of the pipeline has in the lake */
export function icebergSchema(schema: TableSchema, mode: TableMode): IcebergSchema {
  const identifiers = identifierFieldIds(schema, mode)
  const json: JsonObject = {
    type: 'struct',
    'schema-id': schema.version,
    ...(identifiers.length === 0 ? {} : { 'identifier-field-ids': identifiers }),
    fields: lakeFields(schema, mode).map((field) => fieldJson(field)),
  }
  return { schemaId: schema.version, json }
}

function fieldJson(field: Field): JsonObject {
  const { id, name, nullable, type, comment, initialDefault } = field
  const initial =
    initialDefault === null || type.kind === 'list' ? null : literalJson(type, initialDefault)
  return {
    id,
    name,
    required: !nullable,
    type: typeJson(field),
    ...(comment === null ? {} : { doc: comment }),
    // The source's default for rows to come is not known; the specification wants both or none.
    ...(initial === null ? {} : { 'initial-default': initial, 'write-default': initial }),
  }
}

function typeJson({ type, elementId }: Field): Json {
  if (type.kind !== 'list') return formatType(type)
  assert(elementId !== null, 'a list field has an id for its elements')
  return {
    type: 'list',
    'element-id': elementId,
    element: formatType(type.element),
    'element-required': false,
  }
}

/** @returns a default in Iceberg's JSON form */
function literalJson(type: PrimitiveType, literal: Literal): Json {
  const narrow = type.kind === 'int' || type.kind === 'date'
  const value: SingleValue = narrow ? Number(literal) : literal
  return parseJson(`{"value":${formatSingleValue(type, value)}}`, 'a default')['value'] ?? null
}

export function parseSchema(value: Json | undefined, what: string): IcebergSchema {
  const json = asObject(value, what)
  // Version 1 tables have one schema without an id, which means 0.
  return { schemaId: asInteger(json['schema-id'] ?? 0, `${what}.schema-id`), json }
}

/** @returns the top-level columns of a schema */
export function fieldsOf(schema: IcebergSchema): readonly IcebergField[] {
  return asList(schema.json['fields'], 'fields of a schema').map((item) => {
    const field = asObject(item, 'a field of a schema')
    const name = asText(field['name'], 'name of a field')
    const listed = typeof field['type'] === 'object' ? asObject(field['type'], name) : null
    const isList = listed !== null && listed['type'] === 'list'
    return {
      id: asInteger(field['id'], `id of field ${name}`),
      name,
      required: field['required'] === true,
      type: parseType(field['type']),
      elementId: isList ? asInteger(listed['element-id'], `element id of field ${name}`) : null,
      doc: field['doc'] === undefined ? null : asText(field['doc'], `doc of field ${name}`),
      initialDefault: field['initial-default'] ?? null,
    }
  })
}

const PLAIN_KINDS = new Set(
  'boolean int long float double date time timestamp timestamptz string uuid binary'.split(' '),
)

function parseType(json: Json | undefined): ColumnType | null {
  if (typeof json === 'string') {
    if (PLAIN_KINDS.has(json)) return { kind: json } as PrimitiveType
    const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(json)
    if (decimal === null) return null
    return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) }
  }
  const nested = asObject(json, 'type of a field')
  if (nested['type'] !== 'list') return null
  const element = parseType(nested['element'])
  return element === null || element.kind === 'list' ? null : { kind: 'list', element }
}

/** @throws PipelineError LAKE_FORMAT when the metadata lacks a schema that it refers to */
export function schemaWithId(schemas: readonly IcebergSchema[], id: number): IcebergSchema {
  const found = schemas.find(({ schemaId }) => schemaId === id)
  if (found !== undefined) return found
  throw new PipelineError('LAKE_FORMAT', `the table's metadata has no schema ${id}`)
}
