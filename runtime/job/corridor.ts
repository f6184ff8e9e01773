// The entrance to the exchange, and the structures of the tables as of the last row that entered.
// It is the context that a source reads under and the output of the hand-over: both call it in the
// order in which things happen, and nothing here awaits, so that order is the corridor's.

import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import type { Adoption } from '../checkpoint/commit.ts'
import type { SourceCounts } from '../checkpoint/trace.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Control, Progress } from '../data/element.ts'
import { evolve, firstSchema } from '../data/evolution.ts'
import type { Evolution, EvolutionOptions, Unmappable } from '../data/evolution.ts'
import type { Order, Position } from '../data/position.ts'
import { tableKey, type Field, type SourceTable, type TableSchema } from '../data/schema.ts'
import { Exchange, type ExchangeOutput } from '../flow/exchange.ts'
import type { HandOverOutput } from '../flow/handover.ts'
import { inHandOver, type TableRecord } from '../flow/tables.ts'
import type { SourceContext } from '../source.ts'
import type { SourceBarrier } from './messages.ts'

/** What is said of a row whose key has no value. */
const KEYLESS: ReadonlySet<string> = new Set(['VALUE_UNREPRESENTABLE', 'UNCHANGED_VALUE_MISSING'])

export class Corridor implements SourceContext, HandOverOutput {
  readonly tables = new Map<string, TableRecord>()
  /** Tables that match the selector and could not be taken in: their columns are not known. */
  readonly refused = new Map<string, ErrorRecord>()
  /** Rows sent since the start of the process. */
  rowsSent = 0
  /** Running maximum of the commit times: log order is not commit-time order (H12). */
  sourceTimeUs = 0n
  /**
   * What happens to a new table that cannot be carried: at the first start the whole pipeline is
   * refused, since its owner is watching; later the table alone is parked.
   */
  newTables: 'refuse' | 'park' = 'refuse'
  /** Called for a table that has just got its first schema. */
  onNewTable: (record: TableRecord) => void = () => undefined
  /** Called when the rows of a table are gone, behind the writers' being told. */
  onTruncated: (record: TableRecord) => void = () => undefined
  private readonly exchange: Exchange
  private readonly options: EvolutionOptions
  private position: Position = { split: '', order: 0n, token: '' }
  private schemas: TableSchema[] = []
  private readonly sent = new Map<string, number>()
  private readonly skipped = new Map<string, number>()

  constructor(outputs: readonly ExchangeOutput[], options: EvolutionOptions) {
    this.exchange = new Exchange(outputs)
    this.options = options
  }

  begin(position: Position, sourceTimeUs: bigint): void {
    this.position = position
    this.sourceTimeUs = sourceTimeUs
  }

  /** Takes a table over from a checkpoint and tells the writers its structure. */
  restore(record: TableRecord): void {
    this.tables.set(record.schema.table, record)
    if (record.phase === 'dropped') return
    this.control({ kind: 'schema', schema: record.schema })
    if (record.phase === 'parked' && record.reason !== null) {
      this.control({ kind: 'park', table: record.schema.table, reason: record.reason })
    }
  }

  schemaOf(table: string): TableSchema | null {
    const record = this.tables.get(table)
    return record === undefined || !takesRows(record) ? null : record.schema
  }

  processed(): Position {
    return this.position
  }

  advance({ position, sourceTimeUs }: Progress): void {
    this.position = position
    if (sourceTimeUs > this.sourceTimeUs) this.sourceTimeUs = sourceTimeUs
  }

  send(batch: ChangeBatch): Promise<unknown> | undefined {
    const record = this.tables.get(batch.table)
    if (record === undefined || !takesRows(record)) {
      this.countParked(batch.table, batch.rows)
      return undefined
    }
    let credit
    try {
      credit = this.exchange.send(batch, record.schema)
    } catch (error) {
      // Rows without a whole key have no owner: none of the batch was sent.
      if (!(error instanceof PipelineError && KEYLESS.has(error.error))) throw error
      this.park(batch.table, error)
      this.countParked(batch.table, batch.rows)
      return undefined
    }
    this.rowsSent += batch.rows
    this.sent.set(batch.table, (this.sent.get(batch.table) ?? 0) + batch.rows)
    return credit
  }

  control(element: Control): void {
    this.exchange.broadcast(element)
  }

  tableChanged(table: SourceTable, order: Order): TableSchema | null {
    const name = tableKey(table)
    const record = this.tables.get(name)
    if (record === undefined) return this.tableAppeared(table)
    if (record.phase === 'parked') {
      record.shape = table
      return null
    }
    const gone = record.phase === 'dropped'
    // A start tells the writers nothing of a table that is gone.
    if (gone) this.control({ kind: 'schema', schema: record.schema })
    const reborn = record.incarnation !== table.incarnation || gone
    if (reborn) {
      this.truncated(record, order)
      // Chunks that are still to come are of the new table: none holds rows of the old one.
      record.floor = null
      // It is there, whether it can be carried or not.
      record.phase = 'streaming'
      this.refused.delete(name)
    }
    // Modes that keep every row keep those of the table's former life too.
    const older = this.options.keyed ? 'gone' : 'visible'
    const evolution = evolve(record.schema, table, reborn ? older : 'carried', this.options)
    record.incarnation = table.incarnation
    const schema = this.applyEvolution(record, evolution)
    // Parked by this very change: a repair starts from the structure that could not be carried.
    if (schema === null) record.shape = table
    if (reborn && schema !== null) this.onNewTable(record)
    return schema
  }

  tableTruncated(table: string, order: Order): void {
    const record = this.tables.get(table)
    if (record === undefined || !takesRows(record)) return
    this.truncated(record, order)
    this.onTruncated(record)
  }

  tableDropped(table: string, order: Order): void {
    this.refused.delete(table)
    const record = this.tables.get(table)
    if (record === undefined) return
    // No chunk will come any more: the writers may forget the changes that it would have met.
    if (inHandOver(record)) this.control({ kind: 'settled', table, order, done: false })
    record.phase = 'dropped'
    record.backfill = null
  }

  /** The source says it of a table that is there: never of one that has gone, but of the next. */
  park(table: string, error: PipelineError): void {
    const reason = recordOf(error)
    if (this.tables.get(table)?.phase === 'dropped') this.refused.set(table, reason)
    else this.parkRecord(table, reason)
  }

  parkRecord(table: string, reason: ErrorRecord): void {
    const record = this.tables.get(table)
    if (record === undefined) this.refused.set(table, reason)
    // A writer may stumble over a table that has gone meanwhile: it stays gone.
    if (record === undefined || record.phase === 'parked' || record.phase === 'dropped') return
    record.phase = 'parked'
    record.reason = reason
    record.backfill = null
    this.control({ kind: 'park', table, reason })
  }

  /**
   * Makes a table ready to be repaired, under the structure that it has now. A repair writes every
   * row anew, so columns that could not be carried over may change here. The structure is in the
   * lake with the repair's first epoch, the rows with its last.
   */
  rebuild(record: TableRecord, adoption: Adoption | null): void {
    const { shape } = record
    record.phase = 'streaming'
    record.reason = null
    record.shape = null
    if (adoption !== null) record.schema = renewed(record.schema, adoption)
    if (shape !== null) record.incarnation = shape.incarnation
    const evolution: Evolution =
      shape === null ? { kind: 'same' } : evolve(record.schema, shape, 'visible', this.options)
    // It may still be one that cannot be carried: the next repair starts from it again.
    if (evolution.kind === 'unmappable') record.shape = shape
    if (evolution.kind !== 'same') this.applyEvolution(record, evolution)
    else if (adoption !== null) this.announce(record.schema)
    else this.control({ kind: 'schema', schema: record.schema })
  }

  /**
   * A table without a first copy begins with what the log brings. One that was parked under its name
   * is no more: to the writers it is a backfill that ends at once.
   */
  takeRows(record: TableRecord): void {
    record.phase = 'streaming'
    if (record.reason === null) return
    record.reason = null
    const { table } = record.schema
    const { order } = this.position
    this.control({ kind: 'backfill', table, repair: false, floor: null })
    this.control({ kind: 'settled', table, order, done: true })
  }

  countParked(table: string, rows: number): void {
    this.skipped.set(table, (this.skipped.get(table) ?? 0) + rows)
  }

  /** Cuts the corridor here. @returns what the checkpoint of `epoch` needs of the source thread */
  barrier(epoch: number, state: string): SourceBarrier {
    this.exchange.broadcast({ kind: 'barrier', epoch })
    const names = new Set([...this.sent.keys(), ...this.skipped.keys()])
    const counts = [...names].map((table): SourceCounts => {
      const [sent, skipped] = [this.sent.get(table) ?? 0, this.skipped.get(table) ?? 0]
      return { table, sent, skipped }
    })
    const { position, sourceTimeUs, schemas } = this
    const tables = structuredClone([...this.tables.values()])
    this.schemas = []
    this.sent.clear()
    this.skipped.clear()
    const checkpoint = { position, sourceTimeUs, state, tables }
    const refused = [...this.refused].map(([table, reason]) => ({ table, reason }))
    return { kind: 'barrier', epoch, checkpoint, schemas, counts, refused }
  }

  private tableAppeared(table: SourceTable): TableSchema | null {
    const evolution = firstSchema(table, this.options)
    if (evolution.kind === 'same') throw new PipelineError('INTERNAL', 'a first schema is new')
    if (evolution.kind === 'evolved') {
      const record = this.register(table, evolution.schema)
      this.onNewTable(record)
      return record.schema
    }
    const error = refusal(tableKey(table), evolution)
    if (this.newTables === 'refuse') throw error
    const carried = firstSchema(withoutReserved(table, this.options), {
      ...this.options,
      keyed: false,
    })
    if (carried.kind !== 'evolved') throw error
    const record = this.register(table, carried.schema)
    record.shape = table
    this.park(record.schema.table, error)
    return null
  }

  private register(table: SourceTable, schema: TableSchema): TableRecord {
    const record: TableRecord = {
      schema,
      incarnation: table.incarnation,
      phase: 'streaming',
      backfill: null,
      floor: null,
      reason: null,
      shape: null,
      waitsFor: null,
    }
    this.tables.set(schema.table, record)
    this.refused.delete(schema.table)
    this.announce(schema)
    return record
  }

  private applyEvolution(record: TableRecord, evolution: Evolution): TableSchema | null {
    switch (evolution.kind) {
      case 'same':
        return record.schema
      case 'evolved':
        record.schema = evolution.schema
        this.announce(evolution.schema)
        return evolution.schema
      case 'unmappable':
        this.park(record.schema.table, refusal(record.schema.table, evolution))
        return null
    }
  }

  private announce(schema: TableSchema): void {
    this.schemas.push(schema)
    this.control({ kind: 'schema', schema })
  }

  private truncated(record: TableRecord, order: Order): void {
    if (inHandOver(record)) record.floor = order
    this.control({ kind: 'truncate', table: record.schema.table, order })
  }
}

/**
 * The structure under which an adopted table goes on: a version that the lake does not have yet,
 * and field ids of its own where those of the lake mean something else. Then the files that readers
 * see until the repair ends have none of its columns, and it requires none.
 */
function renewed(schema: TableSchema, adoption: Adoption): TableSchema {
  const version = Math.max(schema.version, adoption.lastSchemaId) + 1
  const last = Math.max(schema.lastFieldId, adoption.lastColumnId)
  if (!adoption.renumber) return { ...schema, version, lastFieldId: last }
  let next = last
  const fields = schema.fields.map((field): Field => {
    const id = ++next
    const elementId = field.elementId === null ? null : ++next
    return { ...field, id, elementId, nullable: true, initialDefault: null }
  })
  return { ...schema, version, fields, lastFieldId: next }
}

function takesRows({ phase }: TableRecord): boolean {
  return phase !== 'parked' && phase !== 'dropped'
}

function refusal(table: string, { error, reason, hint }: Unmappable): PipelineError {
  return new PipelineError(error, `table "${table}": ${reason}`, {
    ...(hint !== undefined && { hint }),
  })
}

/** The lake's table of one that is parked: it has no column that it could never take. */
function withoutReserved(
  table: SourceTable,
  { reservedNames = [] }: EvolutionOptions,
): SourceTable {
  return { ...table, columns: table.columns.filter(({ name }) => !reservedNames.includes(name)) }
}
