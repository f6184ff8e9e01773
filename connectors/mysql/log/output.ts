// Batches under construction of all tables, and the elements that are ready to be handed out. The
// reader fills it synchronously and empties it between two packets.

import type { Clock } from '../../../runtime/base/clock.ts'
import { BATCH_AGE_MS_MAX } from '../../../runtime/data/batch.ts'
import type { SourceElement } from '../../../runtime/data/element.ts'
import { packBatch } from '../../../runtime/data/pack.ts'
import type { Order } from '../../../runtime/data/position.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import { ChangeBuilder } from '../decode/change-builder.ts'

/** What all rows of a transaction share. */
export interface TransactionMark {
  readonly order: Order
  readonly timeUs: bigint
  /** Running maximum of the commit times, this one included. */
  readonly latestUs: bigint
  readonly id: Uint8Array
}

export class TableBuffer {
  readonly schema: TableSchema
  readonly builder: ChangeBuilder
  /** It is in the list of tables that have rows. */
  listed = false

  constructor(schema: TableSchema) {
    this.schema = schema
    this.builder = new ChangeBuilder(schema)
  }
}

export class LogOutput {
  /** To be handed out, in order. */
  readonly ready: SourceElement[] = []
  private readonly clock: Clock
  private readonly buffers = new Map<string, TableBuffer>()
  private readonly filled: TableBuffer[] = []
  private sinceMs = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Hands out what is ready. */
  *drain(): Generator<SourceElement> {
    if (this.ready.length === 0) return
    for (const element of this.ready.splice(0)) yield element
  }

  /** The buffer of a table under `schema`; rows under an older one must have been flushed. */
  bufferOf(schema: TableSchema): TableBuffer {
    const known = this.buffers.get(schema.table)
    if (known !== undefined && known.schema === schema) return known
    if (known !== undefined) this.take(known)
    const buffer = new TableBuffer(schema)
    this.buffers.set(schema.table, buffer)
    return buffer
  }

  /** Names the transaction of the rows that come next for a table. */
  begin(buffer: TableBuffer, { order, timeUs, id, latestUs }: TransactionMark): void {
    if (!buffer.builder.beginTransaction(order, timeUs, id, latestUs)) {
      this.take(buffer)
      buffer.builder.beginTransaction(order, timeUs, id, latestUs)
    }
    if (buffer.listed) return
    buffer.listed = true
    if (this.filled.length === 0) this.sinceMs = this.clock.elapsedMs()
    this.filled.push(buffer)
  }

  /** Makes the rows of a table a batch. */
  take({ builder }: TableBuffer): void {
    if (builder.rows > 0) this.ready.push(packBatch(builder.view()))
    builder.reset()
  }

  /** Makes all rows batches. */
  flush(): void {
    for (const buffer of this.filled) {
      this.take(buffer)
      buffer.listed = false
    }
    this.filled.length = 0
  }

  /** Milliseconds that the oldest row may still wait; `null`: there is none. */
  dueInMs(): number | null {
    if (this.filled.length === 0) return null
    return Math.max(0, this.sinceMs + BATCH_AGE_MS_MAX - this.clock.elapsedMs())
  }
}
