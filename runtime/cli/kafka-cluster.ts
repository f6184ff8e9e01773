// From the cluster that a pipeline file names to what the connections to it are told.

import { readFileSync } from 'node:fs'
import { SILENCE_MS } from '../../connectors/kafka/wire/options.ts'
import type { ClusterOptions, KafkaSasl } from '../../connectors/kafka/wire/options.ts'
import type { KafkaTlsMode } from '../../connectors/kafka/wire/options.ts'
import { systemClock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'
import type { KafkaEndpointConfig } from '../job/config/pipeline-config.ts'

/** The name under which brokers list this client in their logs and quotas. */
const CLIENT_ID = 'millrace'

/** @throws PipelineError TLS_FAILED */
export function clusterOptions(
  pipeline: string,
  { brokers, tls, sasl }: KafkaEndpointConfig,
): ClusterOptions {
  return {
    bootstrap: brokers,
    clientId: `${CLIENT_ID}-${pipeline}`,
    tls: {
      mode: tls.mode as KafkaTlsMode,
      ca: tls.ca === null ? null : readAuthorities(tls.ca),
      client: null,
    },
    sasl: saslOptions(sasl),
    silenceMs: SILENCE_MS,
    clock: systemClock,
  }
}

function saslOptions(sasl: KafkaEndpointConfig['sasl']): KafkaSasl | null {
  if (sasl === null) return null
  // Asked at every connect, so that a rotated secret is seen.
  if (sasl.mechanism === 'OAUTHBEARER') {
    return { mechanism: sasl.mechanism, token: () => sasl.token.reveal() }
  }
  const { mechanism, username: user, password } = sasl
  return { mechanism, user, password: () => password.reveal() }
}

/** @throws PipelineError TLS_FAILED */
export function readAuthorities(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('TLS_FAILED', `the authorities in ${path} cannot be read`, { cause })
  }
}
