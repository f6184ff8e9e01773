// What a checkpoint holds, and its bytes: JSON with exact 64-bit integers behind a checksum. State
// that grows with the data stands in immutable files that the checkpoint names.

import { crc32 } from 'node:zlib'
import { PipelineError, type ErrorRecord } from '../base/errors.ts'
import type { Position } from '../data/position.ts'
import type { TableRecord } from '../flow/tables.ts'
import type { Intent, WriterState } from '../sink.ts'

export const CHECKPOINT_FORMAT = 1

/** The source thread at a barrier. */
export interface SourceCheckpoint {
  readonly position: Position
  /** Running maximum of the commit times, microseconds since 1970 (H12). */
  readonly sourceTimeUs: bigint
  /** `Source.save()`, base64. */
  readonly state: string
  readonly tables: readonly TableRecord[]
}

/** What the lake holds of a table, as far as this pipeline has seen its own commits succeed. */
export interface LakeTable {
  readonly table: string
  /** `null`: not created yet. */
  readonly tableUuid: string | null
  /** Snapshot id of our last commit; `null`: none. */
  readonly lastIntent: bigint | null
  readonly metadataLocation: string | null
  /** Last schema version that an intent has carried; -1: none. */
  readonly schemaVersion: number
  /** Epoch and source time (us) of the last commit. */
  readonly committedEpoch: number | null
  readonly committedTimeUs: bigint | null
}

export interface Checkpoint {
  readonly format: typeof CHECKPOINT_FORMAT
  readonly pipeline: string
  readonly timeline: number
  readonly epoch: number
  readonly fence: string
  readonly source: SourceCheckpoint
  readonly writers: readonly WriterState[]
  /** No file of any writer has this id or a higher one. */
  readonly nextFileId: number
  /** Prepared and not yet known to be committed, oldest first; this epoch's included. */
  readonly intents: readonly Intent<unknown>[]
  readonly lake: readonly LakeTable[]
  /** By table: partial rows that wait for their backfill row (H9), for the trace. */
  readonly held: Readonly<Record<string, number>>
  /** Tables that were parked at this barrier by a writer or the committer. */
  readonly parked: readonly { readonly table: string; readonly reason: ErrorRecord }[]
  readonly savedAtMs: number
}

const MAGIC = 'millrace-checkpoint'

/** @returns `millrace-checkpoint <crc32 hex>\n<JSON>` */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const body = Buffer.from(JSON.stringify(checkpoint, writeExact))
  const head = Buffer.from(`${MAGIC} ${crc32(body).toString(16).padStart(8, '0')}\n`)
  return Buffer.concat([head, body])
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function decodeCheckpoint(bytes: Uint8Array, name: string): Checkpoint {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = buffer.indexOf('\n')
  const body = buffer.subarray(end + 1)
  const head = `${MAGIC} ${crc32(body).toString(16).padStart(8, '0')}`
  if (end < 0 || buffer.toString('latin1', 0, end) !== head) {
    throw new PipelineError('CHECKPOINT_CORRUPT', `checkpoint "${name}" fails its checksum`)
  }
  const checkpoint = JSON.parse(body.toString(), readExact) as Checkpoint
  if (checkpoint.format !== CHECKPOINT_FORMAT) {
    const detail = `It has format ${checkpoint.format}; this version reads ${CHECKPOINT_FORMAT}.`
    throw new PipelineError('CHECKPOINT_CORRUPT', `checkpoint "${name}" is of another version`, {
      detail,
    })
  }
  return checkpoint
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
