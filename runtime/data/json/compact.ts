// The kernel for columns of json: the value's own text, numbers and escapes as they are written,
// without the white space between tokens.

import type { BytesBuilder } from '../column/builder.ts'
import { BACKSLASH, OPEN_ARRAY, OPEN_OBJECT, QUOTE } from './grammar.ts'
import { putString } from './text.ts'

/** @param end  as scanners note it: a complement where there may be white space */
export function putJson(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const first = bytes[start]!
  if (end >= 0 || (first !== OPEN_OBJECT && first !== OPEN_ARRAY)) {
    builder.setBytes(row, bytes, start, end < 0 ? ~end : end)
    return true
  }
  writeCompact(builder, bytes, start, ~end)
  builder.endRow(row)
  return true
}

/** A document inside a string, as changes have it; an object or array is itself. */
export function putQuotedJson(
  builder: BytesBuilder,
  row: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const put = bytes[start] === QUOTE ? putString : putJson
  return put(builder, row, bytes, start, end)
}

/** Appends bytes[start, end) but for the white space between tokens. */
export function writeCompact(
  builder: BytesBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  builder.reserveBytes(end - start)
  const target = builder.bytes
  let to = builder.bytesLength
  let quoted = false
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    // White space is the only thing below 0x21, and stands in no string unescaped but as a blank.
    if (byte <= 0x20 && !quoted) continue
    target[to++] = byte
    if (byte === QUOTE) quoted = !quoted
    else if (byte === BACKSLASH) target[to++] = bytes[++at]!
  }
  builder.bytesLength = to
}
