// The demo's receiver: what a scheduler would be, told by HTTP when a partition is whole.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Announcement {
  /** Of the partition, such as 2026-11-20-07. */
  readonly hour: string
  readonly generation: number
  readonly rows: number
}

interface Message {
  readonly id: string
  readonly data: {
    readonly partition: { readonly clicked_at_hour: string }
    readonly generation: number
    readonly rows: number
  }
}

export class Receiver {
  /** By the id of the message, since a message may be told more than once. */
  readonly heard = new Map<string, Announcement>()
  private readonly server: Server
  private failure: Error | null = null

  private constructor(server: Server) {
    this.server = server
  }

  /** @param onHeard  called before the sender has its answer */
  static async open(onHeard: (announcement: Announcement) => Promise<void>): Promise<Receiver> {
    const server = createServer()
    const receiver = new Receiver(server)
    server.on('request', (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const answer = (code: number): void => void response.writeHead(code).end()
        receiver.hear(Buffer.concat(chunks).toString(), onHeard).then(
          () => answer(204),
          (error: unknown) => {
            receiver.failure = error instanceof Error ? error : new Error(String(error))
            answer(500)
          },
        )
      })
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return receiver
  }

  private async hear(
    text: string,
    onHeard: (announcement: Announcement) => Promise<void>,
  ): Promise<void> {
    const { id, data } = JSON.parse(text) as Message
    if (this.heard.has(id)) return
    const { partition, generation, rows } = data
    const announcement = { hour: partition.clicked_at_hour, generation, rows }
    await onHeard(announcement)
    this.heard.set(id, announcement)
  }

  /** @throws what `onHeard` threw: the demo ends by it */
  expectNoFailure(): void {
    if (this.failure !== null) throw this.failure
  }

  get url(): string {
    const { port } = this.server.address() as AddressInfo
    return `http://127.0.0.1:${port}/hours`
  }

  close(): void {
    this.server.close()
    this.server.closeAllConnections()
  }
}
