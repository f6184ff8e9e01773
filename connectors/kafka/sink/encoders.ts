// What makes the records of a table: keys and values in their formats, with the schemas that the
// registry knows. Subjects are named after the topic, as Confluent's TopicNameStrategy does.

import type { TableSchema } from '../../../runtime/data/schema.ts'
import { AvroRows } from '../encode/avro-rows.ts'
import { avroOfKey, avroOfRow } from '../encode/avro-schema.ts'
import { ProtobufRows } from '../encode/protobuf-rows.ts'
import { protobufOf } from '../encode/protobuf-schema.ts'
import { jsonEncoder, type Envelope } from '../encode/json-rows.ts'
import type { RecordEncoder, RowEncoder } from '../encode/rows.ts'
import type { RegistryOptions } from '../registry/options.ts'
import { RegistryRegistrar } from '../registry/registrar.ts'

export type WrittenFormat =
  | { readonly format: 'json' }
  | { readonly format: 'avro' | 'protobuf'; readonly registry: RegistryOptions }

export interface RecordFormats {
  readonly key: WrittenFormat
  readonly value: WrittenFormat
}

export interface WrittenTable {
  readonly schema: TableSchema
  readonly topic: string
  readonly envelope: Envelope
  readonly pipeline: string
  /** Names of the table as they are told. */
  readonly namespace: string
  readonly table: string
}

/**
 * Waits while a registry does not answer.
 *
 * @param signal  ends the waiting
 * @throws PipelineError DDL_UNMAPPABLE, SCHEMA_REFUSED, AUTH_FAILED, PRIVILEGE_MISSING, TLS_FAILED
 */
export async function encoderOf(
  table: WrittenTable,
  formats: RecordFormats,
  signal: AbortSignal,
): Promise<RecordEncoder> {
  const json = jsonEncoder(table)
  const { key, value } = formats
  return {
    // A table without a key has records without one, whatever the format.
    key: table.schema.key === null ? json.key : await rowEncoder('key', table, key, json, signal),
    value: await rowEncoder('value', table, value, json, signal),
  }
}

async function rowEncoder(
  part: keyof RecordFormats,
  { schema, topic, ...names }: WrittenTable,
  format: WrittenFormat,
  json: RecordEncoder,
  signal: AbortSignal,
): Promise<RowEncoder> {
  if (format.format === 'json') return json[part]
  const registrar = new RegistryRegistrar(format.registry, signal)
  const subject = `${topic}-${part}`
  if (format.format === 'protobuf') {
    const message = part === 'key' ? 'Key' : 'Value'
    const made = protobufOf(schema, message, names, await registrar.all(subject))
    return new ProtobufRows(made, await registrar.register(subject, 'PROTOBUF', made.text))
  }
  const avro =
    part === 'key'
      ? avroOfKey(schema, names)
      : avroOfRow(schema, names, await registrar.latest(subject))
  return new AvroRows(avro, await registrar.register(subject, 'AVRO', avro.text))
}
