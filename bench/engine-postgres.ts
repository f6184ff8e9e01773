// PostgreSQL under test. The stretch of log between the mark and now can be read again and again:
// a slot stands at the mark, and every reader gets a copy of it.

import type { Client } from 'pg'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../runtime/base/clock.ts'
import { withPostgres } from '../test/servers/clients.ts'
import { startPostgres, type PostgresServer } from '../test/servers/postgres.ts'
import {
  countConnections,
  type Engine,
  type LogShape,
  type Reference,
  type TransactionWriter,
} from './engine.ts'
import type { Command } from './measure.ts'
import { scatteredIds } from './orders.ts'
import { SLOT, type DatabaseAddress } from './pipeline.ts'
import { CopyIn } from './postgres-copy.ts'
import { findPostgresTools, type PostgresTools } from './postgres-tools.ts'
import { debeziumReference } from './peers/debezium.ts'
import { memoryFolder, streamReferences } from './peers/table-readers.ts'
import { tableShapes, type TableShape } from './table-shapes.ts'

const MARK = 'bench_mark'
const UPDATE_ROWS_MAX = 1000
const REFERENCE_SLOT = 'bench_reference'
/** The npm reader is slow; a part of the log shows its rate. */
const ALTERNATIVE_ROWS_MAX = 250_000
const SLOT_FREE_MS = 10_000
const PEER = fileURLToPath(new URL('peers/pg-logical-replication.ts', import.meta.url))

/** A server as one would run it, except for the noise of background work during a measurement. */
const SETTINGS = {
  fsync: 'on',
  shared_buffers: '1GB',
  max_wal_size: '16GB',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
}

export class PostgresEngine implements Engine {
  readonly kind = 'postgres'
  readonly source: DatabaseAddress
  readonly fingerprintColumns: readonly string[]
  private readonly shape: TableShape
  private readonly server: PostgresServer
  private readonly tools: PostgresTools
  /** For what the readers beside us write. */
  private readonly folder = memoryFolder()

  private constructor(server: PostgresServer, tools: PostgresTools, shape: TableShape) {
    this.server = server
    this.shape = shape
    this.fingerprintColumns = shape.fingerprint
    this.tools = tools
    const { user, host, port, password } = server
    const uri = `postgresql://${user}@${host}:${port}/postgres`
    this.source = { type: 'postgres', uri, password, table: 'public.orders' }
  }

  static async start(shape: TableShape): Promise<PostgresEngine> {
    const server = await startPostgres({ major: 18, settings: SETTINGS })
    return new PostgresEngine(server, await findPostgresTools(), shape)
  }

  pid(): number {
    return this.server.pid()
  }

  async version(): Promise<string> {
    return `PostgreSQL ${await this.one('SHOW server_version')}`
  }

  async createTable(): Promise<void> {
    await this.one(`${this.shape.createPostgres}; SELECT 1`)
  }

  async load(first: number, rows: number, log: LogShape): Promise<void> {
    const statementRows = Math.min(log.statementRows, this.shape.statementRowsMax)
    await this.inTransactions(rows, { ...log, statementRows }, async (client, at, count) => {
      const text = this.shape.copyText(first + at, count)
      await client.query(new CopyIn('COPY orders FROM STDIN', text)).done
    })
  }

  async withWriter<T>(work: (write: TransactionWriter) => Promise<T>): Promise<T> {
    return withPostgres(this.server.uri(), async (client) =>
      work(async (first, rows) => {
        await client.query(new CopyIn('COPY orders FROM STDIN', this.shape.copyText(first, rows)))
          .done
      }),
    )
  }

  async update(rows: number, total: number, rowsPerTransaction: number): Promise<void> {
    const sql = `UPDATE orders SET status = 'shipped', amount = amount + 1, updated = now()
                 WHERE id = ANY($1::bigint[])`
    const statementRows = Math.min(UPDATE_ROWS_MAX, total)
    const log = { transactionRows: rowsPerTransaction, statementRows }
    await this.inTransactions(rows, log, async (client, at, count) => {
      await client.query(sql, [scatteredIds(at, count, total)])
    })
  }

  async mark(): Promise<void> {
    await this.copySlot(SLOT, MARK)
  }

  async settle(): Promise<void> {
    await this.one('CHECKPOINT; SELECT 1')
  }

  async rewind(): Promise<void> {
    await this.copySlot(MARK, SLOT)
    await this.copySlot(MARK, REFERENCE_SLOT)
  }

  async forget(): Promise<void> {
    await this.dropSlot(SLOT)
    await this.one(`DROP PUBLICATION IF EXISTS ${SLOT}; SELECT 1`)
  }

  async logBytes(): Promise<number> {
    const sql = `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn)
                 FROM pg_replication_slots WHERE slot_name = '${MARK}'`
    return Number(await this.one(sql))
  }

  async tableBytes(): Promise<number> {
    return Number(await this.one(`SELECT pg_table_size('orders')`))
  }

  async logReferences(rows: number): Promise<readonly Reference[]> {
    const end = await this.one('SELECT pg_current_wal_insert_lsn()::text')
    const { source } = this
    const some = Math.min(rows, ALTERNATIVE_ROWS_MAX)
    const plan = { uri: source.uri, slot: REFERENCE_SLOT, publication: SLOT, rows: some }
    return [
      {
        name: this.tools.pgRecvlogical === null ? 'drain of the slot' : 'pg_recvlogical',
        kind: 'denominator',
        commands: [this.receive(end)],
      },
      {
        name: 'pg-logical-replication, counting',
        kind: 'alternative',
        commands: [
          {
            program: process.execPath,
            args: [PEER, JSON.stringify(plan)],
            env: { BENCH_PASSWORD: source.password },
            stdout: 'keep',
          },
        ],
        rows: some,
        reportsItself: true,
      },
    ]
  }

  async logPeers(rows: number): Promise<readonly Reference[]> {
    const { user, host, port, password } = this.server
    return [
      await debeziumReference(rows, password, {
        'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
        'plugin.name': 'pgoutput',
        'database.hostname': host,
        'database.port': String(port),
        'database.user': user,
        'database.dbname': 'postgres',
        'slot.name': REFERENCE_SLOT,
        'publication.name': SLOT,
        'publication.autocreate.mode': 'disabled',
        'table.include.list': this.source.table,
        'snapshot.mode': 'no_data',
      }),
    ]
  }

  tableReferences(rows: number, connections: number): readonly Reference[] {
    const share = Math.ceil(rows / connections)
    const commands = Array.from({ length: connections }, (_, at) => {
      const where = `id > ${at * share} AND id <= ${(at + 1) * share}`
      return this.copyOut(`COPY (SELECT * FROM orders WHERE ${where}) TO STDOUT (FORMAT binary)`)
    })
    const name = `COPY to nowhere, ${countConnections(connections)}`
    const copy: Reference = { name, kind: 'denominator', commands }
    // They read by one connection, whatever ours does.
    return connections === 1 ? [copy, ...this.streams(rows)] : [copy]
  }

  private streams(rows: number): readonly Reference[] {
    const { uri, password } = this.source
    return streamReferences({
      library: 'pg-query-stream',
      uri,
      password,
      table: 'orders',
      rows,
      output: join(this.folder, 'orders.parquet'),
      isUsual: this.shape === tableShapes.usual,
    })
  }

  async fingerprint(): Promise<string> {
    const columns = this.fingerprintColumns.map((column) => `(${column})::text`)
    return this.one(`SELECT ${columns.join(` || ' ' || `)} FROM orders`)
  }

  async stop(): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true })
    await this.server.stop()
  }

  /** The same options as our own reader gives, so that the server does the same work. */
  private receive(end: string): Command {
    const { pgRecvlogical, drain } = this.tools
    if (pgRecvlogical === null) {
      const plan = { slot: REFERENCE_SLOT, publication: SLOT, end }
      return this.client(drain.command, [...drain.args, JSON.stringify(plan)])
    }
    const options = ['-o', 'proto_version=1', '-o', `publication_names=${SLOT}`]
    const slot = ['-S', REFERENCE_SLOT, '--start', `--endpos=${end}`, '-f', '/dev/null']
    const place = ['-d', this.source.uri]
    return this.client(pgRecvlogical.command, [
      ...pgRecvlogical.args,
      ...place,
      ...slot,
      ...options,
    ])
  }

  private copyOut(sql: string): Command {
    const { psql, drain } = this.tools
    if (psql === null) return this.client(drain.command, [...drain.args, JSON.stringify({ sql })])
    return this.client(psql.command, [...psql.args, '-X', '-q', '-d', this.source.uri, '-c', sql])
  }

  private client(program: string, args: readonly string[]): Command {
    const { password, uri } = this.source
    return { program, args, env: { PGPASSWORD: password, BENCH_URI: uri }, stdout: 'nowhere' }
  }

  private async inTransactions(
    rows: number,
    { transactionRows, statementRows }: LogShape,
    write: (client: Client, at: number, count: number) => Promise<void>,
  ): Promise<void> {
    await withPostgres(this.server.uri(), async (client) => {
      // Only the load gets faster by this; the log is the same.
      await client.query('SET synchronous_commit = off')
      for (let at = 0; at < rows;) {
        const end = Math.min(rows, at + transactionRows)
        // A statement alone is a transaction, without two more ways to the server.
        const isAlone = end - at <= statementRows
        if (!isAlone) await client.query('BEGIN')
        for (; at < end; at += statementRows) {
          await write(client, at, Math.min(statementRows, end - at))
        }
        if (!isAlone) await client.query('COMMIT')
        at = end
      }
    })
  }

  /** The first value of the last statement's first row, as text. */
  private async one(sql: string): Promise<string> {
    return withPostgres(this.server.uri(), async (client) => {
      const result: unknown = await client.query({ text: sql, rowMode: 'array' })
      const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: unknown[][] }
      return String(last.rows[0]?.[0])
    })
  }

  private async copySlot(from: string, to: string): Promise<void> {
    await this.dropSlot(to)
    await this.one(`SELECT pg_copy_logical_replication_slot('${from}', '${to}')::text`)
  }

  /** Its reader has just ended; the server may not have seen that yet. */
  private async dropSlot(slot: string): Promise<void> {
    const startMs = systemClock.elapsedMs()
    const sql = `SELECT count(pg_drop_replication_slot(slot_name))
                 FROM pg_replication_slots WHERE slot_name = '${slot}'`
    for (;;) {
      try {
        await this.one(sql)
        return
      } catch (error) {
        if (systemClock.elapsedMs() - startMs > SLOT_FREE_MS) throw error
      }
      await systemClock.sleep(50)
    }
  }
}
