// The beginning of a chunk: a transaction whose snapshot sees the table as the log has shown it.
// The table's lock of a plain SELECT is taken before the snapshot, so no change of structure can
// stand between the catalog that is checked and the rows that are read.

import type { Client } from 'pg'
import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import { glanceAt, loadTypes, readTables, type Ask, type CatalogTable } from './catalog.ts'
import type { ChunkMemory } from './chunk-memory.ts'
import type { Lsn } from './lsn.ts'
import { hiddenRows, qualified } from './publication.ts'
import { signatureOf, type TableShape } from './shape.ts'
import type { Snapshot } from './snapshot.ts'
import type { KnownTable } from './state.ts'
import { US_TO_2000 } from './table-batch.ts'
import type { TableRegistry } from './tables.ts'

/** What a chunk is read from: its connection, and how to give it back. */
export interface Lease {
  readonly client: Client
  /** Of this connection. */
  readonly memory: ChunkMemory
  /** `broken`: the connection is in the middle of something and must be closed. */
  readonly release: (broken: boolean) => void
}

export interface ChunkStart {
  readonly snapshot: Snapshot
  /** The end of the log behind the snapshot. */
  readonly inserted: Lsn
  readonly time2000Us: number
}

/**
 * Opens the transaction of a chunk.
 *
 * @throws PipelineError SCHEMA_MOVED, PRIVILEGE_MISSING; errors of the server as they come
 */
export async function startChunk(
  { client, memory }: Lease,
  registry: TableRegistry,
  known: KnownTable,
): Promise<ChunkStart> {
  const { oid, source } = known.shape
  await client.query(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     LOCK TABLE ${qualified(source)} IN ACCESS SHARE MODE`,
  )
  const { fingerprint, hidesRows, snapshot, inserted, timeUs } = await glanceAt(
    // A named statement is parsed once a connection.
    askOn(client, 'glance'),
    oid,
  )
  if (fingerprint === null) throw moved(tableKey(source), 'it is gone')
  const table = { shape: known.shape, publication: registry.publication, fingerprint }
  if (!memory.isChecked(table)) {
    await check(askOn(client), registry, known)
    memory.checked(table)
  }
  if (hidesRows) throw hiddenRows(source, registry.options.user)
  if (snapshot.xmin < known.joinedAt) {
    throw moved(tableKey(source), 'a transaction that is older than its publication still runs')
  }
  return { snapshot, inserted, time2000Us: timeUs - US_TO_2000 }
}

function askOn(client: Client, name?: string): Ask {
  return async (text, values = []) => {
    const query = { text, values: [...values], ...(name !== undefined && { name }) }
    const { rows } = await client.query<Record<string, unknown>>(query)
    return rows
  }
}

/** Checks that the table is still as the log has shown it. */
async function check(ask: Ask, registry: TableRegistry, known: KnownTable): Promise<void> {
  const { oid, source } = known.shape
  const { tables } = await readTables(ask, [oid])
  const [table] = tables
  if (table === undefined) throw moved(tableKey(source), 'it is gone')
  await loadTypes(registry.types, ask, tables)
  requireSameShape(registry, known, table)
}

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

/** The chunk must wait until the log shows the same table as the catalog. */
export function moved(table: string, reason: string, cause?: unknown): PipelineError {
  const message = `a chunk of table "${table}" cannot be read: ${reason}`
  return new PipelineError('SCHEMA_MOVED', message, { cause })
}
