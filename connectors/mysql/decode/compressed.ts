// MariaDB's compression of events (log_bin_compress) and of single values (COMPRESSED columns).
// Both are zlib streams behind a byte that says how long the length is; the lengths are checked,
// because a stream that inflates to anything else is damaged.
// Source: MariaDB 10.11 sql/log_event.cc (binlog_buf_uncompress), sql/field_comp.cc.

import { inflateRawSync, inflateSync } from 'node:zlib'
import { corrupt } from './cursor.ts'

/** Events and values end here in the server too: max_allowed_packet. */
const INFLATED_BYTES_MAX = 1024 * 1024 * 1024

/** Inflates the body of a compressed event, bytes[start, end). */
export function inflateEvent(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const header = bytes[start] ?? 0
  const lengthBytes = header & 0x07
  // Bit 7 marks compression, bits 4...6 the algorithm, of which there is one.
  if ((header & 0xf0) !== 0x80 || lengthBytes < 1 || lengthBytes > 4) {
    throw corrupt('the head of a compressed event')
  }
  return inflate(bytes, start + 1, lengthBytes, end, inflateSync)
}

/** Inflates a value of a COMPRESSED column, bytes[start, end). */
export function inflateValue(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (start === end) return bytes.subarray(start, end)
  const header = bytes[start] ?? 0
  if (header === 0) return bytes.subarray(start + 1, end)
  if (header >> 4 !== 8) throw corrupt('the head of a compressed value')
  const engine = (header & 0x08) === 0 ? inflateSync : inflateRawSync
  return inflate(bytes, start + 1, header & 0x07, end, engine)
}

function inflate(
  bytes: Uint8Array,
  at: number,
  lengthBytes: number,
  end: number,
  engine: typeof inflateSync,
): Uint8Array {
  if (at + lengthBytes > end) throw corrupt('a compressed part ends in its head')
  let length = 0
  for (let index = at; index < at + lengthBytes; index++) length = length * 256 + bytes[index]!
  if (length > INFLATED_BYTES_MAX) throw corrupt('a compressed part declares more than 1 GiB')
  let inflated: Uint8Array
  try {
    inflated = engine(bytes.subarray(at + lengthBytes, end), { maxOutputLength: length + 1 })
  } catch {
    throw corrupt('a compressed part does not inflate')
  }
  if (inflated.length !== length) throw corrupt('a compressed part has another length than it says')
  return inflated
}
