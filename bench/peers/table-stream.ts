// What npm offers for the first copy of a table: `pg-query-stream` or the stream of `mysql2`, which
// give row objects, counting them or handing them to `parquetjs-lite`. Prints {"rows":N,
// "seconds":S}, where the seconds begin with the first row.
//
//   BENCH_PASSWORD=... node bench/peers/table-stream.ts '{"job":"count"|"parquet","uri":...}'

import mysql from 'mysql2'
import pg from 'pg'
import QueryStream from 'pg-query-stream'
import { systemClock } from '../../runtime/base/clock.ts'
import { openOrders, type OrderRow } from './orders-parquet.ts'

interface Plan {
  readonly job: 'count' | 'parquet'
  /** postgresql://... or mysql://..., without a password. */
  readonly uri: string
  readonly sql: string
  readonly output: string
}

/** Rows that the server sends at a time; the default of 100 makes it slower still. */
const BATCH_ROWS = 10_000

const plan = JSON.parse(process.argv[2] ?? '') as Plan
const uri = new URL(plan.uri)
const password = process.env['BENCH_PASSWORD'] ?? ''

async function postgresRows(): Promise<AsyncIterable<OrderRow>> {
  uri.password = password
  const client = new pg.Client({ connectionString: uri.href })
  await client.connect()
  return client.query(new QueryStream(plan.sql, [], { batchSize: BATCH_ROWS }))
}

function mysqlRows(): AsyncIterable<OrderRow> {
  const { hostname: host, port, username: user } = uri
  const connection = mysql.createConnection({ host, port: Number(port), user, password })
  return connection.query(plan.sql).stream({ highWaterMark: BATCH_ROWS })
}

const rows = uri.protocol === 'postgresql:' ? await postgresRows() : mysqlRows()
const writer = plan.job === 'parquet' ? await openOrders(plan.output) : null
let startMs = 0
let received = 0
for await (const row of rows) {
  startMs ||= systemClock.elapsedMs()
  received++
  if (writer !== null) await writer.append(row)
}
await writer?.close()
const seconds = (systemClock.elapsedMs() - startMs) / 1000
console.log(JSON.stringify({ rows: received, seconds }))
process.exit(0)
