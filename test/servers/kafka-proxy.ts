// Stands between a client and a broker and cuts the connection at a request that it is told: before
// the broker has heard of it, or when it has answered and the client has not heard of that.

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Kafka's numbers of requests. */
export const Api = { produce: 0, fetch: 1, initProducerId: 22, addPartitions: 24, endTxn: 26 }

export interface Cut {
  readonly api: number
  /** before: the broker never sees the request. after: the client never sees the answer. */
  readonly when: 'before' | 'after'
  /** Requests of this kind that pass before it; 0: the first is cut. */
  readonly skip?: number
}

interface Armed extends Cut {
  left: number
  readonly done: () => void
}

export class KafkaProxy {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private target = 0
  private armed: Armed | null = null
  /** Requests that came through, by kind. */
  readonly seen = new Map<number, number>()

  private constructor() {
    this.server = createServer((client) => this.join(client))
  }

  static async open(): Promise<KafkaProxy> {
    const proxy = new KafkaProxy()
    await new Promise<void>((resolve) => {
      proxy.server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get broker(): string {
    return `127.0.0.1:${this.port}`
  }

  /** @param port  of the broker's listener behind it */
  leadTo(port: number): void {
    this.target = port
  }

  /** @returns a promise that resolves when it has cut */
  async cut(cut: Cut): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.armed = { ...cut, left: cut.skip ?? 0, done: resolve }
    await promise
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private join(client: Socket): void {
    const broker = connect({ host: '127.0.0.1', port: this.target })
    /** By correlation id: the cut that waits for this answer. */
    const waiting = new Map<number, Armed>()
    const end = (): void => {
      client.destroy()
      broker.destroy()
    }
    for (const socket of [client, broker]) {
      this.sockets.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        this.sockets.delete(socket)
        end()
      })
    }
    eachFrame(client, (frame) => {
      const api = frame.readInt16BE(4)
      this.seen.set(api, (this.seen.get(api) ?? 0) + 1)
      const armed = this.take(api)
      if (armed?.when === 'before') {
        armed.done()
        return end()
      }
      if (armed !== null) waiting.set(frame.readInt32BE(8), armed)
      broker.write(frame)
    })
    eachFrame(broker, (frame) => {
      const armed = waiting.get(frame.readInt32BE(4))
      if (armed === undefined) return void client.write(frame)
      armed.done()
      end()
    })
  }

  private take(api: number): Armed | null {
    const { armed } = this
    if (armed?.api !== api) return null
    if (armed.left-- > 0) return null
    this.armed = null
    return armed
  }
}

/** Calls `take` with each whole frame, its length included. */
function eachFrame(socket: Socket, take: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (piece: Buffer) => {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    while (rest.length >= 4) {
      const size = 4 + rest.readInt32BE(0)
      if (rest.length < size) return
      const frame = rest.subarray(0, size)
      rest = rest.subarray(size)
      take(frame)
    }
  })
}
