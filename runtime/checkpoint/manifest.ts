// What a checkpoint holds, and its bytes. State that grows with the data, or with the time that the
// catalog is down, stands in immutable files that the checkpoint names.

import { PipelineError, type ErrorRecord } from '../base/errors.ts'
import type { Position } from '../data/position.ts'
import type { TableRecord } from '../flow/tables.ts'
import type { SavedWatermarks } from '../flow/watermark.ts'
import type { Intent, WriterState } from '../sink.ts'
import { decodeDocument, encodeDocument } from './document.ts'
import type { SavedReadiness } from './readiness.ts'
import type { SinkIdentity } from './sink-parts.ts'
import type { IntentChain, PendingIntent } from './pending-intent.ts'

export const CHECKPOINT_FORMAT = 2

/** The source thread at a barrier. */
export interface SourceCheckpoint {
  readonly position: Position
  /** Running maximum of the commit times, microseconds since 1970 (H12). */
  readonly sourceTimeUs: bigint
  /** `Source.save()`, base64. */
  readonly state: string
  readonly tables: readonly TableRecord[]
  /** Event time; missing: of a version that had none. */
  readonly times?: SavedTimes
}

export interface SavedTimes {
  readonly splits: SavedWatermarks
  /** Watermarks that may be relied on: of the tables that are handed over. */
  readonly tables: readonly (readonly [table: string, watermarkUs: bigint])[]
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

interface CheckpointParts {
  readonly format: typeof CHECKPOINT_FORMAT
  readonly pipeline: string
  readonly timeline: number
  readonly epoch: number
  readonly fence: string
  readonly source: SourceCheckpoint
  readonly writers: readonly WriterState[]
  /** No file of any writer has this id or a higher one. */
  readonly nextFileId: number
  /**
   * By table: the last epoch that has changes of it which are not known to be committed. Tables
   * without an entry are in the lake as of this epoch.
   */
  readonly waiting: Readonly<Record<string, number>>
  /** By table: of the intents up to this epoch nothing of the table is committed any more. */
  readonly cancelled: Readonly<Record<string, number>>
  readonly lake: readonly LakeTable[]
  /** By table: rows that wait in the sink (`RowCounts.held`), for the trace. */
  readonly held: Readonly<Record<string, number>>
  /** Tables that were parked at this barrier by a writer or the committer. */
  readonly parked: readonly { readonly table: string; readonly reason: ErrorRecord }[]
  /** How the sink keeps rows: tables of one mode cannot go on in another. Missing: not known. */
  readonly mode?: string
  /** Where there are several sinks: which. Missing: there is one. */
  readonly sinks?: readonly SinkIdentity[]
  /** Which partitions are whole, and who has to be told; missing: nobody is. */
  readonly readiness?: SavedReadiness
  /** When the last epoch that showed all rows was cut, and it had some; missing: none has. */
  readonly shownAtMs?: number
  readonly savedAtMs: number
}

/** A checkpoint in the store. */
export interface CheckpointRecord extends CheckpointParts {
  /** What this epoch wants to be committed; `null`: nothing. */
  readonly intent: Intent<unknown> | null
  /** Intents of earlier epochs that are not known to be committed; `null`: none. */
  readonly older: IntentChain | null
}

/** A checkpoint of the run. */
export interface Checkpoint extends CheckpointParts {
  /** Prepared and not yet known to be committed, oldest first; this epoch's included. */
  readonly intents: readonly PendingIntent[]
}

const KIND = 'millrace-checkpoint'

export function encodeCheckpoint(record: CheckpointRecord): Uint8Array {
  return encodeDocument(KIND, record).bytes
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function decodeCheckpoint(bytes: Uint8Array, name: string): CheckpointRecord {
  const record = decodeDocument(KIND, bytes, name).value as CheckpointRecord
  if (record.format !== CHECKPOINT_FORMAT) {
    const detail = `It has format ${record.format}; this version reads ${CHECKPOINT_FORMAT}.`
    throw new PipelineError('CHECKPOINT_CORRUPT', `checkpoint "${name}" is of another version`, {
      detail,
    })
  }
  return record
}
