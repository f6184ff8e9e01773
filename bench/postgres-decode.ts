// Our decoding of pgoutput against pg-logical-replication's, on the same bytes in memory, one
// thread: the usual table of ten columns, once with transactions of many rows and once with a
// transaction a row; and our decoding of the same rows in COPY BINARY. Prints CPU seconds per
// million rows. The streams are recorded from a real server the first time, and kept in
// bench/.cache.
// Run: node bench/postgres-decode.ts [ours [multi|single|copy]]

import { EventEmitter } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { PgoutputPlugin } from 'pg-logical-replication'
import { CopyReader } from '../connectors/postgres/decode/copy.ts'
import { compileDecoder } from '../connectors/postgres/decode/generate.ts'
import { LogParser, Stop } from '../connectors/postgres/decode/log-parser.ts'
import { compileRows } from '../connectors/postgres/decode/rows-decoder.ts'
import { TypeCatalog } from '../connectors/postgres/catalog.ts'
import { decodedFields, LogTable } from '../connectors/postgres/log-table.ts'
import { shapeOfCatalog, type TableShape } from '../connectors/postgres/shape.ts'
import { DeliveredCommits } from '../connectors/postgres/snapshot.ts'
import { loadTypes, readTables, type CatalogTable } from '../connectors/postgres/catalog.ts'
import type { PgType } from '../connectors/postgres/types.ts'
import { LogStream } from '../connectors/postgres/stream.ts'
import { TableBatch } from '../connectors/postgres/table-batch.ts'
import {
  Message,
  MESSAGE_HEADER,
  queryMessage,
  uint32At,
  Wire,
} from '../connectors/postgres/wire.ts'
import { parseLsn } from '../connectors/postgres/lsn.ts'
import { systemClock } from '../runtime/base/clock.ts'
import { firstSchema } from '../runtime/data/evolution.ts'
import type { TableSchema } from '../runtime/data/schema.ts'
import { withPostgres } from '../test/servers/clients.ts'
import { startPostgres } from '../test/servers/postgres.ts'
import { optionsFor } from '../test/postgres/harness.ts'
import { CopyIn } from './postgres-copy.ts'
import { copyText, POSTGRES_TABLE } from './orders.ts'

const RUNS = 9
const MULTI_ROWS = 200_000
const SINGLE_ROWS = 50_000
const ROWS_PER_COPY = 10_000
/** What a read of a socket gives at most. */
const PIECE_BYTES = 64 * 1024
const CACHE = fileURLToPath(new URL('.cache/postgres-decode/', import.meta.url))

interface Fixture {
  readonly multi: Uint8Array
  readonly single: Uint8Array
  readonly copy: Uint8Array
  readonly table: CatalogTable
  readonly types: readonly (readonly [number, PgType])[]
}

async function fixture(): Promise<Fixture> {
  const path = (name: string): string => join(CACHE, name)
  if (!existsSync(path('table.json'))) await record(path)
  const { table, types } = JSON.parse(readFileSync(path('table.json'), 'utf8')) as Fixture
  const [multi, single, copy] = ['multi', 'single', 'copy'].map((name) => readFileSync(path(name)))
  return { multi: multi!, single: single!, copy: copy!, table, types }
}

async function record(path: (name: string) => string): Promise<void> {
  mkdirSync(CACHE, { recursive: true })
  const server = await startPostgres({ major: 18 })
  try {
    await withPostgres(server.uri(), async (client) => {
      await client.query(`${POSTGRES_TABLE}; CREATE PUBLICATION millrace FOR TABLE orders`)
      const slot = "SELECT lsn FROM pg_create_logical_replication_slot('millrace', 'pgoutput')"
      const { rows } = await client.query<{ lsn: string }>(slot)
      const ask = async (sql: string, values: readonly unknown[] = []): Promise<never[]> =>
        (await client.query(sql, [...values])).rows as never[]
      const oid = await client.query<{ oid: string }>("SELECT 'orders'::regclass::oid::text AS oid")
      const { tables } = await readTables(ask, [Number(oid.rows[0]?.oid)])
      const types = new TypeCatalog()
      await loadTypes(types, ask, tables)
      const used = tables[0]!.columns.map(({ type }) => [type, types.lookup(type)])
      for (let first = 1; first <= MULTI_ROWS; first += ROWS_PER_COPY) {
        const copy = new CopyIn('COPY orders FROM STDIN', copyText(first, ROWS_PER_COPY))
        client.query(copy)
        await copy.done
      }
      await client.query('CREATE TABLE spare (LIKE orders)')
      await client.query('INSERT INTO spare SELECT * FROM orders; DELETE FROM orders')
      writeFileSync(path('copy'), await captureCopy(server))
      const parts = { server, start: parseLsn(rows[0]?.lsn ?? '') }
      writeFileSync(path('multi'), await capture(parts, MULTI_ROWS))
      await client.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [
        'millrace',
      ])
      const lsn = await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
      const one = `DO $$ BEGIN FOR n IN 1..${SINGLE_ROWS} LOOP
        INSERT INTO orders SELECT * FROM spare WHERE id = n; COMMIT; END LOOP; END $$`
      await client.query('CREATE INDEX ON spare (id)')
      await client.query(one)
      const later = { server, start: parseLsn(lsn.rows[0]?.lsn ?? '') }
      writeFileSync(path('single'), await capture(later, SINGLE_ROWS))
      writeFileSync(path('table.json'), JSON.stringify({ table: tables[0], types: used }))
    })
  } finally {
    await server.stop()
  }
}

interface CaptureParts {
  readonly server: Awaited<ReturnType<typeof startPostgres>>
  readonly start: number
}

/** The bytes of the stream up to the end of the transaction with the last of `rows` inserts. */
async function capture({ server, start }: CaptureParts, rows: number): Promise<Buffer> {
  const options = optionsFor(server)
  const config = {
    connectionString: server.uri(),
    replication: 'database',
    options: '-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=3',
  }
  const client = new Client(config)
  client.on('error', () => {})
  await client.connect()
  const stream = await LogStream.start(client, options, start, start, 1000)
  const pieces: Buffer[] = []
  const { wire } = stream
  let inserts = 0
  let done = false
  while (!done) {
    const seen = wire.received
    for (;;) {
      const { bytes, start: at, end } = wire
      if (end - at < MESSAGE_HEADER || end - at <= uint32At(bytes, at + 1)) break
      const next = at + 1 + uint32At(bytes, at + 1)
      const kind = bytes[at + MESSAGE_HEADER] === 0x77 ? bytes[at + MESSAGE_HEADER + 25] : 0
      if (bytes[at] === Message.copyData) pieces.push(Buffer.from(bytes.subarray(at, next)))
      if (kind === 0x49) inserts++
      done = kind === 0x43 && inserts >= rows
      wire.start = next
      if (done) break
    }
    if (!done) await wire.more(seen)
  }
  stream.close()
  return Buffer.concat(pieces)
}

/** The bytes of a COPY of all rows, from the response to the query to the end. */
async function captureCopy(server: CaptureParts['server']): Promise<Buffer> {
  const client = new Client(server.uri())
  await client.connect()
  const wire = new Wire(client, systemClock)
  wire.send(queryMessage('COPY (SELECT * FROM spare ORDER BY id) TO STDOUT (FORMAT binary)'))
  const pieces: Buffer[] = []
  for (let kind = 0; kind !== Message.readyForQuery;) {
    const seen = wire.received
    await wire.more(seen)
    for (;;) {
      const { bytes, start, end } = wire
      if (end - start < MESSAGE_HEADER || end - start <= uint32At(bytes, start + 1)) break
      kind = bytes[start]!
      wire.start += 1 + uint32At(bytes, start + 1)
      pieces.push(Buffer.from(bytes.subarray(start, wire.start)))
    }
  }
  wire.release()
  await client.end()
  return Buffer.concat(pieces)
}

function shapeOf({ table, types }: Fixture): TableShape {
  const known = new Map(types)
  const lookup = (oid: number): PgType | null => known.get(oid) ?? null
  const options = { columnsExclude: () => false, columnsAsText: () => false }
  const source = { options, lookup, generated: false, published: null } as unknown
  return shapeOfCatalog(table, null, source as Parameters<typeof shapeOfCatalog>[2])
}

function schemaOf(shape: TableShape): TableSchema {
  const first = firstSchema(shape.source, { firstFieldId: 1, keyed: true })
  if (first.kind !== 'evolved') throw new Error('the table has no schema')
  return first.schema
}

function fakeSocket(): EventEmitter {
  return Object.assign(new EventEmitter(), { pause() {}, resume() {}, write() {} })
}

function clientOf(socket: EventEmitter): Client {
  return { connection: { stream: socket } } as unknown as Client
}

/** Feeds the bytes as a socket would, and counts the rows of the batches. */
async function decodeCopy(fixture: Fixture, bytes: Uint8Array): Promise<number> {
  const shape = shapeOf(fixture)
  const schema = schemaOf(shape)
  const socket = fakeSocket()
  const fields = decodedFields(shape, schema, 'binary')
  const plan = { title: 'copy', fields, unrepresentableAsNull: false }
  const batch = new TableBatch(schema, 1)
  const row = compileDecoder(plan)!(batch.builders)
  const rows = compileRows({ ...plan, form: 'copy', columns: fields.length, key: [] })
  const { signal } = new AbortController()
  const reader = new CopyReader(clientOf(socket), '', 'orders', fields, systemClock, signal)
  const stamp = { serial: 0, lsn: 1, time2000Us: 1, latest2000Us: 0, xid: 0 }
  let at = 0
  await reader.fill()
  do {
    socket.emit('data', bytes.subarray(at, at + PIECE_BYTES))
    at += PIECE_BYTES
    while (reader.read(batch, { rows, row }, stamp)) batch.take()
  } while (await reader.fill())
  reader.release()
  return reader.rows
}

/** Feeds the bytes as a socket would, and counts the rows of the batches. */
function decodeOurs(fixture: Fixture, bytes: Uint8Array): number {
  const socket = fakeSocket()
  const wire = new Wire(clientOf(socket), systemClock)
  const parser = new LogParser(0, 'bench', new DeliveredCommits(1000, []))
  const shape = shapeOf(fixture)
  let rows = 0
  const take = (batch: { rows: number } | null): void => {
    rows += batch?.rows ?? 0
  }
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    socket.emit('data', bytes.subarray(at, at + PIECE_BYTES))
    for (;;) {
      const stop = parser.step(wire)
      for (const batch of parser.ready.splice(0)) take(batch)
      if (stop === Stop.bytes) break
      if (stop === Stop.open) parser.table?.open(0)
      if (stop === Stop.relation) {
        const announced = new LogTable(shape, false)
        announced.use(schemaOf(shape))
        parser.announce(shape.oid, announced)
      }
    }
  }
  for (const announced of parser.tables.values()) take(announced?.take(false) ?? null)
  return rows
}

/** pg-logical-replication's parser over the same messages. */
function decodeTheirs(bytes: Buffer): number {
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['millrace'] })
  let rows = 0
  for (let at = 0; at < bytes.length; at += 1 + uint32At(bytes, at + 1)) {
    if (bytes[at + MESSAGE_HEADER] !== 0x77) continue
    const message = bytes.subarray(at + MESSAGE_HEADER + 25, at + 1 + uint32At(bytes, at + 1))
    if (plugin.parse(message).tag === 'insert') rows++
  }
  return rows
}

/** @returns CPU seconds per million rows: the median of the runs, and the fastest */
async function timed(rows: number, run: () => number | Promise<number>): Promise<string> {
  const seconds: number[] = []
  for (let turn = 0; turn < RUNS; turn++) {
    const before = process.cpuUsage()
    const decoded = await run()
    const used = process.cpuUsage(before)
    if (decoded !== rows) throw new Error(`${decoded} rows instead of ${rows}`)
    seconds.push((used.user + used.system) / rows)
  }
  seconds.sort((left, right) => left - right)
  const [fastest = 0] = seconds
  return `${(seconds[RUNS >> 1] ?? 0).toFixed(3)} (fastest ${fastest.toFixed(3)})`
}

const streams = await fixture()
for (const [name, rows] of [
  ['multi', MULTI_ROWS],
  ['single', SINGLE_ROWS],
  ['copy', MULTI_ROWS],
] as const) {
  if ((process.argv[3] ?? name) !== name) continue
  const bytes = Buffer.from(streams[name])
  console.log(
    `${name}: ${rows} rows, ${(bytes.length / rows).toFixed(0)} bytes a row, CPU s / M rows`,
  )
  const ours = name === 'copy' ? decodeCopy : decodeOurs
  console.log(`  millrace                ${await timed(rows, () => ours(streams, bytes))}`)
  if (process.argv[2] === 'ours' || name === 'copy') continue
  console.log(`  pg-logical-replication  ${await timed(rows, () => decodeTheirs(bytes))}`)
}
