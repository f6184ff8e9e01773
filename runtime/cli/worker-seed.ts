// What a worker thread gets of the main thread to make its own parts: the configuration as it was
// read once, so that a pipeline file that changes meanwhile cannot give threads mixed settings.
// Secrets go beside it, since they are objects that cannot be cloned into a thread.

import { createLog, type Log, type LogLevel } from '../base/log.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { Secret, type SecretOrigin } from '../job/config/secret.ts'

/** Where a secret stands in the configuration, and where it comes from, or the text itself. */
interface SeededSecret {
  readonly path: readonly string[]
  readonly origin: SecretOrigin
}

/** Structured-cloneable, within this process only: it may hold passwords. */
export interface WorkerSeed {
  /** With `null` in the place of each secret. */
  readonly config: PipelineConfig
  readonly secrets: readonly SeededSecret[]
  readonly logLevel: LogLevel
}

export function workerSeed(config: PipelineConfig, logLevel: LogLevel): WorkerSeed {
  const secrets: SeededSecret[] = []
  // Who is told of partitions is the main thread's business, and their secrets stay there.
  const partitionReady = config.partitionReady.map((ready) => ({ ...ready, actions: [] }))
  const own = { ...config, partitionReady, tests: [] }
  const bare = withoutSecrets(own, [], secrets) as PipelineConfig
  return { config: bare, secrets, logLevel }
}

export function workerConfig({ config, secrets, logLevel }: WorkerSeed): {
  config: PipelineConfig
  log: Log
} {
  const whole = secrets.reduce<unknown>(
    (value, { path, origin }) => withSecret(value, path, new Secret(origin)),
    config,
  ) as PipelineConfig
  return { config: whole, log: createLog({ level: logLevel, facts: { pipeline: config.name } }) }
}

/** Wherever in the configuration a secret stands: a connector may have several. */
function withoutSecrets(value: unknown, path: readonly string[], found: SeededSecret[]): unknown {
  if (value instanceof Secret) {
    found.push({ path, origin: value.origin })
    return null
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => withoutSecrets(item, [...path, String(index)], found))
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      withoutSecrets(inner, [...path, name], found),
    ]),
  )
}

function withSecret(value: unknown, path: readonly string[], secret: Secret): unknown {
  const [name, ...rest] = path
  if (name === undefined) return secret
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) =>
      String(index) === name ? withSecret(item, rest, secret) : item,
    )
  }
  const block = value as Readonly<Record<string, unknown>>
  return { ...block, [name]: withSecret(block[name], rest, secret) }
}
