// What the connections to a Kafka cluster are told: plain data and functions, no YAML.

import type { Clock } from '../../../runtime/base/clock.ts'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** `verify-full` checks the chain and the host name, `verify-ca` the chain, `required` nothing. */
export type KafkaTlsMode = 'disabled' | 'required' | 'verify-ca' | 'verify-full'

export interface KafkaTls {
  readonly mode: KafkaTlsMode
  /** PEM text; `null`: the authorities that Node trusts. */
  readonly ca: string | null
  /** Certificate and key of ours, as PEM, where brokers ask clients for one; `null`: none. */
  readonly client: { readonly certificate: string; readonly key: () => string } | null
}

export type KafkaSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly user: string
      /** Called at every connect, so that a rotated secret is seen; its result is never kept. */
      readonly password: () => string
    }
  | {
      readonly mechanism: 'OAUTHBEARER'
      /** Called at every connect and re-authentication. */
      readonly token: () => string | Promise<string>
    }

export interface ClusterOptions {
  /** Where the cluster is asked first, in this order; it names its brokers itself. */
  readonly bootstrap: readonly BrokerAddress[]
  readonly clientId: string
  readonly tls: KafkaTls
  readonly sasl: KafkaSasl | null
  /** A broker that sends nothing for so long while it owes an answer is given up. */
  readonly silenceMs: number
  readonly clock: Clock
}

export const SILENCE_MS = 30_000
