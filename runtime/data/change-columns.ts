// What a batch says of its rows beside their values, as columns: what happened, where in the log,
// when, and in which transaction. Changelog tables have them, and expressions can name them.

import { OP_LETTERS, transactionOrder, type ChangeBatch } from './batch.ts'
import { columnBuilder, type BytesBuilder, type FixedBuilder } from './column/builder.ts'
import type { Column } from './column/column.ts'

/** Hex digits of an order and of a row's number in its transaction, and the `-` between them. */
const ORDER_DIGITS = 32
const SEQUENCE_DIGITS = 8
const POSITION_BYTES = ORDER_DIGITS + 1 + SEQUENCE_DIGITS

const HEX = new TextEncoder().encode('0123456789abcdef')
const LETTERS = new TextEncoder().encode(OP_LETTERS)

/** @returns a letter a row: c, u, d or r */
export function opColumn({ ops, rows }: ChangeBatch): Column {
  const bytes = new Uint8Array(rows)
  const offsets = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row++) {
    bytes[row] = LETTERS[ops[row] as number] as number
    offsets[row + 1] = row + 1
  }
  return textColumn(rows, offsets, bytes)
}

function textColumn(length: number, offsets: Int32Array, bytes: Uint8Array): Column {
  const type = { kind: 'string' } as const
  return { type, layout: 'bytes', length, validity: null, unchanged: null, offsets, bytes }
}

/**
 * @returns the order of each row's transaction and its number there, as hex digits: zero-padded, so
 *          that the order of the texts is that of the changes
 */
export function positionColumn({ rows, transactions, transaction, sequence }: ChangeBatch): Column {
  const orders = new Uint8Array(transactions.count * ORDER_DIGITS)
  for (let index = 0; index < transactions.count; index++) {
    const digits = transactionOrder(transactions, index).toString(16).padStart(ORDER_DIGITS, '0')
    for (let at = 0; at < ORDER_DIGITS; at++) {
      orders[index * ORDER_DIGITS + at] = digits.charCodeAt(at)
    }
  }
  const bytes = new Uint8Array(rows * POSITION_BYTES)
  const offsets = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row++) {
    const from = (transaction[row] as number) * ORDER_DIGITS
    let to = row * POSITION_BYTES
    for (let at = from; at < from + ORDER_DIGITS; at++) bytes[to++] = orders[at] as number
    bytes[to++] = 0x2d
    const number = sequence[row] as number
    for (let shift = 4 * (SEQUENCE_DIGITS - 1); shift >= 0; shift -= 4) {
      bytes[to++] = HEX[(number >>> shift) & 15] as number
    }
    offsets[row + 1] = to
  }
  return textColumn(rows, offsets, bytes)
}

/** @returns the commit time of each row as the source stamped it (timestamptz) */
export function timeColumn(batch: ChangeBatch): Column {
  return columnOfTimes(batch, batch.transactions.timeUs)
}

/** @returns for each row the latest commit time of the log up to it (timestamptz) */
export function latestTimeColumn(batch: ChangeBatch): Column {
  return columnOfTimes(batch, batch.transactions.latestUs ?? batch.transactions.timeUs)
}

function columnOfTimes({ rows, transaction }: ChangeBatch, timeUs: BigInt64Array): Column {
  const builder = columnBuilder({ kind: 'timestamptz' }) as FixedBuilder
  builder.reserveRows(rows)
  const times = new Int32Array(timeUs.buffer, timeUs.byteOffset, timeUs.length * 2)
  for (let row = 0; row < rows; row++) {
    const from = (transaction[row] as number) * 2
    builder.pairs[2 * row] = times[from] as number
    builder.pairs[2 * row + 1] = times[from + 1] as number
  }
  return builder.view(rows)
}

/** @returns the id of each row's transaction; one without (a chunk) gives null */
export function transactionColumn({ rows, transactions, transaction }: ChangeBatch): Column {
  const builder = columnBuilder({ kind: 'string' }) as BytesBuilder
  builder.reserveRows(rows)
  const { idOffsets, idBytes } = transactions
  for (let row = 0; row < rows; row++) {
    const index = transaction[row] as number
    const start = idOffsets[index] as number
    const end = idOffsets[index + 1] as number
    if (start === end) builder.setNull(row)
    else builder.setBytes(row, idBytes, start, end)
  }
  return builder.view(rows)
}

/** @returns the number of each row in its transaction (long) */
export function sequenceColumn({ rows, sequence }: ChangeBatch): Column {
  const builder = columnBuilder({ kind: 'long' }) as FixedBuilder
  builder.reserveRows(rows)
  for (let row = 0; row < rows; row++) {
    builder.pairs[2 * row] = sequence[row] as number
    builder.pairs[2 * row + 1] = 0
  }
  return builder.view(rows)
}

/** @returns one text for all rows */
export function constantColumn(text: string, rows: number): Column {
  const value = new TextEncoder().encode(text)
  const bytes = new Uint8Array(value.length * rows)
  const offsets = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row++) {
    bytes.set(value, row * value.length)
    offsets[row + 1] = (row + 1) * value.length
  }
  return textColumn(rows, offsets, bytes)
}
