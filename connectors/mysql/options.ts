// What the MySQL and MariaDB source is told: plain data and functions, no YAML.

import type { Clock } from '../../runtime/base/clock.ts'

/** As the servers' own clients name them; `verify-full` checks the chain and the host name. */
export type TlsMode = 'disabled' | 'preferred' | 'required' | 'verify-ca' | 'verify-full'

export interface MysqlOptions {
  readonly host: string
  /** 1...65535, usually 3306. */
  readonly port: number
  readonly user: string
  /** Called at every connect, so that a rotated secret is seen; its result is never kept. */
  readonly password: () => string
  readonly tls: {
    readonly mode: TlsMode
    /** PEM text; `null`: the authorities that Node trusts. */
    readonly ca: string | null
  }
  /** Tables to copy. System databases are never asked for. */
  readonly tables: (database: string, table: string) => boolean
  /** Columns to leave out. */
  readonly columnsExclude: (database: string, table: string, column: string) => boolean
  /** Rows are told apart by the key: a table without one is refused. */
  readonly keyed: boolean
  /** tinyint(1) becomes boolean; another value than 0 and 1 then parks the table. */
  readonly tinyint1AsBoolean: boolean
  /** Replica id at the server, 1...2^32 - 1; `null`: random, and seen to be free. */
  readonly serverId: number | null
  /**
   * The server sends a sign of life this often on an idle log; after three without one it is dead.
   */
  readonly heartbeatMs: number
  /** Connections that read chunks at the same time, at most. */
  readonly chunkConnections: number
  /** Folder of prepared XA transactions and of groups larger than memory; it is created. */
  readonly spillFolder: string
  readonly clock: Clock
  readonly log: SourceLog
}

/** The two levels that a connector speaks at; values of cells never go in. */
export interface SourceLog {
  info(message: string, facts: Readonly<Record<string, unknown>>): void
  warn(message: string, facts: Readonly<Record<string, unknown>>): void
}

/** Databases of the server's own; their tables are never captured. */
export const SYSTEM_DATABASES: readonly string[] = [
  'information_schema',
  'mysql',
  'performance_schema',
  'sys',
]

/** @returns true when the pipeline copies this table */
export function isCaptured(options: MysqlOptions, database: string, table: string): boolean {
  return !SYSTEM_DATABASES.includes(database.toLowerCase()) && options.tables(database, table)
}
