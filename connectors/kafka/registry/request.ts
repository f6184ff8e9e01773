// One request to a registry, and what became of it. Failures that pass by themselves are values:
// their caller waits. What only an operator can repair is thrown. Secrets go into the header and
// nowhere else: no message holds one.

import { request as plainRequest, type IncomingMessage } from 'node:http'
import { request as secureRequest, type RequestOptions } from 'node:https'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { RegistryCredentials, RegistryOptions } from './options.ts'

export type RegistryAnswer =
  | { readonly kind: 'found'; readonly body: unknown }
  /** The registry itself says that it has no such schema, subject or version. */
  | { readonly kind: 'missing' }
  /** Nobody answered, or not with what was asked for. */
  | { readonly kind: 'failed'; readonly reason: string }

/** What is asked with a body is something that the registry may refuse. */
export type RegistryVerdict = RegistryAnswer | { readonly kind: 'refused'; readonly reason: string }

/** A schema has kilobytes; what does not end is not one. */
const BODY_BYTES_MAX = 32 * 1024 * 1024

const MESSAGE_MAX = 1000

/** Of Confluent's API: subject, version, schema not found. A plain 404 is another server's. */
const NOT_FOUND_CODES = [40401, 40402, 40403]

/**
 * @param base  one of `options.urls`
 * @param path  behind it, begins with a slash
 * @throws PipelineError AUTH_FAILED, PRIVILEGE_MISSING, TLS_FAILED; the signal's reason
 */
export async function ask(
  base: string,
  path: string,
  options: RegistryOptions,
  signal: AbortSignal,
): Promise<RegistryAnswer> {
  signal.throwIfAborted()
  return answerTo(base, path, null, options, signal)
}

/**
 * @param body  JSON
 * @throws PipelineError as `ask`
 */
export async function tell(
  base: string,
  path: string,
  body: string,
  options: RegistryOptions,
  signal: AbortSignal,
): Promise<RegistryVerdict> {
  return answerTo(base, path, body, options, signal)
}

function answerTo(
  base: string,
  path: string,
  body: null,
  options: RegistryOptions,
  signal: AbortSignal,
): Promise<RegistryAnswer>
function answerTo(
  base: string,
  path: string,
  body: string | null,
  options: RegistryOptions,
  signal: AbortSignal,
): Promise<RegistryVerdict>
async function answerTo(
  base: string,
  path: string,
  body: string | null,
  options: RegistryOptions,
  signal: AbortSignal,
): Promise<RegistryVerdict> {
  signal.throwIfAborted()
  let answer: { readonly status: number; readonly text: string }
  try {
    answer = await send(new URL(base.replace(/\/+$/, '') + path), body, options, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof PipelineError) throw error
    const { code = '', message } = error as NodeJS.ErrnoException
    const reason = message === '' ? code : message
    if (TLS_CODE.test(code)) {
      const refusal = `the schema registry ${base} cannot be trusted: ${reason}`
      const hint = "Give the registry's CA as `registry: { tls: { ca: PATH } }`."
      throw new PipelineError('TLS_FAILED', refusal, { hint, cause: error })
    }
    return { kind: 'failed', reason }
  }
  const { status, text } = answer
  // Incompatible, or no schema: of what was sent, and so whoever answers.
  if (body !== null && (status === 409 || status === 422)) {
    return { kind: 'refused', reason: `it answered ${status}: ${saidIn(text)}` }
  }
  return judged(base, status, text)
}

function saidIn(text: string): string {
  const { message } = (parsed(text) ?? {}) as { message?: unknown }
  return (typeof message === 'string' ? message : text).slice(0, MESSAGE_MAX)
}

/** The beginnings of Node's and OpenSSL's codes for certificates and handshakes. */
const TLS_CODE = /^(ERR_TLS_CERT|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/

function judged(base: string, status: number, text: string): RegistryAnswer {
  const body = parsed(text)
  switch (status) {
    case 200:
      if (body !== undefined) return { kind: 'found', body }
      return { kind: 'failed', reason: 'it answered 200 without JSON' }
    case 401:
      throw new PipelineError(
        'AUTH_FAILED',
        `the schema registry ${base} refused the credentials`,
        {
          hint: 'Correct `registry.auth` in the pipeline file.',
        },
      )
    case 403:
      throw new PipelineError('PRIVILEGE_MISSING', `the schema registry ${base} forbids it`, {
        hint: 'Allow the user of `registry.auth` to read schemas and subjects; a sink also writes.',
      })
    case 404:
      if (NOT_FOUND_CODES.includes(errorCodeOf(body))) return { kind: 'missing' }
      return { kind: 'failed', reason: 'it answered 404, and not as a schema registry does' }
    default:
      return { kind: 'failed', reason: `it answered ${status}` }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function errorCodeOf(body: unknown): number {
  return Number((body as { error_code?: unknown } | null | undefined)?.error_code)
}

async function send(
  url: URL,
  body: string | null,
  options: RegistryOptions,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const { clock, timeoutMs, credentials } = options
  const secure = url.protocol === 'https:'
  const open = secure ? secureRequest : plainRequest
  const { headers, ...rest } = headersOf(credentials)
  const request = open(url, {
    ...rest,
    ...(secure ? tlsOf(options) : {}),
    ...(body === null
      ? { headers }
      : { method: 'POST', headers: { ...headers, 'content-type': CONTENT } }),
  })
  const end = (reason: string): void => void request.destroy(new Error(reason))
  const abort = (): void => end('aborted')
  const cancel = clock.after(timeoutMs, () => end(`no answer in ${timeoutMs} ms`))
  signal.addEventListener('abort', abort, { once: true })
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      // Also behind the response: an error that nobody hears would end the process.
      request.on('error', reject)
      request.end(body ?? undefined)
    })
    return { status: response.statusCode ?? 0, text: await collect(response) }
  } finally {
    cancel()
    signal.removeEventListener('abort', abort)
    request.destroy()
  }
}

/** @throws Error when it is cut off, or too long */
async function collect(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response) {
    parts.push(part as Buffer)
    bytes += (part as Buffer).length
    if (bytes > BODY_BYTES_MAX) throw new Error(`its answer exceeds ${BODY_BYTES_MAX} bytes`)
  }
  return Buffer.concat(parts).toString()
}

const CONTENT = 'application/vnd.schemaregistry.v1+json'

interface Headers {
  readonly agent: false
  readonly headers: Record<string, string>
}

function headersOf(credentials: RegistryCredentials): Headers {
  // A connection of its own: requests are rare, and an idle one would be dead by the next.
  const accept = { accept: 'application/vnd.schemaregistry.v1+json, application/json' }
  switch (credentials.kind) {
    case 'none':
      return { agent: false, headers: accept }
    case 'basic': {
      const pair = Buffer.from(`${credentials.username}:${credentials.password()}`)
      const authorization = `Basic ${pair.toString('base64')}`
      return { agent: false, headers: { ...accept, authorization } }
    }
    case 'bearer':
      return {
        agent: false,
        headers: { ...accept, authorization: `Bearer ${credentials.token()}` },
      }
  }
}

function tlsOf({ tls }: RegistryOptions): RequestOptions {
  const { ca, verify, identity } = tls
  return {
    rejectUnauthorized: verify,
    ...(ca === null ? {} : { ca }),
    ...(identity === null ? {} : { cert: identity.certificate, key: identity.key() }),
  }
}
