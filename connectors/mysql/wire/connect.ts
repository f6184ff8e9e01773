// Connections by way of the driver: it does TCP, TLS and authentication. Either its queries are
// used afterwards (control), or its socket is taken over (log and chunks), never both.

import { connect as connectSocket, isIP, type Socket } from 'node:net'
import mysql, { type Connection, type ConnectionOptions } from 'mysql2'
import { NO_PASSWORD_HINT, PipelineError } from '../../../runtime/base/errors.ts'
import { SharedReadSocket } from '../../../runtime/base/shared-read-socket.ts'
import type { MysqlOptions, TlsMode } from '../options.ts'
import { failureOf } from './failure.ts'
import { sessionSql } from './session.ts'

const CONNECT_TIMEOUT_MS = 10_000

/** One row of a control query, by column name. */
export type ControlRow = Readonly<Record<string, string | number | bigint | Buffer | null>>

/** A connection for questions to the server; the log and the chunks have their own. */
export interface ControlConnection {
  /**
   * Numbers that a double cannot hold, decimals and dates arrive as text.
   *
   * @throws PipelineError by the server's error number
   */
  query(sql: string, values?: readonly unknown[]): Promise<readonly ControlRow[]>
  /** True when the connection has failed and cannot be used again. */
  broken(): boolean
  close(): Promise<void>
}

/** What the server said in its first packet. */
export interface Greeting {
  readonly version: string
  readonly mariadb: boolean
}

/** A socket behind authentication, nobody listening to its data. */
export interface RawConnection extends Greeting {
  readonly socket: Socket
}

export async function openControl(
  options: MysqlOptions,
): Promise<ControlConnection & { readonly greeting: Greeting }> {
  const { connection, greeting } = await open(options)
  let broken = false
  connection.on('error', () => {
    broken = true
  })
  return {
    greeting,
    query: async (sql, values = []) => {
      try {
        const [rows] = await connection.promise().query(sql, [...values])
        return Array.isArray(rows) ? (rows as unknown as ControlRow[]) : []
      } catch (error) {
        if ((error as { fatal?: boolean }).fatal === true) broken = true
        throw failureOf('the server refused a query', error)
      }
    },
    broken: () => broken,
    close: async () => {
      // A server that hangs must not hang us: the goodbye is sent, its answer not waited for.
      connection.destroy()
    },
  }
}

/** Opens a connection and takes its socket away from the driver. */
export async function openRaw(options: MysqlOptions): Promise<RawConnection> {
  const { connection, greeting } = await open(options)
  const socket = (connection as unknown as { stream: Socket }).stream
  // The driver's `error` and `close` listeners stay: without them an ECONNRESET between two of our
  // own listeners would end the process. Its reaction goes to this empty one.
  connection.on('error', () => {})
  socket.removeAllListeners('data')
  socket.pause()
  return { ...greeting, socket }
}

async function open(
  options: MysqlOptions,
): Promise<{ readonly connection: Connection; readonly greeting: Greeting }> {
  const { mode } = options.tls
  try {
    return await attempt(options, mode)
  } catch (error) {
    const plain = mode === 'preferred' && (error as { code?: string }).code === NO_TLS
    if (!plain) throw connectFailure(options, error)
  }
  try {
    return await attempt(options, 'disabled')
  } catch (error) {
    throw connectFailure(options, error)
  }
}

const NO_TLS = 'HANDSHAKE_NO_SSL_SUPPORT'

function connectFailure({ host, port, password }: MysqlOptions, cause: unknown): PipelineError {
  const failure = failureOf(`cannot connect to ${host}:${port}`, cause)
  if (failure === cause || failure.error !== 'AUTH_FAILED' || password() !== '') return failure
  return new PipelineError('AUTH_FAILED', failure.message, { hint: NO_PASSWORD_HINT, cause })
}

async function attempt(
  options: MysqlOptions,
  mode: TlsMode,
): Promise<{ readonly connection: Connection; readonly greeting: Greeting }> {
  const connection = mysql.createConnection(driverOptions(options, mode))
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      connection.destroy()
      reject(error)
    }
    connection.once('error', fail)
    connection.once('connect', (handshake: { serverVersion: string }) => {
      const version = handshake.serverVersion
      const greeting = { version, mariadb: /mariadb/i.test(version) }
      connection.query(sessionSql(greeting.mariadb), (error) => {
        if (error !== null) return fail(error)
        connection.off('error', fail)
        resolve({ connection, greeting })
      })
    })
  })
}

function driverOptions(options: MysqlOptions, mode: TlsMode): ConnectionOptions {
  const { host, port, user } = options
  return {
    host,
    port,
    user,
    password: options.password(),
    stream: () => socketTo(host, port, mode),
    connectTimeout: CONNECT_TIMEOUT_MS,
    charset: 'utf8mb4',
    supportBigNumbers: true,
    dateStrings: true,
    // Query attributes change the form of the commands that we write ourselves, session tracking
    // that of the OK packets that we read; a server may not ask us for local files.
    flags: ['-CLIENT_QUERY_ATTRIBUTES', '-SESSION_TRACK', '-LOCAL_FILES', '-FOUND_ROWS'],
    connectAttributes: { program_name: 'millrace' },
    ...tlsOptions(options, mode),
    ...keyPolicy(host, mode),
  }
}

/**
 * The name that a certificate is compared with is the socket's host. Node sets it only for names
 * that it looked up, and takes `localhost` for an address: `verify-full` on an address would then
 * accept a certificate for localhost and refuse the right one.
 */
function socketTo(host: string, port: number, mode: TlsMode): Socket {
  const options = { keepAlive: true, noDelay: true }
  // TLS reads by its own means.
  const shares = mode === 'disabled'
  const socket = shares
    ? new SharedReadSocket(options).connect({ host, port })
    : connectSocket({ ...options, host, port })
  if (isIP(host) !== 0) Object.assign(socket, { _host: host })
  return socket
}

function tlsOptions({ tls }: MysqlOptions, mode: TlsMode): Pick<ConnectionOptions, 'ssl'> {
  if (mode === 'disabled') return {}
  const verified = mode === 'verify-ca' || mode === 'verify-full'
  return {
    ssl: {
      rejectUnauthorized: verified,
      verifyIdentity: mode === 'verify-full',
      ...(tls.ca === null ? {} : { ca: tls.ca }),
    },
  }
}

/**
 * Without TLS, the first login of an account sends the password under a key that the peer presents:
 * whoever sits in between could present his own. On a loopback address nobody can.
 */
function keyPolicy(host: string, mode: TlsMode): Pick<ConnectionOptions, 'authPlugins'> {
  if (mode !== 'disabled' || isLoopback(host)) return {}
  const refuse = (): never => {
    throw new PipelineError('AUTH_FAILED', 'the server wants the password over plain TCP', {
      detail: 'Its key cannot be verified, so whoever stands in between could read the password.',
      hint: 'Choose a `tls.mode` other than `disabled`.',
    })
  }
  const { caching_sha2_password: caching, sha256_password: sha256 } = mysql.authPlugins
  return {
    authPlugins: {
      caching_sha2_password: caching({ onServerPublicKey: refuse }),
      sha256_password: sha256({ onServerPublicKey: refuse }),
    },
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
