// From the sink of a pipeline file to what the pipeline is told, for each type of sink.

import { LayoutFault, parseLayout } from '../../data/partition/layout.ts'
import type { PartitionField } from '../../data/partition/transform.ts'
import { namesOf } from '../../data/schema.ts'
import type { ConnectionContext } from './connection.ts'
import type { ConfigDocument } from './document.ts'
import { compilePattern, PatternFault } from './glob.ts'
import { partitioningOf, resolvePartitioning } from './partitioning.ts'
import type { FolderConfig, ParquetSinkConfig, SinkConfig, SinkMode } from './pipeline-config.ts'
import { resolvePlaces, resolveStore } from './places.ts'
import { resolveKafkaSink, topicMode } from './resolve-kafka-sink.ts'
import type { PipelineInput } from './schema.ts'
import type { ParquetSinkInput } from './schema-parquet.ts'
import { TABLE_SHAPE } from './selector.ts'

export interface ResolvedSink {
  readonly sink: SinkConfig
  readonly store: FolderConfig
  /** By table of the lake: fields of its partitioning. */
  readonly partitionBy: (table: string) => readonly PartitionField[]
}

/** How rows are kept, which rules over the source's keys need before all is resolved. */
export function modeOf({ sink, source }: Pick<PipelineInput, 'sink' | 'source'>): SinkMode {
  if (sink.type === 'iceberg') return sink.mode
  if (sink.type === 'kafka') return topicMode(sink, source)
  return sink.change_format ?? (source.type === 'kafka' ? 'append' : 'changelog')
}

/** Reports what is wrong. @returns `null` when its places cannot be told */
export function resolveSink(input: PipelineInput, context: ConnectionContext): ResolvedSink | null {
  const { folder, document } = context
  const { sink, pipeline } = input
  const { store } = pipeline.checkpoint
  if (sink.type === 'kafka') {
    const config = resolveKafkaSink(sink, input, context)
    const place = resolveStore(store, folder, document)
    return place === null ? null : { sink: config, store: place, partitionBy: () => [] }
  }
  if (sink.type === 'parquet') {
    return resolveParquet(sink, modeOf(input), store, folder, document)
  }
  const { warehouse, catalog } = sink
  const written = { warehouse, catalog: catalog.uri, store }
  const places = resolvePlaces(written, folder, document)
  const rules = resolvePartitioning(sink.partition_by, document)
  if (places === null || places.catalog === null) return null
  // A pattern that is wrong has been reported, and has no tables.
  const partitionsOf = partitioningOf(rules.filter(({ pattern }) => isPattern(pattern)))
  const config: SinkConfig = {
    type: 'iceberg',
    catalog: {
      type: 'sql',
      path: places.catalog,
      uri: `sqlite:///${places.catalog}`,
      name: catalog.name,
    },
    warehouse: places.warehouse,
    mode: sink.mode,
    profile: sink.profile,
    fileBytesMax: sink.target_file_size,
    maxFreshnessMs: resolveFreshness(sink, document),
    partitionBy: rules,
  }
  return { sink: config, store: places.store, partitionBy: (name) => partitionsOf(namesOf(name)) }
}

const MAX_FRESHNESS_MS = 60_000

/** A table that is to equal its source, or whose rows have an order, shows whole epochs. */
function resolveFreshness(
  { mode, max_freshness: written }: Extract<PipelineInput['sink'], { type: 'iceberg' }>,
  document: ConfigDocument,
): number {
  if (mode === 'append') return written ?? MAX_FRESHNESS_MS
  if (written !== undefined && written > 0) {
    const message =
      `sink.max_freshness: mode ${mode} holds no rows back; each checkpoint is visible, so ` +
      'pipeline.checkpoint.interval says how fresh the lake is'
    document.report(['sink', 'max_freshness'], { error: 'CONFIG_UNSUPPORTED', message })
  }
  return 0
}

function isPattern(pattern: string): boolean {
  return !(compilePattern(pattern, TABLE_SHAPE) instanceof PatternFault)
}

function resolveParquet(
  sink: ParquetSinkInput,
  mode: SinkMode,
  store: string,
  folder: string,
  document: ConfigDocument,
): ResolvedSink | null {
  const places = resolvePlaces({ warehouse: sink.path, catalog: null, store }, folder, document)
  const layout = parseLayout(sink.layout)
  if (layout instanceof LayoutFault) {
    const message = `sink.layout: "${sink.layout}" ${layout.message}`
    document.report(['sink', 'layout'], { error: 'CONFIG_VALUE', message })
    return null
  }
  if (!sink.manifest) {
    const message =
      'sink.manifest: false is not supported: the manifest is what makes an epoch whole'
    document.report(['sink', 'manifest'], { error: 'CONFIG_UNSUPPORTED', message })
  }
  if (places === null || mode === 'upsert') return null
  const config: ParquetSinkConfig = {
    type: 'parquet',
    warehouse: places.warehouse,
    mode,
    layout,
    timeZone: sink.time_zone,
    compression: sink.format.compression,
    rowGroupBytesMax: sink.format.row_group,
    fileBytesMax: sink.target_file_size,
  }
  const fields = layout.partitions.map(({ field }) => field)
  return { sink: config, store: places.store, partitionBy: () => fields }
}
