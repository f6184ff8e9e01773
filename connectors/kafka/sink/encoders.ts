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
  const hasKey = table.schema.key !== null
  return {
    key: hasKey ? ((await keyOf(table, formats.key, signal)) ?? json.key) : json.key,
    value: (await valueOf(table, formats.value, signal)) ?? json.value,
  }
}

/** @returns `null`: it is that of JSON */
async function keyOf(
  { schema, topic, ...names }: WrittenTable,
  format: WrittenFormat,
  signal: AbortSignal,
): Promise<RowEncoder | null> {
  if (format.format === 'json') return null
  const registrar = new RegistryRegistrar(format.registry, signal)
  const subject = `${topic}-key`
  if (format.format === 'protobuf') {
    const made = protobufOf(schema, 'Key', names, await registrar.all(subject))
    return new ProtobufRows(made, await registrar.register(subject, 'PROTOBUF', made.text))
  }
  const avro = avroOfKey(schema, names)
  return new AvroRows(avro, await registrar.register(subject, 'AVRO', avro.text))
}

async function valueOf(
  { schema, topic, ...names }: WrittenTable,
  format: WrittenFormat,
  signal: AbortSignal,
): Promise<RowEncoder | null> {
  if (format.format === 'json') return null
  const registrar = new RegistryRegistrar(format.registry, signal)
  const subject = `${topic}-value`
  if (format.format === 'protobuf') {
    const made = protobufOf(schema, 'Value', names, await registrar.all(subject))
    return new ProtobufRows(made, await registrar.register(subject, 'PROTOBUF', made.text))
  }
  const avro = avroOfRow(schema, names, await registrar.latest(subject))
  return new AvroRows(avro, await registrar.register(subject, 'AVRO', avro.text))
}
