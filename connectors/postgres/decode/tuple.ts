// Finds the values of a tuple: where each begins and how long it is. Decoders then read by column
// number, so key comparison, old tuples and unchanged values are arithmetic on two small arrays.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { NULL_LENGTH, UNCHANGED_LENGTH } from './generate.ts'

const KIND_NULL = 0x6e
const KIND_UNCHANGED = 0x75
const KIND_TEXT = 0x74
const KIND_BINARY = 0x62

/** Columns that a table of PostgreSQL can have, with room to spare. */
const COLUMNS_MAX = 1664

export interface Tuple {
  readonly starts: Int32Array
  /** Bytes of the value; NULL_LENGTH, UNCHANGED_LENGTH. */
  readonly lengths: Int32Array
  columns: number
}

/** Scratch space for one tuple; read it before the next one is scanned into it. */
export function emptyTuple(): Tuple {
  return {
    starts: new Int32Array(COLUMNS_MAX),
    lengths: new Int32Array(COLUMNS_MAX),
    columns: 0,
  }
}

/**
 * Scans pgoutput's TupleData: a 16-bit count, then a kind byte each: n null, u unchanged,
 * t text or b binary with a 32-bit length and the value.
 * Source: https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html
 *
 * @returns the offset behind the tuple
 * @throws PipelineError LOG_UNKNOWN_EVENT for another kind, LOG_CORRUPT for more than 1664 columns
 */
export function scanTuple(tuple: Tuple, bytes: Uint8Array, start: number): number {
  const { starts, lengths } = tuple
  const columns = (bytes[start]! << 8) | bytes[start + 1]!
  if (columns > COLUMNS_MAX) throw new PipelineError('LOG_CORRUPT', 'a tuple has too many columns')
  tuple.columns = columns
  let at = start + 2
  for (let column = 0; column < columns; column++) {
    const kind = bytes[at]!
    if (kind === KIND_TEXT || kind === KIND_BINARY) {
      const length =
        (bytes[at + 1]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!
      starts[column] = at + 5
      lengths[column] = length
      at += 5 + length
    } else {
      if (kind !== KIND_NULL && kind !== KIND_UNCHANGED) throw unknownKind(kind)
      lengths[column] = kind === KIND_NULL ? NULL_LENGTH : UNCHANGED_LENGTH
      at++
    }
  }
  return at
}

function unknownKind(kind: number): PipelineError {
  return new PipelineError('LOG_UNKNOWN_EVENT', `the log has a value of unknown kind ${kind}`)
}

/**
 * Scans one row of COPY ... (FORMAT binary): a 16-bit count, then 32-bit lengths (-1 null) and
 * values.
 *
 * @returns the offset behind the row; -1 for the trailer
 */
export function scanCopyRow(tuple: Tuple, bytes: Uint8Array, start: number): number {
  const { starts, lengths } = tuple
  const columns = (bytes[start]! << 8) | bytes[start + 1]!
  if (columns === 0xffff) return -1
  if (columns > COLUMNS_MAX) throw new PipelineError('LOG_CORRUPT', 'a row has too many columns')
  tuple.columns = columns
  let at = start + 2
  for (let column = 0; column < columns; column++) {
    const length =
      (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    at += 4
    starts[column] = at
    lengths[column] = length
    if (length > 0) at += length
  }
  return at
}

/** @returns true when both tuples have the same bytes in each of `columns` */
export function sameValues(
  bytes: Uint8Array,
  left: Tuple,
  right: Tuple,
  columns: Int32Array,
): boolean {
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]!
    const length = left.lengths[column]!
    if (length !== right.lengths[column]) return false
    const leftStart = left.starts[column]!
    const rightStart = right.starts[column]!
    for (let at = 0; at < length; at++) {
      if (bytes[leftStart + at] !== bytes[rightStart + at]) return false
    }
  }
  return true
}

/** An old tuple that has the value says what an unchanged one is. */
export function fillUnchanged(row: Tuple, old: Tuple): void {
  for (let column = 0; column < row.columns; column++) {
    if (row.lengths[column] !== UNCHANGED_LENGTH || old.lengths[column]! < 0) continue
    row.lengths[column] = old.lengths[column]!
    row.starts[column] = old.starts[column]!
  }
}

export function hasUnchangedKey(row: Tuple, keyColumns: Int32Array): boolean {
  for (let index = 0; index < keyColumns.length; index++) {
    if (row.lengths[keyColumns[index]!] === UNCHANGED_LENGTH) return true
  }
  return false
}

/** A partition may have a replica identity other than that of its root, whose columns we go by. */
export function hasNullKey(old: Tuple, keyColumns: Int32Array): boolean {
  for (let at = 0; at < keyColumns.length; at++) {
    if (old.lengths[keyColumns[at]!] === NULL_LENGTH) return true
  }
  return false
}

/** The column whose value has a byte at `at`. */
export function columnAt(tuple: Tuple, at: number): number {
  for (let column = 0; column < tuple.columns; column++) {
    const start = tuple.starts[column]!
    if (tuple.lengths[column]! >= 0 && at >= start && at <= start + tuple.lengths[column]!) {
      return column
    }
  }
  return 0
}
