// Reads chunks of tables by COPY in binary form, each in a transaction of its own.

import type { Client } from 'pg'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Order } from '../../runtime/data/position.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { Chunk, ChunkPart, ChunkRead } from '../../runtime/source.ts'
import { layoutOf } from './chunk-layout.ts'
import { selectSql } from './chunk-sql.ts'
import { moved, startChunk, type ChunkStart, type Lease } from './chunk-start.ts'
import { sqlStateOf, translate } from './connect.ts'
import { CopyReader } from './decode/copy.ts'
import { keyText } from './literal.ts'
import { orderOfLsn, type Lsn } from './lsn.ts'
import { visibilityOf, type Snapshot } from './snapshot.ts'
import type { KnownTable } from './state.ts'
import type { TableBatch, TransactionStamp } from './table-batch.ts'
import type { TableRegistry } from './tables.ts'

export interface ChunkParts {
  readonly registry: TableRegistry
  readonly sourceEpoch: number
  /** LOW by the snapshot of the chunk (H1). */
  readonly lowOf: (snapshot: Snapshot) => Lsn
  /**
   * Waits until the log of before `inserted` is flushed, which the chunk may have seen.
   *
   * @returns HIGH: the same place, as the stream reaches it
   */
  readonly durable: (inserted: Lsn, signal: AbortSignal) => Promise<Lsn>
  /** The table's structure is not the one that the log has shown: it should be looked at. */
  readonly moved: (table: string) => void
}

/** @throws PipelineError SCHEMA_MOVED, CONNECT_FAILED, PRIVILEGE_MISSING */
export async function openChunk(
  lease: Lease,
  parts: ChunkParts,
  chunk: Chunk,
  limit: number,
  schema: TableSchema,
  signal: AbortSignal,
): Promise<ChunkRead> {
  const known = parts.registry.named(chunk.table)
  if (known === null) {
    lease.release(false)
    throw moved(chunk.table, 'it is gone')
  }
  try {
    const start = await startChunk(lease, parts.registry, known)
    const reader = new ChunkReader(lease, parts, chunk, limit, schema, known, start, signal)
    return reader.asRead()
  } catch (error) {
    const translated = chunkFailure(error, chunk.table)
    if (translated.error === 'SCHEMA_MOVED') parts.moved(chunk.table)
    const clean = await rollback(lease.client)
    lease.release(!clean)
    throw translated
  }
}

/**
 * Table, column, type, function or schema undefined, lock not available, cached plan outdated,
 * table just dropped.
 */
const MOVED_STATES = new Set('42P01 42703 42704 42883 3F000 55P03 0A000 XX000'.split(' '))

/** What an error of the server means for the chunks of a table. */
export function chunkFailure(error: unknown, table: string): PipelineError {
  if (error instanceof PipelineError && sqlStateOf(error) === '') return error
  if (MOVED_STATES.has(sqlStateOf(error))) return moved(table, 'its structure changes', error)
  return translate(error, `a chunk of table "${table}" cannot be read`)
}

async function rollback(client: Client): Promise<boolean> {
  try {
    await client.query('ROLLBACK')
    return true
  } catch {
    return false
  }
}

class ChunkReader {
  private readonly lease: Lease
  private readonly parts: ChunkParts
  private readonly chunk: Chunk
  private readonly limit: number
  private readonly schema: TableSchema
  private readonly known: KnownTable
  private readonly low: Lsn
  private readonly snapshot: Snapshot
  /** Resolves with HIGH, once no crash can take back what the chunk has seen. */
  private readonly durable: Promise<Lsn>
  private readonly stamp: TransactionStamp
  private readonly signal: AbortSignal
  private rows = 0

  constructor(
    lease: Lease,
    parts: ChunkParts,
    chunk: Chunk,
    limit: number,
    schema: TableSchema,
    known: KnownTable,
    start: ChunkStart,
    signal: AbortSignal,
  ) {
    this.lease = lease
    this.parts = parts
    this.chunk = chunk
    this.limit = limit
    this.schema = schema
    this.known = known
    this.low = parts.lowOf(start.snapshot)
    this.snapshot = start.snapshot
    this.durable = parts.durable(start.inserted, signal)
    // Whoever gives the chunk up does not ask what became of it.
    this.durable.catch(() => undefined)
    const { time2000Us } = start
    this.stamp = { serial: 0, lsn: this.low, time2000Us, latest2000Us: time2000Us, xid: 0 }
    this.signal = signal
  }

  asRead(): ChunkRead {
    const { parts, snapshot } = this
    const low = orderOfLsn(parts.sourceEpoch, this.low)
    return {
      low,
      parts: this.read(),
      high: async (): Promise<Order> => orderOfLsn(parts.sourceEpoch, await this.durable),
      // A table without a key is read in one piece, whatever the limit.
      exhausted: () => this.schema.key === null || this.rows < this.limit,
      visibility: this.schema.key === null ? visibilityOf(snapshot, low) : null,
    }
  }

  private async *read(): AsyncGenerator<ChunkPart> {
    const { lease } = this
    let finished = false
    try {
      for await (const part of this.copy()) {
        // The server sends rows meanwhile. A row that it lost would stay in the lake for good.
        await this.durable
        yield part
      }
      await lease.client.query('COMMIT')
      finished = true
    } catch (error) {
      const failure = chunkFailure(error, this.chunk.table)
      if (failure.error === 'SCHEMA_MOVED') this.parts.moved(this.chunk.table)
      throw failure
    } finally {
      // Left early or failed: rows may still be on the wire, so the connection is of no use.
      lease.release(!finished)
    }
  }

  private async *copy(): AsyncGenerator<ChunkPart> {
    const { known, schema, parts, chunk } = this
    const { client, memory } = this.lease
    const { places, fields, rows, factory } = memory.layoutOf(known.shape, schema, () =>
      layoutOf(known.shape, schema, parts.registry.options.unrepresentable === 'null'),
    )
    const select = selectSql({
      shape: known.shape,
      lookup: parts.registry.types.lookup,
      places,
      key: schema.key === null ? [] : (known.shape.source.key ?? []).map(Number),
      after: chunk.after,
      until: chunk.until,
      limit: schema.key === null ? null : this.limit,
    })
    const batch = memory.batchOf(schema, parts.sourceEpoch)
    const decoders = { rows, row: factory(batch.builders) }
    const window = memory.takeWindow()
    const { clock } = parts.registry.options
    const reader = new CopyReader(client, select, chunk.table, fields, clock, this.signal, window)
    try {
      while (await reader.fill()) {
        for (let full = true; full;) {
          full = reader.read(batch, decoders, this.stamp)
          this.rows = reader.rows
          if (full) yield this.part(batch)
        }
      }
      if (batch.rows > 0) yield this.part(batch)
    } finally {
      memory.giveWindow(reader.release())
    }
  }

  private part(batch: TableBatch): ChunkPart {
    const taken = batch.take()
    return { batch: taken, lastKey: this.lastKey(taken) }
  }

  /** The key of the last row as JSON texts; '' for a table without a key. */
  private lastKey(batch: ChunkPart['batch']): string {
    const { key } = this.schema
    if (key === null) return ''
    return JSON.stringify(
      key.map((index) => {
        const column = batch.columns[index]
        if (column === undefined) throw new PipelineError('INTERNAL', 'a key has no column')
        return keyText(column, batch.rows - 1)
      }),
    )
  }
}
