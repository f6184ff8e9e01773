// Undoes what a pipeline has made, under its lock. First everything is looked at: what cannot be
// opened must be said while nothing is gone. Then the source, whose disk fills when a slot is
// forgotten, the lake, and the state last, for it says what there is to remove.

import { rm } from 'node:fs/promises'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import { CheckpointStore } from '../checkpoint/store.ts'
import type { Catalog } from '../catalog.ts'
import type {
  IcebergSinkConfig,
  ParquetSinkConfig,
  PipelineConfig,
} from '../job/config/pipeline-config.ts'
import { acquireLock } from '../job/lock.ts'
import type { Removal, SourceInspector } from '../source.ts'
import { removeDirectory } from './directory.ts'
import { openExistingCatalog } from './lake-catalog.ts'
import { decideLake, removeTable, type LakeDecision } from './lake-removal.ts'
import { partCheckpoint, partOfType } from './sink-parts.ts'
import { lockPath, openState, stateFolder } from './state-folder.ts'

/** @returns what was removed, and what had to stay */
export async function dropPipeline(
  config: PipelineConfig,
  keepLake: boolean,
  inspector: SourceInspector,
): Promise<readonly Removal[]> {
  try {
    const lock = await acquireLock(lockPath(config), systemClock)
    try {
      const removals = await removeTargets(config, keepLake, inspector)
      const topics = partOfType(config, 'kafka')?.sink
      if (topics?.type !== 'kafka') return removals
      const kept = 'others may read them: `kafka-topics.sh --delete` removes them'
      return [...removals, { what: `topics ${topics.topic}`, kept }]
    } finally {
      lock.release()
    }
  } finally {
    await inspector.close()
  }
}

async function removeTargets(
  config: PipelineConfig,
  keepLake: boolean,
  inspector: SourceInspector,
): Promise<readonly Removal[]> {
  const checkpoint = await new CheckpointStore(openState(config)).peekNewest()
  const files = partOfType(config, 'parquet')?.sink
  const directory = keepLake || files?.type !== 'parquet' ? null : files
  const lake = partOfType(config, 'iceberg')
  if (lake?.sink.type !== 'iceberg') return removeAll(config, inspector, null, [], directory)
  const { sink } = lake
  const catalog = keepLake ? null : await openExistingCatalog(sink)
  try {
    const known = checkpoint && partCheckpoint(lake, checkpoint)
    const tables = catalog === null ? [] : await decideLake(lake, sink, catalog, known)
    return await removeAll(config, inspector, { sink, catalog }, tables, directory)
  } finally {
    await catalog?.close()
  }
}

/** @throws PipelineError with what was removed before, when a step fails */
async function removeAll(
  config: PipelineConfig,
  inspector: SourceInspector,
  opened: { readonly sink: IcebergSinkConfig; readonly catalog: Catalog | null } | null,
  lake: readonly LakeDecision[],
  directory: ParquetSinkConfig | null,
): Promise<readonly Removal[]> {
  const removals: Removal[] = []
  const catalog = opened?.catalog ?? null
  try {
    const refusal = await removeSource(inspector, removals)
    if (directory !== null) removals.push(...(await removeDirectory(config, directory)))
    for (const decision of lake) {
      const { table, kept } = decision
      if (kept !== null) removals.push({ what: `lake table ${table}`, kept })
      else if (opened !== null && catalog !== null) {
        removals.push(await removeTable(opened.sink, catalog, decision))
      }
    }
    await rm(stateFolder(config), { recursive: true, force: true })
    removals.push({ what: `state ${stateFolder(config)}`, kept: null })
    if (refusal !== null) throw refusal
    return removals
  } catch (error) {
    throw incomplete(error instanceof PipelineError ? error : ofFiles(error), removals)
  }
}

/** @returns the refusal of a slot that only an administrator may drop: the rest goes then, too */
async function removeSource(
  inspector: SourceInspector,
  removals: Removal[],
): Promise<PipelineError | null> {
  try {
    removals.push(...(await inspector.drop()))
    return null
  } catch (error) {
    if (!(error instanceof PipelineError) || error.error !== 'PRIVILEGE_MISSING') throw error
    const hint = 'Let an administrator drop the replication slot: the server keeps its log for it.'
    return new PipelineError(error.error, error.message, { hint, cause: error })
  }
}

/** Something of the lake or the state could not be deleted. */
function ofFiles(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const detail = `The system says: ${error.message}.`
  return new PipelineError('STORAGE_FAILED', 'files cannot be removed', { detail, cause: error })
}

function incomplete(error: unknown, removals: readonly Removal[]): unknown {
  if (!(error instanceof PipelineError) || removals.length === 0) return error
  const lines = removals.map(({ what, kept }) =>
    kept === null ? `removed ${what}` : `kept ${what}: ${kept}`,
  )
  return new PipelineError(error.error, `not all was removed: ${error.message}`, {
    detail: [...(error.detail === null ? [] : [error.detail]), ...lines].join('\n'),
    hint: error.hint,
    cause: error,
  })
}
