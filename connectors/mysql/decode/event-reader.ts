// Reads events from their bytes, one call an event, checksum verified. It remembers the table maps
// of the running file and gives the same object for the same bytes, so that decoders can hang on
// it.
// Source: MySQL 9.7 libs/mysql/binlog/event, MariaDB 10.11 sql/log_event.cc.

import { crc32 } from 'node:zlib'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { copyOf, corrupt, Cursor, viewOf } from './cursor.ts'
import { EventFlag, EventType } from './events.ts'
import type { BinlogEvent, EventHeader, FormatDescription } from './events.ts'
import type { HeartbeatEvent, TransactionPayload } from './events.ts'
import { readGtid, readGtidList, readMariadbGtid, readPreviousGtids } from './gtid-event.ts'
import { readTaggedGtid, readXaPrepare } from './gtid-event.ts'
import { payloadEvents, readPayload } from './payload.ts'
import { readQuery } from './query-event.ts'
import { rowsForm } from './rows-event.ts'
import { TableCache } from './table-cache.ts'

export const HEADER_BYTES = 19
const CHECKSUM_BYTES = 4
/** Bit 0 of the flags: the file is being written. Not part of the checksum. */
const IN_USE = 0x01
const FLAGS_OFFSET = 17

export class EventReader {
  private readonly tables: TableCache
  /** `null`: no FORMAT_DESCRIPTION yet, so the first bytes must tell. */
  private checksum: FormatDescription['checksum'] | null = null
  private bytes = new Uint8Array(0)
  private view = viewOf(this.bytes)

  /** @param mariadb  who wrote the log: table maps of the two servers differ */
  constructor(mariadb: boolean) {
    this.tables = new TableCache(mariadb)
  }

  /**
   * @param bytes  the complete event at [start, end), header and checksum included. Events of kind
   *               `rows` and `payload` look at these bytes and are valid as long as they are
   * @throws PipelineError LOG_CORRUPT, LOG_UNKNOWN_EVENT, LOG_INCIDENT
   */
  read(bytes: Uint8Array, start: number, end: number): BinlogEvent {
    const header = this.readHeader(bytes, start, end)
    if (header.size !== end - start) throw corrupt('its size is not that of its packet')
    if (header.type === EventType.formatDescription) {
      return this.readFormat(header, bytes, start, end)
    }
    const bodyEnd = this.verify(bytes, start, end) ? end - CHECKSUM_BYTES : end
    return this.readBody(header, bytes, start + HEADER_BYTES, bodyEnd)
  }

  /**
   * The events of a compressed transaction, in order. Their `size` is 0 and their `endPos` that of
   * the payload: only the payload has a place in the log. A small one comes synchronously.
   *
   * Cost: memory of the largest event in it, or 8 MiB when all of it is smaller.
   */
  payload(event: TransactionPayload): Iterable<BinlogEvent> | AsyncIterable<BinlogEvent> {
    return payloadEvents(event, (bytes, start, end) => {
      const header = { ...this.readHeader(bytes, start, end), size: 0, endPos: event.endPos }
      return this.readBody(header, bytes, start + HEADER_BYTES, end)
    })
  }

  private readHeader(bytes: Uint8Array, start: number, end: number): EventHeader {
    if (end - start < HEADER_BYTES) throw corrupt('it is shorter than its header')
    if (bytes !== this.bytes) {
      this.bytes = bytes as Uint8Array<ArrayBuffer>
      this.view = viewOf(bytes)
    }
    const view = this.view
    return {
      type: bytes[start + 4]!,
      timestampS: view.getUint32(start, true),
      serverId: view.getUint32(start + 5, true),
      size: view.getUint32(start + 9, true),
      endPos: view.getUint32(start + 13, true),
      flags: view.getUint16(start + FLAGS_OFFSET, true),
    }
  }

  /** @returns true when the event ends in a checksum, which is right */
  private verify(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.checksum === 'none') return false
    const bodyEnd = end - CHECKSUM_BYTES
    if (bodyEnd < start + HEADER_BYTES) {
      if (this.checksum === null) return false
      throw corrupt('it is shorter than its checksum')
    }
    const found = crc32(bytes.subarray(start, bodyEnd))
    if (found === this.view.getUint32(bodyEnd, true)) return true
    // Before the format is known only the made-up ROTATE comes, with a checksum or without.
    if (this.checksum === null) return false
    throw new PipelineError('LOG_CORRUPT', 'binary log event fails its checksum', {
      detail: `The event of type ${bytes[start + 4]} has ${end - start} bytes.`,
    })
  }

  private readFormat(
    header: EventHeader,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): FormatDescription {
    const cursor = new Cursor(bytes, start + HEADER_BYTES, end, this.view)
    if (cursor.u16() !== 4) throw corrupt('the log is not of version 4')
    const serverVersion = cursor.text(50).replaceAll('\0', '')
    const createdS = cursor.u32()
    if (cursor.u8() !== HEADER_BYTES) throw corrupt('event headers have not 19 bytes')
    // Post-header lengths of every type, the algorithm, and always four bytes for a checksum.
    cursor.skip(cursor.left - CHECKSUM_BYTES - 1)
    const algorithm = cursor.u8()
    if (algorithm > 1) throw corrupt(`unknown checksum algorithm ${algorithm}`)
    if (algorithm === 1) {
      const body = copyOf(bytes, start, end - CHECKSUM_BYTES)
      body[FLAGS_OFFSET]! &= ~IN_USE
      if (crc32(body) !== cursor.u32()) throw corrupt('its checksum is wrong')
    }
    this.checksum = algorithm === 1 ? 'crc32' : 'none'
    this.tables.clear()
    return { ...header, kind: 'format', serverVersion, createdS, checksum: this.checksum }
  }

  private readBody(
    header: EventHeader,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): BinlogEvent {
    const cursor = new Cursor(bytes, start, end, this.view)
    switch (header.type) {
      case EventType.tableMap:
        return { ...header, kind: 'table-map', table: this.tables.readMap(cursor) }
      case EventType.gtid:
        return readGtid(header, cursor, false)
      case EventType.anonymousGtid:
        return readGtid(header, cursor, true)
      case EventType.gtidTagged:
        return readTaggedGtid(header, cursor)
      case EventType.mariadbGtid:
        return readMariadbGtid(header, cursor)
      case EventType.query:
        return readQuery(header, cursor, 'plain')
      case EventType.queryCompressed:
        return readQuery(header, cursor, 'compressed')
      case EventType.executeLoadQuery:
        return readQuery(header, cursor, 'load')
      case EventType.xid:
        return { ...header, kind: 'xid' }
      case EventType.xaPrepare:
        return readXaPrepare(header, cursor)
      case EventType.transactionPayload:
        return readPayload(header, cursor)
      case EventType.rotate: {
        const position = cursor.u64()
        return { ...header, kind: 'rotate', position, file: cursor.text(cursor.left) }
      }
      case EventType.heartbeat:
        // Its position is the header's, which wraps; version 2 has its own.
        return {
          ...header,
          kind: 'heartbeat',
          position: BigInt(header.endPos),
          file: cursor.text(cursor.left),
        }
      case EventType.heartbeatV2:
        return readHeartbeatV2(header, cursor)
      case EventType.previousGtids:
        return readPreviousGtids(header, cursor)
      case EventType.mariadbGtidList:
        return readGtidList(header, cursor)
      default:
        return this.readOther(header, cursor)
    }
  }

  private readOther(header: EventHeader, cursor: Cursor): BinlogEvent {
    const form = rowsForm(header.type)
    if (form !== null) return this.tables.readRows(header, cursor, form)
    if (header.type === EventType.incident) throw incident(cursor)
    if (SKIPPED.has(header.type) || (header.flags & EventFlag.ignorable) !== 0) {
      return { ...header, kind: 'skipped' }
    }
    throw unknownEvent(header.type)
  }
}

/** Known to say nothing about rows; see `SkippedEvent`. */
const SKIPPED = new Set<number>([
  EventType.stop,
  EventType.intvar,
  EventType.appendBlock,
  EventType.deleteFile,
  EventType.rand,
  EventType.userVar,
  EventType.beginLoadQuery,
  EventType.ignorable,
  EventType.rowsQuery,
  EventType.transactionContext,
  EventType.viewChange,
  EventType.annotateRows,
  EventType.binlogCheckpoint,
])

/** HEARTBEAT_LOG_EVENT_V2: fields by type, each with its length; 0 ends them. */
function readHeartbeatV2(header: EventHeader, cursor: Cursor): HeartbeatEvent {
  let file = ''
  let position = BigInt(header.endPos)
  while (cursor.left > 0) {
    const field = cursor.lenenc()
    if (field === 0) break
    const length = cursor.lenenc()
    const at = cursor.skip(length)
    const value = cursor.within(at, at + length)
    if (field === 1) file = value.text(length)
    else if (field === 2) position = BigInt(value.lenenc())
  }
  return { ...header, kind: 'heartbeat', file, position }
}

function incident(cursor: Cursor): PipelineError {
  const number = cursor.u16()
  const text = cursor.left > 0 ? cursor.text(Math.min(cursor.u8(), cursor.left)) : ''
  return new PipelineError('LOG_INCIDENT', 'the server lost events of its binary log', {
    detail: `Incident ${number}: ${text === '' ? 'no text' : text}.`,
  })
}

function unknownEvent(type: number): PipelineError {
  const message = `binary log event of unknown type ${type}`
  if (type !== EventType.startEncryption) return new PipelineError('LOG_UNKNOWN_EVENT', message)
  return new PipelineError('LOG_UNKNOWN_EVENT', 'the binary log is sent encrypted', {
    hint: 'Set `encrypt_binlog=OFF` on the server, then run `FLUSH BINARY LOGS`.',
  })
}
