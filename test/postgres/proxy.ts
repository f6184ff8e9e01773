// A proxy between a source and its server, through which a test delays or drops bytes.

import { connect as dial, createServer, type Socket } from 'node:net'
import type { PostgresServer } from '../servers/postgres.ts'

/** One connection of the source. */
export interface Link {
  /** As the source names it: `log`, `control` or `chunk`. */
  readonly purpose: string
  readonly toServer: (bytes: Uint8Array) => void
  readonly toClient: (bytes: Uint8Array) => void
}

/** What is done with bytes instead of passing them on. */
export interface Interception {
  readonly fromClient?: (bytes: Buffer, link: Link) => void
  readonly fromServer?: (bytes: Buffer, link: Link) => void
}

export interface Proxy {
  readonly port: number
  readonly close: () => void
}

export async function proxyTo(server: PostgresServer, on: Interception): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    const upstream = dial(server.port, server.host)
    let purpose = ''
    const link = (): Link => ({
      purpose,
      toServer: (bytes) => void upstream.write(bytes),
      toClient: (bytes) => void client.write(bytes),
    })
    client.on('data', (bytes: Buffer) => {
      // The name is in the first packet.
      if (purpose === '') purpose = /millrace \S+ (\w+)/.exec(bytes.toString('latin1'))?.[1] ?? '?'
      if (on.fromClient === undefined) upstream.write(bytes)
      else on.fromClient(bytes, link())
    })
    upstream.on('data', (bytes: Buffer) => {
      if (on.fromServer === undefined) client.write(bytes)
      else on.fromServer(bytes, link())
    })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (proxy.address() as { port: number }).port,
    close: () => {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}
