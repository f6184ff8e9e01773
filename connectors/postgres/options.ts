// What the PostgreSQL source is told: plain data and functions, no YAML.

import type { Clock } from '../../runtime/base/clock.ts'

/** As libpq's sslmode; `verify-full` checks the chain and the host name. */
export type TlsMode = 'disabled' | 'preferred' | 'required' | 'verify-ca' | 'verify-full'

export interface PostgresOptions {
  readonly host: string
  /** 1...65535, usually 5432. */
  readonly port: number
  readonly database: string
  readonly user: string
  /** Called at every connect, so that a rotated secret is seen; its result is never kept. */
  readonly password: () => string
  readonly tls: {
    readonly mode: TlsMode
    /** PEM text; `null`: the authorities that Node trusts. */
    readonly ca: string | null
  }
  /** Tables to copy. Schemas of the server itself are never asked for. */
  readonly tables: (namespace: string, name: string) => boolean
  /** Tables of `tables` that are left out nevertheless. */
  readonly tablesExclude: (namespace: string, name: string) => boolean
  /** Columns to leave out. */
  readonly columnsExclude: (namespace: string, name: string, column: string) => boolean
  /** Columns that become a string in the server's own text form, whatever their type. */
  readonly columnsAsText: (namespace: string, name: string, column: string) => boolean
  /**
   * What a value becomes that its lake type cannot hold (infinity, BC, NaN, 24:00:00): `fail`
   * parks the table; `null` writes null into a nullable column and fails in others, and in lists.
   */
  readonly unrepresentable: 'fail' | 'null'
  /** Rows are told apart by the key (`upsert`): a table without one is refused. */
  readonly keyed: boolean
  /** The rows of a table are copied before its log is followed. */
  readonly backfills: boolean
  /** Replication slot; created when the pipeline starts for the first time. */
  readonly slot: string
  /** Publication; created when it is missing, and tables that join are added to it. */
  readonly publication: string
  /** The server hears from us this often; after three without a sign of it, it counts as dead. */
  readonly heartbeatMs: number
  /** The catalog is looked at for changes of structure at most this often. */
  readonly catalogPollMs: number
  /** Connections that read chunks at the same time, at most. */
  readonly chunkConnections: number
  readonly clock: Clock
  readonly log: SourceLog
}

/** The two levels that a connector speaks at; values of cells never go in. */
export interface SourceLog {
  info(message: string, facts: Readonly<Record<string, unknown>>): void
  warn(message: string, facts: Readonly<Record<string, unknown>>): void
}

/** @returns true when the pipeline copies this table */
export function isCaptured(options: PostgresOptions, namespace: string, name: string): boolean {
  if (namespace === 'information_schema' || namespace.startsWith('pg_')) return false
  return options.tables(namespace, name) && !options.tablesExclude(namespace, name)
}
