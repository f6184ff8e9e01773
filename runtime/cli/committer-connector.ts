// Makes the part of the sink that runs in the main thread, and looks into what the others left.

import { createIcebergCommitter } from '../../connectors/iceberg/committer.ts'
import { firstFieldId, reservedNames } from '../../connectors/parquet/table/fields.ts'
import { heldDataFiles, leftoverFiles } from '../../connectors/iceberg/writer/writer-state.ts'
import { localStore } from '../../connectors/storage/local.ts'
import type { Log } from '../base/log.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { PartsCommitter } from '../job/parts-committer.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Committer } from '../sink.ts'
import { openDirectory } from './directory.ts'
import { openTopicCommitter } from './kafka-sink.ts'
import { openCatalog } from './lake-catalog.ts'
import { lakeTargets } from './lake-target.ts'
import { lakePartitioning } from './partitioning.ts'
import { partCheckpoint, sinkParts } from './sink-parts.ts'

export async function openCommitter(
  config: PipelineConfig,
  state: ObjectStore,
  log: Log,
): Promise<Committer<unknown>> {
  const parts = committerParts(config, state, log)
  if (parts !== null) return parts
  const { sink } = config
  if (sink.type === 'parquet') return openDirectory(config, sink, log)
  if (sink.type === 'kafka') return openTopicCommitter(config, sink, state)
  const { mode, warehouse } = sink
  const opened = await openCatalog(sink)
  // The checkpoint carries committables as it found them; only this sink looks inside.
  const committer: Committer<unknown> = createIcebergCommitter({
    pipeline: config.name,
    mode,
    warehouse: localStore(warehouse.path),
    state,
    catalog: opened,
    target: lakeTargets(config),
    ...lakePartitioning(config),
    log,
  })
  return {
    commit: (intents, signal) => committer.commit(intents, signal),
    adopt: (table, claim) => committer.adopt(table, claim),
    changeProperties: (table, change) => committer.changeProperties(table, change),
    sweep: (tables, keep) => committer.sweep(tables, keep),
    close: async () => {
      await committer.close()
      await opened.close()
    },
  }
}

/** @returns `null` when there is one sink */
export function committerParts(
  config: PipelineConfig,
  state: ObjectStore,
  log: Log,
): PartsCommitter | null {
  const sinks = sinkParts(config)
  if (sinks === null || config.parts === undefined) return null
  return new PartsCommitter(
    config.parts.map((part) => ({
      name: part.part,
      // A transaction of Kafka is aborted when it is open for too long.
      isFleeting: part.sink.type === 'kafka',
      takes: (table) => sinks.of(table).includes(part.part),
      create: async () => openCommitter(part, state, log),
    })),
  )
}

/** Data files that a checkpoint needs and no lake table names yet, relative to the warehouse. */
export async function heldFiles(
  config: PipelineConfig,
  state: ObjectStore,
  checkpoint: Checkpoint,
): Promise<string[]> {
  if (config.parts !== undefined) {
    // A path of one sink that another one has as well is kept in both.
    const held = config.parts.map(async (part) =>
      heldFiles(part, state, partCheckpoint(part, checkpoint)),
    )
    return (await Promise.all(held)).flat()
  }
  const hasIndex = config.sink.type === 'iceberg'
  const held = hasIndex ? await heldDataFiles(state, checkpoint.writers) : []
  for (const intent of checkpoint.intents) {
    const { tables } = await intent.read()
    for (const { committables } of tables) {
      for (const { files } of committables as readonly HoldingCommittable[]) {
        held.push(...files.flatMap(({ path, staged }) => [path, ...(staged ? [staged] : [])]))
      }
    }
  }
  return held
}

/** What every sink of files says of them; only a directory stages them elsewhere. */
interface HoldingCommittable {
  readonly files: readonly { readonly path: string; readonly staged?: string }[]
}

/** Removes files that a durable checkpoint does not name any more, and older ones did. */
export async function deleteLeftovers(
  { sink, parts = [] }: PipelineConfig,
  state: ObjectStore,
  checkpoint: Checkpoint | null,
): Promise<void> {
  for (const part of parts) {
    await deleteLeftovers(part, state, checkpoint && partCheckpoint(part, checkpoint))
  }
  if (parts.length > 0) return
  if (sink.type !== 'iceberg') return
  const warehouse = localStore(sink.warehouse.path)
  for (const path of await leftoverFiles(state, checkpoint?.writers ?? [])) {
    await warehouse.delete(path)
  }
}

/** What the sink's own columns leave to those of the source. */
export function lakeColumnsOf({ sink: { mode } }: PipelineConfig): {
  firstFieldId: number
  reservedNames: readonly string[]
} {
  return { firstFieldId: firstFieldId(mode), reservedNames: reservedNames(mode) }
}
