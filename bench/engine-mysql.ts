// MySQL or MariaDB under test. A new binary log file begins at the mark, so that "the log from the
// mark on" is a list of whole files.

import type mysql from 'mysql2/promise'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../runtime/base/clock.ts'
import { queryMysql, withMysql } from '../test/servers/clients.ts'
import { startMariadb } from '../test/servers/mariadb.ts'
import { startMysql } from '../test/servers/mysql.ts'
import type { MysqlServer } from '../test/servers/mysql-family.ts'
import { countConnections, type Engine, type Reference, type TransactionWriter } from './engine.ts'
import { FINGERPRINT_COLUMNS } from './lake-check.ts'
import type { Command } from './measure.ts'
import { insertValues, MYSQL_TABLE, scatteredIds } from './orders.ts'
import type { DatabaseAddress } from './pipeline.ts'

const DATABASE = 'shop'
const STATEMENT_ROWS_MAX = 1000
/** The npm readers are slow; a part of the log shows their rates. */
const COUNTING_ROWS_MAX = 1_000_000
const PARQUET_ROWS_MAX = 200_000
const DIRTY_PAGES_MAX = 100
const SETTLE_MS_MAX = 20_000
const SHARED_MEMORY = '/dev/shm'
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
  readonly fingerprintColumns = FINGERPRINT_COLUMNS
  private readonly server: MysqlServer
  private readonly folder: string
  /** Log file that begins at the mark. */
  private firstFile = ''

  private constructor(server: MysqlServer) {
    this.server = server
    this.kind = server.kind
    const { user, host, port, password } = server
    const uri = `mysql://${user}@${host}:${port}`
    this.source = { type: 'mysql', uri, password, table: `${DATABASE}.orders` }
    const base = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()
    this.folder = mkdtempSync(join(base, 'millrace-bench-'))
  }

  static async start(kind: 'mysql' | 'mariadb'): Promise<MysqlEngine> {
    const settings = { ...SETTINGS, [LOG_SIZE[kind]]: '2G' }
    const start = kind === 'mysql' ? startMysql : startMariadb
    return new MysqlEngine(await start({ settings }))
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
    await queryMysql(this.server.uri(DATABASE), MYSQL_TABLE)
  }

  async load(first: number, rows: number, rowsPerTransaction: number): Promise<void> {
    await this.inTransactions(
      rows,
      rowsPerTransaction,
      (at, count) => `INSERT INTO orders VALUES ${insertValues(first + at, count)}`,
    )
  }

  async withWriter<T>(work: (write: TransactionWriter) => Promise<T>): Promise<T> {
    return withMysql(this.server.uri(DATABASE), async (connection) =>
      work(async (first, rows) => {
        await connection.query(`INSERT INTO orders VALUES ${insertValues(first, rows)}`)
      }),
    )
  }

  async update(rows: number, total: number, rowsPerTransaction: number): Promise<void> {
    await this.inTransactions(
      rows,
      rowsPerTransaction,
      (at, count) =>
        `UPDATE orders SET status = 'shipped', amount = amount + 1, updated = now(6)
         WHERE id IN (${scatteredIds(at, count, total).join()})`,
    )
  }

  async mark(): Promise<void> {
    await queryMysql(this.server.uri(), 'FLUSH BINARY LOGS')
    this.firstFile = (await this.logFiles()).at(-1) ?? ''
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

  async logReferences(rows: number): Promise<readonly Reference[]> {
    const peers: Reference[] = [
      this.peer('zongji, counting', 'count', Math.min(rows, COUNTING_ROWS_MAX)),
      this.peer('zongji + parquetjs-lite', 'parquet', Math.min(rows, PARQUET_ROWS_MAX)),
    ]
    const name = this.kind === 'mysql' ? 'mysqlbinlog' : 'mariadb-binlog'
    const target = [`--result-file=${this.folder}/`, '--raw', '--to-last-log', this.firstFile]
    const dump = this.client(name, ['--read-from-remote-server', ...target])
    return [{ name: `${name} --raw`, kind: 'denominator', commands: [dump] }, ...peers]
  }

  tableReferences(rows: number, connections: number): readonly Reference[] {
    const share = Math.ceil(rows / connections)
    const commands = Array.from({ length: connections }, (_, at) => {
      const where = `id > ${at * share} AND id <= ${(at + 1) * share}`
      const sql = `SELECT * FROM ${DATABASE}.orders WHERE ${where}`
      return this.client(this.kind === 'mysql' ? 'mysql' : 'mariadb', ['--quick', '-N', '-e', sql])
    })
    const name = `SELECT to nowhere, ${countConnections(connections)}`
    return [{ name, kind: 'denominator', commands }]
  }

  async fingerprint(): Promise<string> {
    return this.one(`SELECT CONCAT_WS(' ', ${FINGERPRINT_COLUMNS.join()}) FROM ${DATABASE}.orders`)
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
    rowsPerTransaction: number,
    statement: (at: number, count: number) => string,
  ): Promise<void> {
    await withMysql(this.server.uri(DATABASE), async (connection) => {
      for (let at = 0; at < rows;) {
        const end = Math.min(rows, at + rowsPerTransaction)
        await connection.query('START TRANSACTION')
        await writeAll(connection, at, end, statement)
        await connection.query('COMMIT')
        at = end
      }
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

/** Composes the next statement while the server works on the one before. */
async function writeAll(
  connection: mysql.Connection,
  start: number,
  end: number,
  statement: (at: number, count: number) => string,
): Promise<void> {
  let pending: Promise<unknown> = Promise.resolve()
  for (let at = start; at < end; at += STATEMENT_ROWS_MAX) {
    const sql = statement(at, Math.min(STATEMENT_ROWS_MAX, end - at))
    await pending
    pending = connection.query(sql)
  }
  await pending
}
