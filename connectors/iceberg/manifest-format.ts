// How the entries of a table's manifests are written: the Avro schema depends on the partition spec,
// whose fields are the columns of each entry's `partition` struct, and the manifest list carries
// bounds of them by which readers skip whole manifests.
// Source: Apache Iceberg specification, "Manifests", "Manifest Lists" and Appendix A.

import type avro from 'avsc'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { PartitionTuple, PartitionValue } from '../../runtime/data/partition/value.ts'
import type { PrimitiveType } from '../../runtime/data/type.ts'
import { avroType, type AvroRecord } from './avro.ts'
import { decodeBigEndian, decodeSingleValue } from '../parquet/encode/single-value.ts'
import { encodeSingleValue, type SingleValue } from '../parquet/encode/single-value.ts'
import { formatJson } from './json.ts'
import { partitionTypes, specFieldsJson, type PartitionSpec } from './partition-spec.ts'
import type { IcebergSchema } from './schema.ts'

export const NO_PARTITION: PartitionTuple = []

type AvroField = { name: string; 'field-id': number; type: unknown; default?: null }

function optional(name: string, id: number, type: unknown): AvroField {
  return { name, 'field-id': id, type: ['null', type], default: null }
}

function mapType(keyId: number, valueId: number, value: string): object {
  const fields = [
    { name: 'key', type: 'int', 'field-id': keyId },
    { name: 'value', type: value, 'field-id': valueId },
  ]
  const items = { type: 'record', name: `k${keyId}_v${valueId}`, fields }
  return { type: 'array', items, logicalType: 'map' }
}

function dataFileFields(partition: readonly AvroField[]): readonly AvroField[] {
  return [
    { name: 'content', 'field-id': 134, type: 'int' },
    { name: 'file_path', 'field-id': 100, type: 'string' },
    { name: 'file_format', 'field-id': 101, type: 'string' },
    {
      name: 'partition',
      'field-id': 102,
      type: { type: 'record', name: 'r102', fields: partition },
    },
    { name: 'record_count', 'field-id': 103, type: 'long' },
    { name: 'file_size_in_bytes', 'field-id': 104, type: 'long' },
    optional('column_sizes', 108, mapType(117, 118, 'long')),
    optional('value_counts', 109, mapType(119, 120, 'long')),
    optional('null_value_counts', 110, mapType(121, 122, 'long')),
    optional('nan_value_counts', 137, mapType(138, 139, 'long')),
    optional('lower_bounds', 125, mapType(126, 127, 'bytes')),
    optional('upper_bounds', 128, mapType(129, 130, 'bytes')),
    optional('key_metadata', 131, 'bytes'),
    optional('split_offsets', 132, { type: 'array', items: 'long', 'element-id': 133 }),
    optional('equality_ids', 135, { type: 'array', items: 'int', 'element-id': 136 }),
    optional('sort_order_id', 140, 'int'),
    optional('first_row_id', 142, 'long'),
    optional('referenced_data_file', 143, 'string'),
    optional('content_offset', 144, 'long'),
    optional('content_size_in_bytes', 145, 'long'),
  ]
}

/** A `data_file` record without values. */
export const EMPTY_FILE: AvroRecord = Object.fromEntries(
  dataFileFields([]).map(({ name }) => [name, name === 'partition' ? {} : null]),
)

function entrySchema(partition: readonly AvroField[]): object {
  const fields = dataFileFields(partition)
  return {
    type: 'record',
    name: 'manifest_entry',
    fields: [
      { name: 'status', 'field-id': 0, type: 'int' },
      optional('snapshot_id', 1, 'long'),
      optional('sequence_number', 3, 'long'),
      optional('file_sequence_number', 4, 'long'),
      { name: 'data_file', 'field-id': 2, type: { type: 'record', name: 'r2', fields } },
    ],
  }
}

export class ManifestFormat {
  readonly schemaText: string
  /** JSON of the spec's fields, for the manifest's header. */
  readonly specText: string
  readonly entryType: avro.Type
  private readonly names: readonly string[]
  private readonly types: readonly PrimitiveType[]

  constructor(spec: PartitionSpec, types: readonly PrimitiveType[]) {
    this.names = spec.map(({ name }) => avroName(name))
    this.types = types
    const fields = spec.map(({ fieldId }, index) =>
      optional(
        this.names[index] ?? '',
        fieldId,
        avroTypeOf(types[index] ?? { kind: 'int' }, fieldId),
      ),
    )
    const schema = entrySchema(fields)
    this.schemaText = JSON.stringify(schema)
    this.specText = formatJson(specFieldsJson(spec))
    this.entryType = avroType(schema)
  }

  /** @returns the `partition` struct of an entry @throws PipelineError LAKE_FORMAT */
  struct(tuple: PartitionTuple): AvroRecord {
    if (tuple.length !== this.types.length) {
      const message = 'a file has a partition that its table does not know'
      throw new PipelineError('LAKE_FORMAT', message)
    }
    const struct: Record<string, unknown> = {}
    for (const [index, type] of this.types.entries()) {
      struct[this.names[index] ?? ''] = avroValue(type, tuple[index] ?? null)
    }
    return struct
  }

  /** @returns `partitions` of the manifest's entry in the list, over all its entries */
  summaries(
    lists: readonly (readonly { readonly partition: PartitionTuple }[])[],
  ): readonly AvroRecord[] {
    if (this.types.length === 0) return []
    const summaries = this.types.map((type) => new FieldSummary(type))
    for (const { partition } of lists.flat()) {
      for (const [index, summary] of summaries.entries()) summary.add(partition[index] ?? null)
    }
    return summaries.map((summary) => summary.record())
  }
}

const UNPARTITIONED = new ManifestFormat([], [])
/** Making a codec takes a millisecond; few tables change the types of their partitions. */
const formats = new Map<string, ManifestFormat>()
const FORMATS_MAX = 256

/** @returns the format of manifests that are written under `schema` */
export function manifestFormat(spec: PartitionSpec, schema: IcebergSchema): ManifestFormat {
  if (spec.length === 0) return UNPARTITIONED
  const types = partitionTypes(spec, schema)
  const key = JSON.stringify([spec, types])
  const known = formats.get(key)
  if (known !== undefined) return known
  if (formats.size >= FORMATS_MAX) formats.clear()
  const format = new ManifestFormat(spec, types)
  formats.set(key, format)
  return format
}

/** Bounds of one field over the entries of a manifest; distinct values are decoded once. */
class FieldSummary {
  private readonly type: PrimitiveType
  private readonly seen = new Set<PartitionValue>()
  private lower: SingleValue | null = null
  private upper: SingleValue | null = null

  constructor(type: PrimitiveType) {
    this.type = type
  }

  add(value: PartitionValue): void {
    if (this.seen.has(value)) return
    this.seen.add(value)
    if (value === null) return
    const single = decodeSingleValue(this.type, Buffer.from(value, 'base64'))
    if (this.lower === null || compare(single, this.lower) < 0) this.lower = single
    if (this.upper === null || compare(single, this.upper) > 0) this.upper = single
  }

  record(): AvroRecord {
    const bound = (value: SingleValue | null): Buffer | null =>
      value === null ? null : Buffer.from(encodeSingleValue(this.type, value))
    return {
      contains_null: this.seen.has(null),
      // No partition is told by floats.
      contains_nan: false,
      lower_bound: bound(this.lower),
      upper_bound: bound(this.upper),
    }
  }
}

/** Text by its bytes in UTF-8, as the specification has it: not by the units of JavaScript. */
function compare(left: SingleValue, right: SingleValue): number {
  if (typeof left === 'string' || left instanceof Uint8Array) {
    return Buffer.compare(Buffer.from(left as string), Buffer.from(right as string))
  }
  return left < right ? -1 : left > right ? 1 : 0
}

/** Avro's names are of letters, digits and `_`; others are spelled as Iceberg's library does. */
function avroName(name: string): string {
  let result = ''
  for (const [index, character] of Array.from(name).entries()) {
    const plain = /[A-Za-z_]/.test(character) || (index > 0 && /\d/.test(character))
    if (plain) result += character
    else if (/\d/.test(character)) result += `_${character}`
    else result += [...utf16(character)].join('')
  }
  return result
}

function* utf16(character: string): Generator<string> {
  for (let at = 0; at < character.length; at++) {
    yield `_x${character.charCodeAt(at).toString(16).toUpperCase()}`
  }
}

function avroTypeOf(type: PrimitiveType, fieldId: number): unknown {
  switch (type.kind) {
    case 'date':
      return { type: 'int', logicalType: 'date' }
    case 'time':
      return { type: 'long', logicalType: 'time-micros' }
    case 'timestamp':
    case 'timestamptz': {
      const zoned = type.kind === 'timestamptz'
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': zoned }
    }
    case 'uuid':
      return { type: 'fixed', name: `uuid_${fieldId}`, size: 16, logicalType: 'uuid' }
    case 'binary':
      return 'bytes'
    case 'decimal': {
      const { precision, scale } = type
      const size = decimalBytes(precision)
      const logicalType = 'decimal'
      return { type: 'fixed', name: `decimal_${fieldId}`, size, logicalType, precision, scale }
    }
    default:
      return type.kind
  }
}

/** Bytes that hold every unscaled value of so many digits. */
function decimalBytes(precision: number): number {
  const most = 10n ** BigInt(precision)
  let bytes = 1
  while (1n << BigInt(8 * bytes - 1) < most) bytes++
  return bytes
}

function avroValue(type: PrimitiveType, value: PartitionValue): unknown {
  if (value === null) return null
  const bytes = Buffer.from(value, 'base64')
  const single = decodeSingleValue(type, bytes)
  if (type.kind === 'decimal') return fixedDecimal(single as bigint, type.precision)
  return single instanceof Uint8Array ? bytes : single
}

/**
 * Truncating goes downwards, and may leave what the column itself can hold.
 *
 * @throws PipelineError VALUE_UNREPRESENTABLE when no manifest can state the value
 */
export function requireStatable(type: PrimitiveType, value: PartitionValue): void {
  if (type.kind !== 'decimal' || value === null) return
  const unscaled = decodeBigEndian(Buffer.from(value, 'base64'))
  if (unscaled < 10n ** BigInt(type.precision) && -unscaled < 10n ** BigInt(type.precision)) return
  const message = 'a truncated decimal has more digits than its column'
  throw new PipelineError('VALUE_UNREPRESENTABLE', message)
}

function fixedDecimal(unscaled: bigint, precision: number): Buffer {
  const size = decimalBytes(precision)
  const fixed = Buffer.alloc(size)
  let rest = unscaled
  for (let at = size - 1; at >= 0; at--) {
    fixed[at] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return fixed
}

/** A field of the `partition` struct of a manifest that was read. */
export interface StructField {
  readonly name: string
  /** `null`: a type that Millrace does not partition by. */
  readonly type: PrimitiveType | null
}

/** @returns the fields of the `partition` struct, by the writer's schema of a manifest */
export function structFields(schemaText: string): readonly StructField[] {
  if (schemaText.includes('"name":"r102","fields":[]')) return []
  const entry = JSON.parse(schemaText) as { readonly fields: readonly AvroField[] }
  const record = (fields: readonly AvroField[], id: number): readonly AvroField[] =>
    (fields.find((field) => field['field-id'] === id)?.type as typeof entry | undefined)?.fields ??
    []
  return record(record(entry.fields, 2), 102).map(({ name, type }) => {
    const inner = Array.isArray(type) ? (type as unknown[]).find((kind) => kind !== 'null') : type
    return { name, type: primitiveOf(inner) }
  })
}

function primitiveOf(type: unknown): PrimitiveType | null {
  const json = (typeof type === 'string' ? { type } : type) as Readonly<Record<string, unknown>>
  switch (json['logicalType'] ?? json['type']) {
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'string':
      return { kind: json['type'] } as PrimitiveType
    case 'bytes':
      return { kind: 'binary' }
    case 'date':
    case 'uuid':
      return { kind: json['logicalType'] } as PrimitiveType
    case 'time-micros':
      return { kind: 'time' }
    case 'timestamp-micros':
      return { kind: json['adjust-to-utc'] === true ? 'timestamptz' : 'timestamp' }
    case 'decimal':
      return { kind: 'decimal', precision: Number(json['precision']), scale: Number(json['scale']) }
    default:
      return null
  }
}

/** @returns the partition of an entry that was read; `null`: it has a type that is not known */
export function tupleOf(fields: readonly StructField[], struct: AvroRecord): PartitionTuple | null {
  if (fields.length === 0) return NO_PARTITION
  const tuple: PartitionValue[] = []
  for (const { name, type } of fields) {
    const value = struct[name] ?? null
    if (value !== null && type === null) return null
    tuple.push(value === null || type === null ? null : partitionValue(type, value))
  }
  return tuple
}

function partitionValue(type: PrimitiveType, value: unknown): string {
  const single = type.kind === 'decimal' ? decodeBigEndian(value as Buffer) : (value as SingleValue)
  return Buffer.from(encodeSingleValue(type, single)).toString('base64')
}
