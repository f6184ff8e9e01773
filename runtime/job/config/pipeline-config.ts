// A pipeline file after validation: every default filled in, every unit resolved, every path
// absolute. The rest of the program sees this and never the file.

import type { Limits } from '../limits.ts'
import type { EventTimeOptions } from '../table-times.ts'
import type { TopicTimeConfig } from './event-time.ts'
import type { FolderLayout } from '../../data/partition/layout.ts'
import type { PartitionField } from '../../data/partition/transform.ts'
import type { PartitionReadyConfig } from './partition-ready.ts'
import type { TestConfig } from './pipeline-tests.ts'
import type { LintMessage } from './problems.ts'
import type { RecordFormatConfig } from './resolve-formats.ts'
import type { RegistryConfig } from './resolve-registry.ts'
import type { RouteConfig } from './route.ts'
import type { ScriptConfig } from './script.ts'
import type { TransformConfig } from './transform.ts'
import type { SINK_MODES, STARTUP_MODES, TLS_MODES } from './schema.ts'
import type { COMPRESSIONS, ENVELOPES, TOPIC_MODES } from './schema-kafka-sink.ts'
import type { ISOLATIONS, METADATA_COLUMNS, NULL_VALUES } from './schema-kafka.ts'
import type { Secret } from './secret.ts'

export type TlsMode = (typeof TLS_MODES)[number]
export type StartupMode = (typeof STARTUP_MODES)[number]
export type SinkMode = (typeof SINK_MODES)[number]

export interface ConnectionConfig {
  /** Name or address without brackets; for PostgreSQL also a folder of Unix sockets. */
  readonly host: string
  readonly port: number
  /** `null`: none named, which only MySQL allows. */
  readonly database: string | null
  readonly username: string
  /** `null`: the server asks for none. */
  readonly password: Secret | null
  readonly tls: TlsConfig
}

export interface TlsConfig {
  readonly mode: TlsMode
  /** Absolute path of a PEM file; `null`: the authorities that Node trusts. */
  readonly ca: string | null
}

interface AnyDatabaseConfig {
  readonly connection: ConnectionConfig
  /** Patterns for `tableSelector`, at least one. */
  readonly tables: readonly string[]
  readonly tablesExclude: readonly string[]
  /** Patterns for `columnSelector`. */
  readonly columnsExclude: readonly string[]
  readonly startup: StartupMode
  readonly backfill: { readonly parallelism: number; readonly chunkRows: number }
  readonly heartbeatMs: number
  readonly eventTime: EventTimeOptions
  readonly limits: Limits
}

export interface PostgresSourceConfig extends AnyDatabaseConfig {
  readonly type: 'postgres'
  readonly connection: ConnectionConfig & { readonly database: string }
  readonly slotName: string
  readonly publicationName: string
  /** `null`: no limit was set; `check` says what that means. */
  readonly maxSlotLagBytes: number | null
}

export interface MysqlSourceConfig extends AnyDatabaseConfig {
  readonly type: 'mysql'
  /** `null`: take a random one and probe it. */
  readonly serverId: number | null
}

export type DatabaseSourceConfig = PostgresSourceConfig | MysqlSourceConfig

export type KafkaStart =
  | { readonly at: 'earliest' | 'latest' }
  /** Milliseconds since 1970. */
  | { readonly at: 'timestamp'; readonly timestampMs: number }
  | { readonly at: 'group'; readonly group: string }
  /** By topic and partition. */
  | {
      readonly at: 'offsets'
      readonly offsets: Readonly<Record<string, Readonly<Record<string, number>>>>
    }

export type KafkaSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: string
      readonly password: Secret
    }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: Secret }

/** A cluster, and who we are there. */
export interface KafkaEndpointConfig {
  readonly brokers: readonly { readonly host: string; readonly port: number }[]
  readonly tls: TlsConfig
  readonly sasl: KafkaSasl | null
}

export interface KafkaSourceConfig extends KafkaEndpointConfig {
  readonly type: 'kafka'
  /** Patterns for `topicSelector`, at least one. */
  readonly topics: readonly string[]
  readonly topicsExclude: readonly string[]
  readonly namespace: string
  readonly groupId: string | null
  readonly start: KafkaStart
  readonly isolation: (typeof ISOLATIONS)[number]
  /** row: a null value is the value of a row. error: it does not decode. */
  readonly nullValue: (typeof NULL_VALUES)[number] | 'row' | 'error'
  readonly onRecreate: 'stop' | 'from_beginning'
  readonly metadata: readonly (typeof METADATA_COLUMNS)[number][]
  readonly primaryKeys: readonly string[] | null
  /** `null`: keys are not read. */
  readonly key: RecordFormatConfig | null
  readonly value: RecordFormatConfig
  readonly limits: Limits
  readonly eventTime: EventTimeOptions
  /** `null`: rows have no event time. */
  readonly rowTime: TopicTimeConfig | null
}

export type SourceConfig = DatabaseSourceConfig | KafkaSourceConfig

/** What becomes of records that cannot be decoded. */
export interface OnErrorConfig {
  readonly decode: 'stop' | 'dlq'
  /** Dead letters of one epoch; `null`: any number. */
  readonly dlqRowsMax: number | null
  readonly dlqRatioMax: number | null
  /** Table of dead letters; `null`: there are none. */
  readonly deadLetters: { readonly namespace: string; readonly name: string } | null
}

/** A local folder, both ways. */
export interface FolderConfig {
  /** Absolute path without a slash at the end. */
  readonly path: string
  /** `file:///...`, as the lake's metadata spells it. */
  readonly uri: string
}

/** Lake tables that `pattern` (for `tableSelector`) has, and what they are partitioned by. */
export interface PartitionRule {
  readonly pattern: string
  readonly fields: readonly PartitionField[]
}

export interface IcebergSinkConfig {
  readonly type: 'iceberg'
  readonly catalog: {
    readonly type: 'sql'
    /** Absolute path of the SQLite file. */
    readonly path: string
    /** `sqlite:////...`, as pyiceberg takes it. */
    readonly uri: string
    readonly name: string
  }
  readonly warehouse: FolderConfig
  readonly mode: SinkMode
  readonly profile: 'v3-dv'
  /** A data file is ended when it is this large. */
  readonly fileBytesMax: number
  /** Rows may be held back for so long, to make larger files of them; 0: they may not. */
  readonly maxFreshnessMs: number
  /** The first that has a table counts. */
  readonly partitionBy: readonly PartitionRule[]
}

/** A directory of Parquet files, without a catalog. */
export interface ParquetSinkConfig {
  readonly type: 'parquet'
  /** The directory. */
  readonly warehouse: FolderConfig
  /** `change_format` of the file. */
  readonly mode: Exclude<SinkMode, 'upsert'>
  readonly layout: FolderLayout
  /** IANA name: where days of instants begin. */
  readonly timeZone: string
  readonly compression: 'zstd' | 'gzip' | 'none'
  readonly rowGroupBytesMax: number
  readonly fileBytesMax: number
}

/** What keys or values of a sink are written in. */
export type WrittenFormatConfig =
  | { readonly format: 'json' }
  | { readonly format: 'avro' | 'protobuf'; readonly registry: RegistryConfig }

/** Topics of a cluster. */
export interface KafkaSinkConfig {
  readonly type: 'kafka'
  readonly endpoint: KafkaEndpointConfig
  readonly mode: (typeof TOPIC_MODES)[number]
  /** With `{namespace}` and `{table}`. */
  readonly topic: string
  readonly envelope: (typeof ENVELOPES)[number]
  readonly tombstones: boolean
  readonly key: WrittenFormatConfig
  readonly value: WrittenFormatConfig
  readonly compression: (typeof COMPRESSIONS)[number]
  /** Prefix of the ids. */
  readonly transactionalId: string
  readonly timeoutMs: number
  /** `null`: topics are made by others, and of its numbers: the brokers' own. */
  readonly create: {
    readonly partitions: number | null
    readonly replicationFactor: number | null
    readonly config: Readonly<Record<string, string>>
  } | null
}

/** Sinks of files. */
export type LakeSinkConfig = IcebergSinkConfig | ParquetSinkConfig

export type SinkConfig = LakeSinkConfig | KafkaSinkConfig

export interface PipelineConfig {
  readonly name: string
  /** Absolute path of the file that this was read from. */
  readonly file: string
  readonly source: SourceConfig
  /** Of several sinks the first; `parts` has them all. */
  readonly sink: SinkConfig
  /**
   * One for each of several `sinks`, in their order: this pipeline as if it had that sink alone.
   * Missing: the file has one `sink`.
   */
  readonly parts?: readonly PipelinePart[]
  /** What `sinks` calls the one sink of such a part; missing: it is none. */
  readonly part?: string
  /** The first that matches a table is its own. */
  readonly transforms: readonly TransformConfig[]
  readonly scripts: readonly ScriptConfig[]
  /** The same. */
  readonly routes: readonly RouteConfig[]
  readonly tests: readonly TestConfig[]
  readonly onError: OnErrorConfig
  /** Key of `hmac_sha256`; `null`: it is refused. */
  readonly maskKey: Secret | null
  readonly partitionReady: readonly PartitionReadyConfig[]
  /** Writer threads, 1...128. */
  readonly parallelism: number
  readonly memoryBytes: number | null
  readonly checkpoint: {
    readonly intervalMs: number
    readonly store: FolderConfig
    readonly keep: number
  }
  /** What `lint` says that is no error: warnings, and spellings of other tools. */
  readonly warnings: readonly LintMessage[]
}

/** A pipeline with one of its sinks. */
export interface PipelinePart extends PipelineConfig {
  readonly part: string
}
