// What the pipeline file says of each table, as the source thread asks for it.

import { ScriptHost } from '../../operators/script/host.ts'
import { scriptPlan } from '../../operators/script/operator.ts'
import { transformPlan } from '../../operators/transform/operator.ts'
import { BY_COMMITS, type RowTimes } from '../../operators/transform/options.ts'
import { moduleUrl } from '../base/module-url.ts'
import { partTable } from '../checkpoint/sink-parts.ts'
import { deadLetterTable } from '../data/dead-letters.ts'
import { tableKey, unionTarget } from '../data/schema.ts'
import type { KafkaSourceConfig, PipelineConfig } from '../job/config/pipeline-config.ts'
import { routeTable, routeUnion, type TableNames } from '../job/config/route.ts'
import { tableSelector } from '../job/config/selector.ts'
import type { ScriptConfig } from '../job/config/script.ts'
import type { OperatorPlans } from '../operator.ts'
import { chained } from './operator-chain.ts'
import { sinkParts } from './sink-parts.ts'

/** What the plans are made from. */
export type PlannedConfig = Pick<
  PipelineConfig,
  'routes' | 'transforms' | 'scripts' | 'onError' | 'maskKey'
> & {
  readonly parts?: PipelineConfig['parts']
  readonly sink: Pick<PipelineConfig['sink'], 'mode'>
  readonly source: Pick<PipelineConfig['source'], 'type' | 'eventTime'> &
    Partial<Pick<KafkaSourceConfig, 'rowTime'>>
}

export function operatorPlans(config: PlannedConfig): OperatorPlans {
  const { transforms, scripts, sink, onError, maskKey: secret } = config
  const maskKey = (): Uint8Array | null =>
    secret === null ? null : new TextEncoder().encode(secret.reveal())
  const inserted = config.source.type === 'kafka' ? 'unknown' : 'new'
  const times = rowTimes(config.source)
  const entries = transforms.map(({ from, ...options }) => {
    const plan = transformPlan(options, sink.mode, maskKey, inserted, times)
    return { selects: tableSelector([from]), plan }
  })
  const scripted = scripts.map((script) => {
    const { from, hash, onError: policy } = script
    // Not the file's path: it may be moved, and means the same.
    const semantics = JSON.stringify({ hash, export: script.export, onError: policy })
    const options = { onError: policy, mode: sink.mode, inserted, semantics } as const
    return { selects: tableSelector([from]), plan: scriptPlan(() => hostOf(script), options) }
  })
  const { deadLetters, dlqRowsMax: rowsMax, dlqRatioMax: ratioMax } = onError
  const setsAside = transforms.some((entry) => entry.onError === 'dlq')
  const letters = setsAside ? deadLetters : null
  const isLetters = (table: Parameters<OperatorPlans['target']>[0]): boolean =>
    onError.deadLetters !== null && tableKey(onError.deadLetters) === tableKey(table)
  return {
    deadLetters: letters && {
      table: deadLetterTable(letters.namespace, letters.name, config.source.type === 'kafka'),
      rowsMax,
      ratioMax,
      idKey: maskKey,
    },
    of: ({ namespace, name }) => {
      // What a table of the lake is made of has been through its own entries.
      if (namespace === '') return null
      // A pattern for all topics does not mean what could be read from none of them.
      if (isLetters({ namespace, name })) return null
      const entry = entries.find(({ selects }) => selects(namespace, name))
      const script = scripted.find(({ selects }) => selects(namespace, name))
      return chained(entry?.plan ?? null, script?.plan ?? null)
    },
    ...targetsOf(config),
    unionOf: (table) => (isLetters(table) ? null : routeUnion(config.routes, table)),
  }
}

function targetsOf(config: PlannedConfig): Pick<OperatorPlans, 'target' | 'targets'> {
  const { routes, parts } = config
  const sinks = sinkParts(config)
  if (sinks === null || parts === undefined) {
    return {
      target: (table) => tableKey(unionTarget(tableKey(table)) ?? routeTable(routes, table)),
    }
  }
  const bySink = (table: TableNames): (readonly [sink: string, name: string])[] => {
    const names = sinks.of(tableKey(table))
    const own = parts.filter(({ part }) => names.includes(part))
    return own.map((part) => [part.part, tableKey(routeTable(part.routes, table))])
  }
  return {
    target: (table) => {
      const all = bySink(table)
      const distinct = new Set(all.map(([, name]) => name))
      if (distinct.size === 1 && all.length === parts.length) return [...distinct].join()
      return all.map(([sink, name]) => partTable(sink, name)).join(', ')
    },
    targets: (table) => bySink(table).map(([sink, name]) => partTable(sink, name)),
  }
}

/** By when the rows of the source happened. */
function rowTimes({ type, eventTime, rowTime }: PlannedConfig['source']): RowTimes {
  if (type !== 'kafka') {
    const { column } = eventTime
    return column === null ? BY_COMMITS : { commits: true, event: { column, unit: null } }
  }
  if (rowTime === undefined || rowTime === null) return { commits: false, event: null }
  const { field, unit } = rowTime
  // The time of a record of a topic is that of its timestamp.
  return { commits: false, event: { column: field ?? '__source_commit_time__', unit } }
}

/**
 * Before anything is read: a file that is wrong must not park the tables that it is for.
 *
 * @throws PipelineError SCRIPT_INVALID
 */
export function loadScripts({ scripts }: Pick<PipelineConfig, 'scripts'>): void {
  for (const script of scripts) hostOf(script)
}

/** A thread for each script and thread that asks: tables share it. */
const hosts = new Map<string, ScriptHost>()

function hostOf(script: ScriptConfig): ScriptHost {
  const key = JSON.stringify(script)
  const known = hosts.get(key)
  if (known !== undefined) return known
  const host = new ScriptHost(script, moduleUrl(import.meta.url, './script-worker.ts'))
  hosts.set(key, host)
  return host
}
