// What the text of a QUERY event says, as far as a replica of captured tables must know it.

import type { ColumnDefault } from './state.ts'
import type { MysqlType } from '../types.ts'

export interface TableName {
  /** `null`: the event's default database. Resolve with `inDatabase`. */
  readonly database: string | null
  readonly name: string
}

/** A column as a statement defines it. */
export interface ColumnDefinition {
  readonly name: string
  /** Charset inside is `null` for text types that name none: they take the table's. */
  readonly type: MysqlType
  readonly nullable: boolean
  readonly default: ColumnDefault
  readonly generated: 'stored' | 'virtual' | null
  readonly autoIncrement: boolean
  readonly comment: string | null
  /** It says neither NULL nor NOT NULL, which makes some TIMESTAMPs NOT NULL. */
  readonly nullUnsaid: boolean
  /** The column brings its own key: `... PRIMARY KEY` or `... UNIQUE`. */
  readonly key: 'primary' | 'unique' | null
}

export interface IndexDefinition {
  /** `PRIMARY` for the primary key; `null`: the server makes a name up. */
  readonly name: string | null
  readonly unique: boolean
  /** Column names in order; `null` where a part is a prefix or an expression. */
  readonly columns: readonly (string | null)[]
}

export type ColumnPlace =
  | { readonly at: 'last' }
  | { readonly at: 'first' }
  | { readonly at: 'after'; readonly column: string }

export type AlterAction =
  /** ALTER IGNORE of MariaDB: rows that do not fit are cut or removed, in any sql_mode. */
  | { readonly kind: 'ignore' }
  | {
      readonly kind: 'add-column'
      readonly column: ColumnDefinition
      readonly place: ColumnPlace
      readonly ifNotExists: boolean
    }
  | { readonly kind: 'drop-column'; readonly name: string; readonly ifExists: boolean }
  | {
      readonly kind: 'rename-column'
      readonly from: string
      readonly to: string
      readonly ifExists: boolean
    }
  /** CHANGE and MODIFY; `place` is `null` when the column stays where it is. */
  | {
      readonly kind: 'change-column'
      readonly from: string
      readonly column: ColumnDefinition
      readonly place: ColumnPlace | null
      readonly ifExists: boolean
    }
  | {
      readonly kind: 'set-default'
      readonly name: string
      readonly default: ColumnDefault
      readonly ifExists: boolean
    }
  | { readonly kind: 'add-index'; readonly index: IndexDefinition; readonly ifNotExists: boolean }
  | { readonly kind: 'drop-index'; readonly name: string; readonly ifExists: boolean }
  | { readonly kind: 'rename-index'; readonly from: string; readonly to: string }
  | { readonly kind: 'rename-table'; readonly to: TableName }
  /** Every text column is rewritten in another charset. */
  | { readonly kind: 'convert-charset'; readonly charset: string }
  | { readonly kind: 'default-charset'; readonly charset: string }
  | { readonly kind: 'comment'; readonly comment: string | null }
  /** Rows appear or vanish without row events: DROP, TRUNCATE, EXCHANGE PARTITION. */
  | { readonly kind: 'partition-rows'; readonly verb: string; readonly with: TableName | null }
  /** Engine, row format, non-unique indexes, foreign keys, checks, REORGANIZE PARTITION, ... */
  | { readonly kind: 'no-effect'; readonly what: string }

export interface TableDefinition {
  readonly columns: readonly ColumnDefinition[]
  readonly indexes: readonly IndexDefinition[]
  /** `null`: the database's default. */
  readonly charset: string | null
  readonly comment: string | null
}

/** How a table's rows are written by statement text. */
export type DmlVerb = 'insert' | 'update' | 'delete' | 'replace' | 'load' | 'call' | 'select'

export type Statement =
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'savepoint' }
  /** XA START, END, PREPARE, COMMIT, ROLLBACK; `xid` as text `X'..',X'..',n` without blanks. */
  | {
      readonly kind: 'xa'
      readonly verb: 'start' | 'end' | 'prepare' | 'commit' | 'rollback'
      readonly xid: string
      readonly onePhase: boolean
    }
  | {
      readonly kind: 'create-table'
      readonly table: TableName
      readonly temporary: boolean
      readonly ifNotExists: boolean
      readonly orReplace: boolean
      readonly like: TableName | null
      /** `null` with `like`. */
      readonly definition: TableDefinition | null
    }
  | {
      readonly kind: 'alter-table'
      readonly table: TableName
      readonly actions: readonly AlterAction[]
    }
  | {
      readonly kind: 'rename-table'
      /** Left to right, each seeing the names that the ones before left. */
      readonly renames: readonly { readonly from: TableName; readonly to: TableName }[]
    }
  | {
      readonly kind: 'drop-table'
      readonly tables: readonly TableName[]
      readonly temporary: boolean
    }
  | { readonly kind: 'truncate'; readonly table: TableName }
  /** `charset`: `null` takes the server's (`QueryEvent.serverCharset`). */
  | {
      readonly kind: 'create-database'
      readonly database: string
      readonly charset: string | null
      readonly orReplace: boolean
    }
  | { readonly kind: 'drop-database'; readonly database: string }
  /** `charset` is the new default of tables created in it. */
  | {
      readonly kind: 'alter-database'
      readonly database: string | null
      readonly charset: string | null
    }
  /** Rows changed by statement text. `tables` are those that it names; []: any may be meant. */
  | { readonly kind: 'dml'; readonly verb: DmlVerb; readonly tables: readonly TableName[] }
  /** Views, users, routines, triggers, SET, FLUSH, ...: no table changes. */
  | { readonly kind: 'no-effect'; readonly what: string }
  /**
   * The statement may change a table, but its text is not understood. `tables` are those that it
   * surely names; a captured one among them parks.
   */
  | {
      readonly kind: 'unreadable'
      readonly tables: readonly TableName[]
      readonly reason: string
    }

export interface StatementOptions {
  /** sql_mode has ANSI_QUOTES: "x" is an identifier, not a string. */
  readonly ansiQuotes: boolean
  /** sql_mode has NO_BACKSLASH_ESCAPES. */
  readonly noBackslashEscapes: boolean
  /** Decides which version comments are code: only MariaDB reads those with an M. */
  readonly mariadb: boolean
}
