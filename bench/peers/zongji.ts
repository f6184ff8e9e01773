// What npm offers for MySQL: `@vlasky/zongji` counting inserted rows, or handing them to
// `parquetjs-lite`. Reads `rows` rows from the start of a log file and prints
// {"rows":N,"seconds":S}, where the seconds begin with the first row, not with the process.
//
//   BENCH_PASSWORD=... node bench/peers/zongji.ts '{"job":"count"|"parquet","host":...}'

import Zongji from '@vlasky/zongji'
// @ts-expect-error the package has no types
import parquet from 'parquetjs-lite'
import { systemClock } from '../../runtime/base/clock.ts'

interface Plan {
  readonly job: 'count' | 'parquet'
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly table: string
  readonly file: string
  readonly rows: number
  readonly output: string
}

type Row = Record<string, unknown>

/** Rows that may wait for the file; zongji itself never waits. */
const QUEUE_ROWS_MAX = 20_000

const SCHEMA = {
  id: { type: 'INT64' },
  customer: { type: 'INT32' },
  status: { type: 'UTF8' },
  amount: { type: 'INT64' },
  price: { type: 'DOUBLE' },
  note: { type: 'UTF8', optional: true },
  created: { type: 'TIMESTAMP_MILLIS' },
  updated: { type: 'TIMESTAMP_MILLIS', optional: true },
  flag: { type: 'BOOLEAN' },
  payload: { type: 'BYTE_ARRAY' },
} as const

interface RowWriter {
  appendRow(row: Row): Promise<void>
  close(): Promise<void>
}

const plan = JSON.parse(process.argv[2] ?? '') as Plan
const { host, port, user, database, table, file } = plan
const zongji = new Zongji({ host, port, user, password: process.env['BENCH_PASSWORD'] ?? '' })
let startMs = 0
let received = 0
let queued = 0
let tail: Promise<void> = Promise.resolve()
const done = Promise.withResolvers<void>()
const writer = plan.job === 'parquet' ? await openWriter() : null

async function openWriter(): Promise<RowWriter> {
  const schema = new parquet.ParquetSchema(SCHEMA)
  return parquet.ParquetWriter.openFile(schema, plan.output) as Promise<RowWriter>
}

async function append(to: RowWriter, rows: readonly Row[]): Promise<void> {
  for (const row of rows) {
    // Decimals as whole cents: exact, and the cheapest that the library has.
    const amount = Math.round(Number(row['amount']) * 100)
    const updated = row['updated'] ?? undefined
    const note = row['note'] ?? undefined
    await to.appendRow({ ...row, amount, updated, note, flag: row['flag'] === 1 })
  }
  queued -= rows.length
}

interface RowsEvent {
  readonly rows?: readonly Row[]
}

function onEvent(event: RowsEvent): void {
  const { rows } = event
  if (rows === undefined || received >= plan.rows) return
  startMs ||= systemClock.elapsedMs()
  received += rows.length
  if (writer !== null) {
    queued += rows.length
    tail = tail.then(() => append(writer, rows))
    if (queued > QUEUE_ROWS_MAX) waitForWriter()
  }
  if (received >= plan.rows) done.resolve()
}

function waitForWriter(): void {
  const { connection } = zongji as unknown as {
    connection: { pause(): void; resume(): void }
  }
  connection.pause()
  void tail.then(() => connection.resume())
}

zongji.on('binlog', (event) => onEvent(event as RowsEvent))
zongji.on('error', (error: unknown) => done.reject(error))
zongji.start({
  serverId: 99_001,
  filename: file,
  position: 4,
  includeEvents: ['tablemap', 'writerows', 'updaterows'],
  includeSchema: { [database]: [table] },
})
await done.promise
await tail
await writer?.close()
const seconds = (systemClock.elapsedMs() - startMs) / 1000
console.log(JSON.stringify({ rows: received, seconds }))
process.exit(0)
