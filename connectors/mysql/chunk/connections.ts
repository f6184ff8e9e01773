// The connections that chunks are read on: opened when needed, kept for the next chunk, never more
// than the pipeline may have.

import type { MysqlOptions } from '../options.ts'
import { WireClient } from '../wire/client.ts'
import { openRaw } from '../wire/connect.ts'
import type { Lease } from './read.ts'

const ISOLATION_SQL = 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ'

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
      await client.query(ISOLATION_SQL)
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
