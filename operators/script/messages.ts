// What the source's thread and the script's thread say to each other. One question at a time, and
// one answer for each.

import type { Column } from '../../runtime/data/column/column.ts'
import type { ColumnType } from '../../runtime/data/type.ts'

export interface ScriptColumn {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  readonly isKey: boolean
}

/** What a script's thread begins with. */
export interface ScriptSeed {
  /** Absolute path of the file. */
  readonly file: string
  readonly export: string
  /** One int32: how many answers there have been. */
  readonly answers: SharedArrayBuffer
}

/** What may become of a row that the script gives up, and of one that it makes two of. */
export interface ScriptRules {
  /**
   * delete: an update leaves as a delete; delete any: so does an inserted row, which may have an
   * older version; refuse: it is an error of the row.
   */
  readonly dropped: 'drop' | 'delete' | 'delete any' | 'refuse'
  readonly explodes: boolean
  /** What becomes of a row that fails. */
  readonly onError: 'stop' | 'null'
}

export interface ScriptQuestion {
  readonly table: string
  readonly columns: readonly ScriptColumn[]
  /** As `Definition.add` has them. */
  readonly added: readonly ScriptColumn[]
  readonly rules: ScriptRules
  readonly rows: number
  readonly ops: Uint8Array
  readonly values: readonly Column[]
}

/** What the script has said of itself. */
export interface Definition {
  readonly kind: 'defined'
  readonly add: readonly (readonly [name: string, type: string])[]
  readonly drop: readonly string[]
}

export interface ScriptResult {
  readonly kind: 'done'
  /** Row of the question that each row which leaves comes from, ascending. */
  readonly parents: Int32Array
  readonly ops: Uint8Array
  /** Of the question's columns, then of those that are added; as long as `parents`. */
  readonly values: readonly Column[]
}

export interface ScriptFailure {
  readonly kind: 'failed'
  /** Row of the question; `null`: the script as a whole. */
  readonly row: number | null
  readonly message: string
}

export type ScriptAnswer = Definition | ScriptResult | ScriptFailure
