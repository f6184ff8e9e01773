// Plays a binary log file through the decoders the way a source does, without a connection: DDL of
// the log moves the tables, rows go into columns, columns into a map of live rows by key.

import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'
import { firstSchema } from '../../runtime/data/evolution.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { ChangeBuilder, type ChangeLimits } from '../../connectors/mysql/decode/change-builder.ts'
import { bindColumns } from '../../connectors/mysql/decode/column-plan.ts'
import { EventReader } from '../../connectors/mysql/decode/event-reader.ts'
import type { BinlogEvent, QueryEvent, RowsEvent } from '../../connectors/mysql/decode/events.ts'
import { TableDecoder } from '../../connectors/mysql/decode/table-decoder.ts'
import { alterTable, createTable, renameTable } from '../../connectors/mysql/ddl/apply.ts'
import { defaultOf } from '../../connectors/mysql/ddl/default.ts'
import { inDatabase, parseStatement } from '../../connectors/mysql/ddl/parse.ts'
import { sourceTableOf, type TableState } from '../../connectors/mysql/ddl/state.ts'

const types = { tinyint1AsBoolean: false }

/** The bytes of every event of a log file, in order. */
export function* eventsOf(bytes: Uint8Array): Generator<{ start: number; end: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // The file begins with four bytes of magic.
  for (let at = 4; at < bytes.length;) {
    const end = at + view.getUint32(at + 9, true)
    yield { start: at, end }
    at = end
  }
}

export interface ReplayOptions {
  readonly mariadb: boolean
  readonly limits?: ChangeLimits
  /** Takes each event in turn, as the memory of a socket does; default: the log lies still. */
  readonly memory?: Buffer
}

/** One value of a row: text of it, `null`, or UNCHANGED. */
export type Cell = string | null | typeof UNCHANGED
export const UNCHANGED = Symbol('unchanged')

export interface LiveTable {
  readonly state: TableState
  readonly schema: TableSchema
  /** Cells by field name, by the text of the key. */
  readonly rows: Map<string, Record<string, Cell>>
  builder: ChangeBuilder
}

export class LogReplay {
  readonly tables = new Map<string, LiveTable>()
  /** Kinds of all events, counted. */
  readonly kinds = new Map<string, number>()
  readonly batches: { readonly table: string; readonly rows: number; readonly ops: string }[] = []
  /** Rows events whose images leave columns out. */
  partialImages = 0
  private readonly options: ReplayOptions
  private readonly reader: EventReader
  private readonly decoders = new WeakMap<object, { decoder: TableDecoder; live: LiveTable }>()
  private transaction = 0n

  constructor(options: ReplayOptions) {
    this.options = options
    this.reader = new EventReader(options.mariadb)
  }

  async play(bytes: Uint8Array): Promise<void> {
    for (const { start, end } of eventsOf(bytes)) {
      await this.take(this.read(bytes, start, end))
    }
    for (const live of this.tables.values()) this.flush(live)
  }

  private read(bytes: Uint8Array, start: number, end: number): BinlogEvent {
    const { memory } = this.options
    if (memory === undefined) return this.reader.read(bytes, start, end)
    memory.set(bytes.subarray(start, end))
    return this.reader.read(memory, 0, end - start)
  }

  private async take(event: BinlogEvent): Promise<void> {
    this.kinds.set(event.kind, (this.kinds.get(event.kind) ?? 0) + 1)
    switch (event.kind) {
      case 'query':
        return this.statement(event)
      case 'rows':
        return this.rows(event)
      case 'payload':
        for await (const inner of this.reader.payload(event)) await this.take(inner)
        return
      case 'gtid':
      case 'mariadb-gtid':
        this.transaction++
        return
      default:
        return
    }
  }

  private statement(event: QueryEvent): void {
    const { ansiQuotes, noBackslashEscapes, strict, database } = event
    const { mariadb } = this.options
    const statement = parseStatement(event.text, { ansiQuotes, noBackslashEscapes, mariadb })
    const key = (table: { database: string; name: string }): string =>
      `${table.database}.${table.name}`
    switch (statement.kind) {
      case 'create-table': {
        if (statement.definition === null) throw new Error('LIKE is not played')
        const table = inDatabase(statement.table, database)
        const origin = { ...table, incarnation: '1', charset: 'utf8mb4' }
        this.put(createTable(statement.definition, origin))
        break
      }
      case 'alter-table': {
        const live = this.tables.get(key(inDatabase(statement.table, database)))
        if (live === undefined) break
        this.flush(live)
        const applied = alterTable(live.state, statement.actions, { types, strict })
        if (applied.kind === 'unmappable') throw new Error(applied.reason)
        this.put(applied.state, live)
        break
      }
      case 'rename-table':
        for (const { from, to } of statement.renames) {
          const live = this.tables.get(key(inDatabase(from, database)))
          if (live === undefined) continue
          this.flush(live)
          this.tables.delete(key(live.state))
          const target = inDatabase(to, database)
          this.put(renameTable(live.state, target.database, target.name), live)
        }
        break
      case 'drop-table':
        for (const table of statement.tables) this.tables.delete(key(inDatabase(table, database)))
        break
      case 'truncate': {
        const live = this.tables.get(key(inDatabase(statement.table, database)))
        if (live !== undefined) this.flush(live)
        live?.rows.clear()
        break
      }
      default:
        break
    }
  }

  private put(state: TableState, before?: LiveTable): void {
    const { table, unsupported } = sourceTableOf(state, types, () => true)
    if (unsupported.length > 0) {
      const refused = new Set(unsupported.map(({ name }) => name))
      return this.put({ ...state, columns: state.columns.filter(({ name }) => !refused.has(name)) })
    }
    const first = firstSchema(table, { firstFieldId: 1, keyed: true })
    if (first.kind !== 'evolved') throw new Error(JSON.stringify(first))
    const { schema } = first
    const rows = before?.rows ?? new Map<string, Record<string, Cell>>()
    const builder = new ChangeBuilder(schema, this.options.limits)
    this.tables.set(`${state.database}.${state.name}`, { state, schema, rows, builder })
  }

  private rows(event: RowsEvent): void {
    const live = this.tables.get(`${event.table.database}.${event.table.name}`)
    if (live === undefined) return
    if (!event.presence.full) this.partialImages++
    const decoder = this.decoderOf(event, live)
    const id = new TextEncoder().encode(`t:${this.transaction}`)
    let sequence = 0
    for (let at = event.start; at < event.end;) {
      live.builder.beginTransaction(this.transaction, 0n, id)
      const before = live.builder.rows
      at = decoder.decode(event, at, live.builder, sequence)
      sequence += live.builder.rows - before
      if (decoder.failure !== null) throw decoder.failure
      if (live.builder.full) this.flush(live)
    }
  }

  private decoderOf(event: RowsEvent, live: LiveTable): TableDecoder {
    const known = this.decoders.get(event.table)
    if (known?.live === live) return known.decoder
    const { state, schema } = live
    // A refused column is in the map and not in the state: the source would have parked the table.
    const map = {
      ...event.table,
      columns: event.table.columns,
    }
    const bound = bindColumns(map, { ...state, columns: withRefused(state, map.columns) }, schema)
    if (bound.binding === null) throw new Error(bound.mismatch)
    const defaults = schema.fields.map(({ identity }) => {
      const column = state.columns.find((candidate) => candidate.identity === identity)
      return column === undefined ? ({ kind: 'unknown' } as const) : defaultOf(column, types)
    })
    const decoder = new TableDecoder(event.table, schema, bound.binding, defaults)
    this.decoders.set(event.table, { decoder, live })
    return decoder
  }

  private flush(live: LiveTable): void {
    if (live.builder.rows > 0) {
      const batch = live.builder.view()
      this.batches.push({
        table: batch.table,
        rows: batch.rows,
        ops: [...batch.ops].map((op) => 'iudr'[op]).join(''),
      })
      applyBatch(live, batch)
    }
    live.builder.reset()
  }
}

function withRefused(
  state: TableState,
  columns: RowsEvent['table']['columns'],
): TableState['columns'] {
  const template = state.columns[0]!
  const extra = columns
    .filter(({ name }) => !state.columns.some((column) => column.name === name))
    .map(({ name }) => ({ ...template, identity: `refused ${name}`, name: name ?? '' }))
  return [...state.columns, ...extra]
}

function applyBatch(live: LiveTable, batch: ChangeBatch): void {
  const { schema, rows } = live
  for (let row = 0; row < batch.rows; row++) {
    const key = (schema.key ?? [])
      .map((field) => String(cellOf(batch.columns[field]!, row)))
      .join('|')
    const op = batch.ops[row]!
    const known = rows.get(key)
    if (op === Op.delete) {
      if (known === undefined) throw new Error(`delete of a key that is not there: ${key}`)
      rows.delete(key)
      continue
    }
    if (op === Op.insert && known !== undefined) throw new Error(`insert of a live key: ${key}`)
    if (op === Op.update && known === undefined) throw new Error(`update of a missing key: ${key}`)
    const cells: Record<string, Cell> = {}
    schema.fields.forEach(({ name }, field) => {
      const cell = cellOf(batch.columns[field]!, row)
      cells[name] = cell === UNCHANGED ? (known?.[name] ?? null) : cell
    })
    rows.set(key, cells)
  }
}

/** The value as text that tells every two values of the type apart. */
export function cellOf(column: Column, row: number): Cell {
  if (isUnchanged(column, row)) return UNCHANGED
  if (isNull(column, row)) return null
  switch (column.layout) {
    case 'bytes': {
      const bytes = Buffer.from(column.bytes.subarray(column.offsets[row], column.offsets[row + 1]))
      return column.type.kind === 'binary' ? bytes.toString('hex') : bytes.toString('utf8')
    }
    case 'uuid16':
      return Buffer.from(column.values.subarray(row * 16, row * 16 + 16)).toString('hex')
    case 'int128':
      return String(
        (column.values[row * 2 + 1]! << 64n) | BigInt.asUintN(64, column.values[row * 2]!),
      )
    case 'list':
      throw new Error('MySQL has no lists')
    default:
      return String(column.values[row])
  }
}
