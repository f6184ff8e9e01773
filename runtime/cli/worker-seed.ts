// What a worker thread gets of the main thread to make its own parts: the configuration as it was
// read once, so that a pipeline file that changes meanwhile cannot give threads mixed settings. The
// password goes beside it, since a secret is an object that cannot be cloned into a thread.

import { createLog, type Log, type LogLevel } from '../base/log.ts'
import type { PipelineConfig, SourceConfig } from '../job/config/pipeline-config.ts'
import { Secret, type SecretOrigin } from '../job/config/secret.ts'

/** Structured-cloneable, within this process only: `password` may be the password itself. */
export interface WorkerSeed {
  /** Without the password. */
  readonly config: PipelineConfig
  readonly password: SecretOrigin | null
  readonly logLevel: LogLevel
}

export function workerSeed(config: PipelineConfig, logLevel: LogLevel): WorkerSeed {
  const { password } = config.source.connection
  const source = withPassword(config.source, null)
  return { config: { ...config, source }, password: password?.origin ?? null, logLevel }
}

export function workerConfig({ config, password, logLevel }: WorkerSeed): {
  config: PipelineConfig
  log: Log
} {
  const secret = password === null ? null : new Secret(password)
  const source = withPassword(config.source, secret)
  const log = createLog({ level: logLevel, facts: { pipeline: config.name } })
  return { config: { ...config, source }, log }
}

function withPassword(source: SourceConfig, password: Secret | null): SourceConfig {
  if (source.type === 'postgres') {
    return { ...source, connection: { ...source.connection, password } }
  }
  return { ...source, connection: { ...source.connection, password } }
}
