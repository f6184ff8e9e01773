// Makes the source that a pipeline's configuration names, in the source thread.

import { join } from 'node:path'
import type { Log } from '../base/log.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { Source } from '../source.ts'
import { stateFolder } from './state-folder.ts'
import { kafkaOptions, mysqlOptions, postgresOptions } from './wiring-source.ts'

/** Connectors are loaded by type: one that a pipeline does not use costs nothing. */
export async function openSource(config: PipelineConfig, log: Log): Promise<Source> {
  const { source } = config
  if (source.type === 'kafka') {
    const { createKafkaSource } = await import('../../connectors/kafka/source.ts')
    return createKafkaSource(await kafkaOptions(config, source, log))
  }
  if (source.type === 'postgres') {
    const { createPostgresSource } = await import('../../connectors/postgres/source.ts')
    return createPostgresSource(postgresOptions(config, source, log))
  }
  const { createMysqlSource } = await import('../../connectors/mysql/source.ts')
  const spillFolder = join(stateFolder(config), 'spill')
  return createMysqlSource(mysqlOptions(config, source, spillFolder, log))
}
