// The port of scripts: what a user exports from a file of `script`, and what it is given. A script
// runs in a thread of its own, on the rows of one table at a time, in order.
//
// Values: boolean, int, float and double are what JavaScript has; long is a bigint; string and json
// (its text) are strings; decimal, uuid, date (2026-01-31), time (12:30:00.5), timestamp
// (2026-01-31T12:30:00.5) and timestamptz (the same with Z) are strings, exactly; binary is a
// Uint8Array, a list an array. A row may give back a number where it is whole, and a Date for a
// timestamptz.

import type { Column } from './data/column/column.ts'

export type ScriptValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Date
  | readonly ScriptValue[]

/** Values by column. What is absent or `undefined` counts as null. */
export type ScriptRow = Record<string, ScriptValue | undefined>

export interface ScriptContext {
  /** `schema.table` of the rows, as the source has it. */
  readonly table: string
}

export interface ScriptOutput {
  /** Columns that come to those of the table, with types as `decimal(12,2)`; they may be null. */
  readonly add?: Readonly<Record<string, string>>
  /** Columns of the table that do not leave. */
  readonly drop?: readonly string[]
}

export interface ScriptOptions {
  readonly output?: ScriptOutput
  /**
   * The same rows always give the same (default), so Date.now, new Date(), Math.random and what is
   * like them throw. With `false` they work, and a replay after a crash may write other values.
   */
  readonly deterministic?: boolean
}

/**
 * Takes a row that was inserted, updated or read; deletes pass by.
 *
 * @returns what the row becomes; `null` drops it; several rows in mode `append` only
 */
export type OnRow = (row: ScriptRow, context: ScriptContext) => RowResult | Promise<RowResult>

export type RowResult = ScriptRow | readonly ScriptRow[] | null

export interface ScriptBatch {
  readonly rows: number
  /** Of `Op`. A delete has the values of its key alone. */
  readonly ops: Uint8Array
  /** By name, in Arrow layout; they are the script's to read. */
  readonly columns: Readonly<Record<string, Column>>
  readonly context: ScriptContext
}

export interface BatchResult {
  /** As many values as the batch has rows: an array or a typed array; other columns stay. */
  readonly columns?: Readonly<Record<string, ArrayLike<ScriptValue | undefined>>>
  /** 0: the row is dropped. */
  readonly keep?: ArrayLike<number>
}

export type OnBatch = (batch: ScriptBatch) => BatchResult | Promise<BatchResult>

export interface ScriptDefinition extends ScriptOptions {
  readonly onRow?: OnRow
  readonly onBatch?: OnBatch
}

/** An operator that sees one row after the other. A plain exported function is one as well. */
export function rowOperator(onRow: OnRow, options: ScriptOptions = {}): ScriptDefinition {
  return { ...options, onRow }
}

/** An operator that sees columns: for what has to be fast. */
export function batchOperator(definition: ScriptOptions & { onBatch: OnBatch }): ScriptDefinition {
  return definition
}
