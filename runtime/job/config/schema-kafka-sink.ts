// The keys of `sink: { type: kafka }`: topics of a cluster, a table each.

import { z } from 'zod'
import { endpointKeys } from './schema-kafka-endpoint.ts'
import { registry } from './schema-registry.ts'
import { duration, integer, text } from './schema-values.ts'

export const TOPIC_MODES = ['upsert', 'append'] as const
export const ENVELOPES = ['none', 'debezium'] as const
export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

const json = z.strictObject({ format: z.literal('json') })

const avro = z
  .strictObject({
    format: z.literal('avro'),
    registry: registry
      .optional()
      .describe('Where schemas are registered. Of keys, default: the registry of values.'),
  })
  .describe('Avro behind the id of its schema, which is registered under TOPIC-key or TOPIC-value.')

const protobuf = z
  .strictObject({
    format: z.literal('protobuf'),
    registry: registry
      .optional()
      .describe('Where schemas are registered. Of keys, default: the registry of values.'),
  })
  .describe('Protobuf, otherwise as avro; field numbers are those of the columns, for ever.')

/** What keys and values are written in. */
const writtenFormat = z.discriminatedUnion('format', [json, avro, protobuf])

export type WrittenFormatInput = z.output<typeof writtenFormat>

export const kafkaSink = z.strictObject({
  type: z.literal('kafka').describe('Topics of a Kafka cluster, exactly once.'),
  ...endpointKeys,
  topic: text('a pattern such as "{namespace}.{table}"')
    .prefault('{namespace}.{table}')
    .describe('Topic of a table, with {namespace} and {table}: its names, or those of `route`.'),
  mode: z
    .enum(TOPIC_MODES)
    .optional()
    .describe(
      'upsert: every change, under the key of its row. append: rows as they are inserted. ' +
        'Default: upsert for databases, append for topics.',
    ),
  envelope: z
    .enum(ENVELOPES)
    .prefault('none')
    .describe('none: a value is the row. debezium: before, after, op and source.'),
  tombstones: z
    .boolean()
    .prefault(true)
    .describe('With `envelope: debezium`: a record without a value behind each delete.'),
  value: writtenFormat.prefault({ format: 'json' }).describe('What the values are made of.'),
  key: writtenFormat.prefault({ format: 'json' }).describe('What the keys are made of.'),
  compression: z.enum(COMPRESSIONS).prefault('lz4').describe('Of record batches.'),
  transactional_id: text('a name')
    .max(200, 'a name of up to 200 characters')
    .optional()
    .describe('Prefix of the ids of transactions; default: millrace-NAME. No one else may use it.'),
  transaction_timeout: duration(1000, 7 * 86_400_000)
    .prefault('15m')
    .describe(
      'The brokers abort a transaction that is open for longer, and the epoch is read again. At ' +
        'most `transaction.max.timeout.ms` of the brokers.',
    ),
  create_topics: z
    .union(
      [
        z.boolean('true, false or a block with partitions and replication_factor'),
        z.strictObject({
          partitions: integer(1, 100_000, 'partitions').optional(),
          replication_factor: integer(1, 1000, 'replicas').optional(),
          config: z
            .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
            .optional()
            .describe('Settings of the topic, such as cleanup.policy: compact.'),
        }),
      ],
      'true, false or a block such as { partitions: 6, replication_factor: 3 }',
    )
    .prefault(true)
    .describe('Whether topics are made that are not there; the brokers have their own defaults.'),
})

export type KafkaSinkInput = z.output<typeof kafkaSink>
