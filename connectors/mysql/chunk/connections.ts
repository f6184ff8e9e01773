// The connections that chunks are read on: opened when needed, kept for the next chunk, never more
// than the pipeline may have.

import type { MysqlOptions } from '../options.ts'
import { WireClient } from '../wire/client.ts'
import { openRaw } from '../wire/connect.ts'
import type { Lease } from './read.ts'

/** The longest silence in a chunk: a writer that is behind stops reading for so long. */
const WRITE_TIMEOUT_S = 86_400

/**
 * Values arrive as the log has them: times in UTC, text in utf8mb4, CHAR without its padding
 * (`sql_mode` is empty), and a long SELECT is not cut off.
 */
function sessionSql(mariadb: boolean): readonly string[] {
  const limit = mariadb ? 'max_statement_time = 0' : 'max_execution_time = 0'
  return [
    'SET NAMES utf8mb4',
    `SET SESSION time_zone = '+00:00', sql_mode = '', ${limit},
       net_write_timeout = ${WRITE_TIMEOUT_S}`,
    'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  ]
}

export class ChunkConnections {
  private readonly options: MysqlOptions
  private readonly idle: WireClient[] = []
  private readonly busy = new Set<WireClient>()
  private readonly waiting: (() => void)[] = []
  private opening = 0
  private closed = false

  constructor(options: MysqlOptions) {
    this.options = options
  }

  /** Waits while `chunkConnections` are in use. @throws PipelineError CONNECT_FAILED, ... */
  async lease(): Promise<Lease> {
    while (this.busy.size + this.opening >= this.options.chunkConnections) {
      await new Promise<void>((resolve) => this.waiting.push(resolve))
    }
    const client = this.takeIdle() ?? (await this.open())
    this.busy.add(client)
    return { client, release: (sound) => this.release(client, sound) }
  }

  close(): void {
    this.closed = true
    for (const client of [...this.idle, ...this.busy]) client.reader.close()
    this.idle.length = 0
  }

  private takeIdle(): WireClient | null {
    for (;;) {
      const client = this.idle.pop()
      if (client === undefined) return null
      // The server closes connections that idle for hours.
      if (!client.socket.destroyed && client.socket.readable) return client
      client.reader.close()
    }
  }

  private async open(): Promise<WireClient> {
    this.opening++
    try {
      const { host, port, clock } = this.options
      const connection = await openRaw(this.options)
      const client = new WireClient(connection, `cannot read tables of ${host}:${port}`, clock)
      for (const sql of sessionSql(client.mariadb)) await client.query(sql)
      return client
    } finally {
      this.opening--
    }
  }

  private release(client: WireClient, sound: boolean): void {
    if (!this.busy.delete(client)) return
    if (sound && !this.closed) this.idle.push(client)
    else client.reader.close()
    this.waiting.shift()?.()
  }
}
