// Where a pipeline's state lies.

import { join } from 'node:path'
import { localStore, PRIVATE_MODE } from '../../connectors/storage/local.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { ObjectStore } from '../object-store.ts'

/** A store may be shared by several pipelines: each has a folder of its own. */
export function stateFolder(config: PipelineConfig): string {
  return join(config.checkpoint.store.path, config.name)
}

/** Keys of rows lie in it; the folder may be one that somebody else made. */
export function openState(config: PipelineConfig): ObjectStore {
  return localStore(stateFolder(config), PRIVATE_MODE)
}

export function lockPath(config: PipelineConfig): string {
  return join(stateFolder(config), 'lock.db')
}
