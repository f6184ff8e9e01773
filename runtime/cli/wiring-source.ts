// From a pipeline's configuration to what each source connector is told. Connectors are loaded by
// type: those that a pipeline does not use cost nothing.

import type { KafkaOptions } from '../../connectors/kafka/options.ts'
import type { MysqlOptions } from '../../connectors/mysql/options.ts'
import type { PostgresOptions } from '../../connectors/postgres/options.ts'
import { systemClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { TimeZone } from '../data/time-zone.ts'
import type {
  ConnectionConfig,
  KafkaSourceConfig,
  MysqlSourceConfig,
  PipelineConfig,
  PostgresSourceConfig,
} from '../job/config/pipeline-config.ts'
import { columnSelector, tableSelector, topicSelector } from '../job/config/selector.ts'
import { clusterOptions, readAuthorities } from './kafka-cluster.ts'
import { recordFormats } from './kafka-format.ts'
import { lateFates } from './late-rules.ts'

/** A change of structure that leaves no trace in the log is seen after this long at the latest. */
const CATALOG_POLL_MS = 10_000
const NOTHING = (): boolean => false

export function postgresOptions(
  { sink }: PipelineConfig,
  source: PostgresSourceConfig,
  log: Log,
): PostgresOptions {
  const { connection } = source
  return {
    ...connectionOptions(connection),
    database: connection.database,
    tables: tableSelector(source.tables),
    tablesExclude: tableSelector(source.tablesExclude),
    columnsExclude: columnSelector(source.columnsExclude),
    columnsAsText: NOTHING,
    unrepresentable: 'fail',
    keyed: sink.mode === 'upsert',
    backfills: source.startup !== 'latest',
    slot: source.slotName,
    publication: source.publicationName,
    heartbeatMs: source.heartbeatMs,
    catalogPollMs: CATALOG_POLL_MS,
    chunkConnections: source.backfill.parallelism,
    clock: systemClock,
    log,
  }
}

/** @param spillFolder  for prepared transactions and groups larger than memory */
export function mysqlOptions(
  { sink }: PipelineConfig,
  source: MysqlSourceConfig,
  spillFolder: string,
  log: Log,
): MysqlOptions {
  return {
    ...connectionOptions(source.connection),
    tables: tableSelector(source.tables, source.tablesExclude),
    columnsExclude: columnSelector(source.columnsExclude),
    keyed: sink.mode === 'upsert',
    tinyint1AsBoolean: false,
    serverId: source.serverId,
    heartbeatMs: source.heartbeatMs,
    chunkConnections: source.backfill.parallelism,
    spillFolder,
    clock: systemClock,
    log,
  }
}

export async function kafkaOptions(
  config: PipelineConfig,
  source: KafkaSourceConfig,
  log: Log,
): Promise<KafkaOptions> {
  const { name, onError } = config
  const { dlqRowsMax: rowsMax, dlqRatioMax: ratioMax, deadLetters } = onError
  return {
    cluster: clusterOptions(name, source),
    topics: topicSelector(source.topics, source.topicsExclude),
    namespace: source.namespace,
    groupId: source.groupId,
    start: source.start,
    isolation: source.isolation,
    nullValue: source.nullValue,
    onRecreate: source.onRecreate,
    metadata: source.metadata,
    primaryKeys: source.primaryKeys,
    ...(await recordFormats(config, source, log)),
    onDecodeError: onError.decode,
    deadLetters: deadLetters && { table: deadLetters.name, rowsMax, ratioMax },
    eventTime: eventTimeRule(source, config),
    refreshMs: CATALOG_POLL_MS,
    clock: systemClock,
    log,
  }
}

/** Looked at twice in the time that they may be apart, partitions are not apart by much more. */
const LOOKS_PER_DRIFT = 2
const US_PER_MS = 1000

function eventTimeRule(
  { rowTime, eventTime }: KafkaSourceConfig,
  config: PipelineConfig,
): KafkaOptions['eventTime'] {
  if (rowTime === null) return null
  const { timeZone, maxFutureMs, maxDriftMs } = eventTime
  const alignUs = maxDriftMs === null ? null : (maxDriftMs * US_PER_MS) / LOOKS_PER_DRIFT
  const zone = new TimeZone(timeZone)
  return { ...rowTime, zone, maxFutureMs, alignUs, lateOf: lateFates(config) }
}

function connectionOptions(connection: ConnectionConfig): {
  host: string
  port: number
  user: string
  password: () => string
  tls: { mode: ConnectionConfig['tls']['mode']; ca: string | null }
} {
  const { host, port, username, password, tls } = connection
  return {
    host,
    port,
    user: username,
    // Asked at every connect, so that a rotated secret is seen.
    password: () => password?.reveal() ?? '',
    tls: { mode: tls.mode, ca: tls.ca === null ? null : readAuthorities(tls.ca) },
  }
}
