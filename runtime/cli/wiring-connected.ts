// The wiring of the real program: pipeline and connectors, loaded when a command first needs them.

import { join } from 'node:path'
import { existsSync } from 'node:fs'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { SourceInspector } from '../source.ts'
import { mysqlOptions, postgresOptions } from './wiring-source.ts'
import type { Wiring } from './wiring.ts'

export const connectedWiring: Wiring = {
  run: async (config, options) => {
    const { runConfigured } = await import('./pipeline-parts.ts')
    return runConfigured(config, options)
  },

  verify: async (config, tables, notice) => {
    const { verifyPipeline } = await import('./verify/verification.ts')
    const inspector = await openInspector(config, 'selected')
    const isRunning = (): Promise<boolean> => connectedWiring.isRunning(config)
    return verifyPipeline({ config, inspector, clock: systemClock, isRunning, notice }, tables)
  },

  resync: async (config, tables) => {
    const { openState } = await import('./state-folder.ts')
    const { CheckpointStore } = await import('../checkpoint/store.ts')
    const { leaveRequest } = await import('../job/requests.ts')
    const state = openState(config)
    const checkpoint = await new CheckpointStore(state).peekNewest()
    if (checkpoint === null) {
      throw new PipelineError('STATE_MISSING', `pipeline "${config.name}" has no checkpoint yet`)
    }
    const known = new Set(checkpoint.source.tables.map(({ schema }) => schema.table))
    const unknown = (tables ?? []).filter((table) => !known.has(table))
    if (unknown.length > 0) {
      throw new PipelineError(
        'TABLE_MISSING',
        `the pipeline has no table "${unknown.join('", "')}"`,
        {
          detail: `It has ${[...known].join(', ')}.`,
          hint: 'Correct `--table`; `millrace status FILE` lists the tables of the pipeline.',
        },
      )
    }
    await leaveRequest(state, { tables })
  },

  drop: async (config, { keepLake }) => {
    const { dropPipeline } = await import('./removal.ts')
    return dropPipeline(config, keepLake, await openInspector(config, 'selected'))
  },

  inspect: openInspector,

  openState: async (config) => {
    const { openState } = await import('./state-folder.ts')
    return openState(config)
  },

  isRunning: async (config) => {
    const { lockPath } = await import('./state-folder.ts')
    const path = lockPath(config)
    if (!existsSync(path)) return false
    const { lockIsFree } = await import('../job/lock.ts')
    return !lockIsFree(path)
  },
}

async function openInspector(
  config: PipelineConfig,
  scope: 'selected' | 'all',
): Promise<SourceInspector> {
  const { source } = config
  const all = { tables: () => true, tablesExclude: () => false }
  const seen = scope === 'all' ? all : {}
  if (source.type === 'postgres') {
    const { createPostgresInspector } = await import('../../connectors/postgres/inspect.ts')
    return createPostgresInspector({ ...postgresOptions(config, source, silentLog), ...seen })
  }
  const { createMysqlInspector } = await import('../../connectors/mysql/inspect.ts')
  const { stateFolder } = await import('./state-folder.ts')
  const spillFolder = join(stateFolder(config), 'spill')
  return createMysqlInspector({ ...mysqlOptions(config, source, spillFolder, silentLog), ...seen })
}
