// Makes a pipeline's connectors from its configuration, each where its thread needs it.

import { join } from 'node:path'
import { createIcebergCommitter } from '../../connectors/iceberg/committer.ts'
import type { IcebergCommittable } from '../../connectors/iceberg/committable.ts'
import { firstFieldId } from '../../connectors/iceberg/fields.ts'
import { createIcebergWriter } from '../../connectors/iceberg/writer/iceberg-writer.ts'
import { type IcebergWriterOptions, targetOf } from '../../connectors/iceberg/writer/options.ts'
import { heldDataFiles } from '../../connectors/iceberg/writer/writer-state.ts'
import { localStore } from '../../connectors/storage/local.ts'
import type { Log } from '../base/log.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { WriterPlan } from '../job/run.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Committer, SinkWriter } from '../sink.ts'
import type { Source } from '../source.ts'
import { openCatalog } from './lake-catalog.ts'
import { openState, stateFolder } from './state-folder.ts'
import { mysqlOptions, postgresOptions } from './wiring-source.ts'

/** Connectors are loaded by type: one that a pipeline does not use costs nothing. */
export async function openSource(config: PipelineConfig, log: Log): Promise<Source> {
  const { source } = config
  if (source.type === 'postgres') {
    const { createPostgresSource } = await import('../../connectors/postgres/source.ts')
    return createPostgresSource(postgresOptions(config, source, log))
  }
  const { createMysqlSource } = await import('../../connectors/mysql/source.ts')
  const spillFolder = join(stateFolder(config), 'spill')
  return createMysqlSource(mysqlOptions(config, source, spillFolder, log))
}

export async function openWriter(
  config: PipelineConfig,
  plan: WriterPlan,
  log: Log,
): Promise<SinkWriter<unknown>> {
  return createIcebergWriter({
    index: plan.index,
    count: plan.count,
    mode: config.sink.mode,
    warehouse: localStore(config.sink.warehouse.path),
    state: openState(config),
    states: plan.states,
    firstFileId: plan.firstFileId,
    fileSuffix: plan.fileSuffix,
    targetOf,
    log,
    ...writerMemory(config),
  })
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

export async function openCommitter(
  config: PipelineConfig,
  state: ObjectStore,
  log: Log,
): Promise<Committer<unknown>> {
  const { mode, warehouse } = config.sink
  const opened = await openCatalog(config.sink)
  // The checkpoint carries committables as it found them; only this sink looks inside.
  const committer: Committer<unknown> = createIcebergCommitter({
    pipeline: config.name,
    mode,
    warehouse: localStore(warehouse.path),
    state,
    catalog: opened,
    target: targetOf,
    log,
  })
  return {
    commit: (intents, signal) => committer.commit(intents, signal),
    adopt: (table, claim) => committer.adopt(table, claim),
    sweep: (tables, keep) => committer.sweep(tables, keep),
    close: async () => {
      await committer.close()
      await opened.close()
    },
  }
}

/** Data files that a checkpoint needs and no lake table names yet, relative to the warehouse. */
export async function heldFiles(state: ObjectStore, checkpoint: Checkpoint): Promise<string[]> {
  const held = await heldDataFiles(state, checkpoint.writers)
  for (const intent of checkpoint.intents) {
    const { tables } = await intent.read()
    for (const { committables } of tables) {
      for (const { files } of committables as readonly IcebergCommittable[]) {
        held.push(...files.map(({ path }) => path))
      }
    }
  }
  return held
}

export function firstFieldIdOf(config: PipelineConfig): number {
  return firstFieldId(config.sink.mode)
}
