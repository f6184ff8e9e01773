// How to reach the source: one URI or single keys, TLS that verifies unless the server is this
// machine, and a password that is fetched when it is needed.

import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, resolve as resolvePath } from 'node:path'
import { PipelineError } from '../../base/errors.ts'
import type { ConfigDocument } from './document.ts'
import type { ConnectionConfig, TlsConfig, TlsMode } from './pipeline-config.ts'
import { formatPath, type Path } from './problems.ts'
import type { DatabaseInput } from './schema.ts'
import type { SecretInput } from './schema-values.ts'
import { Secret } from './secret.ts'
import type { Environment } from './variables.ts'

const DEFAULT_PORT = { postgres: 5432, mysql: 3306 } as const
const PROTOCOLS = {
  postgres: ['postgres:', 'postgresql:'],
  mysql: ['mysql:', 'mariadb:'],
} as const
const EXAMPLE = {
  postgres: 'postgresql://user@host:5432/database',
  mysql: 'mysql://user@host:3306',
} as const

/** What a URI can say; `undefined` where it does not. */
interface Parts {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly database?: string | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly tlsMode?: TlsMode | undefined
  readonly ca?: string | undefined
}

export interface ConnectionContext {
  readonly document: ConfigDocument
  readonly env: Environment
  /** Folder of the pipeline file: relative paths begin there. */
  readonly folder: string
  /** What a missing secret is: `lint` runs where there are none. */
  readonly missingSecret: 'error' | 'warning'
}

/** Reports what is wrong; @returns the connection, or `null` when it cannot be told */
export function resolveConnection(
  source: DatabaseInput,
  context: ConnectionContext,
): ConnectionConfig | null {
  const { document } = context
  const parts = source.uri === undefined ? {} : parseUri(source, context)
  if (parts === null) return null
  reportTwice(source, parts, document)
  const host = parts.host ?? source.hostname
  const username = parts.username ?? source.username
  const database = parts.database ?? source.database ?? null
  const missing = [
    ...(host === undefined ? ['hostname'] : []),
    ...(username === undefined ? ['username'] : []),
    ...(database === null && source.type === 'postgres' ? ['database'] : []),
  ]
  for (const name of missing) {
    const message = `source.${name} is missing: give it, or a uri such as ${EXAMPLE[source.type]}`
    document.report(['source', name], { error: 'CONFIG_VALUE', message })
  }
  if (host === undefined || username === undefined) return null
  return {
    host,
    port: parts.port ?? source.port ?? DEFAULT_PORT[source.type],
    database,
    username,
    password: resolvePassword(source, parts, context),
    tls: resolveTls(source, parts, host, context),
  }
}

/** @returns whether bytes to this host stay on this machine */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase()
  if (name === 'localhost' || name.startsWith('/')) return true
  if (isIP(name) === 4) return name.startsWith('127.')
  return isIP(name) === 6 && /^(?:(?:0{0,4}:)+0{0,3}1|::ffff:127\.[\d.]+)$/.test(name)
}

function parseUri(source: DatabaseInput, context: ConnectionContext): Parts | null {
  const { document } = context
  const reject = (reason: string): null => {
    const message = `source.uri ${reason}; it looks like ${EXAMPLE[source.type]}`
    document.report(['source', 'uri'], { error: 'CONFIG_VALUE', message })
    return null
  }
  let url: URL
  try {
    url = new URL(source.uri ?? '')
  } catch {
    // Without the parser's own words: they would repeat the URI, and its password.
    return reject('is not a URI (a password with special characters must be percent-encoded)')
  }
  const protocols: readonly string[] = PROTOCOLS[source.type]
  if (!protocols.includes(url.protocol)) {
    return reject(`begins with ${url.protocol}, which is not ${source.type}`)
  }
  if (url.hash !== '' || url.pathname.slice(1).includes('/')) return reject('has too many parts')
  try {
    const options = parseOptions(url, context)
    if (options === null) return null
    const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1')
    return {
      ...options,
      host: nonEmpty(host),
      port: url.port === '' ? undefined : Number(url.port),
      database: nonEmpty(decodeURIComponent(url.pathname.slice(1))),
      username: nonEmpty(decodeURIComponent(url.username)),
      password: nonEmpty(decodeURIComponent(url.password)),
    }
  } catch (error) {
    if (error instanceof URIError) return reject('has a percent sign without two hex digits')
    throw error
  }
}

function nonEmpty(text: string): string | undefined {
  return text === '' ? undefined : text
}

const SSL_MODES: Readonly<Record<string, TlsMode>> = {
  disable: 'disabled',
  disabled: 'disabled',
  allow: 'preferred',
  prefer: 'preferred',
  preferred: 'preferred',
  require: 'required',
  required: 'required',
  'verify-ca': 'verify-ca',
  verify_ca: 'verify-ca',
  'verify-full': 'verify-full',
  verify_identity: 'verify-full',
}

/** The options of libpq and of the mysql client that say what `source.tls` says. */
function parseOptions(url: URL, context: ConnectionContext): Parts | null {
  const parts: { tlsMode?: TlsMode; ca?: string } = {}
  for (const [name, value] of url.searchParams) {
    const mode = SSL_MODES[value.toLowerCase()]
    if ((name === 'sslmode' || name === 'ssl-mode') && mode !== undefined) parts.tlsMode = mode
    else if (name === 'sslrootcert' || name === 'ssl-ca') parts.ca = value
    else {
      const known = name === 'sslmode' || name === 'ssl-mode' ? `${name}=${value}` : name
      const message = `source.uri has the option ${known}, which this version does not know`
      context.document.report(['source', 'uri'], { error: 'CONFIG_UNSUPPORTED', message })
      return null
    }
  }
  return parts
}

function reportTwice(source: DatabaseInput, parts: Parts, document: ConfigDocument): void {
  const keys = {
    hostname: parts.host,
    port: parts.port,
    database: parts.database,
    username: parts.username,
    password: parts.password,
  }
  for (const [name, inUri] of Object.entries(keys)) {
    if (inUri === undefined || source[name as keyof typeof keys] === undefined) continue
    const message = `source.${name} stands in source.uri too`
    document.report(['source', name], { error: 'CONFIG_VALUE', message, atKey: true })
  }
}

function resolvePassword(
  source: DatabaseInput,
  parts: Parts,
  context: ConnectionContext,
): Secret | null {
  if (source.password !== undefined) {
    return resolveSecret(source.password, ['source', 'password'], context)
  }
  return parts.password === undefined
    ? null
    : literalSecret(parts.password, ['source', 'uri'], context)
}

/** Reports a secret that is not there, or stands in the file in the clear. */
export function resolveSecret(
  written: SecretInput,
  path: Path,
  context: ConnectionContext,
): Secret {
  if (typeof written === 'string') return literalSecret(written, path, context)
  const { document, env } = context
  // In an included file the path begins at the folder of that file.
  const folder = dirname(resolvePath(document.placeAt(path).file))
  const secret =
    'from_env' in written
      ? new Secret({ env: written.from_env }, env)
      : new Secret({ file: resolvePath(folder, written.from_file) })
  const fault = faultOf(secret)
  if (fault !== null) {
    const severity = context.missingSecret
    const inner = [...path, 'from_env' in written ? 'from_env' : 'from_file']
    document.report(inner, { error: 'CONFIG_VARIABLE', message: fault, severity })
  }
  return secret
}

function literalSecret(literal: string, path: Path, { document }: ConnectionContext): Secret {
  if (!document.fromEnvironment(path)) {
    const message = 'a password stands in the file in the clear'
    document.report(path, { error: 'CONFIG_SECRET_LITERAL', message, severity: 'warning' })
  }
  return new Secret({ text: literal })
}

function faultOf(secret: Secret): string | null {
  try {
    secret.reveal()
    return null
  } catch (error) {
    if (error instanceof PipelineError) return error.message
    throw error
  }
}

function resolveTls(
  source: DatabaseInput,
  parts: Parts,
  host: string,
  context: ConnectionContext,
): TlsConfig {
  const { document } = context
  const local = isLoopback(host)
  const mode = source.tls.mode ?? parts.tlsMode ?? (local ? 'disabled' : 'verify-full')
  if (source.tls.mode !== undefined && parts.tlsMode !== undefined) {
    const message = 'source.tls.mode stands in source.uri too'
    document.report(['source', 'tls', 'mode'], { error: 'CONFIG_VALUE', message, atKey: true })
  }
  if (!local) reportWeak(mode, host, document)
  const written = source.tls.ca ?? parts.ca
  if (written === undefined) return { mode, ca: null }
  const path = source.tls.ca === undefined ? ['source', 'uri'] : ['source', 'tls', 'ca']
  return { mode, ca: resolveAuthorities(written, path, context) }
}

/**
 * @param host  of another machine
 * @param block  of the file, which may have `tls`
 */
export function reportWeak(
  mode: TlsMode,
  host: string,
  document: ConfigDocument,
  block: Path = ['source'],
): void {
  if (mode === 'verify-full' || mode === 'verify-ca') return
  const written = [...block, 'tls', 'mode']
  const path = document.has(written) ? written : block
  const message = `tls mode ${mode} does not prove that ${host} is the server it says it is`
  document.report(path, { error: 'CONFIG_TLS_WEAK', message, severity: 'warning' })
}

/** @returns the absolute path of a PEM file */
export function resolveAuthorities(
  written: string,
  path: Path,
  { document, folder }: ConnectionContext,
): string {
  const ca = resolvePath(folder, written)
  if (!isReadable(ca)) {
    const name = path.at(-1) === 'ca' ? formatPath(path) : 'source.tls.ca'
    const message = `the file ${ca} of ${name} cannot be read`
    document.report(path, { error: 'CONFIG_VALUE', message })
  }
  return ca
}

export function isReadable(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch {
    return false
  }
}
