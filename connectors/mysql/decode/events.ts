// The events of a binary log as the connector sees them, and their type codes. Every event is one
// of these kinds or stops the pipeline: nothing is dropped because it is unknown.
// Source: MySQL 9.7 libs/mysql/binlog/event, MariaDB 10.11 sql/log_event.h.

/** Type codes, byte 4 of the header. Those of 160 and more are MariaDB's. */
export const EventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  appendBlock: 9,
  deleteFile: 11,
  rand: 13,
  userVar: 14,
  formatDescription: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  annotateRows: 160,
  binlogCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  startEncryption: 164,
  queryCompressed: 165,
  writeRowsCompressedV1: 166,
  updateRowsCompressedV1: 167,
  deleteRowsCompressedV1: 168,
  writeRowsCompressed: 169,
  updateRowsCompressed: 170,
  deleteRowsCompressed: 171,
} as const

/** Flags of the header. */
export const EventFlag = {
  /** The statement means something else in another session: it uses a temporary table, mostly. */
  threadSpecific: 0x4,
  /** Made up by the server for this connection: stands in no file and moves no position. */
  artificial: 0x20,
  /** May be skipped by a reader that does not know it. */
  ignorable: 0x80,
} as const

/** The header of every event, 19 bytes. */
export interface EventHeader {
  /** One of EventType. */
  readonly type: number
  /** Seconds since 1970 on the server's clock, when the statement began. */
  readonly timestampS: number
  readonly serverId: number
  /** Bytes of the event in the log, header and checksum included; 0 inside a payload. */
  readonly size: number
  /**
   * Where the event ends in its file, modulo 2^32: beyond 4 GiB it wraps, so add sizes instead. 0
   * in artificial events.
   */
  readonly endPos: number
  /** Bits of EventFlag. */
  readonly flags: number
}

/** First event of a file, and of each connection. */
export interface FormatDescription extends EventHeader {
  readonly kind: 'format'
  readonly serverVersion: string
  /** When not 0, the server was started with this file: older table ids mean nothing. */
  readonly createdS: number
  readonly checksum: 'none' | 'crc32'
}

/** The log goes on in another file. */
export interface Rotate extends EventHeader {
  readonly kind: 'rotate'
  readonly file: string
  readonly position: bigint
}

/** Opens a transaction of MySQL; the positions of transactions are those of these events. */
export interface GtidEvent extends EventHeader {
  readonly kind: 'gtid'
  /** ANONYMOUS_GTID_EVENT: uuid, tag and gno mean nothing. */
  readonly anonymous: boolean
  /** Lowercase with dashes. */
  readonly uuid: string
  /** `''`: untagged. Lowercase. */
  readonly tag: string
  readonly gno: bigint
  /** Commit time on this server; 0 when the server did not write it (before 8.0.1). */
  readonly commitTimeUs: bigint
  /** Bytes of the whole transaction with this event; 0 when the server did not write it. */
  readonly transactionLength: bigint
}

/** Opens an event group of MariaDB. */
export interface MariadbGtidEvent extends EventHeader {
  readonly kind: 'mariadb-gtid'
  readonly domain: number
  /** Server id of the GTID. */
  readonly server: number
  readonly sequence: bigint
  /** One statement without BEGIN and COMMIT: DDL. */
  readonly standalone: boolean
  readonly ddl: boolean
  /** The group is XA PREPARE: its rows wait for XA COMMIT or ROLLBACK. */
  readonly preparedXa: boolean
  /** The group is XA COMMIT or XA ROLLBACK. */
  readonly completedXa: boolean
  /** Of a prepared or completed XA transaction, as `Statement` of kind `xa` spells it. */
  readonly xid: string | null
  /**
   * `binlog_alter_two_phase`: the same ALTER TABLE comes twice, when it starts and when it ends, and
   * takes effect where it is committed.
   */
  readonly alter: 'start' | 'commit' | 'rollback' | null
}

/** Text as a client sent it. */
export interface RawText {
  readonly charset: string
  readonly bytes: Uint8Array
}

/** A statement as text. Of BEGIN nothing but the text is read. */
export interface QueryEvent extends EventHeader {
  readonly kind: 'query'
  /** Default database, `''` when none. */
  readonly database: string
  readonly text: string
  /** Present where only the server can convert it: `text` is then right up to its ASCII part. */
  readonly raw?: RawText
  readonly ansiQuotes: boolean
  readonly noBackslashEscapes: boolean
  /** Conversions that lose something made the statement fail. */
  readonly strict: boolean
  /** NO_AUTO_VALUE_ON_ZERO. */
  readonly keepsZero: boolean
  /** PAD_CHAR_TO_FULL_LENGTH. */
  readonly padsChar: boolean
  /** explicit_defaults_for_timestamp; `null`: not known. */
  readonly explicitTimestamps: boolean | null
  /** Default charset of `database`, where the server wrote it. */
  readonly databaseCharset: string | null
  /** `character_set_server` of the session: what CREATE DATABASE takes; `null`: not known to us. */
  readonly serverCharset: string | null
  /** Microseconds of the statement's start, 0...999999. */
  readonly microseconds: number
  /** Error that the statement ended with on the server; 0: none. */
  readonly errorCode: number
}

/** Ends a transaction of a transactional engine. */
export interface XidEvent extends EventHeader {
  readonly kind: 'xid'
}

/** Ends the part of an XA transaction that is in the log so far. */
export interface XaPrepareEvent extends EventHeader {
  readonly kind: 'xa-prepare'
  readonly xid: string
  /** XA COMMIT ... ONE PHASE: it is committed. */
  readonly onePhase: boolean
}

/** The rows that follow belong to this table. */
export interface TableMapEvent extends EventHeader {
  readonly kind: 'table-map'
  /** The same object as long as the server repeats the same bytes: decoders hang on it. */
  readonly table: TableMap
}

/** What a column of a row image looks like, and what FULL metadata says about it. */
export interface MapColumn {
  /** MYSQL_TYPE_* as decoded: STRING is resolved to ENUM or SET. */
  readonly type: number
  /** Type-dependent; see table-map.ts. */
  readonly meta: number
  readonly nullable: boolean
  readonly unsigned: boolean
  /** `null` without FULL metadata. */
  readonly name: string | null
  /** Charset of text, enum and set columns, lowercase; `null` for others or when not written. */
  readonly charset: string | null
  /** Labels of enum and set, as UTF-8 text; [] when not written. */
  readonly labels: readonly string[]
  readonly invisible: boolean
}

export interface TableMap {
  readonly id: number
  readonly database: string
  readonly name: string
  readonly columns: readonly MapColumn[]
  /** Column indexes of the primary key (prefix parts included); `null`: none written. */
  readonly primaryKey: readonly number[] | null
  /** True when the event carries FULL metadata (column names). */
  readonly full: boolean
}

export const RowsOp = { insert: 0, update: 1, delete: 2 } as const
export type RowsOp = (typeof RowsOp)[keyof typeof RowsOp]

/** Which columns the row images of an event hold. The same object for the same bitmaps in a row. */
export interface Presence {
  /** By column, 1: the image has it. Of an update: the before image. */
  readonly image: Uint8Array
  /** Of an update: the after image; else `image`. */
  readonly after: Uint8Array
  /** Every column, in both. */
  readonly full: boolean
}

/** Row images of one table; `TableDecoder` reads them. */
export interface RowsEvent extends EventHeader {
  readonly kind: 'rows'
  readonly op: RowsOp
  readonly table: TableMap
  /** Not the caller's bytes when the event was compressed. */
  readonly bytes: Uint8Array
  /** Offset of the first row image in `bytes`, and the end of the last one. */
  readonly start: number
  readonly end: number
  readonly presence: Presence
  /** PARTIAL_UPDATE_ROWS: after images hold differences of JSON documents. */
  readonly partial: boolean
}

/** A compressed transaction; `EventReader.payload` opens it. */
export interface TransactionPayload extends EventHeader {
  readonly kind: 'payload'
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly compressed: boolean
  /** As the header declares it; reading stops beyond. */
  readonly uncompressedSize: number
}

/** Sent when the log is idle. */
export interface HeartbeatEvent extends EventHeader {
  readonly kind: 'heartbeat'
  readonly file: string
  /** End of what the server has sent; heartbeats of version 2 know it beyond 4 GiB. */
  readonly position: bigint
}

/** Sets of transactions that older files hold. */
export interface PreviousGtids extends EventHeader {
  readonly kind: 'previous-gtids'
  /** MySQL: a GTID set. MariaDB: a comma-separated list, the last of a domain being its newest. */
  readonly gtids: string
}

/**
 * Without meaning for a replica of rows, or marked as ignorable. The parts that a statement in text
 * form brings with it (INTVAR, RAND, LOAD DATA's blocks) are here: the statement says enough.
 */
export interface SkippedEvent extends EventHeader {
  readonly kind: 'skipped'
}

export type BinlogEvent =
  | FormatDescription
  | Rotate
  | GtidEvent
  | MariadbGtidEvent
  | QueryEvent
  | XidEvent
  | XaPrepareEvent
  | TableMapEvent
  | RowsEvent
  | TransactionPayload
  | HeartbeatEvent
  | PreviousGtids
  | SkippedEvent
