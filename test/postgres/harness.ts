// What the live tests of the PostgreSQL source share: a server, a source with its options, a
// runtime that evolves schemas as the real one does, and rows of batches as plain values.

import { afterAll, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryPostgres, withPostgres } from '../servers/clients.ts'
import { startPostgres, type PostgresMajor, type PostgresServer } from '../servers/postgres.ts'
import type { PostgresOptions } from '../../connectors/postgres/options.ts'
import { createPostgresSource } from '../../connectors/postgres/source.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import type { PipelineError } from '../../runtime/base/errors.ts'
import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { isNull, isUnchanged, type Column } from '../../runtime/data/column/column.ts'
import type { Progress, SourceElement } from '../../runtime/data/element.ts'
import { evolve, firstSchema } from '../../runtime/data/evolution.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import { tableKey, type SourceTable, type TableSchema } from '../../runtime/data/schema.ts'
import type { CommitReceipt } from '../../runtime/sink.ts'
import type { Chunk, Source, SourceContext } from '../../runtime/source.ts'

export const majors: readonly PostgresMajor[] = [15, 18]

export async function started(
  major: PostgresMajor,
  settings: Record<string, string> = {},
): Promise<PostgresServer> {
  return startPostgres({
    major,
    settings: { max_replication_slots: '200', max_connections: '200', ...settings },
  })
}

export function optionsFor(
  server: PostgresServer,
  changed: Partial<PostgresOptions> = {},
): PostgresOptions {
  return {
    host: server.host,
    port: server.port,
    database: 'postgres',
    user: server.user,
    password: () => server.password,
    tls: { mode: 'disabled', ca: null },
    tables: (namespace) => namespace === 'public',
    tablesExclude: () => false,
    columnsExclude: () => false,
    columnsAsText: () => false,
    unrepresentable: 'fail',
    keyed: true,
    backfills: true,
    slot: 'millrace',
    publication: 'millrace',
    heartbeatMs: 1000,
    catalogPollMs: 100,
    chunkConnections: 2,
    clock: systemClock,
    log: { info: () => {}, warn: () => {} },
    ...changed,
  }
}

const evolution = { firstFieldId: 1, keyed: true }

/** What a log row became: column values by name, `unchanged` where the source sent none. */
export type Value = string | number | bigint | boolean | null | Value[]
export interface Change {
  readonly table: string
  readonly op: 'insert' | 'update' | 'delete' | 'read'
  readonly row: Readonly<Record<string, Value>>
  readonly order: Order
  readonly sequence: number
}

/** The runtime's part: schemas by evolution, and a record of what the source told. */
export class TestRuntime implements SourceContext {
  readonly schemas = new Map<string, TableSchema>()
  readonly versions = new Map<string, TableSchema[]>()
  readonly incarnations = new Map<string, string>()
  readonly parked = new Map<string, PipelineError | string>()
  readonly events: string[] = []
  readonly parkedRows = new Map<string, number>()

  meet(tables: readonly SourceTable[]): void {
    for (const table of tables) this.create(table)
  }

  private create(table: SourceTable): void {
    const first = firstSchema(table, evolution)
    if (first.kind !== 'evolved') throw new Error(`no schema for ${tableKey(table)}`)
    const version = this.versions.get(tableKey(table))?.at(-1)?.version ?? -1
    this.put({ ...first.schema, version: Math.max(first.schema.version, version + 1) })
    this.incarnations.set(tableKey(table), table.incarnation)
  }

  private put(schema: TableSchema): void {
    this.schemas.set(schema.table, schema)
    this.versions.set(schema.table, [...(this.versions.get(schema.table) ?? []), schema])
  }

  /** Tables whose updates come with the rows that they replace. */
  readonly withOldRows = new Set<string>()

  oldRows(table: string): boolean {
    return this.withOldRows.has(table)
  }

  schemaOf(table: string): TableSchema | null {
    return this.parked.has(table) ? null : (this.schemas.get(table) ?? null)
  }

  tableChanged(table: SourceTable, order: Order): TableSchema | null {
    const key = tableKey(table)
    this.events.push(`changed ${key}`)
    const schema = this.schemas.get(key)
    if (schema === undefined) {
      this.create(table)
      return this.schemaOf(key)
    }
    const reborn = this.incarnations.get(key) !== table.incarnation
    this.incarnations.set(key, table.incarnation)
    const next = evolve(schema, table, reborn ? 'gone' : 'carried', evolution)
    if (next.kind === 'unmappable') this.parked.set(key, `${next.error}: ${next.reason} (${order})`)
    if (next.kind === 'evolved') this.put(next.schema)
    return this.schemaOf(key)
  }

  tableTruncated(table: string): void {
    this.events.push(`truncated ${table}`)
  }

  tableDropped(table: string): void {
    this.events.push(`dropped ${table}`)
    this.schemas.delete(table)
  }

  park(table: string, error: PipelineError): void {
    this.events.push(`parked ${table} ${error.error}`)
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

  changesOf(batch: ChangeBatch): Change[] {
    const schema = this.versions
      .get(batch.table)
      ?.find(({ version }) => version === batch.schemaVersion)
    if (schema === undefined) throw new Error(`no version ${batch.schemaVersion}`)
    const ops = ['insert', 'update', 'delete', 'read'] as const
    return Array.from({ length: batch.rows }, (_, row) => {
      const op = ops[batch.ops[row] ?? 0] ?? 'read'
      const columns = schema.fields.flatMap((field, index): [string, Value][] => {
        const column = batch.columns[index]!
        // Of a deleted row only the key counts.
        if (batch.ops[row] === Op.delete && schema.key?.includes(index) === false) return []
        return [[field.name, valueAt(column, row)]]
      })
      const transaction = batch.transaction[row]!
      const { orderHigh, orderLow } = batch.transactions
      return {
        table: batch.table,
        op,
        row: Object.fromEntries(columns),
        order: (orderHigh << 64n) | orderLow[transaction]!,
        sequence: batch.sequence[row]!,
      }
    })
  }
}

export const UNCHANGED = '<unchanged>'

export function valueAt(column: Column, row: number): Value {
  if (isNull(column, row)) return null
  if (isUnchanged(column, row)) return UNCHANGED
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1
    case 'int32':
    case 'float32':
    case 'float64':
      return column.values[row]!
    case 'int64':
      return column.values[row]!
    case 'int128':
      return (column.values[2 * row + 1]! << 64n) | BigInt.asUintN(64, column.values[2 * row]!)
    case 'uuid16':
      return Buffer.from(column.values.subarray(16 * row, 16 * row + 16)).toString('hex')
    case 'bytes': {
      const bytes = Buffer.from(column.bytes.subarray(column.offsets[row], column.offsets[row + 1]))
      return bytes.toString(column.type.kind === 'string' ? 'utf8' : 'hex')
    }
    case 'list': {
      const start = column.offsets[row]!
      const count = column.offsets[row + 1]! - start
      return Array.from({ length: count }, (_, at) => valueAt(column.child, start + at))
    }
  }
}

/** A source that reads its log in the background. */
export class RunningSource {
  readonly source: Source
  readonly runtime: TestRuntime
  readonly changes: Change[] = []
  readonly elements: SourceElement[] = []
  position: Position
  private readonly stopping = new AbortController()
  private readonly finished: Promise<void>
  failure: Error | null = null
  private notify: () => void = () => {}

  constructor(source: Source, runtime: TestRuntime, position: Position) {
    this.source = source
    this.runtime = runtime
    this.position = position
    this.finished = this.run()
  }

  private async run(): Promise<void> {
    try {
      const { source, runtime, position, stopping } = this
      for await (const element of source.read(position, runtime, stopping.signal)) {
        this.elements.push(element)
        if (element.kind === 'progress') this.position = element.position
        else this.changes.push(...runtime.changesOf(element))
        this.notify()
      }
    } catch (error) {
      this.failure = error as Error
    } finally {
      this.notify()
    }
  }

  /** Waits until `done`; fails with the reader's error, or after `ms`. */
  async until(done: () => boolean, ms = 20_000): Promise<void> {
    const deadline = performance.now() + ms
    while (!done()) {
      if (this.failure !== null) throw this.failure
      if (performance.now() > deadline) throw new Error('it took too long')
      await new Promise<void>((resolve) => {
        this.notify = resolve
        setTimeout(resolve, 20)
      })
    }
  }

  /** Reads up to the log end of now. */
  async caughtUp(): Promise<Progress['position']> {
    const head = await this.source.head()
    this.source.requestProgress()
    await this.until(() => this.position.order >= head.order)
    return this.position
  }

  /** Waits until a look at the catalog of now has taken effect. */
  async looked(): Promise<void> {
    this.source.confirm()
    // An idle server tells the end of its log when it is asked.
    while (!this.source.confirmed()) await this.caughtUp()
  }

  acknowledge(position: Position): Promise<void> {
    return this.source.acknowledge({ epoch: 1, position } as CommitReceipt)
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await this.finished
    await this.source.close()
  }
}

/** Opens a source and starts reading. */
export async function run(
  options: PostgresOptions,
  saved: Uint8Array | null = null,
  after: Position | null = null,
  runtime = new TestRuntime(),
): Promise<RunningSource> {
  const source = createPostgresSource(options)
  try {
    const opening = await source.open(saved, after, false)
    for (const table of opening.tables) {
      if (runtime.schemas.has(tableKey(table))) continue
      if (saved === null) runtime.meet([table])
      else runtime.tableChanged(table, opening.position.order)
    }
    return new RunningSource(source, runtime, opening.position)
  } catch (error) {
    await source.close()
    throw error
  }
}

/** All rows of a table by chunks of `limit` rows. */
export async function readTable(
  running: RunningSource,
  table: string,
  limit: number,
  bounds: Omit<Chunk, 'table'> = { after: null, until: null },
): Promise<{ rows: Change[]; high: Order; lows: Order[] }> {
  const { source, runtime } = running
  await ready(source, table)
  const rows: Change[] = []
  const lows: Order[] = []
  let high = 0n
  let chunk: Chunk = { table, ...bounds }
  for (;;) {
    const schema = runtime.schemas.get(table)!
    const signal = AbortSignal.timeout(30_000)
    const read = await source.openChunk(chunk, limit, schema, running.position, signal)
    lows.push(read.low)
    for await (const part of read.parts) {
      rows.push(...runtime.changesOf(part.batch))
      chunk = { ...chunk, after: part.lastKey }
    }
    high = await read.high()
    if (read.exhausted()) return { rows, high, lows }
  }
}

let databases = 0

/** A database of its own on a shared server, with a slot name that no other test uses. */
export async function freshDatabase(
  server: PostgresServer,
): Promise<{ uri: string; changed: Partial<PostgresOptions> }> {
  const database = `d${databases++}`
  await queryPostgres(server.uri(), `CREATE DATABASE ${database}`)
  return { uri: server.uri(database), changed: { database, slot: `s_${database}` } }
}

/** Defines one test for each version, all on one server of that version. */
export function testOn(
  servers: ReadonlyMap<PostgresMajor, PostgresServer>,
  claim: string,
  body: (server: PostgresServer) => Promise<void>,
  options: { readonly concurrent?: boolean } = {},
): void {
  for (const major of majors) {
    const server = servers.get(major)
    test.skipIf(server === undefined)(`PostgreSQL ${major}: ${claim}`, options, async () => {
      if (server !== undefined) await body(server)
    })
  }
}

/** Starts the servers that can be had; they stop after the file's tests. */
export async function startAll(
  settings: Record<string, string> = {},
): Promise<Map<PostgresMajor, PostgresServer>> {
  const servers = new Map<PostgresMajor, PostgresServer>()
  for (const major of majors) {
    if (await available(`postgres${major}`)) servers.set(major, await started(major, settings))
  }
  afterAll(async () => {
    await Promise.all([...servers.values()].map(async (server) => server.stop()))
  })
  return servers
}

/** What a test needs of a row: op, and the columns that it names. */
export function brief(changes: readonly Change[], ...names: string[]): unknown[][] {
  return changes.map(({ op, row }) => [op, ...names.map((name) => row[name])])
}

export async function ready(source: Source, table: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await source.mayBackfill(table)
    if (answer.ready) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${table} does not become ready`)
}

export { queryPostgres, withPostgres }
