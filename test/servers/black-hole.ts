// A proxy that can stop forwarding without closing anything: what a firewall that forgets a
// connection, or a cable that is pulled, looks like from both ends.
import { connect as dial, createServer, type Socket } from 'node:net'

export interface BlackHole {
  readonly port: number
  /** From now on no byte and no end of a connection passes, of old connections and of new ones. */
  open: () => void
  /** New connections pass again. Those that it has swallowed stay dead: nobody tells either end. */
  heal: () => void
  close: () => void
}

/** Listens on a free port of 127.0.0.1. */
export async function blackHoleTo(host: string, port: number): Promise<BlackHole> {
  const sockets = new Set<Socket>()
  const living = new Set<() => void>()
  let open = false
  const proxy = createServer((client) => {
    const upstream = dial(port, host)
    let dead = open
    const swallow = (): void => void (dead = true)
    living.add(swallow)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes: Buffer) => {
        if (!dead) to.write(bytes)
      })
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        if (!dead) to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (proxy.address() as { port: number }).port,
    open: () => {
      open = true
      for (const swallow of living) swallow()
      living.clear()
    },
    heal: () => {
      open = false
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}
