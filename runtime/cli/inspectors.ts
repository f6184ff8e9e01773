// Opens what asks a source without reading its log, for one of several views of its tables.

import { join } from 'node:path'
import { silentLog } from '../base/log.ts'
import type {
  DatabaseSourceConfig,
  KafkaSourceConfig,
  PipelineConfig,
} from '../job/config/pipeline-config.ts'
import { tableSelector, topicSelector } from '../job/config/selector.ts'
import type { SourceInspector } from '../source.ts'
import { stateFolder } from './state-folder.ts'
import type { InspectorScope } from './wiring.ts'
import { kafkaOptions, mysqlOptions, postgresOptions } from './wiring-source.ts'

/** Connectors are loaded by type, and connect when they are first asked. */
export async function openInspector(
  config: PipelineConfig,
  scope: InspectorScope,
): Promise<SourceInspector> {
  const { source } = config
  if (source.type === 'kafka') {
    const { createKafkaInspector } = await import('../../connectors/kafka/inspect.ts')
    const topics = topicsOf(source, scope)
    const options = { ...(await kafkaOptions(config, source, silentLog)), topics }
    const { sasl } = source
    return createKafkaInspector(options, sasl !== null && 'username' in sasl ? sasl.username : null)
  }
  const view = viewOf(source, scope)
  if (source.type === 'postgres') {
    const { createPostgresInspector } = await import('../../connectors/postgres/inspect.ts')
    return createPostgresInspector({ ...postgresOptions(config, source, silentLog), ...view })
  }
  const { createMysqlInspector } = await import('../../connectors/mysql/inspect.ts')
  const spillFolder = join(stateFolder(config), 'spill')
  const options = { ...mysqlOptions(config, source, spillFolder, silentLog), ...view }
  return createMysqlInspector(options, source.connection.database)
}

function topicsOf(
  { topics, topicsExclude }: KafkaSourceConfig,
  scope: InspectorScope,
): (topic: string) => boolean {
  switch (scope) {
    case 'selected':
      return topicSelector(topics, topicsExclude)
    case 'included':
      return topicSelector(topics)
    case 'all':
      return () => true
  }
}

interface View {
  readonly tables?: (namespace: string, name: string) => boolean
  readonly tablesExclude?: () => boolean
  readonly columnsExclude?: () => boolean
}

const NOTHING = (): boolean => false

function viewOf({ tables }: DatabaseSourceConfig, scope: InspectorScope): View {
  switch (scope) {
    case 'selected':
      return {}
    case 'included':
      return { tables: tableSelector(tables), tablesExclude: NOTHING, columnsExclude: NOTHING }
    case 'all':
      return { tables: () => true, tablesExclude: NOTHING }
  }
}
