// The entrance to the exchange, and the structures of the tables as of the last row that entered.
// It is the context that a source reads under and the output of the hand-over: both call it in the
// order in which things happen, and nothing here awaits, so that order is the corridor's.

import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import type { Adoption } from '../checkpoint/commit.ts'
import type { SavedTimes } from '../checkpoint/manifest.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Control, Progress, Shown } from '../data/element.ts'
import type { EvolutionOptions } from '../data/evolution.ts'
import type { Order, Position } from '../data/position.ts'
import { isUnion, tableKey, type SourceTable, type TableSchema } from '../data/schema.ts'
import { Exchange, type ExchangeOutput } from '../flow/exchange.ts'
import type { HandOverOutput } from '../flow/handover-parts.ts'
import type { EventTimes } from '../data/event-times.ts'
import { inHandOver, lakeSchema, newRecord, type TableRecord } from '../flow/tables.ts'
import { NO_OPERATORS, type DeadRow, type Operator, type OperatorPlans } from '../operator.ts'
import type { SourceContext } from '../source.ts'
import { DeadLetters } from './dead-letters.ts'
import { LateRows } from './late-rows.ts'
import type { SourceBarrier } from './messages.ts'
import { renewed, setLakeSchema, takesRows, withoutReserved } from './records.ts'
import { refusal, requireLetters, requireSameRoute, routeTaken } from './refusals.ts'
import { changesOf, RowCounts } from './row-counts.ts'
import { shapeOf, Structures, type Step } from './structures.ts'
import { Unions } from './unions.ts'

/** Rows that cannot be carried on: they park their table, and the others go on. */
const OF_ROWS: ReadonlySet<string> = new Set([
  'VALUE_UNREPRESENTABLE',
  'UNCHANGED_VALUE_MISSING',
  'EXPRESSION_FAILED',
  'SCRIPT_FAILED',
])

interface CorridorOptions extends EvolutionOptions {
  /** Default: true. A source without a first copy cannot bring a parked table back. */
  readonly rereads?: boolean
}

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
  /** Rows that are too late to be written. */
  late: LateRows = new LateRows()
  /** Called with what a source with splits says of event time. */
  onTimes: (times: EventTimes) => void = () => undefined
  private readonly exchange: Exchange
  private readonly options: CorridorOptions
  private readonly structures: Structures
  private readonly operators = new Map<string, Operator>()
  private position: Position = { split: '', order: 0n, token: '' }
  private schemas: TableSchema[] = []
  private readonly counts = new RowCounts()
  private readonly letters: DeadLetters | null
  private readonly unions: Unions

  constructor(
    outputs: readonly ExchangeOutput[],
    options: CorridorOptions,
    plans: OperatorPlans = NO_OPERATORS,
  ) {
    this.exchange = new Exchange(outputs)
    this.options = options
    this.structures = new Structures(plans, options)
    const { deadLetters = null } = plans
    this.letters = deadLetters === null ? null : new DeadLetters(deadLetters)
    const host = {
      tables: this.tables,
      refused: this.refused,
      announce: (schema: TableSchema) => this.announce(schema),
      broadcast: (element: Control) => this.exchange.broadcast(element),
      setOperator: (table: string, operator: Operator | null) => this.setOperator(table, operator),
      park: (table: string, error: PipelineError) => this.park(table, error),
      refuse: (table: string, error: PipelineError) => this.refuse(table, error),
      began: (record: TableRecord, union: string) => this.partBegan(record, union),
    }
    this.unions = new Unions(host, this.structures, options)
  }

  /** Begins the table of dead letters, which no source has. */
  openDeadLetters(order: Order): void {
    const { letters } = this
    if (letters === null) return
    const record = this.tables.get(letters.name)
    if (record === undefined) {
      const taken = this.structures.takenBy(letters.name)
      if (taken !== undefined) throw routeTaken(letters.name, taken)
      const step = this.structures.first(letters.table)
      if (step.kind === 'unmappable') throw refusal(letters.name, step)
      this.take(this.register(letters.table, step.schema), step)
    } else if (record.phase !== 'parked') this.tableChanged(letters.table, order)
  }

  /** True for the table of dead letters: it has no rows in the source. */
  isDeadLetters(table: string): boolean {
    return this.letters?.name === table
  }

  begin(position: Position, sourceTimeUs: bigint): void {
    this.position = position
    this.sourceTimeUs = sourceTimeUs
  }

  /** Takes a table over from a checkpoint and tells the writers its structure. */
  restore(record: TableRecord): void {
    // Checkpoints of versions without operators have neither.
    record.lake ??= null
    record.semantics ??= null
    const { table } = record.schema
    this.tables.set(table, record)
    if (!isUnion(table)) requireSameRoute(record, this.structures.unionOf(table))
    if (record.united !== undefined) {
      this.unions.restore(record)
      if (takesRows(record)) this.resumeOperators(record)
      return
    }
    this.structures.takeNames(table)
    if (record.phase === 'dropped') return
    this.control({ kind: 'schema', schema: lakeSchema(record) })
    if (record.phase === 'parked' && record.reason !== null) {
      this.control({ kind: 'park', table: record.schema.table, reason: record.reason })
    } else this.resumeOperators(record)
  }

  /** The configuration may have changed while the pipeline was down. */
  private resumeOperators(record: TableRecord): void {
    if (!this.structures.derives(record)) return
    const changed = this.structures.changedOperators(record)
    if (changed !== null) {
      const error = refusal(record.schema.table, changed)
      if (this.options.rereads === false) throw error
      this.park(record.schema.table, error)
      return
    }
    const shape = shapeOf(record)
    const step = this.structures.next(record, shape, 'carried')
    if (record.united === undefined) this.take(record, step)
    else if (this.unions.take(record, step, shape, false) === null) return
    record.semantics = this.structures.semanticsOf(record)
  }

  schemaOf(table: string): TableSchema | null {
    const record = this.tables.get(table)
    return record === undefined || !takesRows(record) ? null : record.schema
  }

  oldRows(table: string): boolean {
    return this.operators.get(table)?.readsOldRows === true
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
    if (this.isDeadLetters(batch.table)) this.letters?.passed(batch.rows)
    try {
      const operator = this.operators.get(batch.table)
      if (operator !== undefined) return this.operate(operator, batch, record)
      const credit = this.enter(batch, record.schema)
      this.counts.of(batch.table).taken += batch.rows
      return credit
    } catch (error) {
      // Such as rows without a whole key, which have no owner: none of the batch was sent.
      if (!(error instanceof PipelineError && OF_ROWS.has(error.error))) throw error
      if (this.options.rereads === false) throw error
      this.park(batch.table, error)
      this.counts.gaveUp(batch)
      return undefined
    }
  }

  private operate(
    operator: Operator,
    batch: ChangeBatch,
    record: TableRecord,
  ): Promise<unknown> | undefined {
    const counts = this.counts.of(batch.table)
    const schema = lakeSchema(record)
    // What leaves may take the batch's memory with it.
    const changes = operator.readsOldRows === true ? changesOf(batch) : batch.rows
    const credits: Promise<unknown>[] = []
    const wait = (credit: Promise<unknown> | undefined): void => {
      if (credit !== undefined) credits.push(credit)
    }
    operator.onBatch(batch, {
      emit: (made) => wait(this.enter({ ...made, schemaVersion: schema.version }, schema)),
      filtered: (rows) => {
        counts.filtered += rows
      },
      made: (rows) => {
        counts.made += rows
      },
      dead: (rows, secret) => {
        wait(this.bury(batch, record.schema, rows, secret))
        counts.dead += rows.length
      },
    })
    counts.taken += changes
    this.letters?.count(changes)
    return credits.length < 2 ? credits[0] : Promise.all(credits)
  }

  /** Rows that cannot be computed leave for their own table. */
  private bury(
    batch: ChangeBatch,
    schema: TableSchema,
    rows: readonly DeadRow[],
    secret: ReadonlySet<number>,
  ): Promise<unknown> | undefined {
    const { letters } = this
    const record = this.tables.get(letters?.name ?? '')
    if (letters === null || record === undefined || !takesRows(record)) {
      const name = letters?.name ?? ''
      const message = `table "${name}" takes no dead letters: it is parked`
      throw new PipelineError('TABLE_PARKED', message)
    }
    const target = lakeSchema(record)
    const made = letters.letters(batch, schema, target.version, rows, secret)
    const credit = this.enter(made, target)
    this.counts.of(letters.name).made += rows.length
    return credit
  }

  private enter(batch: ChangeBatch, schema: TableSchema): Promise<unknown> | undefined {
    const united = this.unions.enter(batch, schema)
    const { table } = united ?? batch
    const union = united === null ? undefined : this.tables.get(table)
    const credit = this.exchange.send(united ?? batch, union?.schema ?? schema)
    this.rowsSent += batch.rows
    this.counts.left(batch.table, table, batch.rows)
    return credit
  }

  control(element: Control): void {
    const record = element.kind === 'schema' ? undefined : this.tables.get(element.table)
    const union = record === undefined ? null : this.unions.of(record)
    if (record === undefined || union === null) this.exchange.broadcast(element)
    else this.unions.control(record, union, element)
  }

  beginTogether(record: TableRecord): readonly TableRecord[] | null {
    return this.unions.together(record)
  }

  tableChanged(table: SourceTable, order: Order): TableSchema | null {
    const name = tableKey(table)
    if (this.isDeadLetters(name)) requireLetters(table)
    const record = this.tables.get(name)
    if (record === undefined) return this.tableAppeared(table)
    if (record.phase === 'parked') {
      record.shape = table
      return null
    }
    if (record.united !== undefined) return this.unions.changed(record, table, order)
    const gone = record.phase === 'dropped'
    // A start tells the writers nothing of a table that is gone.
    if (gone) this.control({ kind: 'schema', schema: lakeSchema(record) })
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
    const step = this.structures.next(record, table, reborn ? older : 'carried')
    record.incarnation = table.incarnation
    const schema = this.take(record, step)
    // Parked by this very change: a repair starts from the structure that could not be carried.
    if (schema === null) record.shape = table
    if (reborn && schema !== null) this.onNewTable(record)
    return schema
  }

  tableTruncated(table: string, order: Order): void {
    const record = this.tables.get(table)
    if (record === undefined || !takesRows(record)) return
    if (record.united !== undefined) {
      this.unions.emptied(record, 'it was emptied', order)
      return
    }
    this.truncated(record, order)
    this.onTruncated(record)
  }

  tableDropped(table: string, order: Order): void {
    this.refused.delete(table)
    const record = this.tables.get(table)
    if (record === undefined) return
    // No chunk will come any more: the writers may forget the changes that it would have met.
    const union = this.unions.of(record)
    if (union !== null) this.unions.leave(record, union, order)
    else if (inHandOver(record)) this.control({ kind: 'settled', table, order, done: false })
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
    const union = isUnion(table) ? record : this.unions.of(record)
    if (union !== null) {
      this.unions.park(union, reason)
      return
    }
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
    if (isUnion(record.schema.table)) {
      const renew = adoption === null ? null : (schema: TableSchema) => renewed(schema, adoption)
      const refused = this.unions.rebuild(record, renew)
      if (refused !== null) this.park(record.schema.table, refused)
      return
    }
    const { shape } = record
    record.phase = 'streaming'
    record.reason = null
    record.shape = null
    if (adoption !== null) setLakeSchema(record, renewed(lakeSchema(record), adoption))
    if (shape !== null) record.incarnation = shape.incarnation
    const step = this.structures.next(record, shape ?? shapeOf(record), 'visible')
    // It may still be one that cannot be carried: the next repair starts from it again.
    if (step.kind === 'unmappable') record.shape = shape
    this.take(record, step)
    if (step.kind === 'unmappable') return
    record.semantics = this.structures.semanticsOf(record)
    if (step.kind === 'evolved') return
    if (adoption !== null) this.announce(lakeSchema(record))
    else this.control({ kind: 'schema', schema: lakeSchema(record) })
  }

  /**
   * A table without a first copy begins with what the log brings. One that was parked under its
   * name is no more, and one that is repaired: to the writers it is a backfill that ends at once.
   */
  takeRows(record: TableRecord, repair = false): void {
    record.phase = 'streaming'
    if (record.reason === null && !repair) return
    record.reason = null
    const { table } = record.schema
    const { order } = this.position
    this.control({ kind: 'backfill', table, repair, floor: null })
    this.control({ kind: 'settled', table, order, done: true })
  }

  countParked(table: string, rows: number): void {
    this.counts.of(table).skipped += rows
  }

  timesRead(times: EventTimes): void {
    this.onTimes(times)
  }

  lateBefore(table: string): bigint | null {
    return this.late.before(table)
  }

  /** Cuts the corridor here. @returns what the checkpoint of `epoch` needs of the source thread */
  barrier(epoch: number, state: string, times: SavedTimes, shows: Shown = 'all'): SourceBarrier {
    this.exchange.broadcast({ kind: 'barrier', epoch, shows })
    const counts = this.counts.end()
    const { position, sourceTimeUs, schemas } = this
    const tables = structuredClone([...this.tables.values()])
    this.schemas = []
    this.letters?.endEpoch()
    const checkpoint = { position, sourceTimeUs, state, tables, times }
    const refused = [...this.refused].map(([table, reason]) => ({ table, reason }))
    return { kind: 'barrier', epoch, checkpoint, schemas, counts, refused }
  }

  private tableAppeared(table: SourceTable): TableSchema | null {
    const name = tableKey(table)
    const taken = this.structures.takenBy(name)
    const union = this.structures.unionOf(name)
    if (union !== null && (taken === undefined || taken === union.table)) {
      return this.unions.appeared(union, name, table)
    }
    // Nothing can be made of it: two tables would write one, each with an index of its own.
    if (taken !== undefined) return this.refuse(name, routeTaken(name, taken))
    const step = this.structures.first(table)
    if (step.kind === 'evolved') {
      const record = this.register(table, step.schema)
      record.semantics = this.structures.semanticsOf(record)
      const schema = this.take(record, step)
      this.onNewTable(record)
      return schema
    }
    if (step.kind === 'same') throw new PipelineError('INTERNAL', 'a first schema is new')
    const error = refusal(name, step)
    if (this.newTables === 'refuse') throw error
    const lenient = { ...this.options, keyed: false }
    const carried = new Structures(NO_OPERATORS, lenient).first(withoutReserved(table, lenient))
    if (carried.kind !== 'evolved') throw error
    const record = this.register(table, carried.schema)
    this.announce(carried.schema)
    record.shape = table
    this.park(record.schema.table, error)
    return null
  }

  /** Of a table that shares one of the lake: it is new, or made anew. */
  private partBegan(record: TableRecord, union: string): void {
    this.structures.takeNames(record.schema.table, union)
    if (takesRows(record)) this.onNewTable(record)
  }

  private refuse(table: string, error: PipelineError): null {
    if (this.newTables === 'refuse') throw error
    this.refused.set(table, recordOf(error))
    return null
  }

  private register(table: SourceTable, schema: TableSchema): TableRecord {
    const record = newRecord(schema, table.incarnation)
    this.tables.set(schema.table, record)
    this.structures.takeNames(schema.table)
    this.refused.delete(schema.table)
    return record
  }

  /** Takes the structures over. @returns the one that the source's rows have; `null`: parked */
  private take(record: TableRecord, step: Step): TableSchema | null {
    const { table } = record.schema
    if (step.kind === 'unmappable') {
      this.park(table, refusal(table, step))
      return null
    }
    record.schema = step.schema
    this.setOperator(table, step.operator)
    if (step.kind === 'evolved') {
      record.lake = step.lake
      this.announce(lakeSchema(record))
    }
    return record.schema
  }

  private setOperator(table: string, operator: Operator | null): void {
    if (operator === null) this.operators.delete(table)
    else this.operators.set(table, operator)
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
