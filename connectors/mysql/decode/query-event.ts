// QUERY_EVENT: a statement as text, with what of its session decides how the text is to be read.
// Source: MySQL 9.7 libs/mysql/binlog/event/statement_events.h (class Query_event).

import { decodeText } from './charset.ts'
import { charsetOfCollation } from './collation.ts'
import { inflateEvent } from './compressed.ts'
import { copyOf, type Cursor } from './cursor.ts'
import type { EventHeader, QueryEvent, RawText } from './events.ts'

/** Codes of status variables; ascending in the event, so a reader stops at one it does not know. */
const Status = {
  flags2: 0,
  sqlMode: 1,
  catalog: 2,
  autoIncrement: 3,
  charset: 4,
  timeZone: 5,
  catalogNz: 6,
  lcTimeNames: 7,
  databaseCharset: 8,
  tableMapForUpdate: 9,
  masterDataWritten: 10,
  invoker: 11,
  updatedDatabases: 12,
  microseconds: 13,
  explicitTimestamps: 16,
} as const

const ANSI_QUOTES = 0x4
const NO_BACKSLASH_ESCAPES = 0x10_0000
/** STRICT_TRANS_TABLES or STRICT_ALL_TABLES. */
const STRICT = 0x60_0000
const NO_AUTO_VALUE_ON_ZERO = 0x8_0000
const PAD_CHAR_TO_FULL_LENGTH = 0x8000_0000
/** MariaDB has explicit_defaults_for_timestamp among the flags, since it is one of the session. */
const EXPLICIT_TIMESTAMPS = 0x100_0000
const TOO_MANY_DATABASES = 254
/** File id, place of the file name, handling of duplicates. */
const LOAD_BYTES = 13

interface Session {
  sqlMode: number
  charset: string
  databaseCharset: string | null
  serverCharset: string | null
  microseconds: number
  explicitTimestamps: boolean | null
}

/**
 * @param form  `compressed`: MariaDB's QUERY_COMPRESSED_EVENT; `load`: EXECUTE_LOAD_QUERY_EVENT,
 *              whose text is the LOAD DATA statement
 */
export function readQuery(
  header: EventHeader,
  cursor: Cursor,
  form: 'plain' | 'compressed' | 'load',
): QueryEvent {
  cursor.skip(8)
  const databaseLength = cursor.u8()
  const errorCode = cursor.u16()
  const statusLength = cursor.u16()
  if (form === 'load') cursor.skip(LOAD_BYTES)
  const status = cursor.skip(statusLength)
  if (form === 'plain' && isBegin(cursor, databaseLength)) return { ...header, ...BEGIN }
  const session = readSession(cursor.within(status, status + statusLength))
  const database = cursor.text(databaseLength)
  cursor.skip(1)
  const text = readText(cursor, form === 'compressed', session.charset)
  const { sqlMode, databaseCharset, serverCharset, microseconds, explicitTimestamps } = session
  return {
    ...header,
    kind: 'query',
    database,
    ...text,
    ansiQuotes: (sqlMode & ANSI_QUOTES) !== 0,
    noBackslashEscapes: (sqlMode & NO_BACKSLASH_ESCAPES) !== 0,
    strict: (sqlMode & STRICT) !== 0,
    keepsZero: (sqlMode & NO_AUTO_VALUE_ON_ZERO) !== 0,
    padsChar: (sqlMode & PAD_CHAR_TO_FULL_LENGTH) !== 0,
    explicitTimestamps,
    databaseCharset,
    serverCharset,
    microseconds,
    errorCode,
  }
}

/** What most transactions begin with; the session says nothing about it. */
const BEGIN = {
  kind: 'query',
  database: '',
  text: 'BEGIN',
  ansiQuotes: false,
  noBackslashEscapes: false,
  strict: false,
  keepsZero: false,
  padsChar: false,
  explicitTimestamps: null,
  databaseCharset: null,
  serverCharset: null,
  microseconds: 0,
  errorCode: 0,
} as const

function isBegin({ view, bytes, at, end }: Cursor, databaseLength: number): boolean {
  const start = at + databaseLength + 1
  return end - start === 5 && view.getInt32(start) === 0x42454749 && bytes[start + 4] === 0x4e
}

function readText(
  cursor: Cursor,
  compressed: boolean,
  charset: string,
): { text: string; raw?: RawText } {
  let { bytes, at, end } = cursor
  if (compressed) {
    bytes = inflateEvent(bytes, at, end)
    at = 0
    end = bytes.length
  }
  // Some statements come with the terminator of the C string that they were.
  while (end > at && bytes[end - 1] === 0) end--
  const text = decodeText(charset, bytes, at, end)
  if (text !== null) return { text }
  const read = decodeText('latin1', bytes, at, end) ?? ''
  if (isAscii(bytes, at, end)) return { text: read }
  return { text: read, raw: { charset, bytes: copyOf(bytes, at, end) } }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (bytes[index]! >= 0x80) return false
  return true
}

function readSession(status: Cursor): Session {
  const session: Session = {
    sqlMode: 0,
    charset: 'utf8mb4',
    databaseCharset: null,
    serverCharset: null,
    microseconds: 0,
    explicitTimestamps: null,
  }
  while (status.left > 0) {
    if (!readStatus(status.u8(), status, session)) break
  }
  return session
}

function readStatus(code: number, status: Cursor, session: Session): boolean {
  switch (code) {
    case Status.flags2:
      // Unset it says nothing: servers that do not know the flag leave it so.
      if ((status.u32() & EXPLICIT_TIMESTAMPS) !== 0) session.explicitTimestamps = true
      return true
    case Status.autoIncrement:
    case Status.masterDataWritten:
      status.skip(4)
      return true
    case Status.sqlMode:
      session.sqlMode = status.u32()
      status.skip(4)
      return true
    case Status.catalog:
      status.skip(status.u8() + 1)
      return true
    case Status.charset: {
      const client = status.u16()
      session.charset = charsetOfCollation(client) ?? `collation ${client}`
      status.skip(2)
      session.serverCharset = charsetOfCollation(status.u16())
      return true
    }
    case Status.timeZone:
    case Status.catalogNz:
      status.skip(status.u8())
      return true
    case Status.lcTimeNames:
      status.skip(2)
      return true
    case Status.databaseCharset:
      session.databaseCharset = charsetOfCollation(status.u16())
      return true
    case Status.tableMapForUpdate:
      status.skip(8)
      return true
    case Status.invoker:
      status.skip(status.u8())
      status.skip(status.u8())
      return true
    case Status.updatedDatabases: {
      const named = status.u8()
      const count = named === TOO_MANY_DATABASES ? 0 : named
      for (let left = count; left > 0; left--) status.zeroText()
      return true
    }
    case Status.microseconds:
      session.microseconds = status.uint(3)
      return true
    case Status.explicitTimestamps:
      // MySQL writes it with statements that have a TIMESTAMP, where it decides something.
      session.explicitTimestamps = status.u8() !== 0
      return true
    default:
      return false
  }
}
