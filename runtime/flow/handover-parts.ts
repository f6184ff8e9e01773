// What the hand-over is told, and what it talks to.

import type { Clock } from '../base/clock.ts'
import type { PipelineError } from '../base/errors.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Control } from '../data/element.ts'
import type { Position } from '../data/position.ts'
import type { TableRecord } from './tables.ts'

export interface HandOverOptions {
  /** Chunks that are read at the same time, over all tables. */
  readonly parallelism: number
  /** Rows of one chunk: one read transaction of the source. */
  readonly chunkRows: number
  /** The sink keeps every row that it is given. */
  readonly appends?: boolean
  /** Default: as fast as it goes. */
  readonly pace?: ChunkPace
  /**
   * Rows that may wait in memory, 16 MiB if not given: those of the log for the chunks of tables
   * without a key, and those of each chunk for the log in a sink that keeps every row.
   */
  readonly waitingBytesMax?: number
  readonly clock: Clock
}

/** How fast chunks may be read. */
export interface ChunkPace {
  /** @returns rows of one chunk of the table, at most `rows` */
  rowsMax(table: string, rows: number): number
  /** Resolves when more of the table may be fetched behind this batch. */
  pay(batch: ChangeBatch, signal: AbortSignal): Promise<void>
}

/** The corridor, as the hand-over sees it. Everything takes effect in the order of the calls. */
export interface HandOverOutput {
  send(batch: ChangeBatch): Promise<unknown> | undefined
  control(element: Control): void
  /** Position up to which the log has been sent. */
  processed(): Position
  park(table: string, error: PipelineError): void
  /**
   * The table is about to be repaired. @returns tables that are to be with it, since they are one
   *   in the lake; `null`: it is one by itself
   */
  beginTogether?(record: TableRecord): readonly TableRecord[] | null
}
