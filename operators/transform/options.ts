// What an entry of `transform` asks for, and what it must know of the sink.

import { COMMIT_TIME_COLUMN, type EventTimeColumn } from '../../runtime/data/expression/compile.ts'
import type { Encoding } from '../../runtime/data/json/fill.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

export interface TransformOptions {
  /** Default: all columns. */
  readonly projection: string | null
  readonly filter: string | null
  /** Key of what leaves; `null`: that of the source. */
  readonly primaryKeys: readonly string[] | null
  /** Column to type. */
  readonly cast: Readonly<Record<string, string>>
  /** Column to mask: a name of one, or an expression. */
  readonly mask: Readonly<Record<string, string>>
  /** A deleted row stays: `column` is true then, and `at` the time of its deletion. */
  readonly softDelete: { readonly column: string; readonly at: string | null } | null
  /** Documents to take apart, in this order. */
  readonly json: readonly JsonOptions[]
  /** A column of lists or arrays, each element of which becomes a row. */
  readonly explode: ExplodeOptions | null
  /** A value that cannot be computed: the table stops, it is null, or its row is a dead letter. */
  readonly onError: 'stop' | 'null' | 'dlq'
}

/** A column that is made of a document. */
export interface JsonColumn {
  readonly name: string
  /** Names that lead to the value, from the outermost object on. */
  readonly path: readonly string[]
  readonly type: ColumnType
  readonly nullable: boolean
  readonly encoding: Encoding
}

export interface JsonOptions {
  /** Of documents that are objects. */
  readonly column: string
  readonly columns: readonly JsonColumn[]
  /** Name of a json column with the members that have no column; `null`: they are left out. */
  readonly rest: string | null
  /** `null`: that of the entry. */
  readonly onError: 'stop' | 'null' | null
}

export interface ExplodeOptions {
  readonly column: string
  /** Name of the element's column, which takes the place of `column`. */
  readonly as: string
  /** Name of the column with the element's number, from 1; `null`: there is none. */
  readonly ordinal: string | null
  /** A row without elements leaves once, with number 0 and no element. */
  readonly outer: boolean
  /** Elements that a row may have; `null`: any number. */
  readonly max: number | null
}

/** @returns the key of hmac_sha256; `null`: the pipeline has none */
export type MaskKey = () => Uint8Array | null

export const NO_MASK_KEY: MaskKey = () => null

/**
 * upsert: the lake has the newest row of each key. append: it takes inserts and the rows of the
 * first copy, nothing else. changelog: every change is a row.
 */
export type SinkKind = 'upsert' | 'append' | 'changelog'

/**
 * new: a row that comes as inserted, or as read, has no older version, as a database says it.
 * unknown: it may replace one, as each record of a key of a topic does.
 */
export type InsertedRows = 'new' | 'unknown'

/** What the rows of the source say of time. */
export interface RowTimes {
  /** They come by one log, in the order of its commits: `__commit_time__`. */
  readonly commits: boolean
  /** What event_time() is; of a database, tables without the column go by their commits. */
  readonly event: EventTimeColumn | null
}

export const BY_COMMITS: RowTimes = {
  commits: true,
  event: { column: COMMIT_TIME_COLUMN, unit: null },
}
