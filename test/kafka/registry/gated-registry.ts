// A real registry behind a gate that a test shuts: what comes while it is shut is answered as a
// proxy answers for a server that is down.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ApicurioServer, startApicurio } from '../../servers/apicurio.ts'

export interface GatedRegistry {
  /** Of Confluent's API, through the gate. */
  readonly url: string
  isShut: boolean
  /** Requests that came while it was shut. */
  turnedAway: number
  /** Compatibility that later versions of all subjects must have. */
  setRule(rule: string): Promise<void>
  /** Asks the registry itself. */
  ask(path: string): Promise<unknown>
  stop(): Promise<void>
}

/** @param compatibility  that later versions of a subject must have */
export async function startGatedRegistry(compatibility: string): Promise<GatedRegistry> {
  const registry = await startApicurio()
  const setRule = async (rule: string): Promise<void> => {
    const body = JSON.stringify({ compatibility: rule })
    const { status, text } = await send(registry, '/config', 'PUT', body)
    if (status !== 200) throw new Error(`the registry answered ${status}: ${text}`)
  }
  await setRule(compatibility)
  const server = createServer((request, response) => {
    void (async () => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      if (gate.isShut) {
        gate.turnedAway++
        response.writeHead(503).end('nobody is there')
        return
      }
      const body = parts.length === 0 ? undefined : Buffer.concat(parts).toString()
      const answer = await send(registry, request.url ?? '', request.method ?? 'GET', body)
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.text)
    })()
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const gate: GatedRegistry = {
    url: `http://127.0.0.1:${port}`,
    isShut: false,
    turnedAway: 0,
    setRule,
    ask: async (path) => JSON.parse((await send(registry, path, 'GET')).text) as unknown,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await registry.stop()
    },
  }
  return gate
}

async function send(
  { url }: ApicurioServer,
  path: string,
  method: string,
  body?: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
  const sent = body === undefined ? {} : { body }
  const answer = await fetch(`${url}${path}`, { method, headers, ...sent })
  return { status: answer.status, text: await answer.text() }
}
