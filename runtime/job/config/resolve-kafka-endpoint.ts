// From how the file names a Kafka cluster to how it is reached: TLS that verifies unless every
// broker is this machine, and secrets that are fetched when they are needed.

import {
  type ConnectionContext,
  isLoopback,
  reportWeak,
  resolveAuthorities,
  resolveSecret,
} from './connection.ts'
import type { ConfigDocument } from './document.ts'
import type { KafkaEndpointConfig, KafkaSasl, TlsConfig } from './pipeline-config.ts'
import { formatPath, type Path } from './problems.ts'
import type { KafkaEndpointInput } from './schema-kafka-endpoint.ts'

const DEFAULT_PORT = 9092
const PORT_MAX = 65_535

type Broker = KafkaEndpointConfig['brokers'][number]

/** Reports what is wrong. @param path  of the block */
export function resolveEndpoint(
  input: KafkaEndpointInput,
  path: Path,
  context: ConnectionContext,
): KafkaEndpointConfig {
  const brokers = input.brokers.map((written, index) =>
    resolveBroker(written, [...path, 'brokers', index], context.document),
  )
  return {
    brokers,
    tls: resolveTls(input, brokers, path, context),
    sasl: resolveSasl(input, [...path, 'sasl'], context),
  }
}

function resolveBroker(written: string, path: Path, document: ConfigDocument): Broker {
  const [, host = '', digits] = /^(.*?)(?::(\d+))?$/.exec(written) ?? []
  const port = digits === undefined ? DEFAULT_PORT : Number(digits)
  if (port < 1 || port > PORT_MAX) {
    const message = `${formatPath(path)} must be a broker such as kafka1:9092, not "${written}"`
    document.report(path, { error: 'CONFIG_VALUE', message })
  }
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port }
}

function resolveTls(
  { tls: { mode: written, ca } }: KafkaEndpointInput,
  brokers: readonly Broker[],
  path: Path,
  context: ConnectionContext,
): TlsConfig {
  const remote = brokers.find(({ host }) => !isLoopback(host))
  const mode = written ?? (remote === undefined ? 'disabled' : 'verify-full')
  if (remote !== undefined) reportWeak(mode, remote.host, context.document, path)
  if (ca === undefined) return { mode, ca: null }
  return { mode, ca: resolveAuthorities(ca, [...path, 'tls', 'ca'], context) }
}

function resolveSasl(
  { sasl }: KafkaEndpointInput,
  path: Path,
  context: ConnectionContext,
): KafkaSasl | null {
  if (sasl === undefined) return null
  if (sasl.mechanism === 'OAUTHBEARER') {
    const token = resolveSecret(sasl.token, [...path, 'token'], context)
    return { mechanism: sasl.mechanism, token }
  }
  const password = resolveSecret(sasl.password, [...path, 'password'], context)
  return { mechanism: sasl.mechanism, username: sasl.username, password }
}
