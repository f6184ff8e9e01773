// What the client of a schema registry is told: plain data and functions, no YAML.

import type { Clock } from '../../../runtime/base/clock.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'

export type RegistryCredentials =
  | { readonly kind: 'none' }
  /** Secrets are asked for at every request, so that a rotated one is seen. */
  | { readonly kind: 'basic'; readonly username: string; readonly password: () => string }
  | { readonly kind: 'bearer'; readonly token: () => string }

export interface RegistryTls {
  /** PEM text; `null`: the authorities that Node trusts. */
  readonly ca: string | null
  /** False: whoever answers is believed. */
  readonly verify: boolean
  /** Our own certificate, PEM; `null`: none. */
  readonly identity: { readonly certificate: string; readonly key: () => string } | null
}

export interface RegistryOptions {
  /** Bases of Confluent's API, tried in turn, at least one: `https://registry:8081`. No secrets. */
  readonly urls: readonly string[]
  readonly credentials: RegistryCredentials
  readonly tls: RegistryTls
  /** Of one request, from the connection to the last byte. */
  readonly timeoutMs: number
  /**
   * Keeps schemas beside the checkpoint, so that a restart needs no registry; `null`: nowhere. It
   * may be shared: entries are told apart by the registry's addresses.
   */
  readonly store: ObjectStore | null
  readonly clock: Clock
  readonly log: RegistryLog
}

export interface RegistryLog {
  warn(message: string, facts: Readonly<Record<string, unknown>>): void
}
