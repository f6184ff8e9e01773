// The events that carry GTIDs, and the names of XA transactions, which travel with them.
// Source: MySQL 9.7 libs/mysql/binlog/event/control_events.h; MariaDB 10.11 sql/log_event.cc.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { corrupt, Cursor } from './cursor.ts'
import type { EventHeader, GtidEvent, MariadbGtidEvent, PreviousGtids } from './events.ts'
import type { XaPrepareEvent } from './events.ts'

/** Behind the commit timestamps and the transaction length are versions, which nobody needs. */
const LOGICAL_CLOCK = 2
const HAS_ORIGINAL_TIME = 1n << 55n
const TIME_MASK = HAS_ORIGINAL_TIME - 1n

/** GTID_EVENT and ANONYMOUS_GTID_EVENT. */
export function readGtid(header: EventHeader, cursor: Cursor, anonymous: boolean): GtidEvent {
  cursor.skip(1)
  const uuid = uuidAt(cursor)
  const gno = cursor.i64()
  let commitTimeUs = 0n
  let transactionLength = 0n
  if (cursor.left > 0 && cursor.u8() === LOGICAL_CLOCK) {
    cursor.skip(16)
    if (cursor.left >= 7) {
      const stamp = uint56(cursor)
      commitTimeUs = stamp & TIME_MASK
      if ((stamp & HAS_ORIGINAL_TIME) !== 0n) cursor.skip(7)
      if (cursor.left > 0) transactionLength = BigInt(cursor.lenenc())
    }
  }
  const tag = ''
  return { ...header, kind: 'gtid', anonymous, uuid, tag, gno, commitTimeUs, transactionLength }
}

const lastUuid = { words: new Int32Array(4), text: '' }

/** Nearly every transaction is of the server that the last one was of. */
function uuidAt(cursor: Cursor): string {
  const { words } = lastUuid
  const { view, at } = cursor
  if (cursor.left < 16) throw corrupt('it ends inside a uuid')
  let same = lastUuid.text !== ''
  for (let index = 0; index < 4; index++) {
    const word = view.getInt32(at + index * 4)
    if (words[index] !== word) same = false
    words[index] = word
  }
  if (same) cursor.skip(16)
  else lastUuid.text = formatUuid(cursor.hex(16))
  return lastUuid.text
}

function uint56(cursor: Cursor): bigint {
  const low = BigInt(cursor.u32())
  return low | (BigInt(cursor.uint(3)) << 32n)
}

/** Fields of the tagged event by id; later ones may be missing or unknown to us. */
const TaggedField = { flags: 0, uuid: 1, gno: 2, tag: 3, lastCommitted: 4, sequence: 5, time: 6 }
const TAGGED_ORIGINAL_TIME = 7
const TAGGED_LENGTH = 8
const TAGGED_FIELD_LAST = 11

/** GTID_TAGGED_LOG_EVENT, of MySQL 8.3 and later: a message of numbered fields. */
export function readTaggedGtid(header: EventHeader, cursor: Cursor): GtidEvent {
  const start = cursor.at
  const version = cursor.varint()
  const size = Number(cursor.varint())
  const needed = Number(cursor.varint())
  if (version !== 1n || needed > TAGGED_FIELD_LAST + 1) {
    throw new PipelineError('LOG_UNKNOWN_EVENT', 'tagged GTID event is of a newer form', {
      detail: `Its version is ${version} and it needs field ${needed - 1}.`,
    })
  }
  if (size > cursor.end - start) throw corrupt('a tagged GTID is longer than its event')
  const message = new Cursor(cursor.bytes, cursor.at, start + size)
  let uuid = ''
  let tag = ''
  let gno = 0n
  let commitTimeUs = 0n
  let transactionLength = 0n
  while (message.left > 0) {
    const field = Number(message.varint())
    // Unknown fields at the end are marked as ignorable by `needed` above.
    if (field > TAGGED_FIELD_LAST) break
    if (field === TaggedField.uuid) uuid = taggedUuid(message)
    else if (field === TaggedField.gno) gno = message.varintSigned()
    else if (field === TaggedField.tag) tag = message.text(Number(message.varint()))
    else if (field === TaggedField.time) commitTimeUs = message.varint()
    else if (field === TAGGED_LENGTH) transactionLength = message.varint()
    else if (field === TaggedField.flags || field === TAGGED_ORIGINAL_TIME) message.varint()
    else if (field <= TaggedField.sequence) message.varintSigned()
    else message.varint()
  }
  if (uuid === '' || gno < 1n) throw corrupt('a tagged GTID has no uuid or number')
  const anonymous = false
  return { ...header, kind: 'gtid', anonymous, uuid, tag, gno, commitTimeUs, transactionLength }
}

/** Its 16 bytes are integers of their own, of one or two bytes each. */
function taggedUuid(message: Cursor): string {
  let hex = ''
  for (let index = 0; index < 16; index++) {
    hex += Number(message.varint()).toString(16).padStart(2, '0')
  }
  return formatUuid(hex)
}

function formatUuid(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return `${parts.join('-')}-${hex.slice(20)}`
}

/** flags2 of MariaDB's GTID_EVENT. */
const MariadbFlag = {
  standalone: 1,
  groupCommitId: 2,
  ddl: 32,
  preparedXa: 64,
  completedXa: 128,
} as const

/** flags_extra, the byte behind: 0, or none, for nearly every group. */
const MariadbExtraFlag = { startAlter: 2, commitAlter: 4, rollbackAlter: 8 } as const

function readAlter(cursor: Cursor): MariadbGtidEvent['alter'] {
  const extra = cursor.left > 0 ? cursor.u8() : 0
  if ((extra & MariadbExtraFlag.startAlter) !== 0) return 'start'
  if ((extra & MariadbExtraFlag.commitAlter) !== 0) return 'commit'
  return (extra & MariadbExtraFlag.rollbackAlter) !== 0 ? 'rollback' : null
}

export function readMariadbGtid(header: EventHeader, cursor: Cursor): MariadbGtidEvent {
  const sequence = cursor.u64()
  const domain = cursor.u32()
  const flags = cursor.u8()
  if ((flags & MariadbFlag.groupCommitId) !== 0) cursor.skip(8)
  const preparedXa = (flags & MariadbFlag.preparedXa) !== 0
  const completedXa = (flags & MariadbFlag.completedXa) !== 0
  let xid: string | null = null
  if (preparedXa || completedXa) {
    const format = cursor.u32()
    const lengths = [cursor.u8(), cursor.u8()] as const
    xid = formatXid(format, cursor.hex(lengths[0]), cursor.hex(lengths[1]))
  }
  return {
    ...header,
    kind: 'mariadb-gtid',
    domain,
    server: header.serverId,
    sequence,
    standalone: (flags & MariadbFlag.standalone) !== 0,
    ddl: (flags & MariadbFlag.ddl) !== 0,
    preparedXa,
    completedXa,
    xid,
    alter: readAlter(cursor),
  }
}

/** XA_PREPARE_LOG_EVENT of both servers. */
export function readXaPrepare(header: EventHeader, cursor: Cursor): XaPrepareEvent {
  const onePhase = cursor.u8() !== 0
  const format = cursor.u32()
  const gtrid = cursor.u32()
  const bqual = cursor.u32()
  const xid = formatXid(format, cursor.hex(gtrid), cursor.hex(bqual))
  return { ...header, kind: 'xa-prepare', xid, onePhase }
}

/** One spelling for an XA transaction: `X'gtrid',X'bqual',format`, hex in lowercase. */
export function formatXid(format: number, gtridHex: string, bqualHex: string): string {
  return `X'${gtridHex}',X'${bqualHex}',${format}`
}

/** PREVIOUS_GTIDS_LOG_EVENT of MySQL: an encoded set, with tags once the server has seen one. */
export function readPreviousGtids(header: EventHeader, cursor: Cursor): PreviousGtids {
  const first = cursor.u64()
  const format = first >> 56n
  if (format > 1n) throw corrupt('a GTID set has an unknown form')
  const tagged = format === 1n
  const count = Number(tagged ? (first >> 8n) & 0xffff_ffff_ffffn : first)
  const blocks: string[] = []
  let last = ''
  for (let index = 0; index < count; index++) {
    const uuid = formatUuid(cursor.hex(16))
    const tag = tagged ? cursor.text(Number(cursor.varint())) : ''
    const ranges = readIntervals(cursor)
    if (ranges === '') continue
    const section = tag === '' ? ranges : `${tag}:${ranges}`
    if (uuid === last) blocks.push(`${blocks.pop()}:${section}`)
    else blocks.push(`${uuid}:${section}`)
    last = uuid
  }
  return { ...header, kind: 'previous-gtids', gtids: blocks.join(',') }
}

function readIntervals(cursor: Cursor): string {
  const count = Number(cursor.u64())
  if (count * 16 > cursor.left) throw corrupt('a GTID set is longer than its event')
  const ranges: string[] = []
  for (let index = 0; index < count; index++) {
    const start = cursor.u64()
    const last = cursor.u64() - 1n
    ranges.push(start === last ? `${start}` : `${start}-${last}`)
  }
  return ranges.join(':')
}

/** GTID_LIST_EVENT of MariaDB. The upper four bits of the count are flags. */
export function readGtidList(header: EventHeader, cursor: Cursor): PreviousGtids {
  const count = cursor.u32() & 0x0fff_ffff
  const gtids: string[] = []
  for (let index = 0; index < count; index++) {
    const domain = cursor.u32()
    const server = cursor.u32()
    gtids.push(`${domain}-${server}-${cursor.u64()}`)
  }
  return { ...header, kind: 'previous-gtids', gtids: gtids.join(',') }
}
