// /healthz and /metrics over HTTP, for whoever watches the process. They answer without a password,
// so they listen on this machine only, unless the operator insists; no value of a row is in them.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { PipelineError } from '../base/errors.ts'
import { register } from '../base/metrics.ts'
import { metricsOf } from './metrics.ts'
import type { PipelineStatus } from './status.ts'

const HEADER_BYTES_MAX = 16 * 1024
const CONNECTIONS_MAX = 100

export interface ConsoleOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The newest status; `null` before the first. */
  readonly status: () => PipelineStatus | null
  /** Listen where other machines can reach it. */
  readonly insecure: boolean
}

export interface Console {
  /** `http://127.0.0.1:9187` */
  readonly url: string
  close(): Promise<void>
}

/** @throws PipelineError CONFIG_VALUE when the address is taken, or open to others */
export async function startConsole(options: ConsoleOptions): Promise<Console> {
  const { host, port, insecure } = options
  if (!insecure && !isLocal(host)) {
    throw new PipelineError('CONFIG_VALUE', `--listen ${host} can be reached by other machines`, {
      detail: '/healthz and /metrics answer without a password.',
      hint: 'Listen on 127.0.0.1, or add `--insecure` where a firewall keeps others out.',
    })
  }
  const processMetrics = new Registry()
  collectDefaultMetrics({ register: processMetrics })
  const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => {
    answer(request, response, options, processMetrics).catch((error: unknown) => {
      // The client sees that it failed; the pipeline must not end because of a scrape.
      reply(response, 500, 'text/plain', error instanceof Error ? error.name : 'error')
    })
  })
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  server.maxConnections = CONNECTIONS_MAX
  await listen(server, host, port)
  // The pipeline decides when the process ends.
  server.unref()
  const address = server.address()
  const actual = typeof address === 'object' && address !== null ? address.port : port
  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${actual}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `cannot listen on ${host}:${port}`
      reject(new PipelineError('CONFIG_VALUE', message, { detail: `${cause.message}.`, cause }))
    })
    server.listen(port, host, () => resolve())
  })
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ConsoleOptions,
  processMetrics: Registry,
): Promise<void> {
  if (!options.insecure && !isLocal(hostOf(request))) {
    // A page of somebody else's that resolves its own name to this machine.
    reply(response, 421, 'text/plain', 'misdirected request')
    return
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    reply(response, 405, 'text/plain', 'method not allowed')
    return
  }
  const status = options.status()
  switch (request.url?.split('?')[0]) {
    case '/healthz':
      reply(response, isHealthy(status) ? 200 : 503, 'application/json', health(status))
      return
    case '/metrics': {
      const registry = new Registry()
      if (status !== null) register(metricsOf(status), registry)
      const text = await Registry.merge([processMetrics, registry]).metrics()
      reply(response, 200, registry.contentType, text)
      return
    }
    default:
      reply(response, 404, 'text/plain', 'only /healthz and /metrics are here')
  }
}

/** Not healthy: nothing that waits can help. A retry is under way by itself. */
function isHealthy(status: PipelineStatus | null): boolean {
  return status?.state !== 'FAILED'
}

function health(status: PipelineStatus | null): string {
  if (status === null) return JSON.stringify({ status: 'ok', state: 'STARTING' })
  const { pipeline, state, phase, tables, log, lag, checkpoint, error } = status
  const message = error?.message ?? null
  const summary = { pipeline, state, phase, tables, log, lag, checkpoint, error: message }
  return JSON.stringify({ status: isHealthy(status) ? 'ok' : 'failed', ...summary })
}

function reply(response: ServerResponse, code: number, type: string, text: string): void {
  response.writeHead(code, { 'content-type': type, 'x-content-type-options': 'nosniff' })
  response.end(response.req.method === 'HEAD' ? undefined : `${text.trimEnd()}\n`)
}

/** Name or address in the Host header, without the port. */
function hostOf(request: IncomingMessage): string {
  const host = request.headers.host ?? ''
  return host.startsWith('[') ? host.slice(1).replace(/\].*$/, '') : host.replace(/:\d*$/, '')
}

function isLocal(host: string): boolean {
  const name = host.toLowerCase()
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
}
