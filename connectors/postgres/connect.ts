// Opens connections with `pg` and translates its errors, once, into ours. Every session speaks UTC,
// ISO dates and hexadecimal bytea, so that one value has one text wherever it is read.

import { Client } from 'pg'
import { NO_PASSWORD_HINT, PipelineError, type ErrorName } from '../../runtime/base/errors.ts'
import { SharedReadSocket } from '../../runtime/base/shared-read-socket.ts'
import type { PostgresOptions, TlsMode } from './options.ts'

const CONNECT_TIMEOUT_MS = 10_000
/** The kernel asks after an idle peer: a chunk may rightly be silent while the server sorts. */
const KEEP_ALIVE_MS = 30_000

/**
 * Settings of every session; they go into the startup packet. Most decide how values are printed.
 * With row_security off the server refuses to hide rows instead of leaving them out. A role that
 * reads by default makes the publication nevertheless.
 */
const SESSION = [
  'TimeZone=UTC',
  'DateStyle=ISO,YMD',
  'IntervalStyle=postgres',
  'extra_float_digits=3',
  'bytea_output=hex',
  'row_security=off',
  'default_transaction_read_only=off',
  'idle_in_transaction_session_timeout=0',
  'idle_session_timeout=0',
]

/**
 * Reading a large transaction from the log is one transaction of the server's, like a chunk. Before
 * version 17 no server knows the setting, and refuses connections that name it.
 */
const NO_TRANSACTION_TIMEOUT = `
SELECT set_config('transaction_timeout', '0', false)
WHERE current_setting('transaction_timeout', true) <> '0'`

/**
 * A chunk is a stretch of its key's index. Where statistics are missing or old, the planner would
 * read and sort all that is left of the table, again for each chunk. Compiling the plan and help by
 * other processes cost more than they bring.
 */
const CHUNK_SESSION = [
  'enable_bitmapscan=off',
  'enable_sort=off',
  'max_parallel_workers_per_gather=0',
  'jit=off',
]

/** What the connection is for; the server shows it as application_name. */
export type Purpose = 'log' | 'control' | 'chunk'

/** How long the server works on a statement, and waits for a lock, before it gives up; 0: ever. */
export interface Patience {
  readonly statementMs: number
  readonly lockMs: number
}

const PATIENT: Patience = { statementMs: 0, lockMs: 0 }

/**
 * @returns a connected client that the caller ends
 * @throws PipelineError CONNECT_FAILED, AUTH_FAILED, DATABASE_MISSING, TLS_FAILED, ...
 */
export async function connect(
  options: PostgresOptions,
  purpose: Purpose,
  patience: Patience = PATIENT,
): Promise<Client> {
  const { mode } = options.tls
  if (mode !== 'preferred') return attempt(options, purpose, patience, mode)
  try {
    return await attempt(options, purpose, patience, 'required')
  } catch (error) {
    if (!(error instanceof PipelineError && error.error === 'TLS_FAILED')) throw error
    return attempt(options, purpose, patience, 'disabled')
  }
}

async function attempt(
  options: PostgresOptions,
  purpose: Purpose,
  { statementMs, lockMs }: Patience,
  mode: Exclude<TlsMode, 'preferred'>,
): Promise<Client> {
  const { host, port, database, user } = options
  const settings = [
    ...SESSION,
    ...(purpose === 'chunk' ? CHUNK_SESSION : []),
    `statement_timeout=${statementMs}`,
    `lock_timeout=${lockMs}`,
  ]
  const client = new Client({
    host,
    port,
    database,
    user,
    password: options.password(),
    ssl: tlsOf(mode, options.tls.ca),
    options: settings.map((setting) => `-c ${setting}`).join(' '),
    application_name: `millrace ${options.slot} ${purpose}`.slice(0, 63),
    client_encoding: 'UTF8',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    // TLS reads by its own means.
    ...(mode === 'disabled' && { stream: () => new SharedReadSocket() }),
    ...(purpose === 'log' && { replication: 'database' }),
  })
  // Without a listener a lost idle connection would end the process; the next query reports it.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(NO_TRANSACTION_TIMEOUT)
  } catch (error) {
    await client.end().catch(() => {})
    throw connectFailure(options, error)
  }
  return client
}

function connectFailure({ host, port, user, password }: PostgresOptions, cause: unknown): Error {
  const failure = translate(cause, `cannot connect to ${host}:${port}`)
  const { code, message: answer } = factsOf(cause)
  // 28000 is about access rules and users, whatever the password is.
  if (failure.error !== 'AUTH_FAILED' || code === '28000' || password() !== '') return failure
  // The driver's words are about its own code when it has no password to send.
  const message = `cannot connect to ${host}:${port}: the server asks for a password of "${user}"`
  const detail = `What failed: ${answer}.`
  return new PipelineError('AUTH_FAILED', message, { detail, hint: NO_PASSWORD_HINT, cause })
}

type ClientTls =
  | false
  | { rejectUnauthorized: boolean; ca?: string; checkServerIdentity?: () => undefined }

function tlsOf(mode: Exclude<TlsMode, 'preferred'>, ca: string | null): ClientTls {
  if (mode === 'disabled') return false
  if (mode === 'required') return { rejectUnauthorized: false }
  const trusted = { rejectUnauthorized: true, ...(ca !== null && { ca }) }
  return mode === 'verify-full' ? trusted : { ...trusted, checkServerIdentity: () => undefined }
}

/** SQLSTATE of a lock that was not to be had in time: the question is asked again later. */
export const LOCK_TIMEOUT = '55P03'
/** SQLSTATE of a statement that took the server too long, or that somebody cancelled. */
export const CANCELED = '57014'

/** By SQLSTATE, whole or its class. */
const sqlStates: Readonly<Record<string, ErrorName>> = {
  '28P01': 'AUTH_FAILED',
  '28000': 'AUTH_FAILED',
  '3D000': 'DATABASE_MISSING',
  '42501': 'PRIVILEGE_MISSING',
  '55006': 'SLOT_IN_USE',
  '08': 'CONNECT_FAILED',
  '57': 'CONNECT_FAILED',
  '53': 'CONNECT_FAILED',
  [LOCK_TIMEOUT]: 'CONNECT_FAILED',
  // All slots are taken: waiting does not help.
  '53400': 'SERVER_UNSUITABLE',
}

/** Where the hint of the error's name would lead astray. */
const HINTS: Readonly<Record<string, string>> = {
  [LOCK_TIMEOUT]: 'Another session holds a lock on the table; Millrace tries again while it runs.',
  [CANCELED]: 'The server is slow, or somebody cancelled the statement; Millrace tries again.',
}

/** Codes of Node's sockets: ECONNRESET, EAI_AGAIN, ERR_STREAM_DESTROYED, ... */
const SOCKET_CODE = /^(E[A-Z]+(_[A-Z]+)?$|ERR_(STREAM|SOCKET)_)/

/** Texts of `pg` about a connection that is lost, or that never was one; they have no code. */
const LOST = new RegExp(
  '^(Connection terminated|Query read timeout|timeout expired' +
    '|Client (was closed|has encountered a connection error)' +
    '|Received unexpected|received invalid response)',
)

/** TLS failures have no common code; these are the beginnings of Node's and OpenSSL's. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/

/**
 * Turns an error of `pg` or of the socket into ours. `what` is the message's beginning, lowercase.
 * An error that is already ours comes back as it is.
 */
export function translate(error: unknown, what: string): PipelineError {
  if (error instanceof PipelineError) return error
  const { code, message } = factsOf(error)
  const name = nameOf(code, message)
  const hint = HINTS[code]
  const place = name === 'INTERNAL' && error instanceof Error ? error.stack : undefined
  return new PipelineError(name, `${what}: ${message}`, {
    cause: error,
    ...(hint !== undefined && { hint }),
    ...(place !== undefined && { detail: place }),
  })
}

function factsOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // Several addresses of one host fail together, with no message of their own.
  if (error instanceof AggregateError && error.message === '') {
    const first: unknown = error.errors[0]
    return { code, message: first instanceof Error ? first.message : code }
  }
  return { code, message: error.message }
}

function nameOf(code: string, message: string): ErrorName {
  const known = sqlStates[code] ?? sqlStates[code.slice(0, 2)]
  if (known !== undefined && /^[0-9A-Z]{5}$/.test(code)) return known
  if (TLS_CODE.test(code)) return 'TLS_FAILED'
  if (SOCKET_CODE.test(code) || LOST.test(message)) return 'CONNECT_FAILED'
  if (/^[0-9A-Z]{5}$/.test(code)) return 'SERVER_UNSUITABLE'
  if (message.includes('SSL connection')) return 'TLS_FAILED'
  if (message.startsWith('SASL') || message.startsWith('Unknown authentication')) {
    return 'AUTH_FAILED'
  }
  // Neither the server's nor the socket's: tried again for ever, it would only come again.
  return 'INTERNAL'
}

/** @returns the SQLSTATE of an error of the server; '' for any other */
export function sqlStateOf(error: unknown): string {
  const cause = error instanceof PipelineError ? error.cause : error
  const { code } = factsOf(cause)
  return /^[0-9A-Z]{5}$/.test(code) ? code : ''
}

/** Quotes an identifier for SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Quotes a text literal, whatever standard_conforming_strings says. */
export function quoteText(text: string): string {
  return text.includes('\\')
    ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`
}
