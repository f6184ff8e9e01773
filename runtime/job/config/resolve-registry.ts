// From what the file says of a schema registry to what its client is told.

import { resolve as resolvePath } from 'node:path'
import { type ConnectionContext, isLoopback, resolveSecret } from './connection.ts'
import { isReadable } from './connection.ts'
import type { Path } from './problems.ts'
import type { REGISTRY_TLS_MODES, RegistryInput } from './schema-registry.ts'
import type { Secret } from './secret.ts'

export interface RegistryConfig {
  /** At least one. */
  readonly urls: readonly string[]
  /** `null`: it asks for none. */
  readonly auth:
    | { readonly username: string; readonly password: Secret }
    | { readonly token: Secret }
    | null
  readonly tls: {
    readonly mode: (typeof REGISTRY_TLS_MODES)[number]
    /** Absolute paths of PEM files. */
    readonly ca: string | null
    readonly certificate: string | null
    readonly key: string | null
  }
  readonly timeoutMs: number
}

/** @param path  of the block in the file */
export function resolveRegistry(
  input: RegistryInput,
  path: Path,
  context: ConnectionContext,
): RegistryConfig {
  const written = typeof input.url === 'string' ? [input.url] : input.url
  const urls = written.flatMap((url, index) => {
    const place = typeof input.url === 'string' ? [...path, 'url'] : [...path, 'url', index]
    return resolveUrl(url, input, place, context) ?? []
  })
  const file = (name: 'ca' | 'certificate' | 'key'): string | null => {
    return resolveFile(input.tls[name], [...path, 'tls', name], context)
  }
  const tls = {
    mode: input.tls.mode,
    ca: file('ca'),
    certificate: file('certificate'),
    key: file('key'),
  }
  if ((tls.certificate === null) !== (tls.key === null)) {
    const message = `${path.join('.')}.tls needs certificate and key, or neither`
    context.document.report([...path, 'tls'], { error: 'CONFIG_VALUE', message })
  }
  return { urls, auth: resolveAuth(input, path, context), tls, timeoutMs: input.timeout }
}

/** Without a secret: messages and logs name the address. */
function resolveUrl(
  written: string,
  { auth, tls }: RegistryInput,
  path: Path,
  { document }: ConnectionContext,
): string | null {
  const name = path.join('.')
  if (!URL.canParse(written)) {
    const message = `${name} must be an address such as https://registry:8081`
    document.report(path, { error: 'CONFIG_VALUE', message })
    return null
  }
  const url = new URL(written)
  if (url.username !== '' || url.password !== '') {
    const message = `${name} has a user or password: they belong in auth, beside url`
    document.report(path, { error: 'CONFIG_UNSUPPORTED', message })
    return null
  }
  if (url.search !== '' || url.hash !== '') {
    const message = `${name} must end with the path: what is asked for is put behind it`
    document.report(path, { error: 'CONFIG_VALUE', message })
    return null
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (!isLoopback(host) && (url.protocol === 'http:' || tls.mode === 'required')) {
    const shown = auth === undefined ? '' : ', and shows it the credentials'
    const message = `${name} does not prove that ${host} is the registry it says it is${shown}`
    document.report(path, { error: 'CONFIG_TLS_WEAK', message, severity: 'warning' })
  }
  return url.href.replace(/\/+$/, '')
}

function resolveAuth(
  { auth }: RegistryInput,
  path: Path,
  context: ConnectionContext,
): RegistryConfig['auth'] {
  if (auth === undefined) return null
  if ('token' in auth) {
    return { token: resolveSecret(auth.token, [...path, 'auth', 'token'], context) }
  }
  const password = resolveSecret(auth.password, [...path, 'auth', 'password'], context)
  return { username: auth.username, password }
}

/** @returns the absolute path of a file that can be read; `null`: none is named */
export function resolveFile(
  written: string | undefined,
  path: Path,
  { document, folder }: ConnectionContext,
): string | null {
  if (written === undefined) return null
  const file = resolvePath(folder, written)
  if (!isReadable(file)) {
    const message = `the file ${file} of ${path.join('.')} cannot be read`
    document.report(path, { error: 'CONFIG_VALUE', message })
  }
  return file
}
