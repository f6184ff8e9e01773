// Errors of the library and of brokers, translated once into ours. Kafka's own error codes decide,
// then what the socket said; never a text.

import { type ErrorName, PipelineError } from '../../../runtime/base/errors.ts'

/** Kafka's error codes that are told apart here; the numbers are the protocol's. */
export const KafkaCode = {
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  REPLICA_NOT_AVAILABLE: 9,
  MESSAGE_TOO_LARGE: 10,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  TOPIC_AUTHORIZATION_FAILED: 29,
  GROUP_AUTHORIZATION_FAILED: 30,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  TOPIC_ALREADY_EXISTS: 36,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  INVALID_TRANSACTION_TIMEOUT: 50,
  CONCURRENT_TRANSACTIONS: 51,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 53,
  KAFKA_STORAGE_ERROR: 56,
  UNKNOWN_PRODUCER_ID: 59,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  INVALID_RECORD: 87,
  PRODUCER_FENCED: 90,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
} as const

/** The library's names of the codes that mean something else than "try again". */
const byApiId: Readonly<Record<string, ErrorName>> = {
  SASL_AUTHENTICATION_FAILED: 'AUTH_FAILED',
  UNSUPPORTED_SASL_MECHANISM: 'AUTH_FAILED',
  ILLEGAL_SASL_STATE: 'AUTH_FAILED',
  TOPIC_AUTHORIZATION_FAILED: 'PRIVILEGE_MISSING',
  GROUP_AUTHORIZATION_FAILED: 'PRIVILEGE_MISSING',
  CLUSTER_AUTHORIZATION_FAILED: 'PRIVILEGE_MISSING',
  UNSUPPORTED_VERSION: 'SERVER_UNSUITABLE',
}

/** TLS failures have no common code; these are the beginnings of Node's and OpenSSL's. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/

/** A handshake that was cut off is a network failure, not a wrong certificate. */
const NETWORK_CODE =
  /^(ECONN|EHOST|ENET|EPIPE|ENOTFOUND|EAI_|ETIMEDOUT|EADDR|ERR_STREAM|ERR_SOCKET|PLT_KFK_NETWORK)/

/**
 * @param doing  what was tried, lowercase: `cannot connect to 10.0.0.1:9092`
 * @returns the error to throw; one that already is ours is returned as it is
 */
export function failureOf(doing: string, cause: unknown): PipelineError {
  const all = treeOf(cause)
  const own = all.find((error) => error instanceof PipelineError)
  if (own instanceof PipelineError) return own
  const { name, said } = nameOf(all as Foreign[])
  return new PipelineError(name, `${doing}: ${lowered(said)}`, { cause })
}

type Foreign = Error & {
  readonly code?: unknown
  readonly apiId?: unknown
  readonly serverErrorMessage?: unknown
}

/** The error with all that it was caused by, outermost first. */
function treeOf(error: unknown): unknown[] {
  if (!(error instanceof Error)) return []
  const inner = [error.cause, ...((error as AggregateError).errors ?? [])]
  return [error, ...inner.flatMap(treeOf)]
}

function nameOf(all: readonly Foreign[]): { readonly name: ErrorName; readonly said: string } {
  const text = ({ message, serverErrorMessage }: Foreign): string =>
    typeof serverErrorMessage === 'string' ? serverErrorMessage : message
  const code = ({ code }: Foreign): string => (typeof code === 'string' ? code : '')
  for (const error of all) {
    const known = byApiId[String(error.apiId)]
    if (known !== undefined) return { name: known, said: text(error) }
  }
  const secured = all.find((error) => TLS_CODE.test(code(error)))
  if (secured !== undefined) return { name: 'TLS_FAILED', said: text(secured) }
  const socket = all.findLast((error) => NETWORK_CODE.test(code(error)))
  if (socket !== undefined) return { name: 'CONNECT_FAILED', said: text(socket) }
  const outer = all.find((error) => code(error) !== '')
  const said = outer === undefined ? (all[0]?.message ?? 'no reason is known') : text(outer)
  const by: Readonly<Record<string, ErrorName>> = {
    PLT_KFK_AUTHENTICATION: 'AUTH_FAILED',
    // What the library says of a broker that answers in TLS to plain bytes.
    PLT_KFK_USER: 'TLS_FAILED',
    PLT_KFK_RESPONSE: 'CONNECT_FAILED',
    PLT_KFK_PROTOCOL: 'CONNECT_FAILED',
  }
  return { name: by[outer === undefined ? '' : code(outer)] ?? 'INTERNAL', said }
}

function lowered(message: string): string {
  const text = message.trim().replace(/\.$/, '')
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text
}
