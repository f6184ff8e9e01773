// The log of a real server, read by us and drained raw, in the same run: rows a second and CPU
// seconds per million rows. The raw drain frames packets and looks at nothing, so it is the most
// that the server sends to one reader here; rows of ours over rows of it is the figure to watch.
//
//   node bench/mysql-live.ts [mysql|mariadb] [rows]

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDump, type DumpStart } from '../connectors/mysql/dump.ts'
import { processedGtids } from '../connectors/mysql/log/processed.ts'
import type { MysqlOptions } from '../connectors/mysql/options.ts'
import { parseToken } from '../connectors/mysql/position.ts'
import { createMysqlSource } from '../connectors/mysql/source.ts'
import { randomUuid, systemClock } from '../runtime/base/clock.ts'
import { firstSchema } from '../runtime/data/evolution.ts'
import { tableKey, type TableSchema } from '../runtime/data/schema.ts'
import type { Order } from '../runtime/data/position.ts'
import type { SourceContext } from '../runtime/source.ts'
import { withMysql } from '../test/servers/clients.ts'
import { startMariadb } from '../test/servers/mariadb.ts'
import type { MysqlServer } from '../test/servers/mysql-family.ts'
import { startMysql } from '../test/servers/mysql.ts'

const kind = process.argv[2] === 'mariadb' ? 'mariadb' : 'mysql'
const rowsWanted = Number(process.argv[3] ?? 1_000_000)
const RUNS = 3
const ROWS_A_STATEMENT = 1000
const SINGLE_SHARE = 0.05

function optionsOf(server: MysqlServer): MysqlOptions {
  return {
    host: server.host,
    port: server.port,
    user: server.user,
    password: () => server.password,
    tls: { mode: 'disabled', ca: null },
    tables: (database) => database === 'bench',
    columnsExclude: () => false,
    keyed: true,
    tinyint1AsBoolean: false,
    serverId: null,
    heartbeatMs: 10_000,
    chunkConnections: 1,
    spillFolder: join(tmpdir(), `millrace-bench-${randomUuid()}`),
    clock: systemClock,
    log: { info: () => undefined, warn: () => undefined },
  }
}

const COLUMNS = `id bigint PRIMARY KEY, customer int, status varchar(16), amount decimal(12,2),
  price double, note varchar(64), created datetime(6), updated timestamp(6) NULL, flag tinyint(1),
  payload varchar(80)`

/** Tables of ten columns, and numbers to fill them from. */
async function fill(server: MysqlServer): Promise<void> {
  await withMysql(server.uri(), async (connection) => {
    await connection.query(
      `CREATE DATABASE bench; CREATE DATABASE tool; USE tool;
       CREATE TABLE numbers (n int PRIMARY KEY); CREATE TABLE bench.many (${COLUMNS});
       CREATE TABLE bench.single (${COLUMNS}); SET GLOBAL sync_binlog = 0;
       SET GLOBAL innodb_flush_log_at_trx_commit = 0`,
    )
    const numbers = Array.from({ length: ROWS_A_STATEMENT }, (_, n) => `(${n})`).join(', ')
    await connection.query(`INSERT INTO numbers VALUES ${numbers}`)
  })
}

async function write(server: MysqlServer, table: 'many' | 'single', rows: number): Promise<void> {
  await withMysql(server.uri('tool'), async (connection) => {
    const size = table === 'many' ? ROWS_A_STATEMENT : 1
    for (let from = 0; from < rows; from += size) {
      await connection.query(
        `INSERT INTO bench.${table} SELECT ${from} + n, n % 1000, 'paid', n / 7, n / 3e0,
           CONCAT('note number ', n), '2026-01-01 10:00:00.123456', '2026-01-02 10:00:00.5', n % 2,
           'a payload of about sixty bytes that does not repeat itself much'
         FROM numbers WHERE n < ${size}`,
      )
    }
  })
}

interface Figure {
  readonly seconds: number
  readonly cpuSeconds: number
}

async function measured(work: () => Promise<void>): Promise<Figure> {
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  await work()
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, cpuSeconds: (user + system) / 1e6 }
}

/** Reads packets up to as many bytes as the log has, and looks at none. */
async function drain(options: MysqlOptions, start: DumpStart, bytes: number): Promise<void> {
  const dump = await openDump(options, 4_000_000_001, start)
  const { reader } = dump.client
  while (reader.received < bytes) {
    if (!reader.next()) await reader.fill()
  }
  dump.close()
}

/** Reads the log up to `order` into batches, which are dropped. @returns rows */
async function read(
  options: MysqlOptions,
  from: {
    saved: Uint8Array
    position: Parameters<ReturnType<typeof createMysqlSource>['read']>[0]
  },
  order: Order,
): Promise<number> {
  const source = createMysqlSource(options)
  const opening = await source.open(from.saved, from.position, false)
  const schemas = new Map<string, TableSchema>()
  for (const table of opening.tables) {
    const first = firstSchema(table, { firstFieldId: 1, keyed: true })
    if (first.kind === 'evolved') schemas.set(tableKey(table), first.schema)
  }
  const context = { schemaOf: (table: string) => schemas.get(table) ?? null } as SourceContext
  let rows = 0
  for await (const element of source.read(
    opening.position,
    context,
    new AbortController().signal,
  )) {
    if (element.kind === 'changes') rows += element.rows
    else if (element.position.order >= order) break
    else source.requestProgress()
  }
  await source.close()
  return rows
}

function line(name: string, rows: number, { seconds, cpuSeconds }: Figure): string {
  const rate = (rows / seconds / 1e6).toFixed(2)
  const cpu = (cpuSeconds / (rows / 1e6)).toFixed(2)
  return `  ${name.padEnd(22)} ${rate} M rows/s   ${cpu} CPU s per M rows`
}

async function compare(server: MysqlServer, table: 'many' | 'single', rows: number): Promise<void> {
  const options = optionsOf(server)
  const source = createMysqlSource(options)
  const opening = await source.open(null, null, false)
  const from = { saved: source.save(), position: opening.position }
  const begin = await source.head()
  await source.close()
  await write(server, table, rows)
  const probe = createMysqlSource(options)
  await probe.open(null, null, false)
  const end = await probe.head()
  await probe.close()
  const token = parseToken(from.position.token)
  const bytes = Number(end.order - begin.order)
  console.log(`${kind}, ${rows} rows, ${table === 'many' ? 'a thousand' : 'one'} a transaction`)
  for (let run = 0; run < RUNS; run++) {
    const start = processedGtids(kind === 'mariadb', token.gtids).dumpStart()
    // Not to the very last bytes: the drain does not know headers from events.
    const raw = await measured(async () => drain(options, start, bytes * 0.98))
    console.log(line('raw drain', rows, raw))
    let seen = 0
    const ours = await measured(async () => {
      seen = await read(options, from, end.order)
    })
    if (seen !== rows) throw new Error(`${seen} rows read, ${rows} written`)
    console.log(line('read into columns', rows, ours))
  }
}

const server =
  kind === 'mariadb'
    ? await startMariadb({ settings: { 'max-binlog-size': '1G' } })
    : await startMysql({ settings: { 'max-binlog-size': '1G' } })
try {
  await fill(server)
  await compare(server, 'many', rowsWanted)
  await compare(server, 'single', Math.round(rowsWanted * SINGLE_SHARE))
} finally {
  await server.stop()
}
