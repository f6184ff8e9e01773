// Who the server is, how its log is laid out, and the life of the replication slot. A slot is made
// once, before the first backfill; that it is gone, or ahead of us, is named before any row flows.

import { PipelineError } from '../../runtime/base/errors.ts'
import { quoteText, sqlStateOf } from './connect.ts'
import type { Ask } from './catalog.ts'
import { formatLsn, parseLsn, type Lsn } from './lsn.ts'

export interface ServerFacts {
  /** As server_version_num: 180004. */
  readonly version: number
  readonly databaseOid: string
  readonly walLevel: string
  readonly standby: boolean
  /** 0: none. */
  readonly walSenderTimeoutMs: number
  readonly walWriterDelayMs: number
  readonly walPageBytes: number
  readonly walSegmentBytes: number
  readonly encoding: string
}

export const VERSION_MIN = 140_000
/** One above the last major version that was tried. */
export const VERSION_END = 190_000

const FACTS_SQL = `
SELECT current_setting('server_version_num')::int AS version, d.oid::text AS database,
  current_setting('wal_level') AS level, pg_is_in_recovery() AS standby,
  (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS sender,
  (SELECT setting::int FROM pg_settings WHERE name = 'wal_writer_delay') AS writer,
  current_setting('wal_block_size')::int AS page,
  pg_size_bytes(current_setting('wal_segment_size'))::int8::text AS segment,
  current_setting('server_encoding') AS encoding
FROM pg_database d WHERE d.datname = current_database()`

export async function readServerFacts(ask: Ask): Promise<ServerFacts> {
  const [row] = await ask(FACTS_SQL)
  return {
    version: Number(row?.['version']),
    databaseOid: String(row?.['database']),
    walLevel: String(row?.['level']),
    standby: row?.['standby'] === true,
    walSenderTimeoutMs: Number(row?.['sender']),
    walWriterDelayMs: Number(row?.['writer']),
    walPageBytes: Number(row?.['page']),
    walSegmentBytes: Number(row?.['segment']),
    encoding: String(row?.['encoding']),
  }
}

/** @throws PipelineError SERVER_UNSUITABLE */
export function requireSuitable(facts: ServerFacts): void {
  const reason = unsuitable(facts)
  if (reason !== null) throw new PipelineError('SERVER_UNSUITABLE', reason)
}

function unsuitable({ version, walLevel, standby, encoding }: ServerFacts): string | null {
  const major = Math.floor(version / 10_000)
  if (version < VERSION_MIN || version >= VERSION_END) {
    return `PostgreSQL ${major} is not supported: 14 to 18 are`
  }
  if (standby) return 'the server is a standby: connect to the primary'
  if (walLevel !== 'logical') return `wal_level is ${walLevel}, not logical`
  if (encoding === 'SQL_ASCII') return 'a database of encoding SQL_ASCII has no readable text'
  return null
}

export interface Slot {
  readonly plugin: string
  readonly database: string
  /** Of the database of this session; its name may look different from another one. */
  readonly own: boolean
  readonly active: boolean
  /** When its reader last gave a sign of life, if that is ours to see. */
  readonly reply: string | null
  /** Changes before it are no longer sent. */
  readonly confirmed: Lsn
  /** Why the slot can no longer be read; `null`: it can. */
  readonly lost: string | null
}

/** @returns the slot; `null` when there is none of this name */
export async function readSlot(ask: Ask, name: string): Promise<Slot | null> {
  const [row] = await ask(
    `SELECT plugin, database, database = current_database() AS own, active,
       confirmed_flush_lsn::text AS confirmed, wal_status AS status,
       to_jsonb(s) ->> 'invalidation_reason' AS reason,
       (SELECT r.reply_time::text FROM pg_stat_replication r WHERE r.pid = active_pid) AS reply
     FROM pg_replication_slots s WHERE slot_name = $1`,
    [name],
  )
  if (row === undefined) return null
  const confirmed = row['confirmed']
  const lost = row['status'] === 'lost' ? whyLost(row['reason']) : null
  return {
    plugin: String(row['plugin']),
    database: String(row['database']),
    own: row['own'] === true,
    active: row['active'] === true,
    reply: typeof row['reply'] === 'string' ? row['reply'] : null,
    confirmed: typeof confirmed === 'string' ? parseLsn(confirmed) : 0,
    lost: typeof confirmed === 'string' ? lost : 'it is not a logical slot',
  }
}

/** @param reason  as the server names it since version 17 */
function whyLost(reason: unknown): string {
  switch (reason) {
    case 'idle_timeout':
      return 'nobody had read from it for longer than idle_replication_slot_timeout'
    case 'rows_removed':
      return 'the server removed catalog rows that it still needed'
    case 'wal_level_insufficient':
      return 'wal_level of the server was too low for a time'
    default:
      return 'the server removed log that it still needed'
  }
}

/**
 * Creates the slot; waits for transactions that are open now.
 *
 * @returns where its log begins
 * @throws PipelineError PRIVILEGE_MISSING, SERVER_UNSUITABLE when no slot is free
 */
export async function createSlot(ask: Ask, name: string): Promise<Lsn> {
  const sql = `SELECT lsn::text AS lsn FROM pg_create_logical_replication_slot($1, 'pgoutput')`
  const [row] = await ask(sql, [name], true)
  return parseLsn(String(row?.['lsn']))
}

/**
 * A slot that is ahead of us has let go of changes that we have not seen, and the server accepts
 * an older start position without a word: so this is asked before every start of the stream.
 *
 * @throws PipelineError SLOT_MISSING, LOG_GAP
 */
export function requireSlotAt(slot: Slot | null, name: string, ours: Lsn): asserts slot is Slot {
  if (slot === null) {
    throw new PipelineError('SLOT_MISSING', `replication slot "${name}" no longer exists`)
  }
  if (slot.lost !== null) {
    const message = `replication slot "${name}" was invalidated: ${slot.lost}`
    throw new PipelineError('SLOT_MISSING', message)
  }
  if (slot.confirmed > ours) {
    throw new PipelineError('LOG_GAP', `replication slot "${name}" is ahead of the checkpoint`, {
      detail:
        `The slot has released everything before ${formatLsn(slot.confirmed)}; ` +
        `the checkpoint ends at ${formatLsn(ours)}.`,
    })
  }
}

/** Translates what the server says to START_REPLICATION. */
export function startFailure(code: string, message: string, slot: string): PipelineError {
  if (code === '55006') {
    return new PipelineError('SLOT_IN_USE', `replication slot "${slot}" is in use: ${message}`)
  }
  if (code === '42704' && message.includes('replication slot')) {
    return new PipelineError('SLOT_MISSING', `replication slot "${slot}" no longer exists`)
  }
  if (code === '55000') {
    const what = `replication slot "${slot}" cannot be read`
    return new PipelineError('SLOT_MISSING', `${what}: ${message}`)
  }
  if (code === '42704') {
    return new PipelineError('LOG_GAP', `the log cannot be read: ${message}`, {
      detail: 'The publication did not exist when the next transaction of the log was written.',
    })
  }
  if (code === '42501' || code === '28000') {
    return new PipelineError('PRIVILEGE_MISSING', `the log cannot be read: ${message}`)
  }
  const ended = `the server ended the stream: ${message} (${code})`
  // undefined_file: a segment of the log is gone that the slot still needed.
  if (code === '58P01') return new PipelineError('SLOT_MISSING', ended)
  const broken = code.startsWith('57') || code.startsWith('08') || code.startsWith('53')
  if (broken) return new PipelineError('CONNECT_FAILED', ended)
  // internal_error, data_corrupted, system_error: "could not map filenumber ... to relation OID".
  const internal = code.startsWith('XX') || code.startsWith('58')
  return new PipelineError(internal ? 'LOG_UNDECODABLE' : 'SERVER_UNSUITABLE', ended)
}

/** Drops the slot when it is there. @returns true when it was */
export async function dropSlot(ask: Ask, name: string): Promise<boolean> {
  try {
    const rows = await ask(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE slot_name = ${quoteText(name)} AND database = current_database()`,
    )
    return rows.length > 0
  } catch (error) {
    if (sqlStateOf(error) === '42704') return false
    throw error
  }
}
