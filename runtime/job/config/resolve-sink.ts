// From the sink of a pipeline file to what the pipeline is told, for each type of sink.

import { LayoutFault, parseLayout } from '../../data/partition/layout.ts'
import type { PartitionField } from '../../data/partition/transform.ts'
import { namesOf } from '../../data/schema.ts'
import type { ConfigDocument } from './document.ts'
import { compilePattern, PatternFault } from './glob.ts'
import { partitioningOf, resolvePartitioning } from './partitioning.ts'
import type { ParquetSinkConfig, SinkConfig, SinkMode } from './pipeline-config.ts'
import { resolvePlaces } from './places.ts'
import type { PipelineInput } from './schema.ts'
import type { ParquetSinkInput } from './schema-parquet.ts'
import { TABLE_SHAPE } from './selector.ts'

export interface ResolvedSink {
  readonly sink: SinkConfig
  readonly store: SinkConfig['warehouse']
  /** By table of the lake: fields of its partitioning. */
  readonly partitionBy: (table: string) => readonly PartitionField[]
}

/** How rows are kept, which rules over the source's keys need before all is resolved. */
export function modeOf({ sink, source }: Pick<PipelineInput, 'sink' | 'source'>): SinkMode {
  if (sink.type === 'iceberg') return sink.mode
  return sink.change_format ?? (source.type === 'kafka' ? 'append' : 'changelog')
}

/** Reports what is wrong. @returns `null` when its places cannot be told */
export function resolveSink(
  input: PipelineInput,
  folder: string,
  document: ConfigDocument,
): ResolvedSink | null {
  const { sink, pipeline } = input
  const { store } = pipeline.checkpoint
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
    partitionBy: rules,
  }
  return { sink: config, store: places.store, partitionBy: (name) => partitionsOf(namesOf(name)) }
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
