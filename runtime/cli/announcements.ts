// From `partition_ready` of a pipeline file to who is told of which partitions: what depends on the
// columns of a table is decided when the table is there.

import { partitionTotals, type AddedFile } from '../../connectors/parquet/table/data-file-record.ts'
import { lakeFields } from '../../connectors/parquet/table/fields.ts'
import { tablePath } from '../../connectors/iceberg/layout.ts'
import { bindSpec } from '../../connectors/iceberg/partition-spec.ts'
import { cloudEventRecord } from '../../connectors/notify/cloud-event.ts'
import { execNotifier } from '../../connectors/notify/exec.ts'
import { httpNotifier } from '../../connectors/notify/http.ts'
import { lakeProperty } from '../../connectors/notify/lake-property.ts'
import { successFile } from '../../connectors/notify/success-file.ts'
import { localStore } from '../../connectors/storage/local.ts'
import { dirname } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import { nearestName } from '../base/nearest.ts'
import type { CatalogTable } from '../catalog.ts'
import type { CommitQueue } from '../checkpoint/commit.ts'
import type { PartitionChange } from '../checkpoint/readiness.ts'
import type { PartitionTuple } from '../data/partition/value.ts'
import { tableKey, type TableSchema } from '../data/schema.ts'
import { TimeZone } from '../data/time-zone.ts'
import { formatType } from '../data/type.ts'
import type { AnnouncedTable, AnnouncerParts, IntentChanges } from '../job/announcer.ts'
import type { PartitionReadyConfig, ReadyAction } from '../job/config/partition-ready.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { sourceSelector } from '../job/config/selector.ts'
import type { Notifier } from '../notifier.ts'
import type { TableIntent } from '../sink.ts'
import type { DiscoveredTable } from '../source.ts'
import { partitionPlace } from './directory.ts'
import { clusterOptions } from './kafka-cluster.ts'
import { lakeTargets } from './lake-target.ts'
import { lateNotifier } from './late-notifier.ts'
import { lakePartitioning } from './partitioning.ts'
import type { SelectionFault } from './selection.ts'

/** @returns `null`: the file announces nothing */
export function announcements(config: PipelineConfig): AnnouncerParts | null {
  const { partitionReady } = config
  if (partitionReady.length === 0) return null
  const byTarget = new Map(partitionReady.map((ready) => [ready.table, ready]))
  const targetOf = lakeTargets(config)
  /** By table: where the time stands among the values of a partition. */
  const places = new Map<string, number>()
  return {
    tableOf: (schema, commits) => {
      const target = targetOf(schema.table)
      const ready = byTarget.get(tableKey(target))
      if (ready === undefined) return null
      const { place, table } = announcedTable(config, ready, schema, target, commits)
      places.set(schema.table, place)
      return table
    },
    changesOf: (intent) => changesOf(intent, places.get(intent.table) ?? 0),
    numberOf: ({ table, partition }) => numberOf(partition, places.get(table) ?? 0),
    touchedBy: ({ table, partitions = [] }) => {
      const place = places.get(table) ?? 0
      return partitions.flatMap((tuple) => numberOf(tuple, place) ?? [])
    },
  }
}

/**
 * Tables of `partition_ready` that the pipeline does not have.
 *
 * @param tables  all that `source.tables` matches
 */
export function announcementFaults(
  config: PipelineConfig,
  tables: readonly DiscoveredTable[],
): SelectionFault[] {
  const { source, partitionReady } = config
  const selects = sourceSelector(source)
  const targetOf = lakeTargets(config)
  const names = tables
    .filter(({ namespace, name }) => selects(namespace, name))
    .map((table) => tableKey(targetOf(tableKey(table))))
  return partitionReady.flatMap(({ table }): SelectionFault[] => {
    if (names.includes(table)) return []
    const near = nearestName(table, names)
    const suggested = near === null ? '' : ` (did you mean "${near}"?)`
    const message = `the lake will have no table "${table}"${suggested}`
    return [{ error: 'TABLE_MISSING', name: 'partition_ready', message, fix: null }]
  })
}

function announcedTable(
  config: PipelineConfig,
  ready: PartitionReadyConfig,
  schema: TableSchema,
  target: CatalogTable,
  commits: CommitQueue,
): { place: number; table: AnnouncedTable } {
  const { place, field, zone } = boundPartition(config, ready, schema)
  const notifiers = ready.actions.map((action) =>
    notifierOf(config, action, { target, place, table: schema.table }, commits),
  )
  const rule = {
    table: schema.table,
    unit: ready.unit,
    zone,
    delayUs: BigInt(ready.delayMs) * 1000n,
    notifiers: notifiers.map(({ name }) => name),
  }
  const table = { table: schema.table, target: tableKey(target), field, notifiers, rule }
  return { place, table }
}

/** @throws PipelineError CONFIG_VALUE */
function boundPartition(
  config: PipelineConfig,
  ready: PartitionReadyConfig,
  schema: TableSchema,
): { place: number; field: string; zone: TimeZone } {
  const { sink } = config
  const fields =
    sink.type === 'parquet'
      ? sink.layout.partitions.map(({ field }) => field)
      : (lakePartitioning(config).partitionBy?.(schema.table) ?? [])
  const place = fields.findIndex(
    ({ column, transform }) =>
      column === ready.column &&
      (ready.isDate ? transform.kind === 'identity' : transform.kind === ready.unit),
  )
  const columns = lakeFields(schema, config.sink.mode)
  const type = columns.find(({ name }) => name === ready.column)?.type
  const fault = (key: string, message: string): PipelineError =>
    new PipelineError('CONFIG_VALUE', `partition_ready.${ready.table}.${key}: ${message}`)
  if (type === undefined || place < 0) {
    throw fault('partition', `table ${schema.table} is not partitioned by column "${ready.column}"`)
  }
  if (ready.isDate && type.kind !== 'date') {
    throw fault('partition', `column "${ready.column}" is ${formatType(type)}, not a date`)
  }
  const fieldZone = sink.type === 'parquet' ? sink.timeZone : 'UTC'
  // Iceberg counts hours and days of instants in UTC: no day of another zone is one partition.
  if (type.kind === 'timestamptz' && ready.timeZone !== fieldZone) {
    if (sink.type === 'parquet') {
      throw fault('time_zone', `it is ${ready.timeZone}, and sink.time_zone is ${fieldZone}`)
    }
    const message =
      `partitions of "${ready.column}" (timestamptz) begin and end in UTC; partition by a column ` +
      `with the date in ${ready.timeZone} instead`
    throw fault('time_zone', message)
  }
  const field =
    sink.type === 'parquet'
      ? sink.layout.partitions[place]?.key
      : bindSpec(schema.table, fields, columns)[place]?.name
  return { place, field: field ?? ready.column, zone: new TimeZone(ready.timeZone) }
}

function notifierOf(
  { name: pipeline, file, sink }: PipelineConfig,
  action: ReadyAction,
  { target, place, table }: { target: CatalogTable; place: number; table: string },
  commits: CommitQueue,
): Notifier {
  const clock = systemClock
  switch (action.type) {
    case 'success_file':
      if (sink.type === 'kafka') throw new RangeError('topics have no folders')
      return successFile({
        warehouse: localStore(sink.warehouse.path),
        folderOf: ({ field, value }) =>
          sink.type === 'parquet'
            ? partitionPlace(sink, target, place, value)
            : `${tablePath(target)}/data/${field}=${value}`,
      })
    case 'iceberg_property':
      return lakeProperty((change) => commits.changeProperties(table, change))
    case 'http': {
      const { name, url, secret, bearer, timeoutMs } = action
      const asked = {
        secret: secret === null ? null : () => secret.reveal(),
        bearer: bearer === null ? null : () => bearer.reveal(),
      }
      return httpNotifier({ name, url, ...asked, timeoutMs, clock })
    }
    case 'exec': {
      const { name, command, timeoutMs } = action
      const folder = dirname(file)
      return execNotifier({ name, command, folder, env: process.env, timeoutMs, clock })
    }
    case 'kafka': {
      const { name, topic, timeoutMs, endpoint } = action
      return lateNotifier({ name, kind: 'kafka' }, async () => {
        const { kafkaNotifier } = await import('../../connectors/kafka/notifier.ts')
        const cluster = clusterOptions(pipeline, endpoint)
        return kafkaNotifier({ name, cluster, topic, timeoutMs, recordOf: cloudEventRecord, clock })
      })
    }
  }
}

/** What every sink of files says of an epoch. */
interface ChangingCommittable {
  readonly truncated: boolean
  readonly files: readonly AddedFile[]
}

/** Of several partitions with one time (and other values beside it) the sum. */
function changesOf({ committables }: TableIntent<unknown>, place: number): IntentChanges {
  const mine = committables as readonly ChangingCommittable[]
  const byNumber = new Map<number | null, PartitionChange>()
  for (const { partition, files, rows, bytes } of partitionTotals(mine).values()) {
    const number = numberOf(partition, place)
    const before = byNumber.get(number) ?? { files: 0, rows: 0, bytes: 0 }
    byNumber.set(number, {
      number,
      files: before.files + files,
      rows: before.rows + rows,
      bytes: before.bytes + bytes,
    })
  }
  const all = mine.some(({ truncated }) => truncated)
  return { changes: [...byNumber.values()], all }
}

/** Hours, days, months and years are all integers of 32 bits. */
function numberOf(tuple: PartitionTuple, place: number): number | null {
  const value = tuple[place] ?? null
  return value === null ? null : Buffer.from(value, 'base64').readInt32LE(0)
}
