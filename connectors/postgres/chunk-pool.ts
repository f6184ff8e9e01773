// The connections that read chunks: opened when needed, kept while idle, never more than allowed.

import type { Client } from 'pg'
import { connect } from './connect.ts'
import type { Lease } from './chunk-start.ts'
import { ChunkMemory } from './chunk-memory.ts'
import type { PostgresOptions } from './options.ts'

/** A lock that an ALTER TABLE holds or waits for is not waited for longer than this. */
const PATIENCE = { statementMs: 0, lockMs: 10_000 }

interface ChunkConnection {
  readonly client: Client
  readonly memory: ChunkMemory
}

export class ChunkPool {
  private readonly options: PostgresOptions
  private readonly idle: ChunkConnection[] = []
  private readonly waiting: (() => void)[] = []
  private used = 0
  private closed = false

  constructor(options: PostgresOptions) {
    this.options = options
  }

  /** Waits for a free connection; the caller releases it. @throws PipelineError CONNECT_FAILED */
  async lease(signal: AbortSignal): Promise<Lease> {
    while (this.used >= this.options.chunkConnections) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    signal.throwIfAborted()
    this.used++
    try {
      const connection = this.idle.pop() ?? (await this.open())
      let leased = true
      const release = (broken: boolean): void => {
        if (!leased) return
        leased = false
        this.giveBack(connection, broken)
      }
      return { ...connection, release }
    } catch (error) {
      this.free()
      throw error
    }
  }

  private async open(): Promise<ChunkConnection> {
    const client = await connect(this.options, 'chunk', PATIENCE)
    const opened = { client, memory: new ChunkMemory() }
    // The server may end an idle connection; it must not be handed out again.
    client.once('end', () => {
      const at = this.idle.indexOf(opened)
      if (at >= 0) this.idle.splice(at, 1)
    })
    return opened
  }

  private giveBack(given: ChunkConnection, broken: boolean): void {
    const { client } = given
    if (broken || this.closed) {
      const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
      if (broken) connection.stream.destroy()
      void client.end().catch(() => {})
    } else this.idle.push(given)
    this.free()
  }

  private free(): void {
    this.used--
    this.waiting.shift()?.()
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.all(this.idle.splice(0).map(async ({ client }) => client.end().catch(() => {})))
  }
}
