// One chunk of a backfill: a snapshot on a connection of its own, rows decoded from the socket into
// columns. Which commits the snapshot holds is known exactly, see `Snapshot`.

import { present } from '../../../runtime/base/assert.ts'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { Op } from '../../../runtime/data/batch.ts'
import { packBatch } from '../../../runtime/data/pack.ts'
import type { Order } from '../../../runtime/data/position.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { ChunkPart, ChunkRead, ChunkVisibility } from '../../../runtime/source.ts'
import type { ChangeBuilder } from '../decode/change-builder.ts'
import type { MysqlType } from '../types.ts'
import type { WireClient } from '../wire/client.ts'
import { boundOf, type KeyPart } from './key.ts'
import type { RowBuilder, RowBuilders } from './row-builders.ts'
import { checkResult } from './row-decoder.ts'
import { visibilityOf, type SnapshotCommits } from './visibility.ts'

/** How the two servers say what a snapshot holds. */
export interface Snapshot {
  /** Every transaction before it is in the snapshot. */
  readonly low: Order
  /** Asked after the SELECT: no transaction at or behind it is in the snapshot. */
  readonly high: () => Promise<Order>
  /** Server's clock when it opened, us since 1970. */
  readonly timeUs: bigint
  /** Of a table without a key: what is known of single transactions. */
  readonly commits: SnapshotCommits | null
}

export interface ChunkQuery {
  readonly schema: TableSchema
  /** Of the source columns, one a field. */
  readonly types: readonly MysqlType[]
  readonly key: readonly KeyPart[] | null
  readonly sql: string
  readonly limit: number
}

/** What the reader gives back when it is done with the connection. */
export interface Lease {
  readonly client: WireClient
  /** @param sound  false: something went wrong, close it instead of keeping it */
  release(sound: boolean): void
}

/** A chunk has no transaction of its own: the empty id. */
const NO_ID = new Uint8Array(0)

export class ChunkReader implements ChunkRead {
  readonly low: Order
  readonly parts: AsyncIterable<ChunkPart>
  readonly visibility: ChunkVisibility | null
  private readonly lease: Lease
  private readonly snapshot: Snapshot
  private readonly query: ChunkQuery
  private readonly builders: RowBuilders
  private rows = 0
  private highOrder: Order | null = null

  constructor(
    lease: Lease,
    snapshot: Snapshot,
    query: ChunkQuery,
    builders: RowBuilders,
    signal: AbortSignal,
  ) {
    this.builders = builders
    this.low = snapshot.low
    this.lease = lease
    this.snapshot = snapshot
    this.query = query
    this.parts = this.read(signal)
    const { commits } = snapshot
    this.visibility = commits === null ? null : visibilityOf(commits, () => this.highOrder)
  }

  async high(): Promise<Order> {
    return present(this.highOrder, 'HIGH is known once the rows are read')
  }

  exhausted(): boolean {
    return this.rows < this.query.limit
  }

  private async *read(signal: AbortSignal): AsyncGenerator<ChunkPart> {
    const { client } = this.lease
    const abort = (): void => client.reader.fail(aborted())
    signal.addEventListener('abort', abort, { once: true })
    let sound = false
    try {
      if (signal.aborted) throw aborted()
      const statement = await client.prepare(this.query.sql)
      checkResult(this.query.schema, this.query.types, statement.columns)
      await client.execute(statement.id)
      const row = this.builders.take(this.query.schema, this.query.types)
      try {
        yield* this.readRows(row)
      } finally {
        this.builders.give(row)
      }
      client.closeStatement(statement.id)
      // Before COMMIT or after it makes no difference: HIGH only has to be later than the SELECT.
      this.highOrder = await this.snapshot.high()
      await client.query('COMMIT')
      sound = true
    } finally {
      signal.removeEventListener('abort', abort)
      // A loop that was left early leaves rows on the socket: closing is the only way to be rid of
      // them, and it ends the transaction, so that no old row versions are kept for nobody.
      this.lease.release(sound)
    }
  }

  private async *readRows({ builder, decoder }: RowBuilder): AsyncGenerator<ChunkPart> {
    const { client } = this.lease
    const { reader } = client
    let ended = false
    while (!ended) {
      this.begin(builder)
      let row = 0
      let bytes = 0
      while (row + 2 <= builder.limits.rowsMax && bytes < builder.limits.bytesMax) {
        if (!client.tryStep()) {
          await reader.fill()
          continue
        }
        if (client.atEof()) {
          ended = true
          break
        }
        if (row === builder.capacity) {
          builder.reserveRows(row + 1)
          decoder.refresh()
        }
        const { start, end } = reader
        if (decoder.decode(reader.bytes, start, row) !== end) {
          throw new PipelineError(
            'LOG_CORRUPT',
            `a row of table ${builder.schema.table} is misread`,
          )
        }
        bytes += end - start
        row++
      }
      if (row > 0) yield this.part(builder, row, bytes)
      builder.reset()
    }
  }

  private begin(builder: ChangeBuilder): void {
    builder.beginTransaction(this.snapshot.low, this.snapshot.timeUs, NO_ID)
  }

  private part(builder: ChangeBuilder, rows: number, bytes: number): ChunkPart {
    builder.ops.fill(Op.read, 0, rows)
    builder.addRows(rows, this.rows, bytes)
    this.rows += rows
    const batch = packBatch(builder.view())
    const { key, schema } = this.query
    const lastKey = key === null ? WHOLE_TABLE : boundOf(schema, key, batch.columns, rows - 1)
    return { batch, lastKey }
  }
}

/** The bound of tables without a key: nothing can be resumed behind it. */
export const WHOLE_TABLE = ''

export function aborted(): PipelineError {
  return new PipelineError('CONNECT_FAILED', 'the chunk was given up')
}
