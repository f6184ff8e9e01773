// What the source thread knows of every table: its structure, how far its hand-over is, and why it
// is parked. One record a table; all of it is in the checkpoint.

import type { ErrorRecord } from '../base/errors.ts'
import type { Order } from '../data/position.ts'
import type { SourceTable, TableSchema } from '../data/schema.ts'

/**
 * waiting: chunks may not open yet · backfilling: chunks are read · catching-up: all chunks are
 * read, the log has not reached their HIGH · streaming: handed over · parked: takes no rows ·
 * dropped: gone from the source.
 */
export type TablePhase =
  | 'waiting'
  | 'backfilling'
  | 'catching-up'
  | 'streaming'
  | 'parked'
  | 'dropped'

/** A piece of a table that one reader copies from `after` to `until`, chunk by chunk. */
export interface BackfillRange {
  /** Key of the last row that was emitted; rows behind it are still to come. */
  after: string | null
  readonly until: string | null
  done: boolean
}

export interface Backfill {
  /** Deletes at its end what it did not confirm (H8). */
  readonly repair: boolean
  /** `null`: the table has not been cut yet. */
  ranges: BackfillRange[] | null
  /** Highest HIGH of the chunks read so far. */
  high: Order
  rowsDone: number
  rowsEstimated: number | null
  /** Of the server that the rows were read from, or that the log told of; `null`: none was read. */
  sourceEpoch: number | null
}

export interface TableRecord {
  /** As the source's rows are decoded. */
  schema: TableSchema
  /** Of the lake's table, where operators make other columns; `null`: `schema`. */
  lake: TableSchema | null
  /** `OperatorPlan.semantics` of the rows that the lake has; `null`: no operators. */
  semantics: string | null
  incarnation: string
  phase: TablePhase
  /** `null` once handed over. */
  backfill: Backfill | null
  /** Order of the last TRUNCATE during the hand-over (H2). */
  floor: Order | null
  reason: ErrorRecord | null
  /** Structure that the source showed last while the table was parked; a repair starts from it. */
  shape: SourceTable | null
  /** What `waiting` waits for, for `status`. */
  waitsFor: string | null
  /** The lake's table is one with those of other tables. Missing: it is not. */
  united?: UnitedRecord
}

/** A table of the source as a part of a table of the lake. */
export interface UnitedRecord {
  /** `unionKey` of the table that it is a part of, which has a record of its own. */
  readonly table: string
  /** Columns that it had and has no longer: what the lake has of its rows in them is of before. */
  readonly gone: readonly string[]
}

/** @returns the record of a table that begins */
export function newRecord(schema: TableSchema, incarnation: string): TableRecord {
  return {
    schema,
    lake: null,
    semantics: null,
    incarnation,
    phase: 'streaming',
    backfill: null,
    floor: null,
    reason: null,
    shape: null,
    waitsFor: null,
  }
}

export function newBackfill(repair: boolean): Backfill {
  return { repair, ranges: null, high: 0n, rowsDone: 0, rowsEstimated: null, sourceEpoch: null }
}

/** @returns the structure of what enters the exchange */
export function lakeSchema({ schema, lake }: TableRecord): TableSchema {
  return lake ?? schema
}

/** True while chunks of the table are in flight or still to come. */
export function inHandOver(record: TableRecord): boolean {
  return record.backfill !== null && record.phase !== 'parked' && record.phase !== 'dropped'
}
