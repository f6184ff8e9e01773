// Headers as JSON, written straight from their bytes: [{"key":"k","value":"v"}, ...]. A value that
// is no text comes as "base64" instead of "value" (a key as "key_base64"), a null one as null, so
// nothing is lost.
// Grammar of a header: key length and key, value length (-1: null) and value; lengths are zigzag
// varints. Source: Apache Kafka documentation, "Record Header", version 4.

import { isUtf8 } from 'node:buffer'
import type { BytesBuilder } from '../../../runtime/data/column/builder.ts'
import type { RecordSet } from '../records.ts'

const utf8 = new TextEncoder()
const OPEN = utf8.encode('[')
const CLOSE = utf8.encode(']')
const COMMA = utf8.encode(',')
const KEY = utf8.encode('{"key":')
const KEY_BASE64 = utf8.encode('{"key_base64":')
const VALUE = utf8.encode(',"value":')
const BASE64 = utf8.encode(',"base64":')
const NULL = utf8.encode(',"value":null}')
const END = utf8.encode('}')
const QUOTE = 0x22
const BACKSLASH = 0x5c
/** Letters of the control characters that have a short escape, by their code. */
const SHORT = new Uint8Array(32)
for (const letter of 'bfnrt')
  SHORT[JSON.parse(`"\\${letter}"`).charCodeAt(0)] = letter.charCodeAt(0)
const HEX = utf8.encode('0123456789abcdef')

/** Writes the headers of one record as the value of `row`. */
export function writeHeaders(
  builder: BytesBuilder,
  row: number,
  set: RecordSet,
  index: number,
): void {
  const { bytes } = set
  const count = set.headerCount[index]!
  cursor.at = set.headersStart[index]!
  put(builder, OPEN)
  for (let header = 0; header < count; header++) {
    if (header > 0) put(builder, COMMA)
    const keyLength = varint(bytes, cursor)
    putBytes(builder, KEY, KEY_BASE64, bytes, cursor.at, cursor.at + keyLength)
    cursor.at += keyLength
    const length = varint(bytes, cursor)
    if (length < 0) {
      put(builder, NULL)
      continue
    }
    const end = cursor.at + length
    putBytes(builder, VALUE, BASE64, bytes, cursor.at, end)
    put(builder, END)
    cursor.at = end
  }
  put(builder, CLOSE)
  builder.endRow(row)
}

/** One for all calls: nothing here waits. */
const cursor = { at: 0 }

/** The reader of the batch has checked that the headers end where they say. */
function varint(bytes: Uint8Array, place: { at: number }): number {
  let value = 0
  let shift = 0
  let byte
  do {
    byte = bytes[place.at++]!
    value |= (byte & 0x7f) << shift
    shift += 7
  } while (byte >= 0x80)
  return (value >>> 1) ^ -(value & 1)
}

/** @param name  what stands before a text. @param other  what stands before bytes that are none */
function putBytes(
  builder: BytesBuilder,
  name: Uint8Array,
  other: Uint8Array,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  const bytes = source.subarray(start, end)
  if (isUtf8(bytes)) {
    put(builder, name)
    putText(builder, source, start, end)
    return
  }
  put(builder, other)
  put(builder, utf8.encode(`"${Buffer.from(bytes).toString('base64')}"`))
}

function put(builder: BytesBuilder, text: Uint8Array): void {
  builder.reserveBytes(text.length)
  builder.bytes.set(text, builder.bytesLength)
  builder.bytesLength += text.length
}

/** As a JSON string: quotes, backslashes and control characters are escaped, six bytes at most. */
function putText(builder: BytesBuilder, source: Uint8Array, start: number, end: number): void {
  builder.reserveBytes(2 + 6 * (end - start))
  const { bytes } = builder
  let at = builder.bytesLength
  bytes[at++] = QUOTE
  for (let from = start; from < end; from++) {
    const byte = source[from]!
    if (byte === QUOTE || byte === BACKSLASH) {
      bytes[at++] = BACKSLASH
      bytes[at++] = byte
    } else if (byte < 0x20) {
      bytes[at++] = BACKSLASH
      const short = SHORT[byte]!
      if (short !== 0) {
        bytes[at++] = short
        continue
      }
      bytes[at++] = 0x75
      bytes[at++] = 0x30
      bytes[at++] = 0x30
      bytes[at++] = HEX[byte >> 4]!
      bytes[at++] = HEX[byte & 15]!
    } else bytes[at++] = byte
  }
  bytes[at++] = QUOTE
  builder.bytesLength = at
}
