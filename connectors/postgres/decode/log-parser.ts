// Parses the replication stream: CopyData frames, their XLogData and keepalives, and the messages
// of pgoutput, protocol version 1. Rows go straight into builders; everything that needs the
// catalog, the runtime or a decision stops the parser, which then stands before that message or
// behind it. Source: https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html

import { PipelineError } from '../../../runtime/base/errors.ts'
import { BATCH_ROWS_MAX, Op } from '../../../runtime/data/batch.ts'
import type { ChangeBatch } from '../../../runtime/data/batch.ts'
import type { LogTable } from '../log-table.ts'
import type { Lsn } from '../lsn.ts'
import { readRelation, type Relation } from '../relation.ts'
import { startFailure } from '../server.ts'
import type { DeliveredCommits } from '../snapshot.ts'
import { Message, MESSAGE_HEADER, readServerError, utf8, type Wire } from '../wire.ts'
import { NULL_LENGTH } from './generate.ts'
import { int64, lsnAt, uint32 } from './log-integers.ts'
import {
  columnAt,
  emptyTuple,
  fillUnchanged,
  hasNullKey,
  hasUnchangedKey,
  sameValues,
  scanTuple,
  type Tuple,
} from './tuple.ts'
import { UnrepresentableValue } from './unrepresentable.ts'

/** Why the parser stopped. */
export const Stop = {
  /** All whole messages are read. */
  bytes: 0,
  /** A transaction ended, and `commitWanted`. Behind its Commit. */
  commit: 1,
  /** `relation` was announced. Behind it. */
  relation: 2,
  /** `truncated` tables. Behind the message. */
  truncate: 3,
  /** A transaction that commits at or after `turn` begins. Before it. */
  turn: 4,
  /** A row of `table` cannot be decoded: `reason`. Before it. */
  unreadable: 5,
  /** A row of `table` has null in a required column, `column`. Before it. */
  null: 6,
  /** `ready` has batches. Behind the last row. */
  batch: 7,
  /** A table is not open for rows. Before the row; `table`. */
  open: 8,
  /** The log ends behind `end` for now, outside a transaction. Behind a keepalive. */
  idle: 9,
} as const
export type Stop = (typeof Stop)[keyof typeof Stop]

const XLOG_DATA = 0x77
const KEEPALIVE = 0x6b
/** XLogData: its letter, start and end of the log, and the server's time. */
const XLOG_HEADER = 25
const NEW_TUPLE = 0x4e
const OLD_KEY = 0x4b
const OLD_ROW = 0x4f

/** Why a row cannot be read; `no key`: the old row in the log does not tell which row it was. */
type Unreadable = UnrepresentableValue | 'toasted key' | 'no key'

/** What a transaction has done to a table, or since it emptied it last. */
export interface RowCount {
  inserted: number
  updated: number
  deleted: number
  readonly emptied: boolean
}

export class LogParser {
  /** Tables that were announced in this session; `null`: not ours. */
  readonly tables = new Map<number, LogTable | null>()
  /** Batches that became full. */
  readonly ready: ChangeBatch[] = []
  /** Everything that commits before this place has been parsed. */
  end: Lsn
  inTransaction = false
  /** Commit time of the last transaction, or the server's time on an idle log; us since 2000. */
  time2000Us = 0
  /** The latest that `time2000Us` has ever been. */
  latest2000Us: number
  /** Stops before a transaction that commits here or later. */
  turn = Number.POSITIVE_INFINITY
  /** Stops at the end of a transaction. */
  commitWanted = false
  /** A stop's particulars. */
  relation: Relation | null = null
  truncated: LogTable[] = []
  table: LogTable | null = null
  reason: Unreadable | null = null
  column = 0
  /** Text of the key of the row that cannot be read. */
  reasonKey = ''
  /** Rows that ever went into a batch. */
  rowsPut = 0
  /** The server waits for a reply. */
  replyWanted = false
  /** Number of the next row of the transaction. */
  sequence = 0
  /** What the transaction has done to partitioned tables so far, by oid. */
  readonly counts = new Map<number, RowCount>()
  /** The catalog is to be compared with `counts`: stops at the end of this transaction. */
  countsWanted = false
  /** The message just before a Relation announced this table; -1: it announced none. */
  announcedBefore = -1
  private announcedLast = -1
  readonly stamp = { serial: 0, lsn: 0, time2000Us: 0, latest2000Us: 0, xid: 0 }
  private readonly delivered: DeliveredCommits
  private readonly slot: string
  private readonly row: Tuple = emptyTuple()
  private readonly old: Tuple = emptyTuple()
  private lastOid = -1
  private lastTable: LogTable | null = null

  /** @param latest2000Us  of the log before `end` */
  constructor(end: Lsn, slot: string, delivered: DeliveredCommits, latest2000Us = 0) {
    this.end = end
    this.latest2000Us = latest2000Us
    this.slot = slot
    this.delivered = delivered
  }

  /** Leaves a transaction of which no row was read. @returns false when one was */
  abandon(): boolean {
    if (this.inTransaction && this.sequence > 0) return false
    this.inTransaction = false
    return true
  }

  /** Forgets what a new session announces again. */
  restart(): void {
    this.tables.clear()
    this.lastOid = -1
    this.lastTable = null
  }

  /** Puts a table in, as its Relation announced it. */
  announce(oid: number, table: LogTable | null): void {
    this.tables.set(oid, table)
    this.lastOid = -1
  }

  /** Reads on until something stops it. */
  step(wire: Wire): Stop {
    for (;;) {
      const { bytes, start, end } = wire
      if (end - start < MESSAGE_HEADER) return Stop.bytes
      const length = uint32(bytes, start + 1)
      if (end - start <= length) {
        wire.expect(length + 1)
        return Stop.bytes
      }
      const next = start + 1 + length
      let stop: Stop = Stop.bytes
      if (this.rows(wire)) {
        if (this.ready.length > 0) return Stop.batch
        continue
      }
      if (bytes[start] !== Message.copyData) this.protocolMessage(bytes, start, next)
      else if (bytes[start + MESSAGE_HEADER] === XLOG_DATA) {
        stop = this.message(bytes, start + MESSAGE_HEADER + XLOG_HEADER, next)
      } else stop = this.keepalive(bytes, start + MESSAGE_HEADER)
      if (stop < Stop.turn || stop === Stop.batch || stop === Stop.idle) wire.start = next
      if (stop !== Stop.bytes) return stop
    }
  }

  /**
   * Decodes the rows at the start of the window, as many of one table as follow each other.
   *
   * @returns false when there are none that can be decoded like that
   */
  private rows(wire: Wire): boolean {
    const { bytes, start } = wire
    if (!hasRow(bytes, start)) return false
    const oid = uint32(bytes, start + MESSAGE_HEADER + XLOG_HEADER + 1)
    const table = oid === this.lastOid ? this.lastTable : this.tables.get(oid)
    const batch = table?.batch ?? null
    const decode = table?.decodeRows ?? null
    if (batch === null || decode === null) return false
    const count = batch.decodeRows(decode, wire, oid, this.stamp, this.sequence)
    this.sequence += count
    this.rowsPut += count
    this.announcedLast = -1
    if (table?.shape.kind === 'p') {
      for (let at = batch.rows - count; at < batch.rows; at++) this.count(table, batch.opAt(at))
    }
    if (batch.full) this.ready.push(batch.take())
    return count > 0
  }

  private protocolMessage(bytes: Uint8Array, start: number, next: number): void {
    switch (bytes[start]) {
      case Message.errorResponse: {
        const { code, message } = readServerError(bytes, start + MESSAGE_HEADER, next)
        throw startFailure(code, message, this.slot)
      }
      case Message.copyDone:
      case Message.commandComplete:
        throw new PipelineError('CONNECT_FAILED', 'the server ended the stream')
      case Message.noticeResponse:
      case Message.parameterStatus:
        return
      default:
        throw unknown(`message of type ${bytes[start]}`)
    }
  }

  /** Letter, end of the log, server's time, reply wanted. */
  private keepalive(bytes: Uint8Array, at: number): Stop {
    if (bytes[at] !== KEEPALIVE) throw unknown(`frame of type ${bytes[at]}`)
    if (bytes[at + 17] === 1) this.replyWanted = true
    if (this.inTransaction) return Stop.bytes
    const end = lsnAt(bytes, at + 1)
    this.time2000Us = int64(bytes, at + 9)
    this.latest2000Us = Math.max(this.latest2000Us, this.time2000Us)
    if (end <= this.end) return Stop.bytes
    this.end = end
    return Stop.idle
  }

  private message(bytes: Uint8Array, at: number, end: number): Stop {
    // A type that has a name of its own is told between two relations.
    if (bytes[at] !== 0x52 && bytes[at] !== 0x59) this.announcedLast = -1
    switch (bytes[at]) {
      case 0x49: // I
        return this.insert(bytes, at, end)
      case 0x55: // U
        return this.update(bytes, at, end)
      case 0x44: // D
        return this.delete(bytes, at, end)
      case 0x42: // B
        return this.begin(bytes, at)
      case 0x43: // C
        return this.commit(bytes, at)
      case 0x52: // R
        this.relation = readRelation(bytes, at + 1, end)
        this.announcedBefore = this.announcedLast
        this.announcedLast = this.relation.oid
        return Stop.relation
      case 0x54: // T
        return this.truncate(bytes, at)
      case 0x4f: // Origin: which server the transaction came from.
      case 0x59: // Type: a name for a type that the next Relation uses; the catalog has it too.
      case 0x4d: // Message of pg_logical_emit_message.
      case 0x41: // Stream Abort: unasked, 18 tells of savepoints that end with their transaction.
        return Stop.bytes
      default:
        throw unknown(`pgoutput message of type ${bytes[at]}`)
    }
  }

  /** Begin: place of the commit record, commit time, transaction id. */
  private begin(bytes: Uint8Array, at: number): Stop {
    const lsn = lsnAt(bytes, at + 1)
    if (lsn >= this.turn) return Stop.turn
    const { stamp } = this
    stamp.serial++
    stamp.lsn = lsn
    stamp.time2000Us = int64(bytes, at + 9)
    stamp.latest2000Us = Math.max(this.latest2000Us, stamp.time2000Us)
    stamp.xid = uint32(bytes, at + 17)
    this.sequence = 0
    if (this.counts.size > 0) this.counts.clear()
    this.countsWanted = false
    this.inTransaction = true
    return Stop.bytes
  }

  /** Commit: flags, place of the commit record, place behind the transaction, commit time. */
  private commit(bytes: Uint8Array, at: number): Stop {
    const { stamp } = this
    this.delivered.add(stamp.xid, stamp.lsn)
    this.end = lsnAt(bytes, at + 10)
    this.time2000Us = Math.max(this.time2000Us, stamp.time2000Us)
    this.latest2000Us = stamp.latest2000Us
    this.inTransaction = false
    return this.commitWanted || this.countsWanted ? Stop.commit : Stop.bytes
  }

  /** Truncate: count of tables, flags, oids. */
  private truncate(bytes: Uint8Array, at: number): Stop {
    const count = uint32(bytes, at + 1)
    this.truncated = []
    for (let index = 0; index < count; index++) {
      const table = this.tableOf(uint32(bytes, at + 6 + 4 * index))
      if (table === null) continue
      this.truncated.push(table)
      if (table.shape.kind === 'p') this.empty(table.shape.oid)
    }
    return this.truncated.length === 0 ? Stop.bytes : Stop.truncate
  }

  private empty(oid: number): void {
    this.counts.set(oid, { inserted: 0, updated: 0, deleted: 0, emptied: true })
    this.countsWanted = true
  }

  /** Partitions are emptied without a word: then the catalog is asked for the rows that came. */
  private count(table: LogTable, op: Op): void {
    const { oid } = table.shape
    let count = this.counts.get(oid)
    if (count === undefined) {
      count = { inserted: 0, updated: 0, deleted: 0, emptied: false }
      this.counts.set(oid, count)
    }
    if (op === Op.insert) count.inserted++
    else if (op === Op.delete) count.deleted++
    else count.updated++
  }

  private tableOf(oid: number): LogTable | null {
    if (oid === this.lastOid) return this.lastTable
    const table = this.tables.get(oid)
    if (table === undefined) {
      throw new PipelineError('LOG_CORRUPT', `the log has rows of table ${oid} before its relation`)
    }
    this.lastOid = oid
    this.lastTable = table
    return table
  }

  /** Skips a row of a table that is not ours or parked. @returns true when it did */
  private skips(table: LogTable | null, op: Op): table is null {
    if (table !== null && table.schema !== null) return false
    if (table !== null) {
      table.parkedRows++
      if (table.shape.kind === 'p') this.count(table, op)
    }
    this.sequence++
    return true
  }

  private insert(bytes: Uint8Array, at: number, end: number): Stop {
    const table = this.tableOf(uint32(bytes, at + 1))
    if (this.skips(table, Op.insert)) return Stop.bytes
    this.scan(this.row, bytes, at + 6, end)
    return this.put(table, bytes, this.row, Op.insert, end - at)
  }

  private update(bytes: Uint8Array, at: number, end: number): Stop {
    const table = this.tableOf(uint32(bytes, at + 1))
    if (this.skips(table, Op.update)) return Stop.bytes
    const { row, old } = this
    const kind = bytes[at + 5]
    if (kind === NEW_TUPLE) {
      this.scan(row, bytes, at + 6, end)
      // Without an old tuple the key is as it was, and a large key value is left out like any
      // other.
      if (hasUnchangedKey(row, table.keyColumns)) return this.unreadable(table, 'toasted key')
      return this.put(table, bytes, row, Op.update, end - at)
    }
    if (kind !== OLD_KEY && kind !== OLD_ROW) throw unknown(`update with tuple ${kind}`)
    const next = scanTuple(old, bytes, at + 6)
    if (bytes[next] !== NEW_TUPLE) throw unknown(`update with tuple ${bytes[next]}`)
    this.scan(row, bytes, next + 1, end)
    fillUnchanged(row, old)
    const { keyColumns } = table
    if (hasUnchangedKey(row, keyColumns)) return this.unreadable(table, 'toasted key')
    const isKeyed = keyColumns.length > 0
    if (isKeyed && sameValues(bytes, old, row, keyColumns)) {
      if (kind === OLD_ROW && table.oldRows) return this.putBoth(table, bytes, end - at)
      return this.put(table, bytes, row, Op.update, end - at)
    }
    if (hasNullKey(old, keyColumns)) return this.unreadable(table, 'no key')
    // The row leaves its key: what it was ends, what it is begins, in one transaction. Without a
    // key only the old row says which one it was.
    const stop = this.check(table, row)
    if (stop !== Stop.bytes) return stop
    const removed = this.put(table, bytes, old, Op.delete, next - at)
    if (removed !== Stop.bytes && removed !== Stop.batch) return removed
    const added = this.put(table, bytes, row, isKeyed ? Op.insert : Op.update, end - next)
    // The delete cannot be taken back, but a table whose row is unreadable takes no more rows.
    return added === Stop.bytes ? removed : added
  }

  /** An update and the row that it replaced, which must not come apart. */
  private putBoth(table: LogTable, bytes: Uint8Array, size: number): Stop {
    const { batch } = table
    const isTaken = batch !== null && batch.rows + 2 > BATCH_ROWS_MAX
    if (isTaken) this.ready.push(batch.take())
    const updated = this.put(table, bytes, this.row, Op.update, size, true)
    if (updated !== Stop.bytes) return updated
    const replaced = this.put(table, bytes, this.old, Op.before, 0)
    if (replaced === Stop.unreadable) {
      batch?.forgetRow()
      this.sequence--
    }
    return isTaken && replaced === Stop.bytes ? Stop.batch : replaced
  }

  private delete(bytes: Uint8Array, at: number, end: number): Stop {
    const table = this.tableOf(uint32(bytes, at + 1))
    if (this.skips(table, Op.delete)) return Stop.bytes
    const kind = bytes[at + 5]
    if (kind !== OLD_KEY && kind !== OLD_ROW) throw unknown(`delete with tuple ${kind}`)
    this.scan(this.old, bytes, at + 6, end)
    if (hasNullKey(this.old, table.keyColumns)) return this.unreadable(table, 'no key')
    return this.put(table, bytes, this.old, Op.delete, end - at)
  }

  private scan(tuple: Tuple, bytes: Uint8Array, at: number, end: number): void {
    if (scanTuple(tuple, bytes, at) !== end) {
      throw new PipelineError('LOG_CORRUPT', 'a row does not end where its message ends')
    }
  }

  /** @returns a stop before the row when it has no value where one is required */
  private check(table: LogTable, tuple: Tuple): Stop {
    const { requiredColumns } = table
    for (let index = 0; index < requiredColumns.length; index++) {
      if (tuple.lengths[requiredColumns[index]!] !== NULL_LENGTH) continue
      this.table = table
      this.column = requiredColumns[index]!
      return Stop.null
    }
    return Stop.bytes
  }

  /** @param more  a row follows that belongs to this one: the batch is not taken between them */
  private put(
    table: LogTable,
    bytes: Uint8Array,
    tuple: Tuple,
    op: Op,
    size: number,
    more = false,
  ): Stop {
    const { batch, decode } = table
    if (batch === null || decode === null) {
      this.table = table
      return Stop.open
    }
    if (tuple.columns !== table.shape.columns.length) {
      throw new PipelineError('LOG_CORRUPT', `a row of "${table.key}" does not fit its relation`)
    }
    if (op !== Op.delete && op !== Op.before) {
      const stop = this.check(table, tuple)
      if (stop !== Stop.bytes) return stop
    }
    batch.reserveRow()
    try {
      decode(bytes, tuple.starts, tuple.lengths, batch.rows)
    } catch (error) {
      if (!(error instanceof UnrepresentableValue)) throw error
      this.column = columnAt(tuple, error.at)
      this.reasonKey = keyOf(bytes, tuple, table.keyColumns)
      return this.unreadable(table, error)
    }
    this.rowsPut++
    batch.bytes += size
    if (op === Op.before) batch.endRow(op, this.stamp, this.sequence - 1)
    else {
      batch.endRow(op, this.stamp, this.sequence++)
      if (table.shape.kind === 'p') this.count(table, op)
    }
    if (!batch.full || more) return Stop.bytes
    this.ready.push(batch.take())
    return Stop.batch
  }

  private unreadable(table: LogTable, reason: Unreadable): Stop {
    this.table = table
    this.reason = reason
    return Stop.unreadable
  }
}

/** @returns true for a frame with an insert, an update without old row, or a delete */
function hasRow(bytes: Uint8Array, start: number): boolean {
  const at = start + MESSAGE_HEADER
  if (bytes[start] !== Message.copyData || bytes[at] !== XLOG_DATA) return false
  const kind = bytes[at + XLOG_HEADER]
  if (kind === 0x44) return true
  return (kind === 0x49 || kind === 0x55) && bytes[at + XLOG_HEADER + 5] === NEW_TUPLE
}

/** The key as the server printed it, for the message. */
function keyOf(bytes: Uint8Array, tuple: Tuple, keyColumns: Int32Array): string {
  const parts = Array.from(keyColumns, (column) => {
    const start = tuple.starts[column]!
    return utf8(bytes, start, start + Math.max(0, tuple.lengths[column]!))
  })
  return parts.length === 0 ? '' : `(${parts.join(', ')})`
}

function unknown(what: string): PipelineError {
  return new PipelineError('LOG_UNKNOWN_EVENT', `the log has an unknown ${what}`)
}
