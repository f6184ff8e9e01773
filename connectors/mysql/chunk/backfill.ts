// The backfill side of the source: opens chunks whose LOW and HIGH are known (see snapshot.ts), and
// cuts tables.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Position } from '../../../runtime/data/position.ts'
import { tableKey, type TableSchema } from '../../../runtime/data/schema.ts'
import { sameType } from '../../../runtime/data/type.ts'
import type { Chunk, ChunkRead } from '../../../runtime/source.ts'
import { keyOf, type ColumnState, type TableState } from '../ddl/state.ts'
import type { MysqlOptions } from '../options.ts'
import { textOf, type ServerFacts } from '../server.ts'
import { ROWS_SQL } from '../structure.ts'
import { mapType, type MysqlType, type TypeOptions } from '../types.ts'
import type { ControlConnection } from '../wire/connect.ts'
import { ChunkConnections } from './connections.ts'
import type { KeyPart } from './key.ts'
import { ChunkReader, WHOLE_TABLE } from './read.ts'
import { RowBuilders } from './row-builders.ts'
import { chunkSelect, type ChunkTable } from './select.ts'
import { Snapshots, type LogWitness } from './snapshot.ts'
import { splitTable } from './split.ts'

/** What the chunks need of the log reader and of the server that it reads. */
export interface BackfillServer {
  readonly facts: ServerFacts
  readonly sourceEpoch: number
  readonly control: ControlConnection
  /** `null`: nobody reads the log. It gives `null` as long as reading has not begun. */
  readonly witness: (() => LogWitness | null) | null
  /** The structure that the log has now; `null`: not captured or gone. */
  structureOf(table: string): TableState | null
}

export class Backfill {
  private readonly options: MysqlOptions
  private readonly server: BackfillServer
  private readonly connections: ChunkConnections
  private readonly snapshots: Snapshots
  private readonly builders = new RowBuilders()

  constructor(options: MysqlOptions, server: BackfillServer) {
    this.options = options
    this.server = server
    this.connections = new ChunkConnections(options)
    this.snapshots = new Snapshots({ ...server, options })
  }

  async open(
    chunk: Chunk,
    limit: number,
    schema: TableSchema,
    processed: Position,
    signal: AbortSignal,
  ): Promise<ChunkRead> {
    const state = this.structureFor(schema)
    const types = typesOf(state, schema, this.options)
    const table = chunkTableOf(state, schema)
    const bounds = chunk.after === WHOLE_TABLE ? { ...chunk, after: null } : chunk
    const lease = await this.connections.lease()
    try {
      const at = { processed, transactional: await this.isTransactional(state) }
      const snapshot =
        table.key === null
          ? await this.snapshots.openTold(lease.client, at, signal)
          : await this.snapshots.open(lease.client, at, signal)
      const sql = chunkSelect(table, schema, bounds, limit)
      const query = { schema, types, key: table.key, sql, limit }
      return new ChunkReader(lease, snapshot, query, this.builders, signal)
    } catch (error) {
      lease.release(false)
      throw error
    }
  }

  private async isTransactional({ database, name }: TableState): Promise<boolean> {
    const rows = await this.server.control.query(
      'SELECT engine AS e FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
      [database, name],
    )
    return rows[0]?.['e'] === 'InnoDB'
  }

  async estimateRows(table: string): Promise<number | null> {
    const state = this.server.structureOf(table)
    if (state === null) return null
    const rows = await this.server.control.query(
      `SELECT ${ROWS_SQL} AS n FROM information_schema.tables
       WHERE table_schema = ? AND table_name = ?`,
      [state.database, state.name],
    )
    const count = rows[0]?.['n']
    return count === null || count === undefined ? null : Number(count)
  }

  async splitKeys(schema: TableSchema, count: number): Promise<readonly string[]> {
    const state = this.structureFor(schema)
    const table = chunkTableOf(state, schema)
    if (table.key === null || count < 2) return []
    const rows = (await this.estimateRows(schema.table)) ?? 0
    const lease = await this.connections.lease()
    let sound = false
    try {
      const bounds = await splitTable(lease.client, { ...table, key: table.key }, rows, count)
      sound = true
      return bounds
    } finally {
      lease.release(sound)
    }
  }

  close(): void {
    this.connections.close()
  }

  private structureFor(schema: TableSchema): TableState {
    const state = this.server.structureOf(schema.table)
    if (state === null) throw moved(schema, 'is no longer tracked')
    return state
  }
}

/** Clock of the server, us since 1970; the session of control connections is in UTC. */
export async function controlTimeUs(control: ControlConnection): Promise<bigint> {
  const sql = 'SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED) AS us'
  return BigInt(textOf(await control.query(sql), 'us'))
}

function columnsOf(state: TableState, schema: TableSchema): readonly ColumnState[] {
  return schema.fields.map(({ identity, name }) => {
    const column = state.columns.find((candidate) => candidate.identity === identity)
    if (column === undefined || column.name !== name) throw moved(schema, `lost column ${name}`)
    return column
  })
}

/**
 * The log reader may already be behind a change that `schema` lies before: its new type would be
 * decoded into the columns of the old one.
 */
function typesOf(
  state: TableState,
  schema: TableSchema,
  options: TypeOptions,
): readonly MysqlType[] {
  return columnsOf(state, schema).map(({ type }, at) => {
    const now = mapType(type, options).type
    const field = schema.fields[at]
    if (now === null || field === undefined || !sameType(now, field.type)) {
      throw moved(schema, `changed column ${field?.name ?? at}`)
    }
    return type
  })
}

/** @throws PipelineError SCHEMA_MOVED */
export function chunkTableOf(state: TableState, schema: TableSchema): ChunkTable {
  const { database, name } = state
  const identities = keyOf(state)
  if (schema.key === null || identities === null) return { database, name, key: null, index: null }
  const columns = columnsOf(state, schema)
  const key = schema.key.map((field): KeyPart => {
    const column = columns[field]
    if (column === undefined) throw moved(schema, 'lost a key column')
    return { name: column.name, type: column.type }
  })
  const index = state.keys.find(({ columns }) => columns.join() === identities.join())
  if (index === undefined || key.length !== identities.length) throw moved(schema, 'lost its key')
  return { database, name, key, index: index.name }
}

function moved({ table }: TableSchema, what: string): PipelineError {
  return new PipelineError('SCHEMA_MOVED', `table ${table} ${what}`)
}

export function keyOfState(state: TableState): string {
  return tableKey({ namespace: state.database, name: state.name })
}
