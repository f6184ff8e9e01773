// Metadata of a table: its first version, and the one that a commit puts in place of its base, with
// the marker, the refs, and what has become too old taken out.

import { present } from '../../runtime/base/assert.ts'
import type { PlanContext } from './commit-plan.ts'
import type { CommitWork } from './commit-work.ts'
import { expireSnapshots } from './expiry.ts'
import { CHANGELOG_FIELDS } from '../parquet/table/fields.ts'
import { formatMarker, markerName, tagName, type Marker } from './marker.ts'
import { branchAt, formatTableMetadata, UNSORTED } from './metadata.ts'
import type { MetadataLogEntry, Snapshot, TableMetadata } from './metadata.ts'
import { FIRST_PARTITION_ID, specFieldsJson, type PartitionSpec } from './partition-spec.ts'
import type { IcebergSchema } from './schema.ts'

/** Superseded metadata files that stay for readers who look back. */
const METADATA_LOG_MAX = 20

/**
 * What other engines must know from the start: files that were not tracked from the first commit on
 * can never be cleaned up by them.
 */
const TABLE_PROPERTIES: Readonly<Record<string, string>> = {
  'write.metadata.delete-after-commit.enabled': 'true',
  'write.metadata.previous-versions-max': String(METADATA_LOG_MAX),
  'history.expire.max-snapshot-age-ms': '600000',
  'history.expire.min-snapshots-to-keep': '100',
  'commit.manifest.min-count-to-merge': '20',
}

/** @param intent  that creates the table: all attempts to commit it make one and the same table */
export function newTableMetadata(
  location: string,
  intent: bigint,
  spec: PartitionSpec,
  nowMs: number,
): TableMetadata {
  return {
    formatVersion: 3,
    tableUuid: uuidOf(intent),
    location,
    lastSequenceNumber: 0n,
    lastUpdatedMs: nowMs,
    lastColumnId: 0,
    schemas: [],
    currentSchemaId: -1,
    partitionSpecs: [{ 'spec-id': 0, fields: specFieldsJson(spec) }],
    defaultSpecId: 0,
    lastPartitionId: FIRST_PARTITION_ID + spec.length - 1,
    sortOrders: [UNSORTED],
    defaultSortOrderId: 0,
    properties: TABLE_PROPERTIES,
    currentSnapshotId: null,
    snapshots: [],
    snapshotLog: [],
    metadataLog: [],
    refs: {},
    nextRowId: 0n,
    rest: {},
  }
}

/** A UUID of version 8, whose bits are its maker's choice; the intent's 63 are random. */
function uuidOf(intent: bigint): string {
  const hex = intent.toString(16).padStart(16, '0')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(12, 15)}`, `8${hex.slice(15)}00`]
  return [...parts, '6d696c6c7261'].join('-')
}

export interface TableUpdate {
  readonly snapshots: readonly Snapshot[]
  readonly schemas: readonly IcebergSchema[]
  readonly currentSchemaId: number
  readonly nextRowId: bigint
  readonly timestampMs: number
}

export interface FinishedUpdate {
  readonly metadata: TableMetadata
  readonly text: string
  /** URIs of metadata files that the log no longer names. */
  readonly superseded: readonly string[]
  /** URIs of the manifest lists of expired snapshots. */
  readonly expiredLists: readonly string[]
}

/** @param location  of the base; `null`: the table is created */
export function finishMetadata(
  context: PlanContext,
  start: TableMetadata,
  location: string | null,
  work: CommitWork,
  update: TableUpdate,
): FinishedUpdate {
  const { timestampMs, currentSchemaId } = update
  const lastColumnId = lastColumnIdOf(context, start, work)
  const marker = formatMarker(markerFor(work, currentSchemaId, lastColumnId))
  const head = present(update.snapshots.at(-1), 'a commit has a last snapshot')
  const log = logWith(start.metadataLog, location, start.lastUpdatedMs)
  const tag = tagName(context.pipeline)
  const grown: TableMetadata = {
    ...start,
    lastSequenceNumber: head.sequenceNumber,
    lastUpdatedMs: timestampMs,
    lastColumnId,
    schemas: update.schemas,
    currentSchemaId,
    properties: { ...propertiesOf(start, work), [markerName(context.pipeline)]: marker },
    currentSnapshotId: head.snapshotId,
    snapshots: [
      ...start.snapshots,
      ...update.snapshots.slice(0, -1),
      { ...head, summary: { ...head.summary, [markerName(context.pipeline)]: marker } },
    ],
    snapshotLog: [...start.snapshotLog, { snapshotId: head.snapshotId, timestampMs }],
    metadataLog: log.kept,
    refs: {
      ...start.refs,
      main: { ...(start.refs['main'] ?? branchAt(head.snapshotId)), snapshotId: head.snapshotId },
      [tag]: { ...branchAt(head.snapshotId), type: 'tag' },
    },
    nextRowId: update.nextRowId,
  }
  const { metadata, expired } = expireSnapshots(grown, context.clock.nowMs(), context.history)
  const expiredLists = expired.flatMap(({ manifestList }) => manifestList ?? [])
  const text = formatTableMetadata(metadata)
  return { metadata, text, superseded: log.dropped, expiredLists }
}

function markerFor(work: CommitWork, schemaId: number, lastColumnId: number): Marker {
  const { intent } = present(work.epochs.at(-1), 'a commit has at least one epoch')
  const { timeline, epoch, fence } = intent
  return { timeline, epoch, fence, intent: work.snapshotId, schemaId, lastColumnId }
}

function lastColumnIdOf({ mode }: PlanContext, start: TableMetadata, work: CommitWork): number {
  const own = mode === 'changelog' ? CHANGELOG_FIELDS.length : 0
  return Math.max(own, start.lastColumnId, ...work.schemas.map(({ lastFieldId }) => lastFieldId))
}

/** The properties, with the comment of the newest schema in place of the one before. */
function propertiesOf(start: TableMetadata, { schemas }: CommitWork): Record<string, string> {
  const last = schemas.at(-1)
  const properties = { ...start.properties }
  if (last === undefined) return properties
  delete properties['comment']
  return last.comment === null ? properties : { ...properties, comment: last.comment }
}

/** The log of metadata files with that of before, and those that it has no room for. */
export function logWith(
  log: readonly MetadataLogEntry[],
  location: string | null,
  timestampMs: number,
): { kept: readonly MetadataLogEntry[]; dropped: readonly string[] } {
  const all = location === null ? log : [...log, { metadataFile: location, timestampMs }]
  const dropped = all.slice(0, Math.max(0, all.length - METADATA_LOG_MAX))
  return {
    kept: all.slice(-METADATA_LOG_MAX),
    dropped: dropped.map(({ metadataFile }) => metadataFile),
  }
}
