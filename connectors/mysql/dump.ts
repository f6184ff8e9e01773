// Asks a server for its log from a position on, as a replica does, and watches that it stays alive.
// Source: MySQL 9.7 internals, "Replication Protocol"; MariaDB, "3-Binlog network stream".

import { randomId32, randomUuid } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { MysqlOptions } from './options.ts'
import { atLeast, type ServerFacts } from './server.ts'
import { WireClient, serverError } from './wire/client.ts'
import { openRaw, type ControlConnection } from './wire/connect.ts'
import { connectionLost, failureOf } from './wire/failure.ts'

const COM_BINLOG_DUMP = 0x12
const COM_REGISTER_SLAVE = 0x15
const COM_BINLOG_DUMP_GTID = 0x1e

/** Heartbeats that carry a position of 64 bits; older servers do not look at the flag. */
const USE_HEARTBEAT_V2 = 0x02

/** A new file begins behind its magic number. */
const FIRST_EVENT = 4

/** Signs of life that may be missing before the connection counts as dead. */
const SILENT_HEARTBEATS_MAX = 3
/** So that silence is noticed soon after the third, and not a heartbeat later. */
const LOOKS_PER_HEARTBEAT = 8

/** What the server has been told to leave out, or to start behind. */
export type DumpStart =
  /** Every transaction that is not in the set, in the order of the log. */
  | { readonly kind: 'mysql'; readonly excluded: Uint8Array }
  /** Every group behind the GTID of its domain. */
  | { readonly kind: 'mariadb'; readonly state: string }

/** An open dump: packets of `reader` are events behind one status byte. */
export interface Dump {
  readonly client: WireClient
  /** Stops watching and closes the socket. */
  close(): void
}

/**
 * Opens the dump. The server answers with events, or with an error that `eventError` explains.
 *
 * @throws PipelineError CONNECT_FAILED, AUTH_FAILED, PRIVILEGE_MISSING, ...
 */
export async function openDump(
  options: MysqlOptions,
  serverId: number,
  start: DumpStart,
): Promise<Dump> {
  const connection = await openRaw(options)
  const doing = `cannot read the log of ${options.host}:${options.port}`
  const client = new WireClient(connection, doing, options.clock)
  try {
    await client.query(sessionSql(options, start))
    await register(client, serverId)
    request(client, serverId, start)
  } catch (error) {
    client.reader.close()
    throw error
  }
  let suspicious = false
  const cancel = options.clock.every(options.heartbeatMs / LOOKS_PER_HEARTBEAT, () => {
    if (client.reader.silentMs() <= silentMsMax(options)) {
      suspicious = false
      return
    }
    // When it was we who did not run for so long, the bytes that lie in the socket are received
    // before this is called again.
    if (!suspicious) {
      suspicious = true
      return
    }
    const reason = `the server sent nothing for ${SILENT_HEARTBEATS_MAX} heartbeats`
    client.reader.fail(connectionLost(doing, reason))
    client.socket.destroy()
  })
  return {
    client,
    close: () => {
      cancel()
      client.reader.close()
    },
  }
}

/** The server of a dump is not silent for longer, unless it is dead. */
export function silentMsMax({ heartbeatMs }: MysqlOptions): number {
  return SILENT_HEARTBEATS_MAX * heartbeatMs
}

function sessionSql(options: MysqlOptions, start: DumpStart): string {
  const periodNs = options.heartbeatMs * 1_000_000
  const shared = [
    `@master_heartbeat_period = ${periodNs}`,
    `@source_heartbeat_period = ${periodNs}`,
    // The server may have checksums off; then its events say so.
    "@master_binlog_checksum = 'CRC32'",
    "@source_binlog_checksum = 'CRC32'",
  ]
  const uuid = randomUuid()
  const own =
    start.kind === 'mysql'
      ? [`@slave_uuid = '${uuid}'`, `@replica_uuid = '${uuid}'`]
      : [
          // 4: knows GTIDs; below that the server would rewrite events for an older replica.
          '@mariadb_slave_capability = 4',
          `@slave_connect_state = '${start.state}'`,
          '@slave_gtid_strict_mode = 0',
          '@slave_gtid_ignore_duplicates = 0',
        ]
  return `SET ${[...shared, ...own].join(', ')}`
}

/** Makes the reader visible in SHOW REPLICAS, and its server id known to be taken. */
async function register(client: WireClient, serverId: number): Promise<void> {
  const name = Buffer.from('millrace')
  const payload = Buffer.alloc(4 + 1 + name.length + 1 + 1 + 2 + 4 + 4)
  payload.writeUInt32LE(serverId, 0)
  payload.writeUInt8(name.length, 4)
  name.copy(payload, 5)
  client.command(COM_REGISTER_SLAVE, payload)
  await client.step()
}

function request(client: WireClient, serverId: number, start: DumpStart): void {
  if (start.kind === 'mariadb') {
    const payload = Buffer.alloc(10)
    payload.writeUInt32LE(FIRST_EVENT, 0)
    payload.writeUInt32LE(serverId, 6)
    client.command(COM_BINLOG_DUMP, payload)
    return
  }
  const { excluded } = start
  const payload = Buffer.alloc(2 + 4 + 4 + 8 + 4 + excluded.length)
  payload.writeUInt16LE(USE_HEARTBEAT_V2, 0)
  payload.writeUInt32LE(serverId, 2)
  payload.writeBigUInt64LE(BigInt(FIRST_EVENT), 10)
  payload.writeUInt32LE(excluded.length, 18)
  payload.set(excluded, 22)
  client.command(COM_BINLOG_DUMP_GTID, payload)
}

const ERR = 0xff
const EOF = 0xfe
/**
 * One number for everything that goes wrong while a log is sent; only the text tells them apart.
 */
const ER_SOURCE_FATAL_ERROR_READING_BINLOG = 1236

/** @returns the error that a packet without an event means, `null` for an event */
export function eventError(bytes: Buffer, start: number, end: number): PipelineError | null {
  const status = bytes[start]
  if (status === 0) return null
  if (status === EOF) {
    return new PipelineError('CONNECT_FAILED', 'the server ended the log: it is shutting down')
  }
  if (status !== ERR) {
    return new PipelineError('LOG_CORRUPT', 'a packet of the log has an unknown status')
  }
  const failure = serverError(bytes, start, end)
  if (failure.errno === ER_SOURCE_FATAL_ERROR_READING_BINLOG || failure.errno === 1955) {
    return dumpFailure(failure.message)
  }
  return failureOf('the server stopped sending its log', failure)
}

function dumpFailure(message: string): PipelineError {
  const detail = `The server says: ${message}`
  if (/same server_uuid\/server_id|same server id/i.test(message)) {
    // The newest reader wins; ours has to find another id, which a new attempt does.
    return new PipelineError('CONNECT_FAILED', 'another replica took our server id', { detail })
  }
  if (/purged|too old|Could not find GTID state/i.test(message)) {
    return new PipelineError('LOG_GAP', 'the log that we need has been purged', { detail })
  }
  if (/not in the master's binlog|more GTIDs than the (source|master)/i.test(message)) {
    return new PipelineError('SOURCE_REWOUND', 'the server lacks what we have read', { detail })
  }
  if (/Could not find first log file name|corrupt|checksum|bogus data|truncated/i.test(message)) {
    return new PipelineError('LOG_CORRUPT', 'the server cannot read its own log', { detail })
  }
  return new PipelineError('CONNECT_FAILED', 'the server stopped sending its log', { detail })
}

const PROBES_MAX = 20

/**
 * The id under which we read. Two readers with one id kick each other out without end, so a random
 * one is only taken when nobody has it.
 */
export async function chooseServerId(
  control: ControlConnection,
  facts: ServerFacts,
  options: MysqlOptions,
): Promise<number> {
  if (options.serverId !== null) return options.serverId
  const taken = new Set<number>()
  const own = await control.query('SELECT @@server_id AS id')
  taken.add(Number(own[0]?.['id']))
  const newer = facts.mariadb ? atLeast(facts, 10, 5, 1) : atLeast(facts, 8, 0, 22)
  const hosts = newer && !facts.mariadb ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS'
  for (const row of await askReplicas(control, hosts)) {
    taken.add(Number(row['Server_Id'] ?? row['Server_id']))
  }
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const id = randomId32()
    if (!taken.has(id)) return id
  }
  throw new PipelineError('CONNECT_FAILED', 'found no free replica id')
}

/**
 * MariaDB shows its replicas only to those who may administer them. Without the list a random id of
 * 32 bits is as good as free, and one that is not makes the server end the older stream, which says
 * so.
 */
async function askReplicas(
  control: ControlConnection,
  sql: string,
): ReturnType<ControlConnection['query']> {
  try {
    return await control.query(sql)
  } catch (error) {
    if (error instanceof PipelineError && error.error === 'PRIVILEGE_MISSING') return []
    throw error
  }
}
