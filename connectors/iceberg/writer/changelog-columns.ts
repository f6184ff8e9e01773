// The four columns that a `changelog` table has beside its own: what happened, where in the log,
// when, and in which transaction.

import { OP_LETTERS, transactionOrder, type ChangeBatch } from '../../../runtime/data/batch.ts'
import {
  columnBuilder,
  type BytesBuilder,
  type FixedBuilder,
} from '../../../runtime/data/column/builder.ts'
import { bitmapBytes, type Column } from '../../../runtime/data/column/column.ts'
import { Op } from '../../../runtime/data/batch.ts'

/** Hex digits of an order and of a row's number in its transaction, and the `-` between them. */
const ORDER_DIGITS = 32
const SEQUENCE_DIGITS = 8
const POSITION_BYTES = ORDER_DIGITS + 1 + SEQUENCE_DIGITS

const HEX = new TextEncoder().encode('0123456789abcdef')
const LETTERS = new TextEncoder().encode(OP_LETTERS)

/** @returns `_op`, `_pos`, `_ts` and `_tx` of all rows, in the order of `CHANGELOG_FIELDS` */
export function changelogColumns(batch: ChangeBatch): Column[] {
  return [opColumn(batch), positionColumn(batch), timeColumn(batch), transactionColumn(batch)]
}

function opColumn({ ops, rows }: ChangeBatch): Column {
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

/** Zero-padded, so that the order of the texts is that of the changes. */
function positionColumn({ rows, transactions, transaction, sequence }: ChangeBatch): Column {
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

function timeColumn({ rows, transactions, transaction }: ChangeBatch): Column {
  const builder = columnBuilder({ kind: 'timestamptz' }) as FixedBuilder
  builder.reserveRows(rows)
  const { timeUs } = transactions
  const times = new Int32Array(timeUs.buffer, timeUs.byteOffset, timeUs.length * 2)
  for (let row = 0; row < rows; row++) {
    const from = (transaction[row] as number) * 2
    builder.pairs[2 * row] = times[from] as number
    builder.pairs[2 * row + 1] = times[from + 1] as number
  }
  return builder.view(rows)
}

/** A transaction without an id (a chunk) gives null. */
function transactionColumn({ rows, transactions, transaction }: ChangeBatch): Column {
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

/**
 * The columns of a batch as a changelog shows them: what a delete does not carry is null.
 *
 * @returns `null` when a row that is not a delete lacks a value: nothing here could supply it
 */
export function knownColumns(batch: ChangeBatch): readonly Column[] | null {
  const columns: Column[] = []
  for (const column of batch.columns) {
    if (column.unchanged === null) {
      columns.push(column)
      continue
    }
    for (let row = 0; row < batch.rows; row++) {
      const bit = (column.unchanged[row >> 3] as number) & (1 << (row & 7))
      if (bit !== 0 && batch.ops[row] !== Op.delete) return null
    }
    const validity = new Uint8Array(bitmapBytes(batch.rows))
    for (let at = 0; at < validity.length; at++) {
      const valid = column.validity === null ? 0xff : (column.validity[at] as number)
      validity[at] = valid & ~(column.unchanged[at] as number)
    }
    columns.push({ ...column, validity, unchanged: null })
  }
  return columns
}
