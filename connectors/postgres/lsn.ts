// Places in the write-ahead log. An LSN is held as a number: exact up to 2^53 bytes, that is 8 PiB
// of log, which is checked where an LSN enters, so arithmetic needs no bigint.

import { PipelineError } from '../../runtime/base/errors.ts'
import { orderOf, type Order, type Position } from '../../runtime/data/position.ts'

export type Lsn = number

/** The one split of a database source. */
export const SPLIT = 'wal'

const UPPER_MAX = 0x20_0000
const TEXT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

/** @throws PipelineError LOG_UNKNOWN_EVENT beyond 2^53 */
export function lsnOf(upper: number, lower: number): Lsn {
  if (upper >= UPPER_MAX) {
    throw new PipelineError('LOG_UNKNOWN_EVENT', 'a log position beyond 2^53 cannot be followed')
  }
  return upper * 0x1_0000_0000 + lower
}

/** Parses `16/B374D848`. @throws PipelineError LOG_CORRUPT */
export function parseLsn(text: string): Lsn {
  const match = TEXT.exec(text)
  if (match === null) throw new PipelineError('LOG_CORRUPT', `"${text}" is not a log position`)
  return lsnOf(Number.parseInt(match[1] ?? '', 16), Number.parseInt(match[2] ?? '', 16))
}

/** @returns the form that PostgreSQL prints: `16/B374D848` */
export function formatLsn(lsn: Lsn): string {
  const upper = Math.floor(lsn / 0x1_0000_0000)
  return `${upper.toString(16)}/${(lsn >>> 0).toString(16)}`.toUpperCase()
}

export function orderOfLsn(sourceEpoch: number, lsn: Lsn): Order {
  return orderOf(sourceEpoch, 0, BigInt(lsn))
}

/** The position behind everything before `lsn`. */
export function positionAt(sourceEpoch: number, lsn: Lsn): Position {
  return { split: SPLIT, order: orderOfLsn(sourceEpoch, lsn), token: formatLsn(lsn) }
}

/** @returns the LSN and the source epoch of a position that this connector made */
export function placeOf(position: Position): { lsn: Lsn; sourceEpoch: number } {
  return { lsn: parseLsn(position.token), sourceEpoch: Number(position.order >> 96n) }
}

/**
 * An insert position may stand behind a page header that no record has followed yet, while the log
 * that a reader can reach ends before it. No record lies between the two, so the earlier one is
 * just as true, and it is reached also when the server falls idle now.
 *
 * @param pageBytes  the server's `wal_block_size`
 * @param segmentBytes  the server's `wal_segment_size`
 */
export function beforePageHeader(lsn: Lsn, pageBytes: number, segmentBytes: number): Lsn {
  const inPage = lsn % pageBytes
  const header = (lsn - inPage) % segmentBytes === 0 ? 40 : 24
  return inPage <= header ? lsn - inPage : lsn
}
