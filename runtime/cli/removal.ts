// Undoes what a pipeline has made, under its lock: first on the source, whose disk fills when a
// slot is forgotten, then in the lake, and the state last, for it says what there is to remove.

import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sqliteCatalog } from '../../connectors/iceberg/catalog-sqlite.ts'
import { tablePath } from '../../connectors/iceberg/layout.ts'
import { targetOf } from '../../connectors/iceberg/writer/options.ts'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import { CheckpointStore } from '../checkpoint/store.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { acquireLock } from '../job/lock.ts'
import type { Removal, SourceInspector } from '../source.ts'
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
      const checkpoint = await new CheckpointStore(openState(config)).peekNewest()
      const { removed, refusal } = await dropSource(inspector)
      if (!keepLake) removed.push(...(await removeLake(config, checkpoint)))
      await rm(stateFolder(config), { recursive: true, force: true })
      removed.push({ what: `state ${stateFolder(config)}`, kept: null })
      if (refusal !== null) throw incomplete(refusal, removed)
      return removed
    } finally {
      lock.release()
    }
  } finally {
    await inspector.close()
  }
}

/** A slot that only an administrator may drop: the rest goes nevertheless. */
async function dropSource(
  inspector: SourceInspector,
): Promise<{ removed: Removal[]; refusal: PipelineError | null }> {
  try {
    return { removed: [...(await inspector.drop())], refusal: null }
  } catch (error) {
    if (!(error instanceof PipelineError) || error.error !== 'PRIVILEGE_MISSING') throw error
    return { removed: [], refusal: error }
  }
}

function incomplete(refusal: PipelineError, removed: readonly Removal[]): PipelineError {
  return new PipelineError('PRIVILEGE_MISSING', `not all was removed: ${refusal.message}`, {
    detail: removed.map(({ what }) => `removed ${what}`).join('\n'),
    hint: 'Let an administrator drop the replication slot: the server keeps its log for it.',
    cause: refusal,
  })
}

/** Only tables that the checkpoint says are ours: others in the same warehouse stay. */
async function removeLake(
  { sink }: PipelineConfig,
  checkpoint: Checkpoint | null,
): Promise<Removal[]> {
  const ours = (checkpoint?.lake ?? []).map(({ table }) => table)
  if (ours.length === 0 || !existsSync(sink.catalog.path)) return []
  const removed: Removal[] = []
  const catalog = sqliteCatalog(sink.catalog)
  try {
    for (const key of ours) {
      const table = targetOf(key)
      const location = await catalog.load(table)
      // A table of that name in another warehouse is somebody else's.
      if (location === null || !location.startsWith(`${sink.warehouse.uri}/`)) continue
      // The name goes first: readers must never find a table without its files.
      if (!(await catalog.drop(table, location))) throw writtenTo(key)
      await rm(join(sink.warehouse.path, tablePath(table)), { recursive: true, force: true })
      removed.push({ what: `lake table ${key}`, kept: null })
    }
  } finally {
    await catalog.close()
  }
  return removed
}

function writtenTo(table: string): PipelineError {
  return new PipelineError('CATALOG_CONFLICT', `somebody else writes to lake table ${table}`, {
    hint: 'Stop the other writer, then run `millrace drop FILE` again.',
  })
}
