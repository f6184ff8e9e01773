// Elements of the lists or JSON arrays of a column, all behind each other.

import { Op, type ChangeBatch } from '../../runtime/data/batch.ts'
import { columnBuilder, type BytesBuilder } from '../../runtime/data/column/builder.ts'
import {
  isNull,
  type BytesColumn,
  type Column,
  type ListColumn,
} from '../../runtime/data/column/column.ts'
import { documentEnd } from '../../runtime/data/json/document.ts'
import { fault, FAULT } from '../../runtime/data/json/fault.ts'
import {
  CLOSE_ARRAY,
  COMMA,
  OPEN_ARRAY,
  skipSpace,
  valueEnd,
} from '../../runtime/data/json/grammar.ts'

export interface Elements {
  /** By row: how many it has. */
  readonly counts: Int32Array
  /** By row: where in `column` its first one stands. */
  readonly starts: Int32Array
  readonly column: Column
}

/** A row whose text is no array. It has no elements, where this returns. */
type OnFault = (row: number, reason: string) => void

/** @returns the elements of all rows but deletes, which have none */
export function elementsOf(column: Column, batch: ChangeBatch, refuse: OnFault): Elements {
  return column.layout === 'list'
    ? listElements(column, batch)
    : jsonElements(column as BytesColumn, batch, refuse)
}

function listElements(column: ListColumn, { rows, ops }: ChangeBatch): Elements {
  const { offsets, child } = column
  const counts = new Int32Array(rows)
  for (let row = 0; row < rows; row++) {
    if (ops[row] === Op.delete || isNull(column, row)) continue
    counts[row] = (offsets[row + 1] as number) - (offsets[row] as number)
  }
  return { counts, starts: offsets, column: child }
}

const LETTER_N = 0x6e

function jsonElements(column: BytesColumn, { rows, ops }: ChangeBatch, refuse: OnFault): Elements {
  const { bytes, offsets } = column
  const counts = new Int32Array(rows)
  const starts = new Int32Array(rows)
  const out = columnBuilder({ kind: 'string', json: true }, rows) as BytesBuilder
  let total = 0
  for (let row = 0; row < rows; row++) {
    if (ops[row] === Op.delete || isNull(column, row)) continue
    const end = offsets[row + 1] as number
    const start = skipSpace(bytes, offsets[row] as number)
    const reason = arrayFault(bytes, start, end)
    if (reason !== null) {
      refuse(row, reason)
      continue
    }
    const before = total
    if (bytes[start] === OPEN_ARRAY) total = appendElements(out, before, bytes, start, end)
    starts[row] = before
    counts[row] = total - before
  }
  return { counts, starts, column: out.view(total) }
}

/** @returns why it is neither an array nor null; `null`: it is one of them */
function arrayFault(bytes: Uint8Array, start: number, end: number): string | null {
  const close = valueEnd(bytes, start, end, 0)
  if (close === FAULT) return `it is no JSON: ${fault.reason}`
  if (close > end || documentEnd(bytes, close, end) === FAULT) return 'it is no JSON'
  const first = bytes[start]
  return first === OPEN_ARRAY || first === LETTER_N ? null : 'it is JSON, but no array'
}

/** Each with the bytes that it has, and one that is null as null. @returns how many there are */
function appendElements(
  out: BytesBuilder,
  before: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let count = before
  let at = skipSpace(bytes, start + 1)
  while (bytes[at] !== CLOSE_ARRAY) {
    const close = valueEnd(bytes, at, end, 1)
    out.reserveRows(count + 1)
    if (bytes[at] === LETTER_N) out.setNull(count)
    else out.setBytes(count, bytes, at, close)
    count++
    at = skipSpace(bytes, close)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
  }
  return count
}
