// What a connection for chunks keeps from one chunk to the next: the window that it reads into, and
// of the table that it read last the builders, the decoders, and how it was found in the catalog.
// New ones would be grown to full size, compiled or read, and thrown away for each chunk.

import type { TableSchema } from '../../runtime/data/schema.ts'
import type { ChunkLayout } from './chunk-layout.ts'
import type { Publication } from './publication.ts'
import type { TableShape } from './shape.ts'
import { TableBatch } from './table-batch.ts'

/** What one huge row has made is not kept. */
const WINDOW_KEPT_MAX = 8 * 1024 * 1024

/** All that tells whether a reading of the catalog would give the table's shape again. */
export interface CheckedTable {
  readonly shape: TableShape
  /** Leaves columns out. */
  readonly publication: Publication
  readonly fingerprint: string
}

export class ChunkMemory {
  private window: Uint8Array<ArrayBuffer> | null = null
  private batch: TableBatch | null = null
  private layout: { shape: TableShape; schema: TableSchema; layout: ChunkLayout } | null = null
  private check: CheckedTable | null = null

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

  /** @returns what `make` has made of these two, now or before */
  layoutOf(shape: TableShape, schema: TableSchema, make: () => ChunkLayout): ChunkLayout {
    const { layout } = this
    if (layout?.shape === shape && layout.schema === schema) return layout.layout
    this.layout = { shape, schema, layout: make() }
    return this.layout.layout
  }

  /** True when the last `checked` was of the same. */
  isChecked({ shape, publication, fingerprint }: CheckedTable): boolean {
    const { check } = this
    return (
      check?.shape === shape &&
      check.publication === publication &&
      check.fingerprint === fingerprint
    )
  }

  /** Remembers that the table was found in the catalog as its shape says. */
  checked(table: CheckedTable): void {
    this.check = table
  }
}
