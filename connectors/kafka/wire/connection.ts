// One connection to one broker: the library does TCP, TLS, SASL and the framing of requests. A
// broker answers the requests of a connection one after the other, so what may be kept waiting (a
// Fetch) has a connection of its own. One that owes an answer and stays silent is given up.

import { isIP } from 'node:net'
import { apiVersionsV1, Connection, type API, type ConnectionOptions } from '@platformatic/kafka'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { failureOf } from './failure.ts'
import type { BrokerAddress, ClusterOptions, KafkaTls } from './options.ts'

const CONNECT_TIMEOUT_MS = 10_000
/** The library's own limit of one request must not end a large answer on a slow line. */
const REQUEST_TIMEOUT_MS = 900_000

/** A range of versions, by the key of the request. */
type Versions = ReadonlyMap<number, readonly [number, number]>

export class BrokerConnection {
  readonly address: BrokerAddress
  readonly #connection: Connection
  readonly #versions: Versions
  readonly #stopWatch: () => void
  #owed = 0
  #bytesRead = 0
  #aliveMs: number

  private constructor(
    options: ClusterOptions,
    address: BrokerAddress,
    connection: Connection,
    versions: Versions,
  ) {
    const { clock, silenceMs } = options
    this.address = address
    this.#connection = connection
    this.#versions = versions
    this.#aliveMs = clock.elapsedMs()
    this.#stopWatch = clock.every(Math.max(50, silenceMs / 4), () => {
      const { bytesRead } = this.#connection.socket
      const now = clock.elapsedMs()
      if (this.#owed === 0 || bytesRead !== this.#bytesRead) this.#aliveMs = now
      this.#bytesRead = bytesRead
      if (now - this.#aliveMs > silenceMs) this.close()
    })
  }

  /** @throws PipelineError CONNECT_FAILED, AUTH_FAILED, TLS_FAILED, SERVER_UNSUITABLE */
  static async open(options: ClusterOptions, address: BrokerAddress): Promise<BrokerConnection> {
    const { host, port } = address
    const connection = new Connection(options.clientId, libraryOptions(options, host))
    // After the start, a failure shows in the requests that it ends.
    connection.on('error', () => {})
    // Also for a listener that takes the connection and then says nothing.
    const cancel = options.clock.after(CONNECT_TIMEOUT_MS, () => connection.socket?.destroy())
    let inTls = false
    try {
      const connecting = connection.connect(host, port)
      // The library forgets it where it wants to log in.
      if (options.tls.mode === 'disabled') {
        connection.socket.once('data', (bytes: Buffer) => (inTls = isTlsAlert(bytes)))
      }
      await connecting
      const answer = await apiVersionsV1.api.async(connection, 'millrace', '1')
      const versions = new Map(
        answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [
          apiKey,
          [minVersion, maxVersion],
        ]),
      ) as Versions
      return new BrokerConnection(options, address, connection, versions)
    } catch (error) {
      connection.socket?.destroy()
      const doing = `cannot connect to ${host}:${port}`
      throw inTls ? tlsWanted(doing) : failureOf(doing, error)
    } finally {
      cancel()
    }
  }

  get usable(): boolean {
    return this.#connection.isConnected() || this.#connection.status === 'reauthenticating'
  }

  /**
   * @param apis  forms of one request that differ in nothing but their version, the best first
   * @throws PipelineError SERVER_UNSUITABLE when the broker has none of them
   */
  choose<T extends { readonly key: number; readonly version: number }>(apis: readonly T[]): T {
    const range = this.#versions.get(apis[0]?.key ?? -1) ?? [0, -1]
    const found = apis.find(({ version }) => version >= range[0] && version <= range[1])
    if (found !== undefined) return found
    const { host, port } = this.address
    const wanted = apis.map(({ key, version }) => `API ${key} v${version}`).join(' or ')
    throw new PipelineError('SERVER_UNSUITABLE', `broker ${host}:${port} does not know ${wanted}`, {
      hint: 'Kafka 3.0 or later, or a server that speaks its protocol, is needed.',
    })
  }

  /**
   * Sends one request and waits for its answer. An answer that carries error codes is given back,
   * too: each partition of it has its own.
   *
   * @throws PipelineError CONNECT_FAILED
   */
  async call<A extends unknown[], R>(apis: readonly API<A, R>[], ...args: A): Promise<R> {
    const api = this.choose(apis)
    try {
      return await this.owing(async () => api.async(this.#connection, ...args))
    } catch (error) {
      const { response } = error as { response?: unknown }
      if (response !== undefined) return response as R
      const { host, port } = this.address
      throw failureOf(`broker ${host}:${port} did not answer`, error)
    }
  }

  /** Runs a request of one's own under the watch over silence. */
  async owing<T>(request: (connection: Connection) => Promise<T>): Promise<T> {
    // Between the steps of a renewed login the broker takes nothing else.
    if (this.#connection.status === 'reauthenticating') await this.#connection.ready()
    this.#owed += 1
    try {
      return await request(this.#connection)
    } finally {
      this.#owed -= 1
    }
  }

  /** A broker that hangs must not hang us: nothing is waited for. Requests under way fail. */
  close(): void {
    this.#stopWatch()
    this.#connection.socket?.destroy()
    // Ends the timer of the renewed login.
    void this.#connection.close()
  }
}

function isTlsAlert(bytes: Buffer): boolean {
  return bytes[0] === 0x15 && bytes[1] === 0x03
}

function tlsWanted(doing: string): PipelineError {
  return new PipelineError('TLS_FAILED', `${doing}: this listener speaks TLS`, {
    hint: 'Set `tls.mode`, or take the port of a listener without TLS.',
  })
}

function libraryOptions(options: ClusterOptions, host: string): ConnectionOptions {
  const { sasl } = options
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    ...tlsOptions(options.tls, host),
    ...(sasl !== null && {
      sasl:
        sasl.mechanism === 'OAUTHBEARER'
          ? { mechanism: sasl.mechanism, token: sasl.token }
          : { mechanism: sasl.mechanism, username: sasl.user, password: sasl.password },
    }),
  }
}

function tlsOptions({ mode, ca, client }: KafkaTls, host: string): ConnectionOptions {
  if (mode === 'disabled') return {}
  return {
    tls: {
      rejectUnauthorized: mode !== 'required',
      ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
      ...(ca !== null && { ca }),
      ...(client !== null && { cert: client.certificate, key: client.key() }),
    },
    // An address is no name that could be indicated.
    ...(isIP(host) === 0 && { tlsServerName: host }),
  }
}
