// Errors of the driver and of the server, translated once into ours. The server's error numbers
// decide; its texts only where one number stands for several things (1236).

import { PipelineError, type ErrorName } from '../../../runtime/base/errors.ts'

/** Server error numbers by what has to be done about them. */
const byNumber: Readonly<Record<number, ErrorName>> = {
  1045: 'AUTH_FAILED',
  1130: 'AUTH_FAILED',
  1251: 'AUTH_FAILED',
  1524: 'AUTH_FAILED',
  1698: 'AUTH_FAILED',
  1820: 'AUTH_FAILED',
  1862: 'AUTH_FAILED',
  3118: 'AUTH_FAILED',
  4151: 'AUTH_FAILED',
  1044: 'PRIVILEGE_MISSING',
  1142: 'PRIVILEGE_MISSING',
  1143: 'PRIVILEGE_MISSING',
  1227: 'PRIVILEGE_MISSING',
  1040: 'CONNECT_FAILED',
  1042: 'CONNECT_FAILED',
  1043: 'CONNECT_FAILED',
  1053: 'CONNECT_FAILED',
  1077: 'CONNECT_FAILED',
  1079: 'CONNECT_FAILED',
  1129: 'CONNECT_FAILED',
  1152: 'CONNECT_FAILED',
  1158: 'CONNECT_FAILED',
  1159: 'CONNECT_FAILED',
  1160: 'CONNECT_FAILED',
  1161: 'CONNECT_FAILED',
  1184: 'CONNECT_FAILED',
  1203: 'CONNECT_FAILED',
  1205: 'CONNECT_FAILED',
  1213: 'CONNECT_FAILED',
  1226: 'CONNECT_FAILED',
  1290: 'CONNECT_FAILED',
  1317: 'CONNECT_FAILED',
  1836: 'CONNECT_FAILED',
  1927: 'CONNECT_FAILED',
  3024: 'CONNECT_FAILED',
  3032: 'CONNECT_FAILED',
  4031: 'CONNECT_FAILED',
  1381: 'SERVER_UNSUITABLE',
  1054: 'SCHEMA_MOVED',
  1146: 'SCHEMA_MOVED',
  1412: 'SCHEMA_MOVED',
  1049: 'SCHEMA_MOVED',
}

/** The driver's own words for what happened below SQL. */
const byDriverCode: Readonly<Record<string, ErrorName>> = {
  HANDSHAKE_NO_SSL_SUPPORT: 'TLS_FAILED',
  HANDSHAKE_SSL_ERROR: 'TLS_FAILED',
  AUTH_SWITCH_PLUGIN_ERROR: 'AUTH_FAILED',
  MYSQL_CLEAR_PASSWORD_NOT_ENABLED: 'AUTH_FAILED',
}

/**
 * Of the socket: a TLS handshake that was cut off is a network failure, not a wrong certificate.
 */
const NETWORK_CODES =
  /^(ECONN|EHOST|ENET|EPIPE|ENOTFOUND|EAI_|ETIMEDOUT|EADDR|PROTOCOL_|HANDSHAKE_UNKNOWN|ERR_STREAM)/

/** An ERR packet, or the driver's error object. */
export interface ServerFailure {
  readonly errno?: number | undefined
  readonly code?: string | undefined
  readonly message: string
}

/**
 * @param doing  what was tried, lowercase: `cannot connect to 10.0.0.1:3306`
 * @returns the error to throw; one that already is ours is returned as it is
 */
export function failureOf(doing: string, cause: unknown): PipelineError {
  if (cause instanceof PipelineError) return cause
  const failure = (cause instanceof Error ? cause : new Error(String(cause))) as ServerFailure
  const message = `${doing}: ${lowered(failure.message)}`
  return new PipelineError(errorNameOf(failure), message, { cause })
}

function errorNameOf({ errno, code, message }: ServerFailure): ErrorName {
  const known = errno === undefined ? undefined : byNumber[errno]
  if (known !== undefined) return known
  if (code === undefined) return 'INTERNAL'
  if (code === 'HANDSHAKE_SSL_ERROR' && /ECONNRESET|disconnected before secure/.test(message)) {
    return 'CONNECT_FAILED'
  }
  return byDriverCode[code] ?? (NETWORK_CODES.test(code) ? 'CONNECT_FAILED' : 'INTERNAL')
}

function lowered(message: string): string {
  const text = message.trim().replace(/\.$/, '')
  // `Access denied` becomes lowercase, `XA_RBROLLBACK` stays as it is.
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text
}

/** An ERR packet as an error of the same shape as the driver's. */
export class ServerError extends Error implements ServerFailure {
  override readonly name = 'ServerError'
  readonly errno: number
  readonly code: string

  constructor(errno: number, message: string) {
    super(message)
    this.errno = errno
    this.code = `ER_${errno}`
  }
}

/** The connection is gone, or has been silent for too long. */
export function connectionLost(doing: string, reason: string, cause?: unknown): PipelineError {
  return new PipelineError('CONNECT_FAILED', `${doing}: ${reason}`, { cause })
}
