// What stands in front of a record's bytes and says which schema they have: byte 0, then the
// schema's id with four bytes, the highest first. Shared by Avro and Protobuf.
// Source: Confluent Schema Registry, "Wire format",
// https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html

import type { DecodeFault } from '../format.ts'

/** Bytes in front of the payload. */
export const FRAME_BYTES = 5

/** AWS Glue: version 3, one byte of compression, a UUID. */
const GLUE_VERSION = 3
const GLUE_BYTES = 18

/** @returns the id of the schema of bytes[start, end); -1: they are not framed */
export function schemaIdOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < FRAME_BYTES || bytes[start] !== 0) return -1
  return (
    (((bytes[start + 1] ?? 0) << 24) |
      ((bytes[start + 2] ?? 0) << 16) |
      ((bytes[start + 3] ?? 0) << 8) |
      (bytes[start + 4] ?? 0)) >>>
    0
  )
}

/** @returns why `schemaIdOf` gives -1 */
export function frameFault(bytes: Uint8Array, start: number, end: number): DecodeFault {
  return { name: 'RECORD_CORRUPT', message: frameMessage(bytes, start, end), byteOffset: 0 }
}

function frameMessage(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start
  if (length >= GLUE_BYTES && bytes[start] === GLUE_VERSION) {
    return "the framing is that of AWS Glue's schema registry, which is not supported"
  }
  if (length < FRAME_BYTES) return `${length} bytes are too few for a schema id`
  return `byte ${bytes[start]} stands where 0 and a schema id are expected`
}

/** What is said of a record whose schema the registry does not have. */
export function unknownSchema(id: number): DecodeFault {
  const message = `schema id ${id} is unknown`
  return { name: 'SCHEMA_UNKNOWN', message, byteOffset: 1, schemaId: String(id) }
}
