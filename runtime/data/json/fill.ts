// Fills a column of a batch from the places of its values: one loop a kernel, compiled apart, so
// that the kernel's call in it has one target and is inlined.

import { Op } from '../batch.ts'
import type { BytesBuilder, ColumnBuilder, FixedBuilder, ListBuilder } from '../column/builder.ts'
import { layoutOf, type ColumnType, type PrimitiveType } from '../type.ts'
import * as binary from './bytes.ts'
import type { Cells } from './cells.ts'
import { putJson, putQuotedJson } from './compact.ts'
import { putDecimalBase64 } from './decimal-bytes.ts'
import { failAt, FAULT, refuse } from './fault.ts'
import * as floats from './float.ts'
import { CLOSE_ARRAY, COMMA, OPEN_ARRAY, QUOTE, skipSpace, valueEnd } from './grammar.ts'
import * as numbers from './number.ts'
import { MISFIT, NULL, UNCHANGED } from './object-scanner.ts'
import { placeEnd, putString } from './text.ts'
import * as times from './time.ts'
import { valueForm, type ValueForm } from './value-form.ts'

/**
 * How values of the type are written, where the type leaves it open. text: as JSON and ISO 8601
 * have it · number of `unit`: a time as a number · base64, latin1: bytes as text.
 */
export type Encoding =
  | { readonly kind: 'text' }
  | { readonly kind: 'number'; readonly unit: TimeUnit }
  | { readonly kind: 'base64' }
  | { readonly kind: 'latin1' }
  /** A time in text without a day, of any number of hours, as microseconds. */
  | { readonly kind: 'duration' }
  /** A JSON document inside a string, where it is no object or array. */
  | { readonly kind: 'quoted' }

export type TimeUnit = 'd' | 's' | 'ms' | 'us' | 'ns'

/** What makes microseconds of a unit, as a power of ten. */
const UNIT_SCALES: Readonly<Record<TimeUnit, number>> = { d: 0, s: 6, ms: 3, us: 0, ns: -3 }

export const AS_TEXT: Encoding = { kind: 'text' }

type Put = (
  builder: never,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
) => boolean

interface Kernel {
  readonly put: Put
  readonly form: ValueForm
}

/** Writes rows from, from + 1, ... of the builder; what does not fit is told to the cells. */
export interface ColumnFill {
  readonly fill: (cells: Cells, builder: ColumnBuilder, from: number) => void
}

/** Which rows need a value: none · all but deletes, which need no more than their key · all. */
export type Needed = 'never' | 'rows' | 'always'

/** @param slot  of the column in the cells of a row */
export function columnFill(
  name: string,
  slot: number,
  type: ColumnType,
  needed: Needed,
  encoding: Encoding,
): ColumnFill {
  const { put, form } = kernelOf(type, encoding)
  const loop = loopOf(put)
  return { fill: (cells, builder, from) => loop(cells, slot, builder, from, form, needed, name) }
}

/** The same for values that a kernel of the caller's own reads. */
export function ownFill(name: string, slot: number, put: PutBytes): ColumnFill {
  const loop = loopOf(put)
  const form = valueForm(0, 0)
  return { fill: (cells, builder, from) => loop(cells, slot, builder, from, form, 'never', name) }
}

export type PutBytes = (
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
) => boolean

type Loop = (
  cells: Cells,
  slot: number,
  builder: ColumnBuilder,
  from: number,
  form: ValueForm,
  needed: Needed,
  name: string,
) => void

const LOOP = `'use strict'
return function fill(cells, slot, builder, from, form, needed, name) {
  const { bytes, starts, ends, bases, count } = cells
  for (let row = 0; row < count; row++) {
    const at = bases[row] + slot
    const start = starts[at]
    if (start >= 0) {
      if (!put(builder, from + row, bytes, start, ends[at], form)) cells.refuseValue(row, name)
    } else putAbsent(cells, row, builder, from + row, at, needed, name)
  }
}
`

/** Longer values are moved by `set`, whose cost does not depend on the length. */
const WORD_COPY_BYTES_MAX = 128

/**
 * The loop of strings. One without escapes is copied four bytes at a time, up to three too many,
 * which the next value overwrites.
 */
function fillStrings(
  cells: Cells,
  slot: number,
  builder: ColumnBuilder,
  from: number,
  _form: ValueForm,
  needed: Needed,
  name: string,
): void {
  const target = builder as BytesBuilder
  const { bytes, view, starts, ends, bases, count } = cells
  const { offsets } = target
  const tail = bytes.length - 4
  let to = target.bytesLength
  let room = target.bytes.length
  let copy = viewOf(target.bytes)
  for (let row = 0; row < count; row++) {
    const at = bases[row]! + slot
    const start = starts[at]!
    const end = ends[at]!
    const length = end - start - 2
    if (start >= 0 && length >= 0 && length <= WORD_COPY_BYTES_MAX && end <= tail) {
      if (bytes[start] === QUOTE) {
        if (to + length + 4 > room) {
          target.bytesLength = to
          target.reserveBytes(length + 4)
          room = target.bytes.length
          copy = viewOf(target.bytes)
        }
        for (let word = 0; word < length; word += 4) {
          copy.setInt32(to + word, view.getInt32(start + 1 + word, true), true)
        }
        to += length
        offsets[from + row + 1] = to
        continue
      }
    }
    target.bytesLength = to
    if (start < 0) putAbsent(cells, row, builder, from + row, at, needed, name)
    else if (!putString(target, from + row, bytes, start, end)) cells.refuseValue(row, name)
    to = target.bytesLength
    if (room !== target.bytes.length) {
      room = target.bytes.length
      copy = viewOf(target.bytes)
    }
  }
  target.bytesLength = to
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const loops = new Map<Put, Loop>([[putString, fillStrings]])

function loopOf(put: Put): Loop {
  let loop = loops.get(put)
  if (loop === undefined) {
    // The text is the constant above.
    // oxlint-disable-next-line typescript/no-implied-eval
    const create = new Function('put', 'putAbsent', LOOP) as (...names: readonly unknown[]) => Loop
    loop = create(put, putAbsent)
    loops.set(put, loop)
  }
  return loop
}

/** @param at  index of the slot */
function putAbsent(
  cells: Cells,
  row: number,
  builder: ColumnBuilder,
  to: number,
  at: number,
  needed: Needed,
  name: string,
): void {
  const state = cells.starts[at]!
  if (state === UNCHANGED) {
    builder.setUnchanged(to)
    return
  }
  putNull(builder, to)
  if (state === MISFIT) failAt(cells.ends[at]!, 'it would stand in what is no object')
  else if (needed === 'never' || (needed === 'rows' && cells.ops[row] === Op.delete)) return
  else {
    const reason = state === NULL ? 'it is null, and the column is not' : 'it is missing'
    failAt(cells.recordStarts[cells.record[row]!]!, reason)
  }
  cells.refuseValue(row, name)
}

/** What `setNull` does, without its calls of `fill` for a few bytes. */
function putNull(builder: ColumnBuilder, row: number): void {
  switch (builder.layout) {
    case 'bytes':
    case 'list':
    case 'uuid16':
    case 'int128':
      builder.setNull(row)
      return
    case 'int64':
      builder.pairs[row << 1] = 0
      builder.pairs[(row << 1) + 1] = 0
      break
    default:
      builder.values[row] = 0
  }
  builder.markNull(row)
}

function kernelOf(type: ColumnType, encoding: Encoding): Kernel {
  if (type.kind !== 'list') return scalarKernel(type, encoding)
  const { put, form } = scalarKernel(type.element, encoding)
  return { put: listPut(put as PutAny), form }
}

function scalarKernel(type: PrimitiveType, encoding: Encoding): Kernel {
  if (type.kind === 'decimal') return decimalKernel(type, encoding)
  if (encoding.kind === 'number') {
    const put = layoutOf(type) === 'int32' ? numbers.putInt32 : timePut(type)
    return { put, form: valueForm(0, UNIT_SCALES[encoding.unit]) }
  }
  if (encoding.kind === 'duration') return { put: times.putDuration, form: valueForm(0, 0) }
  if (encoding.kind === 'quoted') return { put: putQuotedJson, form: valueForm(0, 0) }
  if (encoding.kind === 'latin1') return { put: binary.putLatin1, form: valueForm(0, 0) }
  return { put: textPut(type), form: valueForm(0, 0) }
}

function decimalKernel(
  { precision, scale }: Extract<PrimitiveType, { kind: 'decimal' }>,
  encoding: Encoding,
): Kernel {
  const form = valueForm(precision, scale)
  if (encoding.kind === 'base64') return { put: putDecimalBase64, form }
  return { put: precision <= 18 ? numbers.putDecimal64 : numbers.putDecimal128, form }
}

function timePut(type: PrimitiveType): Put {
  return type.kind === 'time' ? putTimeNumber : numbers.putInt64
}

const DAY_US = 86_400_000_000

/** A time of day as a number must lie in the day. */
function putTimeNumber(
  builder: FixedBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
): boolean {
  if (!numbers.putInt64(builder, row, bytes, start, end, form)) return false
  const us = builder.pairs[(row << 1) + 1]! * 0x1_0000_0000 + (builder.pairs[row << 1]! >>> 0)
  return (us >= 0 && us < DAY_US) || refuse(start, 'it is no time of a day')
}

function textPut(type: PrimitiveType): Put {
  switch (type.kind) {
    case 'boolean':
      return binary.putBoolean
    case 'int':
      return numbers.putInt32
    case 'long':
    case 'decimal':
      return numbers.putInt64
    case 'float':
      return floats.putFloat32
    case 'double':
      return floats.putFloat64
    case 'date':
      return times.putDate
    case 'time':
      return times.putTime
    case 'timestamp':
      return times.putTimestamp
    case 'timestamptz':
      return times.putTimestamptz
    case 'string':
      return type.json === true ? putJson : putString
    case 'uuid':
      return binary.putUuid
    case 'binary':
      return binary.putBase64
  }
}

type PutAny = (
  builder: FixedBuilder | BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  form: ValueForm,
) => boolean

/** One for each kernel, as loops are. */
const listPuts = new Map<PutAny, Put>()

function listPut(put: PutAny): Put {
  let list = listPuts.get(put)
  if (list === undefined) {
    list = (builder: ListBuilder, row, bytes, start, end, form) =>
      putList(builder, row, bytes, start, end, form, put)
    listPuts.set(put, list)
  }
  return list
}

function putList(
  builder: ListBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  _end: number,
  form: ValueForm,
  put: PutAny,
): boolean {
  if (bytes[start] !== OPEN_ARRAY) return refuse(start, 'it is no array')
  const { child } = builder
  let element = builder.childLength
  let at = skipSpace(bytes, start + 1)
  while (bytes[at] !== CLOSE_ARRAY) {
    child.reserveRows(element + 1)
    const next = valueEnd(bytes, at, bytes.length, 1)
    if (next === FAULT) return false
    if (bytes[at] === 0x6e) putNull(child, element)
    else if (!put(child, element, bytes, at, placeEnd(bytes, at, next), form)) return false
    element++
    at = skipSpace(bytes, next)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
  }
  builder.childLength = element
  builder.endRow(row)
  return true
}
