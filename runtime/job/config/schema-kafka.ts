// The part of a pipeline file that is about Kafka: the source block, and what becomes of records
// that cannot be decoded.

import { z } from 'zod'
import { limitsSchema } from './limits.ts'
import { topicEventTime, watermarkAlignment } from './schema-event-time.ts'
import { recordFormat } from './schema-formats.ts'
import { endpointKeys } from './schema-kafka-endpoint.ts'
import { integer, patterns, text } from './schema-values.ts'

export const ISOLATIONS = ['read_committed', 'read_uncommitted'] as const
export const NULL_VALUES = ['delete', 'skip', 'dlq'] as const
export const METADATA_COLUMNS = [
  '__topic__',
  '__partition__',
  '__offset__',
  '__timestamp__',
  '__key__',
  '__headers__',
] as const

const INSTANT = 'a time with its zone, such as 2026-01-31T00:00:00Z'
const instant = z.iso
  .datetime({ offset: true, error: INSTANT })
  .transform((written) => Date.parse(written))

const OFFSETS = 'offsets by topic and partition, such as { clicks: { 0: 1200, 1: 900 } }'
const offsets = z.record(
  z.string(),
  z.record(z.string(), z.int(OFFSETS).min(0, OFFSETS), OFFSETS),
  OFFSETS,
)

const START =
  'earliest, latest, { timestamp: 2026-01-31T00:00:00Z }, { group: NAME } or { offsets: ... }'
const start = z
  .union(
    [
      z.enum(['earliest', 'latest'], START),
      z.strictObject({ timestamp: instant }, START),
      z.strictObject({ group: text('the name of a consumer group') }, START),
      z.strictObject({ offsets }, START),
    ],
    START,
  )
  .prefault('earliest')
  .describe(
    'Where the first start begins to read; later ones go on from the checkpoint. Partitions that ' +
      '`group` or `offsets` do not name begin at the earliest record, and so do new ones always.',
  )

export const kafka = z.strictObject({
  type: z.literal('kafka'),
  ...endpointKeys,
  topics: patterns('clicks')
    .min(1, 'a list of at least one pattern such as ["clicks"]')
    .describe('Topics to read: names, globs, or /regular expressions/ of the whole name.'),
  topics_exclude: patterns('clicks_tmp').prefault([]),
  namespace: text('a name')
    .prefault('kafka')
    .describe('Namespace of the tables: a topic becomes the table of its name there.'),
  group_id: text('a name')
    .max(249, 'a name of up to 249 characters')
    .optional()
    .describe('Consumer group to which positions are reported, for tools that show lag.'),
  start,
  isolation: z
    .enum(ISOLATIONS)
    .prefault('read_committed')
    .describe('read_committed: records of transactions once they are committed, and only then.'),
  null_value: z
    .enum(NULL_VALUES)
    .optional()
    .describe(
      'What a record without a value is. Default: delete where there are primary_keys; without ' +
        'them a raw value is null, and other formats take it for an error of decoding.',
    ),
  on_recreate: z
    .enum(['stop', 'from_beginning'])
    .prefault('stop')
    .describe(
      'A topic that was deleted and made again: park its table, or read it from its start.',
    ),
  metadata: z
    .array(z.enum(METADATA_COLUMNS), `a list of ${METADATA_COLUMNS.join(', ')}`)
    .prefault([])
    .describe('Facts of each record to carry as columns of these names.'),
  primary_keys: z
    .array(text('the name of a column'), 'a list of column names such as [id]')
    .min(1, 'a list of at least one column name')
    .optional()
    .describe('Columns that tell rows apart; `mode: upsert` needs them.'),
  key: recordFormat
    .optional()
    .describe('What the keys are made of. Default: raw beside a raw value, else not read.'),
  value: recordFormat.describe('What the values are made of.'),
  limits: limitsSchema,
  event_time: topicEventTime,
  watermark_alignment: watermarkAlignment,
})

const RATIO = 'a share of the rows, such as 0.001'
export const onError = z
  .strictObject({
    decode: z
      .enum(['stop', 'dlq'])
      .prefault('stop')
      .describe('dlq: a record that cannot be decoded becomes a row of NAMESPACE.PIPELINE_dlq.'),
    max_dlq_rows: integer(1, Number.MAX_SAFE_INTEGER, 'rows')
      .optional()
      .describe('Stop before the commit when one epoch has more dead letters.'),
    max_dlq_ratio: z
      .number(RATIO)
      .gt(0, RATIO)
      .max(1, RATIO)
      .optional()
      .describe(
        'Stop when more than this share of the last 10000 records, or rows, are dead letters.',
      ),
  })
  .describe(
    'What becomes of records that cannot be decoded, and how many dead letters there may be.',
  )

export type KafkaInput = z.output<typeof kafka>
