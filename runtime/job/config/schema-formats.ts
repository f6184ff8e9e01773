// What the keys and values of a topic's records are made of: one block a format, told apart by
// `format`. A format family adds its blocks to the list below, and what it makes of them stands in
// the wiring (runtime/cli/kafka-format.ts).

import { z } from 'zod'
import { canalJson, debeziumJson, json, maxwellJson } from './schema-json-formats.ts'
import { protobuf } from './schema-protobuf.ts'
import { registry } from './schema-registry.ts'
import { text } from './schema-values.ts'

const raw = z
  .strictObject({
    format: z.literal('raw'),
    as: z
      .enum(['binary', 'text'])
      .prefault('binary')
      .describe('text: a string column; what is not UTF-8 is an error of decoding.'),
  })
  .describe('The bytes as they are, in a column `key` or `value`.')

const avro = z
  .strictObject({
    format: z.literal('avro'),
    registry: registry.optional(),
    schema_file: text('the path of an Avro schema')
      .optional()
      .describe('The schema of all records, which then have no schema id in front.'),
  })
  .describe('Avro: typed columns of every schema that the records have had.')

export const recordFormat = z.discriminatedUnion('format', [
  raw,
  json,
  debeziumJson,
  canalJson,
  maxwellJson,
  avro,
  protobuf,
])

export type RecordFormatInput = z.output<typeof recordFormat>

/** Formats whose records say what happened to a row, and which row it was. */
export const CHANGE_FORMATS: readonly RecordFormatInput['format'][] = [
  'debezium-json',
  'canal-json',
  'maxwell-json',
]
