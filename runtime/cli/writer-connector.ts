// Makes the part of the sink that runs in each writer thread.

import { createIcebergWriter } from '../../connectors/iceberg/writer/iceberg-writer.ts'
import type { IcebergWriterOptions } from '../../connectors/iceberg/writer/options.ts'
import { createDirectoryWriter } from '../../connectors/parquet/directory/writer.ts'
import { localStore } from '../../connectors/storage/local.ts'
import type { Log } from '../base/log.ts'
import { statesOfPart, type SinkParts } from '../checkpoint/sink-parts.ts'
import type { PipelineConfig, PipelinePart } from '../job/config/pipeline-config.ts'
import { errorOfPart, PartsWriter, type WriterPart } from '../job/parts-writer.ts'
import type { WriterPlan } from '../job/run.ts'
import type { SinkWriter } from '../sink.ts'
import { directoryLayouts } from './directory.ts'
import { openTopicWriter } from './kafka-sink.ts'
import { lakeTargets } from './lake-target.ts'
import { lakePartitioning } from './partitioning.ts'
import { sinkParts } from './sink-parts.ts'
import { openState } from './state-folder.ts'

export async function openWriter(
  config: PipelineConfig,
  plan: WriterPlan,
  log: Log,
): Promise<SinkWriter<unknown>> {
  const sinks = sinkParts(config)
  if (sinks !== null) return openParts(config.parts ?? [], sinks, plan, log)
  const { sink } = config
  if (sink.type === 'kafka') return openTopicWriter(config, sink, plan, log)
  const shared = {
    index: plan.index,
    count: plan.count,
    state: openState(config),
    states: plan.states,
    firstFileId: plan.firstFileId,
    fileSuffix: plan.fileSuffix,
    targetOf: lakeTargets(config),
    log,
  }
  if (sink.type === 'parquet') {
    const { bufferBytesMax } = writerMemory(config)
    return createDirectoryWriter({
      ...shared,
      mode: sink.mode,
      lake: localStore(sink.warehouse.path),
      layout: sink.layout,
      layoutOf: directoryLayouts(config, sink),
      timeZone: sink.timeZone,
      bufferBytesMax,
      fileBytesMax: sink.fileBytesMax,
      parquet: { compression: sink.compression, rowGroupBytesMax: sink.rowGroupBytesMax },
    })
  }
  return createIcebergWriter({
    ...shared,
    mode: sink.mode,
    warehouse: localStore(sink.warehouse.path),
    ...lakePartitioning(config),
    fileBytesMax: sink.fileBytesMax,
    ...writerMemory(config),
  })
}

async function openParts(
  parts: readonly PipelinePart[],
  sinks: SinkParts,
  plan: WriterPlan,
  log: Log,
): Promise<SinkWriter<unknown>> {
  const writers: WriterPart[] = []
  for (const part of parts) {
    const { part: name } = part
    const own = { ...plan, states: statesOfPart(plan.states, name) }
    try {
      writers.push({ name, writer: await openWriter(part, own, log) })
    } catch (error) {
      await Promise.all(writers.map(async ({ writer }) => writer.close()))
      throw errorOfPart(name, error)
    }
  }
  return new PartsWriter(writers, (table) => sinks.of(table))
}

/**
 * A writer's share of `pipeline.memory`. An index that does not fit is read from disk, at a price
 * for each key; rows that do not fit are encoded early, which only makes row groups smaller: so the
 * index gets the larger part.
 *
 * @returns {} when the file does not say: the writer's own defaults hold
 */
export function writerMemory({
  memoryBytes,
  parallelism,
}: Pick<PipelineConfig, 'memoryBytes' | 'parallelism'>): Pick<
  IcebergWriterOptions,
  'indexMemoryBytes' | 'bufferBytesMax'
> {
  if (memoryBytes === null) return {}
  const share = memoryBytes / parallelism
  const bufferBytesMax = Math.floor(share / 3)
  return { indexMemoryBytes: Math.floor(share - bufferBytesMax), bufferBytesMax }
}
