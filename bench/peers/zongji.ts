// What npm offers for MySQL: `@vlasky/zongji` counting inserted rows, or handing them to
// `parquetjs-lite`. Reads `rows` rows from the start of a log file and prints
// {"rows":N,"seconds":S}, where the seconds begin with the first row, not with the process.
//
//   BENCH_PASSWORD=... node bench/peers/zongji.ts '{"job":"count"|"parquet","host":...}'

import Zongji from '@vlasky/zongji'
import { systemClock } from '../../runtime/base/clock.ts'
import { openOrders, type OrderRow, type OrderWriter } from './orders-parquet.ts'

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

/** Rows that may wait for the file; zongji itself never waits. */
const QUEUE_ROWS_MAX = 20_000

const plan = JSON.parse(process.argv[2] ?? '') as Plan
const { host, port, user, database, table, file } = plan
const zongji = new Zongji({ host, port, user, password: process.env['BENCH_PASSWORD'] ?? '' })
let startMs = 0
let received = 0
let queued = 0
let tail: Promise<void> = Promise.resolve()
const done = Promise.withResolvers<void>()
const writer = plan.job === 'parquet' ? await openOrders(plan.output) : null

async function append(to: OrderWriter, rows: readonly OrderRow[]): Promise<void> {
  for (const row of rows) await to.append(row)
  queued -= rows.length
}

interface RowsEvent {
  readonly rows?: readonly OrderRow[]
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
