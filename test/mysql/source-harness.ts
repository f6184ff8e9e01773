// A lake in memory for tests of the MySQL source: it stands where the runtime stands, keeps the
// newest version of every key, and states its tables in the canonical form of the readers. It takes
// rows by the rule of the hand-over: a chunk row loses against a log row of LOW or later.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMysqlSource } from '../../connectors/mysql/source.ts'
import type { MysqlOptions } from '../../connectors/mysql/options.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { Op, transactionOrder, type ChangeBatch } from '../../runtime/data/batch.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'
import type { Literal } from '../../runtime/data/literal.ts'
import type { Progress } from '../../runtime/data/element.ts'
import { evolve, firstSchema, type EvolutionOptions } from '../../runtime/data/evolution.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import { tableKey, type SourceTable, type TableSchema } from '../../runtime/data/schema.ts'
import type { CommitReceipt } from '../../runtime/sink.ts'
import type { Chunk, Source, SourceContext } from '../../runtime/source.ts'
import { doubleCell, tableDump, type Cell, type TableDump } from '../readers/canonical.ts'
import { floatCell } from '../readers/canonical.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'

export function optionsFor(
  server: MysqlServer,
  database: string,
  changed: Partial<MysqlOptions> = {},
): MysqlOptions {
  return {
    host: server.host,
    port: server.port,
    user: server.user,
    password: () => server.password,
    tls: { mode: 'preferred', ca: null },
    tables: (name) => name === database,
    columnsExclude: () => false,
    keyed: true,
    tinyint1AsBoolean: false,
    serverId: null,
    heartbeatMs: 1000,
    chunkConnections: 3,
    spillFolder: mkdtempSync(join(tmpdir(), 'millrace-spill-')),
    clock: systemClock,
    log: { info: () => undefined, warn: () => undefined },
    ...changed,
  }
}

interface Version {
  readonly order: Order
  readonly cells: Cell[] | null
  readonly read: boolean
}

interface LakeTable {
  schema: TableSchema
  incarnation: string
  /** By canonical text of the key. */
  rows: Map<string, Version>
  floor: Order
  dropped: boolean
}

export interface LakeCheckpoint {
  readonly saved: Uint8Array
  readonly position: Position
  readonly tables: ReadonlyMap<string, LakeTable>
}

export interface LogRow {
  readonly table: string
  readonly op: number
  readonly order: Order
  readonly sequence: number
  readonly transaction: string
  readonly timeUs: bigint
  readonly cells: Cell[]
}

const EVOLUTION: EvolutionOptions = { firstFieldId: 1, keyed: true }

/** Filler of a value that an update left out. */
export const UNCHANGED = '\u0000unchanged'

export class MemoryLake implements SourceContext {
  readonly tables = new Map<string, LakeTable>()
  readonly parked = new Map<string, PipelineError>()
  readonly parkedRows = new Map<string, number>()
  readonly history: LogRow[] = []
  readonly events: string[] = []
  /** Called for a table that is new, or has begun anew. */
  onNewTable: (table: string) => void = () => undefined
  private readonly options: EvolutionOptions

  constructor(options: EvolutionOptions = EVOLUTION) {
    this.options = options
  }

  clone(): ReadonlyMap<string, LakeTable> {
    return structuredClone(this.tables)
  }

  /** Forgets everything since a checkpoint. */
  restore(tables: ReadonlyMap<string, LakeTable>): void {
    this.tables.clear()
    for (const [name, table] of tables) this.tables.set(name, table)
  }

  /** Tables whose updates come with the rows that they replace. */
  readonly withOldRows = new Set<string>()

  oldRows(table: string): boolean {
    return this.withOldRows.has(table)
  }

  schemaOf(table: string): TableSchema | null {
    const found = this.tables.get(table)
    return found === undefined || found.dropped || this.parked.has(table) ? null : found.schema
  }

  tableChanged(table: SourceTable, order: Order): TableSchema | null {
    const key = tableKey(table)
    this.events.push(`changed ${key}`)
    const known = this.tables.get(key)
    if (known === undefined) {
      const first = firstSchema(table, this.options)
      if (first.kind !== 'evolved')
        throw new Error(`no schema for ${key}: ${JSON.stringify(first)}`)
      const { incarnation } = table
      const rows = new Map<string, Version>()
      this.tables.set(key, { schema: first.schema, incarnation, rows, floor: 0n, dropped: false })
      this.onNewTable(key)
      return first.schema
    }
    if (this.parked.has(key)) return null
    const reborn = known.dropped || known.incarnation !== table.incarnation
    if (reborn) this.clear(known, order)
    const evolution = evolve(known.schema, table, reborn ? 'gone' : 'carried', this.options)
    known.incarnation = table.incarnation
    known.dropped = false
    if (evolution.kind === 'unmappable') {
      this.events.push(`unmappable ${key}: ${evolution.reason}`)
      this.parked.set(key, new Error(evolution.reason) as PipelineError)
      return null
    }
    if (evolution.kind === 'evolved') this.migrate(known, evolution.schema)
    if (reborn) this.onNewTable(key)
    return known.schema
  }

  tableTruncated(table: string, order: Order): void {
    this.events.push(`truncated ${table}`)
    const known = this.tables.get(table)
    if (known !== undefined) this.clear(known, order)
  }

  tableDropped(table: string): void {
    this.events.push(`dropped ${table}`)
    const known = this.tables.get(table)
    if (known !== undefined) known.dropped = true
  }

  park(table: string, error: PipelineError): void {
    this.events.push(`parked ${table}: ${error.error}`)
    this.parked.set(table, error)
  }

  lateBefore(): null {
    return null
  }

  timesRead(): void {
    throw new Error('a database has one split')
  }

  countParked(table: string, rows: number): void {
    this.parkedRows.set(table, (this.parkedRows.get(table) ?? 0) + rows)
  }

  take(batch: ChangeBatch): void {
    const table = this.tables.get(batch.table)
    if (table === undefined) throw new Error(`rows of unknown table ${batch.table}`)
    if (batch.schemaVersion !== table.schema.version) throw new Error('rows of another schema')
    if (this.parked.has(batch.table)) return
    for (let row = 0; row < batch.rows; row++) this.takeRow(table, batch, row)
  }

  dump(table: string): TableDump {
    const known = this.tables.get(table)
    if (known === undefined) throw new Error(`no table ${table}`)
    const rows = [...known.rows.values()].flatMap(({ cells }) => (cells === null ? [] : [cells]))
    return tableDump(
      table,
      known.schema.fields.map(({ name }) => name),
      rows,
    )
  }

  private takeRow(table: LakeTable, batch: ChangeBatch, row: number): void {
    const at = batch.transaction[row]!
    const order = transactionOrder(batch.transactions, at)
    const op = batch.ops[row]!
    const cells = batch.columns.map((column) => cellOf(column, row))
    const read = op === Op.read
    if (!read) {
      const { idBytes, idOffsets, timeUs } = batch.transactions
      const id = Buffer.from(idBytes.subarray(idOffsets[at], idOffsets[at + 1])).toString()
      const sequence = batch.sequence[row]!
      const facts = {
        table: batch.table,
        op,
        order,
        sequence,
        transaction: id,
        timeUs: timeUs[at]!,
      }
      this.history.push({ ...facts, cells })
    }
    if (order < table.floor) return
    const key = JSON.stringify((table.schema.key ?? []).map((field) => cells[field]))
    const before = table.rows.get(key)
    if (read && before !== undefined && before.order >= order && !before.read) return
    const whole = cells.map((cell, field) =>
      cell === UNCHANGED && before?.cells ? (before.cells[field] ?? null) : cell,
    )
    table.rows.set(key, { order, read, cells: op === Op.delete ? null : whole })
  }

  private clear(table: LakeTable, order: Order): void {
    table.rows.clear()
    table.floor = order
  }

  private migrate(table: LakeTable, schema: TableSchema): void {
    const places = schema.fields.map(({ id }) => table.schema.fields.findIndex((f) => f.id === id))
    for (const [key, version] of table.rows) {
      const { cells } = version
      if (cells === null) continue
      const next = schema.fields.map((field, at): Cell => {
        const place = places[at] ?? -1
        return place === -1 ? literalCell(field.initialDefault, field.type) : (cells[place] ?? null)
      })
      table.rows.set(key, { ...version, cells: next })
    }
    table.schema = schema
  }
}

function literalCell(value: Literal | null, type: { kind: string; scale?: number }): Cell {
  if (value === null) return null
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (type.kind === 'double') return doubleCell(Number(value))
  if (type.kind === 'float') return floatCell(Number(value))
  if (type.kind === 'decimal') return decimalText(BigInt(value), type.scale ?? 0)
  return String(value)
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const point = digits.length - scale
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return unscaled < 0n ? `-${text}` : text
}

export function cellOf(column: Column, row: number): Cell {
  if (isUnchanged(column, row)) return UNCHANGED
  if (isNull(column, row)) return null
  const { type } = column
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1 ? 'true' : 'false'
    case 'int32':
      return String(column.values[row])
    case 'int64': {
      const value = column.values[row]!
      return type.kind === 'decimal' ? decimalText(value, type.scale) : String(value)
    }
    case 'int128': {
      const low = BigInt.asUintN(64, column.values[2 * row]!)
      const value = (column.values[2 * row + 1]! << 64n) | low
      return decimalText(value, type.kind === 'decimal' ? type.scale : 0)
    }
    case 'float32':
      return floatCell(column.values[row]!)
    case 'float64':
      return doubleCell(column.values[row]!)
    case 'uuid16': {
      const hex = Buffer.from(column.values.subarray(row * 16, row * 16 + 16)).toString('hex')
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    }
    case 'bytes': {
      const value = Buffer.from(column.bytes.subarray(column.offsets[row], column.offsets[row + 1]))
      return type.kind === 'binary' ? value.toString('hex') : value.toString('utf8')
    }
    case 'list':
      throw new Error('MySQL has no lists')
  }
}

function movedError(): PipelineError {
  return new PipelineError('SCHEMA_MOVED', 'the table changed during its chunk')
}

/** A source that runs into a lake. */
export class RunningSource {
  readonly source: Source
  readonly lake: MemoryLake
  readonly options: MysqlOptions
  position: Position
  saved: Uint8Array
  progress: Progress | null = null
  failure: unknown = null
  private readonly stopping = new AbortController()
  private readonly reading: Promise<void>

  private constructor(source: Source, lake: MemoryLake, options: MysqlOptions, position: Position) {
    this.source = source
    this.lake = lake
    this.options = options
    this.position = position
    this.saved = source.save()
    this.reading = this.run().catch((error: unknown) => {
      this.failure = error
      // Who waits for a checkpoint would wait for ever.
      this.taking?.reject(error)
      this.taking = null
    })
  }

  static async start(
    options: MysqlOptions,
    lake = new MemoryLake(),
    from: { saved: Uint8Array; position: Position } | null = null,
  ): Promise<RunningSource> {
    const source = createMysqlSource(options)
    const opening = await source.open(from?.saved ?? null, from?.position ?? null, false)
    for (const table of opening.tables) {
      if (!lake.tables.has(tableKey(table))) lake.tableChanged(table, opening.position.order)
    }
    return new RunningSource(source, lake, options, opening.position)
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping
    for await (const element of this.source.read(this.position, this.lake, signal)) {
      if (element.kind === 'changes') this.lake.take(element)
      else this.pass(element)
    }
  }

  private pass(progress: Progress): void {
    if (progress.position.order < this.position.order) throw new Error('progress went back')
    if (progress.sourceTimeUs < (this.progress?.sourceTimeUs ?? 0n))
      throw new Error('time went back')
    this.position = progress.position
    this.progress = progress
    this.saved = this.source.save()
    this.taking?.resolve({ saved: this.saved, position: this.position, tables: this.lake.clone() })
    this.taking = null
    this.waiting.resolve()
    this.waiting = Promise.withResolvers<void>()
  }

  private waiting = Promise.withResolvers<void>()
  private taking: PromiseWithResolvers<LakeCheckpoint> | null = null

  /** What a crash would go back to: state, position and lake of one and the same instant. */
  async checkpoint(): Promise<LakeCheckpoint> {
    if (this.failure !== null) throw this.failure as Error
    this.taking ??= Promise.withResolvers<LakeCheckpoint>()
    const { promise } = this.taking
    this.source.requestProgress()
    return promise
  }

  /** Resolves when the log has been read up to `order`. */
  async reach(order: Order, timeoutMs = 60_000): Promise<void> {
    const startMs = performance.now()
    while (this.position.order < order && this.failure === null) {
      if (this.stopping.signal.aborted) throw new Error('stopped')
      if (performance.now() - startMs > timeoutMs) {
        throw new Error(`stuck at ${this.position.token}, order ${order} wanted`)
      }
      this.source.requestProgress()
      await Promise.race([this.waiting.promise, new Promise((resolve) => setTimeout(resolve, 50))])
    }
    if (this.failure !== null) throw this.failure as Error
  }

  /** Resolves when everything that is committed now is in the lake. */
  async catchUp(): Promise<void> {
    await this.reach((await this.source.head()).order)
  }

  /** Reads a whole table in chunks. @returns parts read */
  async backfill(table: string, chunkRows = 1000, from: string | null = null): Promise<number> {
    const { signal } = this.stopping
    let after = from
    let parts = 0
    let high = 0n
    for (;;) {
      const schema = this.lake.schemaOf(table)
      if (schema === null) throw new Error(`${table} takes no rows`)
      const chunk = { table, after, until: null }
      const read = await this.source.openChunk(chunk, chunkRows, schema, this.position, signal)
      await this.reach(read.low)
      for await (const { batch, lastKey } of read.parts) {
        this.lake.take(batch)
        after = lastKey
        parts++
      }
      const end = await read.high()
      if (end > high) high = end
      if (read.exhausted()) break
    }
    await this.reach(high)
    return parts
  }

  /** Backfills a table whatever happens to it meanwhile, as the hand-over does. */
  async backfillThrough(table: string, chunkRows: number): Promise<'done' | 'stopped'> {
    try {
      await this.tryBackfill(table, chunkRows)
      return this.stopping.signal.aborted ? 'stopped' : 'done'
    } catch (error) {
      if (this.stopping.signal.aborted) return 'stopped'
      throw error
    }
  }

  private async tryBackfill(table: string, chunkRows: number): Promise<void> {
    const { signal } = this.stopping
    const startMs = performance.now()
    let after: string | null = null
    let incarnation = this.lake.tables.get(table)?.incarnation
    while (this.failure === null && !signal.aborted) {
      const schema = this.lake.schemaOf(table)
      if (schema === null || this.lake.tables.get(table)?.incarnation !== incarnation) return
      incarnation = this.lake.tables.get(table)?.incarnation
      if (performance.now() - startMs > 120_000) {
        throw new Error(`the backfill of ${table} does not end: after ${after}`)
      }
      const ready = await this.source.mayBackfill(table)
      if (this.lake.schemaOf(table) === null) return
      if (performance.now() - startMs > 90_000) {
        const why = ready.ready ? `after ${after}` : ready.waitsFor
        throw new Error(`the backfill of ${table} does not end: ${why}, ${this.position.token}`)
      }
      if (ready.ready) {
        try {
          const done = await this.chunk({ table, after, until: null }, chunkRows, (key) => {
            after = key
          })
          if (done) return
          continue
        } catch (error) {
          if ((error as PipelineError).error !== 'SCHEMA_MOVED') throw error
        }
      }
      this.source.requestProgress()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  private async chunk(chunk: Chunk, rows: number, passed: (key: string) => void): Promise<boolean> {
    const { signal } = this.stopping
    const schema = this.lake.schemaOf(chunk.table)!
    const read = await this.source.openChunk(chunk, rows, schema, this.position, signal)
    await this.reach(read.low)
    for await (const { batch, lastKey } of read.parts) {
      if (this.lake.schemaOf(chunk.table) !== schema) throw movedError()
      this.lake.take(batch)
      passed(lastKey)
    }
    await read.high()
    return read.exhausted()
  }

  async acknowledge(): Promise<void> {
    await this.source.acknowledge({ position: this.position } as CommitReceipt)
  }

  /** @returns what a checkpoint at the last progress would hold */
  async stop(): Promise<{ saved: Uint8Array; position: Position }> {
    this.stopping.abort()
    await this.reading
    await this.source.close()
    return { saved: this.saved, position: this.position }
  }
}
