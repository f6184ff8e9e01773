// Reads chunks of tables by COPY in binary form, each in a transaction of its own. The table's lock
// of a plain SELECT is taken before the snapshot, so no change of structure can stand between the
// catalog that is checked and the rows that are read.

import type { Client } from 'pg'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Order } from '../../runtime/data/position.ts'
import { tableKey, type TableSchema } from '../../runtime/data/schema.ts'
import type { Chunk, ChunkPart, ChunkRead } from '../../runtime/source.ts'
import { loadTypes, readTables, type Ask, type CatalogTable } from './catalog.ts'
import type { ChunkMemory } from './chunk-memory.ts'
import { selectSql } from './chunk-sql.ts'
import { sqlStateOf, translate } from './connect.ts'
import { CopyReader } from './decode/copy.ts'
import { compileDecoder, type DecodedField } from './decode/generate.ts'
import { compileRows } from './decode/rows-decoder.ts'
import { keyText } from './literal.ts'
import { decodedFields } from './log-table.ts'
import { orderOfLsn, parseLsn, type Lsn } from './lsn.ts'
import { hiddenRows, qualified } from './publication.ts'
import { signatureOf, type TableShape } from './shape.ts'
import type { Snapshot } from './snapshot.ts'
import type { KnownTable } from './state.ts'
import type { TableBatch, TransactionStamp } from './table-batch.ts'
import type { TableRegistry } from './tables.ts'

/** A lock that an ALTER TABLE holds or waits for is not waited for longer than this. */
const LOCK_TIMEOUT_MS = 10_000

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

/** What a chunk is read from: its connection, and how to give it back. */
export interface Lease {
  readonly client: Client
  /** Of this connection. */
  readonly memory: ChunkMemory
  /** `broken`: the connection is in the middle of something and must be closed. */
  readonly release: (broken: boolean) => void
}

interface Opened {
  readonly low: Lsn
  /** The end of the log behind the snapshot. */
  readonly inserted: Lsn
  readonly time2000Us: number
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
    const opened = await begin(lease.client, parts, known)
    const reader = new ChunkReader(lease, parts, chunk, limit, schema, known, opened, signal)
    return reader.asRead()
  } catch (error) {
    const translated = chunkFailure(error, chunk.table)
    if (translated.error === 'SCHEMA_MOVED') parts.moved(chunk.table)
    const clean = await rollback(lease.client)
    lease.release(!clean)
    throw translated
  }
}

/** Opens the transaction, and checks that the table is still as the log has shown it. */
async function begin(client: Client, parts: ChunkParts, known: KnownTable): Promise<Opened> {
  const { registry } = parts
  const { oid, source } = known.shape
  const ask: Ask = async (sql, values = []) => {
    const { rows } = await client.query<Record<string, unknown>>(sql, [...values])
    return rows
  }
  await ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  await ask(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
  await ask(`LOCK TABLE ${qualified(source)} IN ACCESS SHARE MODE`)
  const { tables, snapshot } = await readTables(ask, [oid])
  const [table] = tables
  if (table === undefined) throw moved(tableKey(source), 'it is gone')
  await loadTypes(registry.types, ask, tables)
  requireSameShape(registry, known, table)
  if (table.hidesRows) throw hiddenRows(table, registry.options.user)
  if (snapshot.xmin < known.joinedAt) {
    throw moved(tableKey(source), 'a transaction that is older than its publication still runs')
  }
  const [row] = await ask(BEGUN_SQL)
  return {
    low: parts.lowOf(snapshot),
    inserted: parseLsn(String(row?.['inserted'])),
    time2000Us: Number(row?.['us']) - US_TO_2000,
  }
}

/** Asked behind the snapshot: every commit that it shows was written before. */
const BEGUN_SQL = `SELECT pg_current_wal_insert_lsn()::text AS inserted,
  (extract(epoch FROM transaction_timestamp()) * 1000000)::int8::text AS us`

const US_TO_2000 = 946_684_800_000_000

function requireSameShape(registry: TableRegistry, known: KnownTable, table: CatalogTable): void {
  const key = tableKey(known.shape.source)
  let shape: TableShape
  try {
    shape = registry.shapeNow(table, known)
  } catch (cause) {
    throw moved(key, 'a column has another type', cause)
  }
  if (signatureOf(shape) !== signatureOf(known.shape)) throw moved(key, 'its structure changed')
}

function moved(table: string, reason: string, cause?: unknown): PipelineError {
  return new PipelineError(
    'SCHEMA_MOVED',
    `a chunk of table "${table}" cannot be read: ${reason}`,
    {
      cause,
    },
  )
}

/** Table or column undefined, lock not available, cached plan outdated, table just dropped. */
const MOVED_STATES = new Set(['42P01', '42703', '55P03', '0A000', '42704', 'XX000'])

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
    opened: Opened,
    signal: AbortSignal,
  ) {
    this.lease = lease
    this.parts = parts
    this.chunk = chunk
    this.limit = limit
    this.schema = schema
    this.known = known
    this.low = opened.low
    this.durable = parts.durable(opened.inserted, signal)
    // Whoever gives the chunk up does not ask what became of it.
    this.durable.catch(() => undefined)
    this.stamp = { serial: 0, lsn: opened.low, time2000Us: opened.time2000Us, xid: 0 }
    this.signal = signal
  }

  asRead(): ChunkRead {
    const { parts } = this
    return {
      low: orderOfLsn(parts.sourceEpoch, this.low),
      parts: this.read(),
      high: async (): Promise<Order> => orderOfLsn(parts.sourceEpoch, await this.durable),
      // A table without a key is read in one piece, whatever the limit.
      exhausted: () => this.schema.key === null || this.rows < this.limit,
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
      throw chunkFailure(error, this.chunk.table)
    } finally {
      // Left early or failed: rows may still be on the wire, so the connection is of no use.
      lease.release(!finished)
    }
  }

  private async *copy(): AsyncGenerator<ChunkPart> {
    const { known, schema, parts, chunk } = this
    const key = schema.key === null ? [] : (known.shape.source.key ?? []).map(Number)
    const places = decodedFields(known.shape, schema, 'binary')
    const select = selectSql({
      shape: known.shape,
      lookup: parts.registry.types.lookup,
      places: places.flatMap(({ column }) => (column < 0 ? [] : [column])),
      key,
      after: chunk.after,
      until: chunk.until,
      limit: schema.key === null ? null : this.limit,
    })
    const fields = inSelectOrder(places)
    const { client, memory } = this.lease
    const batch = memory.batchOf(schema, parts.sourceEpoch)
    const title = `${chunk.table} v${schema.version} chunk`
    const asNull = parts.registry.options.unrepresentable === 'null'
    const plan = { title, fields, unrepresentableAsNull: asNull }
    const factory = compileDecoder(plan)
    if (factory === null) throw moved(chunk.table, 'a field cannot take what the column holds')
    const columns = fields.filter(({ column }) => column >= 0).length
    const rows = compileRows({ ...plan, form: 'copy', columns, key: [] })
    const decoders = { rows, row: factory(batch.builders) }
    const window = memory.takeWindow()
    const reader = new CopyReader(client, select, chunk.table, fields, this.signal, window)
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

/** The SELECT list has one column for each field that the table has. */
function inSelectOrder(fields: readonly DecodedField[]): DecodedField[] {
  let next = 0
  return fields.map((field) => (field.column < 0 ? field : { ...field, column: next++ }))
}
