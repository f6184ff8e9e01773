// Our binary log decoding against zongji's, on the same bytes in memory, one thread: the usual
// table of ten columns, once with events of many rows and once with a transaction a row. Prints
// rows/s of CPU time. The logs are made by a real server the first time, and kept in bench/.cache.
// Run: node bench/mysql-decode.ts

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { firstSchema } from '../runtime/data/evolution.ts'
import { bindColumns } from '../connectors/mysql/decode/column-plan.ts'
import { ChangeBuilder } from '../connectors/mysql/decode/change-builder.ts'
import { EventReader } from '../connectors/mysql/decode/event-reader.ts'
import type { RowsEvent } from '../connectors/mysql/decode/events.ts'
import { TableDecoder } from '../connectors/mysql/decode/table-decoder.ts'
import { createTable } from '../connectors/mysql/ddl/apply.ts'
import { parseStatement } from '../connectors/mysql/ddl/parse.ts'
import { sourceTableOf } from '../connectors/mysql/ddl/state.ts'
import { newestLog } from '../test/mysql/decode-changes.ts'
import { eventsOf } from '../test/mysql/decode-replay.ts'
import { zongjiEvents } from '../test/mysql/decode-zongji.ts'
import { withMysql } from '../test/servers/clients.ts'
import { startMysql } from '../test/servers/mysql.ts'

const RUNS = 15
const MULTI_ROWS = 200_000
const SINGLE_ROWS = 30_000
const CACHE = fileURLToPath(new URL('.cache/mysql-decode/', import.meta.url))

const CREATE = `CREATE TABLE orders (id BIGINT PRIMARY KEY, customer INT NOT NULL,
  status VARCHAR(16) NOT NULL, amount DECIMAL(12,2) NOT NULL, price DOUBLE, note VARCHAR(64),
  created DATETIME(6) NOT NULL, updated TIMESTAMP(6) NOT NULL, flag TINYINT(1) NOT NULL,
  payload VARCHAR(80) NOT NULL)`

/** Values of row `n`, in SQL. */
const VALUES = `n, (n * 7919) % 100000, ELT(1 + n % 4, 'new', 'paid', 'shipped', 'cancelled'),
  n * 37.25 % 1000000, n / 7, IF(n % 10 = 3, NULL, CONCAT('note of order ', n)),
  '2024-01-01 10:00:00.123456' + INTERVAL n SECOND, '2025-02-03 04:05:06.789012', n % 2,
  CONCAT('payload ', REPEAT('x', 40 + n % 12), n)`

const NUMBERS = 'SET SESSION cte_max_recursion_depth = 1000000'
const LOOP = `CREATE PROCEDURE one_by_one(IN n INT) BEGIN
  WHILE n > 0 DO INSERT INTO orders SELECT ${VALUES.replaceAll(/\bn\b/g, 'n')}; SET n = n - 1; END WHILE; END`

/** @returns the logs: many rows an event, and one row a transaction */
async function fixtures(): Promise<{ multi: Uint8Array; single: Uint8Array }> {
  const paths = { multi: join(CACHE, 'multi.binlog'), single: join(CACHE, 'single.binlog') }
  if (!existsSync(paths.single)) await record(paths)
  return { multi: read(paths.multi), single: read(paths.single) }
}

function read(path: string): Uint8Array {
  const bytes = readFileSync(path)
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

async function record(paths: { multi: string; single: string }): Promise<void> {
  mkdirSync(CACHE, { recursive: true })
  const settings = { 'sync-binlog': '0', 'innodb-flush-log-at-trx-commit': '0' }
  const server = await startMysql({ settings })
  const recordOne = async (path: string, fill: string): Promise<void> => {
    await withMysql(server.uri(), async (connection) => {
      await connection.query('DROP DATABASE IF EXISTS bench; CREATE DATABASE bench; USE bench')
      await connection.query(`${NUMBERS}; ${LOOP}`)
      await connection.query('FLUSH BINARY LOGS')
      const log = newestLog(server)
      await connection.query(CREATE)
      await connection.query(fill)
      writeFileSync(path, readFileSync(log))
    })
  }
  const numbers = `WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < ${MULTI_ROWS})`
  await recordOne(paths.multi, `INSERT INTO orders ${numbers} SELECT ${VALUES} FROM t`)
  await recordOne(paths.single, `CALL one_by_one(${SINGLE_ROWS})`)
  await server.stop()
}

/** Reads every event of the log and decodes its rows. @returns rows */
class Ours {
  private decoder: TableDecoder | null = null
  private builder: ChangeBuilder | null = null
  private rows = 0

  pass(log: Uint8Array): number {
    const reader = new EventReader(false)
    const id = new TextEncoder().encode('3e11fa47-71ca-11e1-9e33-c80aa9429562:1')
    let order = 0n
    this.rows = 0
    for (const { start, end } of eventsOf(log)) {
      const event = reader.read(log, start, end)
      if (event.kind === 'rows') this.decode(event, order, id)
      else if (event.kind === 'gtid') order++
    }
    this.take()
    return this.rows
  }

  private decode(event: RowsEvent, order: bigint, id: Uint8Array): void {
    this.decoder ??= decoderOf(event)
    this.builder ??= new ChangeBuilder(this.decoder.schema)
    for (let at = event.start; at < event.end;) {
      this.builder.beginTransaction(order, 0n, id)
      at = this.decoder.decode(event, at, this.builder, 0)
      if (this.builder.full) this.take()
    }
  }

  private take(): void {
    if (this.builder === null || this.builder.rows === 0) return
    this.rows += this.builder.view().rows
    this.builder.reset()
  }
}

function decoderOf(event: RowsEvent): TableDecoder {
  const options = { ansiQuotes: false, noBackslashEscapes: false, mariadb: false }
  const statement = parseStatement(CREATE, options)
  if (statement.kind !== 'create-table' || statement.definition === null) throw new Error(CREATE)
  const origin = { database: 'bench', name: 'orders', incarnation: '1', charset: 'utf8mb4' }
  const state = createTable(statement.definition, origin)
  const { table } = sourceTableOf(state, { tinyint1AsBoolean: false }, () => true)
  const first = firstSchema(table, { firstFieldId: 1, keyed: true })
  if (first.kind !== 'evolved') throw new Error('the table has no schema')
  const { binding, mismatch } = bindColumns(event.table, state, first.schema)
  if (binding === null) throw new Error(mismatch)
  return new TableDecoder(event.table, first.schema, binding, [])
}

function theirs(log: Uint8Array): number {
  let count = 0
  for (const { rows } of zongjiEvents(log)) count += rows.length
  return count
}

/** CPU seconds of the fastest of several runs: a busy machine only makes runs slower. */
function fastest(rows: number, runs: number, work: () => number): number {
  let best = Infinity
  for (let run = 0; run < runs; run++) {
    const before = process.cpuUsage()
    const found = work()
    const { user, system } = process.cpuUsage(before)
    if (found !== rows) throw new Error(`${found} rows instead of ${rows}`)
    best = Math.min(best, (user + system) / 1e6)
  }
  return best
}

function line(name: string, rows: number, seconds: number, than?: number): string {
  const rate = (rows / seconds / 1e6).toFixed(2)
  const times = than === undefined ? '' : `  ${(than / seconds).toFixed(1)} times`
  const cost = ((seconds / rows) * 1e6).toFixed(3)
  return `  ${name.padEnd(8)} ${rate.padStart(6)} M rows/s  ${cost} CPU s per M rows${times}`
}

const { multi, single } = await fixtures()
for (const [name, log, rows] of [
  ['many rows an event', multi, MULTI_ROWS],
  ['one row a transaction', single, SINGLE_ROWS],
] as const) {
  const ours = new Ours()
  const own = fastest(rows, RUNS, () => ours.pass(log))
  const other = fastest(rows, 3, () => theirs(log))
  console.log(`${name}: ${rows} rows, ${(log.length / rows).toFixed(0)} bytes a row`)
  console.log(line('zongji', rows, other))
  console.log(line('ours', rows, own, other))
}
