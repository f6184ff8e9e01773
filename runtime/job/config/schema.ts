// The pipeline file as a zod schema: the one source of validation, defaults, types and the JSON
// Schema that editors use. Messages complete the sentence "<key> must be ...".

import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { includeSchema } from './include.ts'
import { limitsSchema } from './limits.ts'
import { partitionReadySchema } from './partition-ready.ts'
import { testsSchema } from './pipeline-tests.ts'
import { routeSchema } from './route.ts'
import { databaseEventTime } from './schema-event-time.ts'
import { duration, integer, patterns, secret, size, text } from './schema-values.ts'
import { kafkaSink } from './schema-kafka-sink.ts'
import { parquetSink } from './schema-parquet.ts'
import { kafka, onError, type KafkaInput } from './schema-kafka.ts'
import { scriptSchema } from './script.ts'
import { transformSchema } from './transform.ts'

/** Names become parts of slot names, folders and metric labels: 63 bytes less `millrace_`. */
const NAME_PATTERN = /^[a-z][a-z0-9_-]*$/
const NAME_LENGTH_MAX = 54
/** What PostgreSQL allows for a replication slot. */
const SLOT_PATTERN = /^[a-z0-9_]{1,63}$/
const KEY_GROUPS = 128
/** Names of sinks stand before a colon and a table's name in the checkpoint. */
export const SINK_NAME = /^[a-z][a-z0-9_-]{0,62}$/

export const TLS_MODES = ['disabled', 'preferred', 'required', 'verify-ca', 'verify-full'] as const
export const STARTUP_MODES = ['initial', 'latest', 'backfill_only'] as const
export const SINK_MODES = ['upsert', 'append', 'changelog'] as const

const tls = z
  .strictObject({
    mode: z
      .enum(TLS_MODES)
      .optional()
      .describe('Default: verify-full, or disabled where the host is this machine.'),
    ca: text('the path of a PEM file').optional().describe('Certificates to trust, PEM.'),
  })
  .describe('Encryption of the connection to the source.')

const backfill = z
  .strictObject({
    parallelism: integer(1, 64, 'readers').prefault(2).describe('Chunks read at a time.'),
    chunk_rows: integer(1, 10_000_000, 'rows').prefault(50_000).describe('Rows of one chunk.'),
  })
  .prefault({})
  .describe('The first copy of the rows that exist.')

const startup = z
  .strictObject({
    mode: z
      .enum(STARTUP_MODES)
      .prefault('initial')
      .describe('initial: rows that exist, then the log. latest: the log from now on.'),
  })
  .prefault({})

const heartbeat = z
  .union(
    [duration(1000, 3_600_000), z.strictObject({ every: duration(1000, 3_600_000) })],
    'a duration with its unit, such as 10s',
  )
  .prefault('10s')
  .describe('How often an idle source is asked where its log ends.')

const endpoint = {
  uri: text('a URI such as postgresql://user@host:5432/database').optional(),
  hostname: text('a host name').optional(),
  port: integer(1, 65_535, 'a TCP port').optional(),
  database: text('the name of a database').optional(),
  username: text('a user name').optional(),
  password: secret.optional().describe('Password of the source.'),
  tls: tls.prefault({}),
}

const selection = {
  tables: patterns('public.*')
    .min(1, 'a list of at least one pattern such as ["public.*"]')
    .describe('Tables to replicate: globs of schema.table, or /regular expressions/.'),
  tables_exclude: patterns('public.tmp_*').prefault([]),
  columns_exclude: patterns('public.users.ssn').prefault([]),
}

const reading = {
  startup,
  backfill,
  heartbeat,
  event_time: databaseEventTime,
  limits: limitsSchema,
}

const slotName = z
  .string('1 to 63 of a-z, 0-9 and _')
  .regex(SLOT_PATTERN, '1 to 63 of a-z, 0-9 and _')

const postgres = z.strictObject({
  type: z.literal('postgres'),
  ...endpoint,
  ...selection,
  ...reading,
  slot: z.strictObject({ name: slotName.optional() }).prefault({}),
  publication: z
    .strictObject({ name: text('a name').max(63, 'a name of up to 63 characters').optional() })
    .prefault({}),
  max_slot_lag: size(1024 * 1024)
    .optional()
    .describe('Warn from half of this much log that the server keeps for the slot.'),
})

const mysql = z.strictObject({
  type: z.literal('mysql').describe('MySQL or MariaDB; the server says which.'),
  ...endpoint,
  ...selection,
  ...reading,
  server_id: integer(1, 4_294_967_295, 'a server id')
    .optional()
    .describe('Id of this log reader among the replicas; default: random and probed.'),
})

const PARTITION_FIELDS = 'a list such as ["day(created_at)", "bucket[16](id)"]'

const iceberg = z.strictObject({
  type: z.literal('iceberg'),
  catalog: z
    .strictObject(
      {
        type: z.literal('sql'),
        uri: text('a URI such as sqlite:////var/lib/lake/catalog.db').describe(
          'SQLite file of the catalog, as pyiceberg spells it: four slashes before a full path.',
        ),
        name: text('a name').max(255).prefault('lake').describe('Name that readers must use too.'),
      },
      'a block with type, uri and name',
    )
    .describe('Where the current metadata file of each table is.'),
  warehouse: text('a folder such as file:///var/lib/lake').describe('Folder of the lake.'),
  mode: z
    .enum(SINK_MODES)
    .prefault('upsert')
    .describe('upsert: as the source is now. append: rows inserted. changelog: with _op, _pos.'),
  profile: z.enum(['v3-dv']).prefault('v3-dv'),
  target_file_size: size(1024 * 1024)
    .prefault('256MiB')
    .describe('A data file is ended when it is this large.'),
  max_freshness: duration(0, 86_400_000)
    .optional()
    .describe(
      'append: rows of files that are smaller may be held back for so long, counted by ' +
        'checkpoints, so that few small files become visible. 0s: no longer than a checkpoint. ' +
        'Default: 60s.',
    ),
  partition_by: z
    .record(
      text('a table or pattern such as shop.orders'),
      z
        .array(text('a column or transform such as "day(created_at)"'), PARTITION_FIELDS)
        .min(1, `${PARTITION_FIELDS} with at least one field`),
      'a block of tables, each with a list such as ["day(created_at)"]',
    )
    .prefault({})
    .describe(
      'How tables are partitioned: by columns, year(), month(), day(), hour() (in UTC), ' +
        'bucket[N]() and truncate[N](). A table keeps it for life.',
    ),
})

const checkpoint = z.strictObject({
  interval: duration(100, 86_400_000).prefault('10s').describe('Time between two commits.'),
  store: text('a folder such as file:///var/lib/millrace/shop').describe('Folder of the state.'),
  keep: integer(2, 100, 'checkpoints').prefault(3).describe('Checkpoints that are kept.'),
})

const execution = z.strictObject({
  parallelism: integer(1, KEY_GROUPS, 'writers')
    .optional()
    .describe('Writer threads; default: cores - 1, at least 1.'),
  checkpoint,
  memory: size(64 * 1024 * 1024)
    .optional()
    .describe(
      'Memory of all writers: two thirds for the indexes, a third for rows that wait to be ' +
        'encoded. Default: 768MiB a writer. The process takes some hundred MiB more.',
    ),
})

const sink = z.discriminatedUnion('type', [iceberg, parquetSink, kafkaSink])

/** A pipeline with one sink; each of several `sinks` is read as one. */
export const pipelineSchema = z.strictObject({
  version: z.literal(1).describe('Version of this format.'),
  name: z
    .string('a name such as shop-to-lake')
    .max(NAME_LENGTH_MAX, `a name of up to ${NAME_LENGTH_MAX} characters`)
    .regex(NAME_PATTERN, 'a name of a-z, 0-9, _ and - that begins with a letter')
    .describe('State, slot and metrics are kept under this name.'),
  include: includeSchema,
  source: z.discriminatedUnion('type', [postgres, mysql, kafka]),
  transform: transformSchema,
  script: scriptSchema,
  route: routeSchema,
  sink,
  partition_ready: partitionReadySchema,
  pipeline: execution,
  on_error: onError.optional(),
  tests: testsSchema,
  secrets: z
    .strictObject(
      {
        mask_key: secret
          .optional()
          .describe('Key of the mask and function hmac_sha256: at least 16 bytes.'),
      },
      'a block with `mask_key`',
    )
    .prefault({})
    .describe('Secrets of expressions.'),
})

export type PipelineInput = z.output<typeof pipelineSchema>
export type SourceInput = PipelineInput['source']
export type DatabaseInput = Exclude<SourceInput, KafkaInput>

/** Threads that `pipeline.parallelism` defaults to on this machine. */
export function defaultParallelism(): number {
  return Math.min(KEY_GROUPS, Math.max(1, availableParallelism() - 1))
}

/** What stands in a file: `sink`, or `sinks`. */
const fileSchema = pipelineSchema.extend({
  sink: sink.optional(),
  sinks: z
    .record(z.string().regex(SINK_NAME), sink)
    .optional()
    .describe('Several targets of one reading, by name, in the place of `sink`.'),
})

/** @returns the JSON Schema (draft 2020-12) of a pipeline file */
export function pipelineJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(fileSchema, { io: 'input' })
  const title = 'Millrace pipeline'
  const choice = { allOf: [{ oneOf: [{ required: ['sink'] }, { required: ['sinks'] }] }] }
  const $id = 'https://millrace.dev/schema/millrace.v1.json'
  return { $schema, $id, title, ...schema, ...choice }
}
