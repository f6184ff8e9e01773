// The kernel for arrays in text form, which both the log and the backfill use: one dimension that
// starts at 1 is a list; everything else has no place in the lake.
// Grammar: `{` element (`,` element)* `}`; an element is NULL, bare text, or "quoted" with
// backslash escapes; bounds other than 1 come first, as `[2:4]=`.
// Source: https://www.postgresql.org/docs/18/arrays.html#ARRAYS-IO

import { PipelineError } from '../../../runtime/base/errors.ts'
import type {
  BytesBuilder,
  FixedBuilder,
  ListBuilder,
} from '../../../runtime/data/column/builder.ts'
import { UnrepresentableValue } from './unrepresentable.ts'

/** A kernel of the element type, in text form. */
export type PutElement = (
  builder: FixedBuilder & BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
) => void

const OPEN = 0x7b
const CLOSE = 0x7d
const BRACKET = 0x5b
const COMMA = 0x2c
const QUOTE = 0x22
const BACKSLASH = 0x5c
const NULL_TEXT = [0x4e, 0x55, 0x4c, 0x4c]

/** Unescaped bytes of one element; grows with the longest. */
let scratch = new Uint8Array(256)

export function putListText(
  builder: ListBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  put: PutElement,
): void {
  if (bytes[start] === BRACKET) {
    throw new UnrepresentableValue(start, 'an array whose first index is not 1')
  }
  if (bytes[start] !== OPEN || bytes[end - 1] !== CLOSE) throw endless()
  let index = builder.childLength
  let at = start + 1
  while (at < end && bytes[at] !== CLOSE) {
    if (bytes[at] === OPEN) {
      throw new UnrepresentableValue(start, 'an array of more than one dimension')
    }
    builder.child.reserveRows(index + 1)
    at =
      bytes[at] === QUOTE
        ? putQuoted(builder, index, bytes, at, end, put)
        : putBare(builder, index, bytes, at, end, put)
    index++
    if (bytes[at] === COMMA) at++
  }
  if (at >= end) throw endless()
  builder.childLength = index
  builder.endRow(row)
}

/** @returns where the comma or the closing brace stands */
function putBare(
  builder: ListBuilder,
  index: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  put: PutElement,
): number {
  let at = start
  while (at < end && bytes[at] !== COMMA && bytes[at] !== CLOSE) at++
  if (at - start === 4 && NULL_TEXT.every((byte, offset) => bytes[start + offset] === byte)) {
    builder.child.setNull(index)
  } else put(builder.child as FixedBuilder & BytesBuilder, index, bytes, start, at)
  return at
}

function putQuoted(
  builder: ListBuilder,
  index: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  put: PutElement,
): number {
  let at = start + 1
  let length = 0
  for (; at < end && bytes[at] !== QUOTE; at++) {
    if (bytes[at] === BACKSLASH) at++
    if (length === scratch.length) {
      const larger = new Uint8Array(2 * length)
      larger.set(scratch)
      scratch = larger
    }
    scratch[length++] = bytes[at]!
  }
  try {
    put(builder.child as FixedBuilder & BytesBuilder, index, scratch, 0, length)
  } catch (error) {
    // The place in the scratch bytes would name the wrong column.
    if (error instanceof UnrepresentableValue) throw new UnrepresentableValue(start, error.message)
    throw error
  }
  return at + 1
}

function endless(): PipelineError {
  return new PipelineError('LOG_CORRUPT', 'an array has no end')
}
