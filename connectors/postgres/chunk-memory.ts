// What a connection for chunks keeps from one chunk to the next: the window that it reads into and
// the builders of the table that it read last. New ones would be grown to full size and thrown away
// for each chunk.

import type { TableSchema } from '../../runtime/data/schema.ts'
import { TableBatch } from './table-batch.ts'

/** What one huge row has made is not kept. */
const WINDOW_KEPT_MAX = 8 * 1024 * 1024

export class ChunkMemory {
  private window: Uint8Array<ArrayBuffer> | null = null
  private batch: TableBatch | null = null

  /** @returns memory with anything in it, which the caller owns; `null`: none is kept */
  takeWindow(): Uint8Array<ArrayBuffer> | null {
    const { window } = this
    this.window = null
    return window
  }

  /** Takes over a window that nobody reads any more. */
  giveWindow(window: Uint8Array<ArrayBuffer>): void {
    if (window.length <= WINDOW_KEPT_MAX) this.window = window
  }

  /** @returns an empty batch of the schema, the caller's until the next call */
  batchOf(schema: TableSchema, sourceEpoch: number): TableBatch {
    const { batch } = this
    if (batch === null || batch.schema !== schema || batch.sourceEpoch !== sourceEpoch) {
      return (this.batch = new TableBatch(schema, sourceEpoch))
    }
    // A chunk that failed has left rows.
    batch.clear()
    return batch
  }
}
