// Makes the clients of schema registries that a pipeline names. Keys and values whose registry is
// one and the same share a client, and so ask once for each schema.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RegistryClient } from '../../connectors/kafka/registry/client.ts'
import type {
  RegistryCredentials,
  RegistryOptions,
} from '../../connectors/kafka/registry/options.ts'
import { localStore } from '../../connectors/storage/local.ts'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { RegistryConfig } from '../job/config/resolve-registry.ts'
import type { ObjectStore } from '../object-store.ts'
import { stateFolder } from './state-folder.ts'

/** Beside the checkpoints. */
const FOLDER = 'schemas'

/** @returns the client of a registry, made once for each that differs */
export function registriesOf(
  pipeline: PipelineConfig,
  log: Log,
): (config: RegistryConfig) => RegistryClient {
  const kept = localStore(join(stateFolder(pipeline), FOLDER))
  const made = new Map<string, RegistryClient>()
  return (config) => {
    // Secrets show as stars: where they come from tells them apart.
    const key = JSON.stringify([config, originsOf(config)])
    const known = made.get(key)
    if (known !== undefined) return known
    const client = new RegistryClient(registryOptions(config, kept, log))
    made.set(key, client)
    return client
  }
}

/** @param store  keeps schemas that were fetched; `null`: none are kept */
export function registryOptions(
  config: RegistryConfig,
  store: ObjectStore | null,
  log: RegistryOptions['log'],
): RegistryOptions {
  const { urls, tls, timeoutMs } = config
  return {
    urls,
    credentials: credentialsOf(config),
    tls: {
      ca: tls.ca === null ? null : read(tls.ca),
      verify: tls.mode === 'verify-full',
      identity:
        tls.certificate === null || tls.key === null
          ? null
          : { certificate: read(tls.certificate), key: keyOf(tls.key) },
    },
    timeoutMs,
    store,
    clock: systemClock,
    log,
  }
}

function originsOf({ auth }: RegistryConfig): unknown {
  if (auth === null) return null
  return 'token' in auth ? auth.token.origin : auth.password.origin
}

function credentialsOf({ auth }: RegistryConfig): RegistryCredentials {
  if (auth === null) return { kind: 'none' }
  if ('token' in auth) return { kind: 'bearer', token: () => auth.token.reveal() }
  const { username, password } = auth
  return { kind: 'basic', username, password: () => password.reveal() }
}

/** Read anew for each request, like a secret. */
function keyOf(path: string): () => string {
  return () => read(path)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('TLS_FAILED', `the file ${path} cannot be read`, { cause })
  }
}
