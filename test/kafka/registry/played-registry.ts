// A registry that answers as the test says: outages, refusals and lies that a real one gives only
// by accident. It counts what it is asked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface PlayedAnswer {
  readonly status: number
  /** Text is sent as it is, everything else as JSON. */
  readonly body: unknown
}

/** hang: never answers · reset: closes the connection in the middle of the answer. */
export type Play = PlayedAnswer | 'hang' | 'reset'

export interface PlayedRegistry {
  readonly url: string
  /** Paths with their query, in order. */
  readonly asked: string[]
  /** Of the last request. */
  authorization: () => string | undefined
  close: () => Promise<void>
}

/** @param play  by path; the number says how often this path was asked before */
export async function playRegistry(
  play: (path: string, before: number) => Play,
): Promise<PlayedRegistry> {
  const asked: string[] = []
  let authorization: string | undefined
  const respond = (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url ?? ''
    const before = asked.filter((other) => other === path).length
    asked.push(path)
    authorization = request.headers.authorization
    const played = play(path, before)
    if (played === 'hang') return
    if (played === 'reset') {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('{"schema":')
      setTimeout(() => request.socket.destroy(), 5)
      return
    }
    const { status, body } = played
    response.writeHead(status)
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const server = createServer(respond)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    authorization: () => authorization,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}

export const NOT_FOUND: PlayedAnswer = {
  status: 404,
  body: { error_code: 40403, message: 'Schema not found' },
}
