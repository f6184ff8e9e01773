// Partition specs: how a table of the lake is partitioned. A pipeline gives a table one spec, with
// id 0, and keeps it for life: it names its columns by field id, so a rename changes nothing.
// Source: Apache Iceberg specification, "Partitioning" and Appendix C, "Partition Specs".

import { assert } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { formatTransform, parseTransform } from '../../runtime/data/partition/transform.ts'
import { resultTypeOf, transformFault } from '../../runtime/data/partition/transform.ts'
import type { PartitionField, Transform } from '../../runtime/data/partition/transform.ts'
import type { Field } from '../../runtime/data/schema.ts'
import { formatType, type ColumnType, type PrimitiveType } from '../../runtime/data/type.ts'
import { asInteger, asList, asObject, asText, type Json, type JsonObject } from './json.ts'
import { fieldsOf, type IcebergSchema } from './schema.ts'

/** One field of a spec, as plain data. */
export interface SpecField {
  /** Field id of the column. */
  readonly sourceId: number
  /** From 1000 on; unique among the specs of the table. */
  readonly fieldId: number
  readonly name: string
  /** As the lake spells it: `bucket[16]`. */
  readonly transform: string
}

/** [] is unpartitioned. */
export type PartitionSpec = readonly SpecField[]

/** A spec under one structure of its table. */
export interface BoundField {
  readonly field: SpecField
  readonly transform: Transform
  /** Of the column: its place among the fields of the lake table. */
  readonly column: number
  /** Of the partition's values. */
  readonly type: PrimitiveType
}

export const UNPARTITIONED_SPEC: PartitionSpec = []
export const FIRST_PARTITION_ID = 1000

/** What is wrong with a partitioning of a table with these columns. */
export interface PartitionFault {
  /** Place of the field. */
  readonly index: number
  /** The end of a sentence that begins with the table. */
  readonly message: string
  /** The column that is not there; `null`: something else is wrong. */
  readonly unknownColumn: string | null
}

/** @returns the first fault; `null`: the columns can be partitioned so */
export function partitionFault(
  fields: readonly PartitionField[],
  columns: readonly { readonly name: string; readonly type: ColumnType }[],
): PartitionFault | null {
  const seen = new Map<string, string>()
  for (const [index, { column, transform }] of fields.entries()) {
    const found = columns.find(({ name }) => name === column)
    if (found === undefined) {
      return { index, message: `has no column "${column}"`, unknownColumn: column }
    }
    const fault = transformFault(transform, found.type)
    const text = formatField({ column, transform })
    const type = formatType(found.type)
    if (fault !== null) {
      const message = `cannot be partitioned by ${text}: the column is ${type} and ${fault}`
      return { index, message, unknownColumn: null }
    }
    // Readers refuse a spec that parts one column by two units of time: one of them says it all.
    const kind = TIME_UNITS.has(transform.kind) ? 'time' : formatTransform(transform)
    const before = seen.get(`${kind} ${column}`)
    if (before !== undefined) {
      const message = `is partitioned twice by one column: ${before} and ${text}`
      return { index, message, unknownColumn: null }
    }
    seen.set(`${kind} ${column}`, text)
  }
  return null
}

const TIME_UNITS: ReadonlySet<string> = new Set(['year', 'month', 'day', 'hour'])

export function formatField({ column, transform }: PartitionField): string {
  return transform.kind === 'identity' ? column : `${formatTransform(transform)}(${column})`
}

/**
 * @param columns  of the lake table
 * @throws PipelineError DDL_UNMAPPABLE when the columns cannot be partitioned so
 */
export function bindSpec(
  table: string,
  fields: readonly PartitionField[],
  columns: readonly Field[],
): PartitionSpec {
  const fault = partitionFault(fields, columns)
  if (fault !== null) throw unpartitionable(table, fault.message)
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()))
  return fields.map(({ column, transform }, index) => {
    const source = columns.find(({ name }) => name === column)
    assert(source !== undefined, 'the columns have been looked for')
    const name = fieldName(column, transform, taken)
    taken.add(name.toLowerCase())
    const fieldId = FIRST_PARTITION_ID + index
    return { sourceId: source.id, fieldId, name, transform: formatTransform(transform) }
  })
}

const ENDINGS: Readonly<Record<Transform['kind'], string>> = {
  identity: '',
  void: '_null',
  bucket: '_bucket',
  truncate: '_trunc',
  year: '_year',
  month: '_month',
  day: '_day',
  hour: '_hour',
}

/** As Iceberg's own builder names them. No column may have the name, or readers refuse the table. */
function fieldName(column: string, { kind }: Transform, taken: ReadonlySet<string>): string {
  if (kind === 'identity') return column
  const base = column + ENDINGS[kind]
  let name = base
  for (let number = 2; taken.has(name.toLowerCase()); number++) name = `${base}_${number}`
  return name
}

/**
 * Finds the columns of a spec in a structure of its table.
 *
 * @throws PipelineError DDL_UNMAPPABLE when a column is gone, has become of a type that cannot be
 *         partitioned so, or when a new one has the name of a partition field
 */
export function resolveSpec(
  table: string,
  spec: PartitionSpec,
  columns: readonly Pick<Field, 'id' | 'name' | 'type'>[],
): readonly BoundField[] {
  return spec.map((field) => {
    const column = columns.findIndex(({ id }) => id === field.sourceId)
    const source = columns[column]
    const transform = parseTransform(field.transform)
    if (source === undefined) {
      throw unpartitionable(table, `has lost the column that partition field ${field.name} is of`)
    }
    const fault =
      transform === null ? 'has no such transform' : transformFault(transform, source.type)
    if (transform === null || fault !== null) {
      const what = `${formatType(source.type)} and ${fault}`
      throw unpartitionable(table, `cannot be partitioned by ${field.name} any more: it is ${what}`)
    }
    const other = columns.find(
      ({ id, name }) => id !== source.id && name.toLowerCase() === field.name.toLowerCase(),
    )
    if (other !== undefined) {
      throw unpartitionable(table, `has a column with the name of partition field "${other.name}"`)
    }
    return { field, transform, column, type: resultTypeOf(transform, source.type as PrimitiveType) }
  })
}

function unpartitionable(table: string, what: string): PipelineError {
  const detail = 'Its lake table was to be, or is, partitioned as `sink.partition_by` says.'
  const hint =
    'Undo the change at the source, or correct `sink.partition_by`; then run ' +
    '`millrace resync FILE --table TABLE`. Another partitioning needs another lake table: see ' +
    '`millrace drop`.'
  return new PipelineError('DDL_UNMAPPABLE', `table "${table}" ${what}`, { detail, hint })
}

/** @returns types of the partition values under a schema of the lake */
export function partitionTypes(spec: PartitionSpec, schema: IcebergSchema): PrimitiveType[] {
  if (spec.length === 0) return []
  const columns = fieldsOf(schema)
  return spec.map(({ sourceId, transform, name }) => {
    const type = columns.find(({ id }) => id === sourceId)?.type ?? null
    const parsed = parseTransform(transform)
    if (type === null || type.kind === 'list' || parsed === null) {
      throw new PipelineError('LAKE_FORMAT', `partition field ${name} has no type that is known`)
    }
    return resultTypeOf(parsed, type)
  })
}

/** @returns the fields as metadata and manifests have them */
export function specFieldsJson(spec: PartitionSpec): JsonObject[] {
  return spec.map(({ sourceId, fieldId, name, transform }) => ({
    'source-id': sourceId,
    'field-id': fieldId,
    name,
    transform,
  }))
}

/** @returns the spec with id 0 of a table's metadata; `null`: there is none, or it is not readable */
export function specOf(specs: readonly JsonObject[]): PartitionSpec | null {
  const json = specs.find((candidate) => candidate['spec-id'] === 0)
  return json === undefined ? null : parseFields(json['fields'])
}

function parseFields(json: Json | undefined): PartitionSpec | null {
  const fields = asList(json ?? null, 'fields of a partition spec').map((item, index) => {
    const field = asObject(item, 'a partition field')
    const sourceId = field['source-id']
    if (sourceId === undefined) return null
    const fieldId = field['field-id'] ?? FIRST_PARTITION_ID + index
    return {
      sourceId: asInteger(sourceId, 'source-id of a partition field'),
      fieldId: asInteger(fieldId, 'field-id of a partition field'),
      name: asText(field['name'], 'name of a partition field'),
      transform: asText(field['transform'], 'transform of a partition field'),
    }
  })
  const known = fields.filter((field) => field !== null)
  return known.length === fields.length ? known : null
}

/** True when files of one belong to the other. Names say nothing: they are for people. */
export function sameSpec(left: PartitionSpec, right: PartitionSpec): boolean {
  return (
    left.length === right.length &&
    left.every(({ sourceId, fieldId, transform }, index) => {
      const other = right[index]
      return (
        sourceId === other?.sourceId && fieldId === other.fieldId && transform === other.transform
      )
    })
  )
}

/** @returns for messages: `ts_day, id_bucket`, or `nothing` */
export function formatSpec(spec: PartitionSpec): string {
  const fields = spec.map(({ name, transform }) => `${name} (${transform})`)
  return fields.length === 0 ? 'nothing' : fields.join(', ')
}
