// The bytes of what the runtime keeps in the state store: JSON with exact 64-bit integers behind a
// checksum.

import { crc32 } from 'node:zlib'
import { PipelineError } from '../base/errors.ts'

export interface Document {
  readonly value: unknown
  /** Of the JSON. */
  readonly crc: number
}

/** @returns the bytes, `<kind> <crc32 hex>\n<JSON>`, and the checksum in them */
export function encodeDocument(kind: string, value: unknown): { bytes: Uint8Array; crc: number } {
  const body = Buffer.from(textOf(value))
  const crc = crc32(body)
  return { bytes: Buffer.concat([Buffer.from(`${headOf(kind, crc)}\n`), body]), crc }
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function decodeDocument(kind: string, bytes: Uint8Array, path: string): Document {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = buffer.indexOf('\n')
  const body = buffer.subarray(end + 1)
  const crc = crc32(body)
  if (end < 0 || buffer.toString('latin1', 0, end) !== headOf(kind, crc)) {
    throw new PipelineError('CHECKPOINT_CORRUPT', `state file "${path}" fails its checksum`)
  }
  return { value: valueOf(body.toString()), crc }
}

/** @returns JSON from which `valueOf` makes the same value again */
export function textOf(value: unknown): string {
  return JSON.stringify(value, writeExact)
}

export function valueOf(text: string): unknown {
  return JSON.parse(text, readExact)
}

function headOf(kind: string, crc: number): string {
  return `${kind} ${crc.toString(16).padStart(8, '0')}`
}

/**
 * JSON has no 64-bit integers, bytes, NaN or -0: they travel as { "$bigint": "1" },
 * { "$bytes": base64 } and { "$number": "NaN" }.
 */
function writeExact(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: value.toString() }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (typeof value !== 'number') return value
  if (Object.is(value, -0)) return { $number: '-0' }
  return Number.isFinite(value) ? value : { $number: String(value) }
}

function readExact(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('$bigint' in value) return BigInt(String(value.$bigint))
  if ('$bytes' in value) return new Uint8Array(Buffer.from(String(value.$bytes), 'base64'))
  if ('$number' in value) return Number(value.$number)
  return value
}
