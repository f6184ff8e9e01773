// MySQL or MariaDB under test. A new binary log file begins at the mark, so that "the log from the
// mark on" is a list of whole files.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../runtime/base/clock.ts'
import { queryMysql, withMysql } from '../test/servers/clients.ts'
import { startMariadb } from '../test/servers/mariadb.ts'
import { startMysql } from '../test/servers/mysql.ts'
import type { MysqlServer } from '../test/servers/mysql-family.ts'
import {
  countConnections,
  type Engine,
  type LogShape,
  type Reference,
  type TransactionWriter,
} from './engine.ts'
import type { Command } from './measure.ts'
import { scatteredIds } from './orders.ts'
import type { DatabaseAddress } from './pipeline.ts'
import { debeziumReference } from './peers/debezium.ts'
import { memoryFolder, streamReferences } from './peers/table-readers.ts'
import { tableShapes, type TableShape } from './table-shapes.ts'

const DATABASE = 'shop'
const STATEMENT_ROWS_MAX = 1000
const REQUEST_BYTES = 1_000_000
/** The npm readers are slow; a part of the log shows their rates. */
const COUNTING_ROWS_MAX = 500_000
const PARQUET_ROWS_MAX = 100_000
const DIRTY_PAGES_MAX = 100
const SETTLE_MS_MAX = 20_000
const PEER = fileURLToPath(new URL('peers/zongji.ts', import.meta.url))

/** Durability of the load's commits is not what is measured; what stands in the log is the same. */
const SETTINGS = {
  'innodb-buffer-pool-size': '2G',
  'innodb-flush-log-at-trx-commit': '2',
  'sync-binlog': '0',
  'binlog-cache-size': '16M',
}
const LOG_SIZE = { mysql: 'innodb-redo-log-capacity', mariadb: 'innodb-log-file-size' }

export class MysqlEngine implements Engine {
  readonly kind: 'mysql' | 'mariadb'
  readonly source: DatabaseAddress
  readonly fingerprintColumns: readonly string[]
  private readonly shape: TableShape
  private readonly server: MysqlServer
  private readonly folder: string
  /** Log file that begins at the mark. */
  private firstFile = ''
  /** Transactions before the mark. */
  private firstGtids = ''

  private constructor(server: MysqlServer, shape: TableShape) {
    this.server = server
    this.shape = shape
    this.fingerprintColumns = shape.fingerprint
    this.kind = server.kind
    const { user, host, port, password } = server
    const uri = `mysql://${user}@${host}:${port}`
    this.source = { type: 'mysql', uri, password, table: `${DATABASE}.orders` }
    this.folder = memoryFolder()
  }

  static async start(kind: 'mysql' | 'mariadb', shape: TableShape): Promise<MysqlEngine> {
    const settings = { ...SETTINGS, [LOG_SIZE[kind]]: '2G' }
    const start = kind === 'mysql' ? startMysql : startMariadb
    return new MysqlEngine(await start({ settings }), shape)
  }

  pid(): number {
    return this.server.pid()
  }

  async version(): Promise<string> {
    const version = await this.one('SELECT VERSION()')
    return this.kind === 'mysql'
      ? `MySQL ${version}`
      : version.replace(/^(.*)-MariaDB.*/, 'MariaDB $1')
  }

  async createTable(): Promise<void> {
    await queryMysql(this.server.uri(), `CREATE DATABASE ${DATABASE}`)
    await queryMysql(this.server.uri(DATABASE), this.shape.createMysql)
  }

  async load(first: number, rows: number, log: LogShape): Promise<void> {
    const statementRows = Math.min(log.statementRows, this.shape.statementRowsMax)
    await this.inTransactions(
      rows,
      { ...log, statementRows },
      (at, count) => `INSERT INTO orders VALUES ${this.shape.insertValues(first + at, count)}`,
    )
  }

  async withWriter<T>(work: (write: TransactionWriter) => Promise<T>): Promise<T> {
    return withMysql(this.server.uri(DATABASE), async (connection) =>
      work(async (first, rows) => {
        await connection.query(`INSERT INTO orders VALUES ${this.shape.insertValues(first, rows)}`)
      }),
    )
  }

  async update(rows: number, total: number, rowsPerTransaction: number): Promise<void> {
    const statementRows = Math.min(STATEMENT_ROWS_MAX, total)
    await this.inTransactions(
      rows,
      { transactionRows: rowsPerTransaction, statementRows },
      (at, count) =>
        `UPDATE orders SET status = 'shipped', amount = amount + 1, updated = now(6)
         WHERE id IN (${scatteredIds(at, count, total).join()})`,
    )
  }

  async mark(): Promise<void> {
    await queryMysql(this.server.uri(), 'FLUSH BINARY LOGS')
    this.firstFile = (await this.logFiles()).at(-1) ?? ''
    if (this.kind !== 'mysql') return
    this.firstGtids = (await this.one('SELECT @@gtid_executed')).replaceAll('\n', '')
  }

  /** Waits for the pages that the load has changed to be written. */
  async settle(): Promise<void> {
    await queryMysql(this.server.uri(), 'SET GLOBAL innodb_max_dirty_pages_pct = 0')
    const startMs = systemClock.elapsedMs()
    while (systemClock.elapsedMs() - startMs < SETTLE_MS_MAX) {
      const sql = `SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'`
      const [row] = await queryMysql(this.server.uri(), sql)
      if (Number(row?.['Value']) < DIRTY_PAGES_MAX) return
      await systemClock.sleep(200)
    }
  }

  /** The log is a set of files that readers do not change. */
  async rewind(): Promise<void> {}

  /** The server knows nothing of its log readers. */
  async forget(): Promise<void> {}

  async logBytes(): Promise<number> {
    const rows = await queryMysql(this.server.uri(), 'SHOW BINARY LOGS')
    const first = rows.findIndex((row) => row['Log_name'] === this.firstFile)
    return rows.slice(first).reduce((sum, row) => sum + Number(row['File_size']), 0)
  }

  /** Pages of the clustered index; the statistics say how many. */
  async tableBytes(): Promise<number> {
    await queryMysql(this.server.uri(DATABASE), 'ANALYZE TABLE orders')
    const statistics = `SELECT stat_value * @@innodb_page_size FROM mysql.innodb_index_stats
      WHERE database_name = '${DATABASE}' AND table_name = 'orders'
        AND index_name = 'PRIMARY' AND stat_name = 'size'`
    return Number(await this.one(statistics))
  }

  async logReferences(rows: number): Promise<readonly Reference[]> {
    const peers = [this.peer('zongji, counting', 'count', Math.min(rows, COUNTING_ROWS_MAX))]
    // It has the columns of the usual table written into it.
    if (this.shape === tableShapes.usual) {
      const some = Math.min(rows, PARQUET_ROWS_MAX)
      peers.push(this.peer('zongji + parquetjs-lite', 'parquet', some))
    }
    const name = this.kind === 'mysql' ? 'mysqlbinlog' : 'mariadb-binlog'
    const target = [`--result-file=${this.folder}/`, '--raw', '--to-last-log', this.firstFile]
    const dump = this.client(name, ['--read-from-remote-server', ...target])
    return [{ name: `${name} --raw`, kind: 'denominator', commands: [dump] }, ...peers]
  }

  async logPeers(rows: number): Promise<readonly Reference[]> {
    const { user, host, port, password, kind } = this.server
    // Debezium has a connector of its own for MariaDB.
    if (kind !== 'mysql') return []
    return [
      await debeziumReference(rows, password, {
        'connector.class': 'io.debezium.connector.mysql.MySqlConnector',
        'database.hostname': host,
        'database.port': String(port),
        'database.user': user,
        'database.server.id': '99002',
        'database.include.list': DATABASE,
        'table.include.list': this.source.table,
        'snapshot.mode': 'recovery',
        'snapshot.locking.mode': 'none',
        'start.file': this.firstFile,
        'start.gtids': this.firstGtids,
      }),
    ]
  }

  tableReferences(rows: number, connections: number): readonly Reference[] {
    const share = Math.ceil(rows / connections)
    const commands = Array.from({ length: connections }, (_, at) => {
      const where = `id > ${at * share} AND id <= ${(at + 1) * share}`
      const sql = `SELECT * FROM ${DATABASE}.orders WHERE ${where}`
      return this.client(this.kind === 'mysql' ? 'mysql' : 'mariadb', ['--quick', '-N', '-e', sql])
    })
    const name = `SELECT to nowhere, ${countConnections(connections)}`
    const select: Reference = { name, kind: 'denominator', commands }
    // They read by one connection, whatever ours does.
    return connections === 1 ? [select, ...this.streams(rows)] : [select]
  }

  private streams(rows: number): readonly Reference[] {
    const { uri, password, table } = this.source
    return streamReferences({
      library: 'mysql2 stream',
      uri,
      password,
      table,
      rows,
      output: join(this.folder, 'orders.parquet'),
      isUsual: this.shape === tableShapes.usual,
    })
  }

  async fingerprint(): Promise<string> {
    const columns = this.fingerprintColumns.join()
    return this.one(`SELECT CONCAT_WS(' ', ${columns}) FROM ${DATABASE}.orders`)
  }

  async stop(): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true })
    await this.server.stop()
  }

  private peer(name: string, job: 'count' | 'parquet', rows: number): Reference {
    const { host, port, user, password } = this.server
    const plan = { job, host, port, user, table: 'orders', file: this.firstFile, rows }
    const output = join(this.folder, 'orders.parquet')
    const command: Command = {
      program: process.execPath,
      args: [PEER, JSON.stringify({ ...plan, database: DATABASE, output })],
      env: { BENCH_PASSWORD: password },
      stdout: 'keep',
    }
    return { name, kind: 'alternative', commands: [command], rows, reportsItself: true }
  }

  private client(name: string, args: readonly string[]): Command {
    const tool = this.server.tool(name)
    const connection = this.server.connection.filter((arg) => !arg.startsWith('-p'))
    return {
      program: tool.command,
      args: [...tool.args, '--no-defaults', ...connection, ...args],
      env: { MYSQL_PWD: this.server.password },
      stdout: 'nowhere',
    }
  }

  private async inTransactions(
    rows: number,
    log: LogShape,
    statement: (at: number, count: number) => string,
  ): Promise<void> {
    await withMysql(this.server.uri(DATABASE), async (connection) => {
      // Composes the next statements while the server works on the ones before.
      let pending: Promise<unknown> = Promise.resolve()
      for (const sql of requests(rows, log, statement)) {
        await pending
        pending = connection.query(sql)
      }
      await pending
    })
  }

  private async logFiles(): Promise<string[]> {
    const rows = await queryMysql(this.server.uri(), 'SHOW BINARY LOGS')
    return rows.map((row) => String(row['Log_name']))
  }

  private async one(sql: string): Promise<string> {
    const [row] = await queryMysql(this.server.uri(), sql)
    return String(Object.values(row ?? {})[0])
  }
}

/**
 * What is sent at a time: as many statements as have a thousand rows or a megabyte, so that small
 * transactions do not wait for the way there and back.
 */
export function* requests(
  rows: number,
  { transactionRows, statementRows }: LogShape,
  statement: (at: number, count: number) => string,
): Generator<string> {
  let pending: string[] = []
  let pendingRows = 0
  for (let at = 0; at < rows;) {
    const end = Math.min(rows, at + transactionRows)
    pending.push('START TRANSACTION')
    while (at < end) {
      const count = Math.min(statementRows, end - at)
      pending.push(statement(at, count))
      at += count
      pendingRows += count
      if (at === end) pending.push('COMMIT')
      const bytes = pending.reduce((sum, sql) => sum + sql.length, 0)
      if (pendingRows < STATEMENT_ROWS_MAX && bytes < REQUEST_BYTES) continue
      yield pending.join(';')
      pending = []
      pendingRows = 0
    }
  }
  if (pending.length > 0) yield pending.join(';')
}
