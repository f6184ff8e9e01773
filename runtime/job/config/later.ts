// Keys and values that later versions will have, or that other tools have, known by name: whoever
// writes one learns that it does nothing yet, instead of "unknown key".

import type { ConfigDocument } from './document.ts'
import type { Path } from './problems.ts'

/** Keys of a directory of Parquet files, which are none of an Iceberg sink. */
const DIRECTORY_KEYS: ReadonlySet<string> = new Set([
  'sink.path',
  'sink.layout',
  'sink.format',
  'sink.change_format',
  'sink.manifest',
  'sink.target_file_size',
])

/** Keys of an Iceberg sink that a directory has under another name, or not at all. */
const CATALOG_KEYS: Readonly<Record<string, string>> = {
  'sink.catalog': 'has no catalog for a directory; take sink.type iceberg',
  'sink.warehouse': 'has `sink.path` for it',
  'sink.mode': 'has `sink.change_format` for it',
  'sink.partition_by': 'has `sink.layout` for it, as "{table}/dt={day(ts)}/"',
  'sink.profile': 'writes no tables to a directory',
  'sink.compression': 'has `sink.format.compression` for it',
}

/** What a key of a later version would do, as the end of "this version ...". */
const LATER_KEYS: Readonly<Record<string, string>> = {
  merge: 'leaves small files to the tools of the lake',
  history: 'keeps 100 snapshots of a table and at least 10 minutes',
  triggers: 'starts no other pipelines',
  alerts: 'sends no alerts; /metrics has what they need',
  metrics: 'shows 500 tables by name in /metrics',
  'source.server_time_zone': 'reads timestamps in UTC',
  'source.on_log_gap': 'always stops at a gap in the log',
  'source.streaming_transactions': 'always spills large transactions',
  'source.allow_cleartext': 'never sends a password in the clear',
  'source.backfill.lock': 'never locks a table',
  'source.slot.create': 'creates the slot where it is missing',
  'source.slot.failover': 'leaves the failover of slots to the server',
  'source.publication.create': 'creates the publication where it is missing',
  'source.publication.via_partition_root': 'reads partitioned tables through their root',
  'source.heartbeat.write': 'never writes to the source',
  'source.password.from_cmd': 'takes secrets from variables and files only',
  'source.table': 'writes a topic to the table of its name',
  'source.watermark_alignment.group': 'aligns all topics of a pipeline with each other',
  'source.park_after': 'waits for a partition as long as it takes',
  'on_error.default': 'knows what to do with records that cannot be decoded: `decode`',
  'on_error.transform': 'has `on_error` in each entry of `transform`',
  'on_error.script': 'copies rows as they are',
  'on_error.lookup': 'copies rows as they are',
  'on_error.sink_row': 'parks a table with a row that it cannot carry, and goes on with the others',
  'on_error.dlq': 'writes dead letters to the table NAMESPACE.PIPELINE_dlq',
  'source.value.sample': 'takes columns from `schema`, or as they come by `unknown: evolve`',
  'source.key.sample': 'takes columns from `schema`, or as they come by `unknown: evolve`',
  'sink.storage': 'writes to local folders',
  'sink.schema': 'carries every change of structure over (evolve)',
  'sink.compression': 'compresses with zstd',
  'sink.path': 'writes Iceberg tables; give `warehouse`',
  'sink.layout': 'writes Iceberg tables',
  'sink.format': 'writes Iceberg tables',
  'sink.change_format': 'has `mode: changelog` instead',
  'sink.manifest': 'writes Iceberg tables',
  'sink.catalog.warehouse': 'has `sink.warehouse`, beside `catalog`',
  'sink.catalog.token': 'knows catalogs in SQLite only',
  'pipeline.delivery': 'is exactly-once always',
  'pipeline.checkpoint.timeout': 'waits for a checkpoint as long as it takes',
}

const REMOTE = /^(?:s3a?|gs|gcs|abfss?|wasbs?|oss|hdfs|https?):/i

/** Values that a key will take later, with what it takes now. */
const LATER_VALUES: readonly {
  readonly key: string
  readonly values: RegExp
  readonly now: string
  readonly suggestion?: string
}[] = [
  {
    key: 'source.type',
    values: /^postgresql$/i,
    now: 'postgres, mysql and kafka',
    suggestion: 'postgres',
  },
  {
    key: 'source.type',
    values: /^mariadb$/i,
    now: 'postgres, mysql and kafka',
    suggestion: 'mysql',
  },
  {
    key: 'source.type',
    values: /^(?:mongodb|oracle|sqlserver|iceberg|parquet)$/i,
    now: 'postgres, mysql (which is MariaDB too) and kafka',
  },
  ...['source.value.format', 'source.key.format'].map((key) => ({
    key,
    values: /^(?:debezium-avro|csv|string)$/i,
    now: 'raw, json, debezium-json, canal-json, maxwell-json, avro and protobuf',
  })),
  {
    key: 'sink.type',
    values: /^(?:delta|paimon|hudi|doris|starrocks|clickhouse|postgres|mysql)$/i,
    now: 'iceberg, parquet and kafka',
  },
  ...['sink.value.format', 'sink.key.format'].map((key) => ({
    key,
    values: /^(?:raw|csv|string|debezium-avro|debezium-json)$/i,
    now: 'avro, protobuf, and json with `sink.envelope` none or debezium',
  })),
  { key: 'sink.catalog.type', values: /^(?:rest|hive|glue|nessie|jdbc|hadoop)$/i, now: 'sql' },
  {
    key: 'sink.catalog.uri',
    values: /^(?:https?|thrift|jdbc|postgresql|postgres|mysql)(?:\+\w+)?:/i,
    now: 'a SQLite file, as sqlite:////var/lib/lake/catalog.db',
  },
  { key: 'sink.warehouse', values: REMOTE, now: 'a local folder' },
  { key: 'sink.path', values: REMOTE, now: 'a local folder' },
  {
    key: 'sink.change_format',
    values: /^(?:latest|upsert)$/i,
    now: 'append and changelog; sink.type iceberg keeps one row a key',
  },
  { key: 'sink.profile', values: /^(?:v2-posdel|v2|cow|v2-cow|v3-cow)$/i, now: 'v3-dv' },
  {
    key: 'sink.mode',
    values: /^mirror$/i,
    now: 'upsert, append and changelog',
    suggestion: 'upsert',
  },
  {
    key: 'source.startup.mode',
    values: /^(?:earliest|timestamp|gtid|position|snapshot|specific-offset)$/i,
    now: 'initial, latest and backfill_only',
  },
  { key: 'pipeline.checkpoint.store', values: REMOTE, now: 'a local folder' },
]

/** Keys of the block at `path` that a later version will have. */
export function laterKeysAt(path: Path): string[] {
  const prefix = path.length === 0 ? '' : `${path.join('.')}.`
  return Object.keys(LATER_KEYS).flatMap((name) => {
    const rest = name.startsWith(prefix) ? name.slice(prefix.length) : ''
    return rest === '' || rest.includes('.') ? [] : [rest]
  })
}

/** Reports what later versions have, and takes those keys out of `value`. */
export function reportLater(document: ConfigDocument): void {
  const later = keysOf(document)
  for (const path of Object.keys(later).map((name) => name.split('.'))) {
    const parent = valueAt(document.value, path.slice(0, -1))
    const name = String(path.at(-1))
    if (!isRecord(parent) || !(name in parent)) continue
    const now = later[path.join('.')] ?? ''
    const message = `${path.join('.')} is not supported: this version ${now}`
    document.report(path, { error: 'CONFIG_UNSUPPORTED', message, atKey: true })
    delete parent[name]
  }
  for (const { key, values, now, suggestion } of LATER_VALUES) {
    const path = key.split('.')
    const value = valueAt(document.value, path)
    if (typeof value !== 'string' || !values.test(value)) continue
    // A URI may hold a password, and is long besides; its scheme says enough.
    const shown = /^[a-z0-9+]+(?=:)/i.exec(value)?.[0] ?? value
    const message = `${key}: ${shown} is not supported: this version takes ${now}`
    const problem = { error: 'CONFIG_UNSUPPORTED' as const, message }
    document.report(path, suggestion === undefined ? problem : { ...problem, suggestion })
    // The keys beside it belong to a block that we do not know.
    if (path.at(-1) === 'type' || path.at(-1) === 'format') document.silence(path.slice(0, -1))
  }
}

/** What is no key of this file, by the type of its sink. */
function keysOf(document: ConfigDocument): Readonly<Record<string, string>> {
  const type = valueAt(document.value, ['sink', 'type'])
  if (type === 'kafka') {
    return Object.fromEntries(
      Object.entries(LATER_KEYS).filter(([key]) => !key.startsWith('sink.')),
    )
  }
  if (type !== 'parquet') return LATER_KEYS
  const others = Object.entries(LATER_KEYS).filter(([key]) => !DIRECTORY_KEYS.has(key))
  return { ...Object.fromEntries(others), ...CATALOG_KEYS }
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const step of path) at = isRecord(at) ? at[step] : undefined
  return at
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
