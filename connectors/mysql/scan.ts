// Reads a whole table in one snapshot for `millrace verify`: one chunk without bounds; and the first
// rows of one for `millrace preview`. Columns are matched by name there, since only the log knows
// the identities that survive a rename.

import { present } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { firstSchema } from '../../runtime/data/evolution.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import { tableKey, type SourceTable, type TableSchema } from '../../runtime/data/schema.ts'
import type { SourceContext, TableScan } from '../../runtime/source.ts'
import { Backfill } from './chunk/backfill.ts'
import { sourceTableOf, type TableState } from './ddl/state.ts'
import type { MysqlOptions } from './options.ts'
import { parseToken, positionOf } from './position.ts'
import { readLogEnd, type ServerFacts } from './server.ts'
import { listTables, readStructures, type ListedTable } from './structure.ts'
import { isVersioned, versionedError } from './versioned.ts'
import type { ControlConnection } from './wire/connect.ts'

/** Rows of the one chunk: what an exact number and LIMIT both can hold. */
const ALL_ROWS = Number.MAX_SAFE_INTEGER

/** The scans of one inspector: they share their connections, as many as a backfill may have. */
export class TableScans {
  private readonly options: MysqlOptions
  private readonly control: ControlConnection
  private readonly facts: ServerFacts
  private readonly states = new Map<string, TableState>()
  private readonly backfills = new Map<number, Backfill>()

  constructor(options: MysqlOptions, control: ControlConnection, facts: ServerFacts) {
    this.options = options
    this.control = control
    this.facts = facts
  }

  /**
   * @returns `null` when there is no such table, or it is not selected
   * @throws PipelineError TYPE_UNSUPPORTED · SOURCE_CHANGED when `near` is of another server, whose
   *         files and offsets mean something else
   */
  async open(key: string, near: Position, signal: AbortSignal): Promise<TableScan | null> {
    const { facts } = this
    const { server, epoch } = parseToken(near.token)
    if (server !== facts.identity) {
      const message = 'the server is not the one that the pipeline reads'
      const detail = `The checkpoint is of ${server}; this server is ${facts.identity}.`
      throw new PipelineError('SOURCE_CHANGED', message, { detail })
    }
    const table = await this.tableOf(key)
    return table === null ? null : new Scan(table, this.backfillOf(epoch), near, signal)
  }

  /** @throws PipelineError TABLE_MISSING, TYPE_UNSUPPORTED */
  async *sample(
    key: string,
    rowsMax: number,
    context: SourceContext,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch> {
    const { control, facts } = this
    const table = await this.tableOf(key)
    if (table === null) throw new PipelineError('TABLE_MISSING', `there is no table "${key}"`)
    const schema = context.tableChanged(table, 0n)
    if (schema === null || rowsMax === 0) return
    const { file, offset } = await readLogEnd(control, facts)
    const at = { gtids: '', server: facts.identity, file, offset: Number(offset), epoch: 0 }
    // A snapshot waits for what the reader of a log has had: here nobody has read any.
    const near = { ...positionOf({ ...at, createdS: null }, 0n), order: 0n }
    const chunk = { table: key, after: null, until: null }
    const read = await this.backfillOf(0).open(chunk, rowsMax, schema, near, signal)
    for await (const { batch } of read.parts) yield batch
  }

  /** @returns `null` when there is no such table, or it is not selected */
  private async tableOf(key: string): Promise<SourceTable | null> {
    const { control, facts, options } = this
    const listed = await listTables(control, options)
    const found = listed.filter((table) => nameOf(table) === key)
    const state = (await readStructures(control, found, facts.mariadb)).get(key)
    if (state === undefined) return null
    if (isVersioned(state)) throw versionedError(state)
    const included = (column: string): boolean =>
      !options.columnsExclude(state.database, state.name, column)
    const { table, unsupported } = sourceTableOf(state, options, included)
    const [first] = unsupported
    if (first !== undefined) {
      const message = `column "${first.name}" of table "${key}" has type ${first.sourceType}`
      throw new PipelineError('TYPE_UNSUPPORTED', `${message}, which the lake cannot hold`)
    }
    this.states.set(key, state)
    return table
  }

  close(): void {
    for (const backfill of this.backfills.values()) backfill.close()
  }

  /** The epoch grows at a failover only, so there is one of them, as a rule. */
  private backfillOf(sourceEpoch: number): Backfill {
    const { control, facts, options, states } = this
    const structureOf = (table: string): TableState | null => states.get(table) ?? null
    const backfill =
      this.backfills.get(sourceEpoch) ??
      new Backfill(options, { facts, sourceEpoch, control, witness: null, structureOf })
    this.backfills.set(sourceEpoch, backfill)
    return backfill
  }
}

function nameOf({ database, name }: ListedTable): string {
  return tableKey({ namespace: database, name })
}

class Scan implements TableScan {
  readonly table: SourceTable
  readonly batches: AsyncIterable<ChangeBatch>
  private highOrder: Order | null = null

  constructor(table: SourceTable, backfill: Backfill, near: Position, signal: AbortSignal) {
    this.table = table
    this.batches = this.read(backfill, near, signal)
  }

  async high(): Promise<Order> {
    return present(this.highOrder, 'the log end is known once the rows are read')
  }

  private async *read(
    backfill: Backfill,
    near: Position,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch> {
    const schema = scanSchema(this.table)
    const chunk = { table: schema.table, after: null, until: null }
    const read = await backfill.open(chunk, ALL_ROWS, schema, near, signal)
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
