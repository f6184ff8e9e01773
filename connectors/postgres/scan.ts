// Reads a whole table in one snapshot for `millrace verify`: one chunk without bounds, in the order
// in which the rows lie; and the first rows of one for `millrace preview`. It needs neither slot nor
// publication, but leaves out what the publication leaves out.

import { present } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { firstSchema } from '../../runtime/data/evolution.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import { tableKey, type SourceTable, type TableSchema } from '../../runtime/data/schema.ts'
import type { SourceContext, TableScan } from '../../runtime/source.ts'
import { listTables, loadTypes, readTables, TypeCatalog, type Ask } from './catalog.ts'
import { openChunk, type ChunkParts } from './chunk.ts'
import type { ChunkPool } from './chunk-pool.ts'
import { reachable, untilFlushed } from './log-end.ts'
import { placeOf, type Lsn } from './lsn.ts'
import { isCaptured, type PostgresOptions } from './options.ts'
import { NO_PUBLICATION, readPublication } from './publication.ts'
import { readServerFacts } from './server.ts'
import { TableRegistry } from './tables.ts'

/** @returns `null` when there is no such table, or it is not selected @throws TYPE_UNSUPPORTED */
export async function openScan(
  options: PostgresOptions,
  ask: Ask,
  pool: ChunkPool,
  key: string,
  near: Position,
  signal: AbortSignal,
): Promise<TableScan | null> {
  const known = await registryOf(options, ask, key)
  if (known === null) return null
  const { registry, source, facts } = known
  const parts = {
    registry,
    sourceEpoch: placeOf(near).sourceEpoch,
    // The rows are compared, not merged with the log: no change of theirs is looked for in it.
    lowOf: () => 0,
    durable: async (inserted: Lsn, stop: AbortSignal) => {
      const high = reachable(inserted, facts)
      await untilFlushed(ask, options.clock, facts, high, stop)
      return high
    },
    moved: () => undefined,
  }
  return new Scan(source, pool, parts, signal)
}

/** @throws PipelineError TABLE_MISSING, TYPE_UNSUPPORTED */
export async function* readSample(
  options: PostgresOptions,
  ask: Ask,
  pool: ChunkPool,
  key: string,
  rowsMax: number,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<ChangeBatch> {
  const known = await registryOf(options, ask, key)
  if (known === null) throw new PipelineError('TABLE_MISSING', `there is no table "${key}"`)
  const { registry, source } = known
  const schema = context.tableChanged(source, 0n)
  if (schema === null || rowsMax === 0) return
  // Nothing is kept of the rows, so no crash of the server can take back what they show.
  const durable = async (): Promise<Lsn> => 0
  const parts = { registry, sourceEpoch: 0, lowOf: () => 0, durable, moved: () => undefined }
  const chunk = { table: key, after: null, until: null }
  const read = await openChunk(await pool.lease(signal), parts, chunk, rowsMax, schema, signal)
  let rows = 0
  for await (const { batch } of read.parts) {
    yield batch
    rows += batch.rows
    // Without a key the server sends the whole table.
    if (rows >= rowsMax) return
  }
}

interface KnownRegistry {
  readonly registry: TableRegistry
  readonly source: SourceTable
  readonly facts: Awaited<ReturnType<typeof readServerFacts>>
}

/** @returns what decodes rows of the one table */
async function registryOf(
  options: PostgresOptions,
  ask: Ask,
  key: string,
): Promise<KnownRegistry | null> {
  const facts = await readServerFacts(ask)
  const listed = (await listTables(ask)).find((table) => tableKey(table) === key)
  if (listed === undefined || !isCaptured(options, listed.namespace, listed.name)) return null
  const { tables } = await readTables(ask, [listed.oid])
  const [table] = tables
  if (table === undefined) return null
  const types = new TypeCatalog()
  await loadTypes(types, ask, tables)
  const publication = await readPublication(ask, options.publication, facts.version)
  const registry = new TableRegistry(options, types, publication ?? NO_PUBLICATION)
  const shape = registry.shapeNow(table, null)
  registry.set(registry.knownOf(table, shape, null, 0))
  return { registry, source: shape.source, facts }
}

class Scan implements TableScan {
  readonly table: SourceTable
  readonly batches: AsyncIterable<ChangeBatch>
  private highOrder: Order | null = null

  constructor(table: SourceTable, pool: ChunkPool, parts: ChunkParts, signal: AbortSignal) {
    this.table = table
    this.batches = this.read(pool, parts, signal)
  }

  async high(): Promise<Order> {
    return present(this.highOrder, 'the log end is known once the rows are read')
  }

  private async *read(
    pool: ChunkPool,
    parts: ChunkParts,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch> {
    const schema = scanSchema(this.table)
    const chunk = { table: schema.table, after: null, until: null }
    const read = await openChunk(await pool.lease(signal), parts, chunk, 1, schema, signal)
    for await (const { batch } of read.parts) yield batch
    this.highOrder = await read.high()
  }
}

/** Without a key a chunk is the whole table, and the server need not sort it. */
function scanSchema(table: SourceTable): TableSchema {
  const evolution = firstSchema(table, { firstFieldId: 1, keyed: false })
  const schema = evolution.kind === 'evolved' ? evolution.schema : null
  return { ...present(schema, 'a first schema without a key is always made'), key: null }
}
