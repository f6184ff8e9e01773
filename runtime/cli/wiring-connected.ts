// The wiring of the real program: pipeline and connectors, loaded when a command first needs them.

import { existsSync } from 'node:fs'
import { systemClock } from '../base/clock.ts'
import { shownTable } from '../data/schema.ts'
import { PipelineError } from '../base/errors.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { openInspector } from './inspectors.ts'
import type { Wiring } from './wiring.ts'

/** A resync reads rows of now beside the log, and a topic is nothing but its log. */
function requireBackfill({ source, sink, parts }: PipelineConfig): void {
  if (parts !== undefined) {
    throw new PipelineError('CONFIG_UNSUPPORTED', 'resync does not know several sinks', {
      detail: 'A table would be written anew in all of them at once. Nothing was asked of the run.',
      hint:
        'Run `millrace drop FILE` and begin anew; or copy the table into a sink by a pipeline of ' +
        'another name, with that sink alone.',
    })
  }
  if (sink.type === 'kafka') {
    throw new PipelineError('CONFIG_UNSUPPORTED', 'a topic cannot be filled anew in place', {
      detail: 'Its readers have its records already, and nothing takes rows back that are gone.',
      hint: 'Copy the tables into other topics by a pipeline of another name.',
    })
  }
  if (source.type !== 'kafka') return
  throw new PipelineError('CONFIG_UNSUPPORTED', 'a topic has no rows to read again', {
    detail: 'What it still holds can be read from its start by another pipeline.',
    hint:
      'Give the topic a pipeline of its own name with `start: earliest`, or drop this one by ' +
      '`millrace drop FILE` and run it anew.',
  })
}

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
    requireBackfill(config)
    const { openState } = await import('./state-folder.ts')
    const { CheckpointStore } = await import('../checkpoint/store.ts')
    const { leaveRequest } = await import('../job/requests.ts')
    const state = openState(config)
    const checkpoint = await new CheckpointStore(state).peekNewest()
    if (checkpoint === null) {
      throw new PipelineError('STATE_MISSING', `pipeline "${config.name}" has no checkpoint yet`, {
        detail: `None was found in ${config.checkpoint.store.uri}. A first run reads all tables.`,
        hint: (await connectedWiring.isRunning(config))
          ? 'It is running: ask again after its first checkpoint, which `millrace status FILE` shows.'
          : 'Run `millrace run FILE` first, also where the state was lost, and then ask again; ' +
            'or correct `pipeline.checkpoint.store`.',
      })
    }
    const known = new Set(checkpoint.source.tables.map(({ schema }) => shownTable(schema.table)))
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

  drop: async (config, { keepLake, notice }) => {
    const { dropPipeline } = await import('./removal.ts')
    const { namingOwner } = await import('./lock-owner.ts')
    const inspector = await openInspector(config, 'selected')
    return namingOwner(config, notice, () => dropPipeline(config, keepLake, inspector))
  },

  sample: async (config, wish) => {
    const { sampleTables } = await import('./sampling.ts')
    const inspector = await openInspector(config, 'selected')
    try {
      return await sampleTables(config, inspector, wish)
    } finally {
      await inspector.close()
    }
  },

  letters: async (config) => {
    const { readLetters } = await import('./letter-reading.ts')
    return readLetters(config)
  },

  plan: async (config) => {
    const { planPipeline } = await import('./planning.ts')
    const { openState } = await import('./state-folder.ts')
    const inspector = await openInspector(config, 'selected')
    try {
      return await planPipeline(config, openState(config), inspector)
    } finally {
      await inspector.close()
    }
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
