// Manifest lists: the manifests of one snapshot. Writing one is what gives new manifests their
// sequence number and their row ids; on a retry upon a newer base both are given anew.
// Source: Apache Iceberg specification, "Snapshots", "Manifest Lists" and "Row Lineage".

import { avroType, decodeContainer, encodeContainer, type AvroRecord } from './avro.ts'

export interface ManifestFile {
  /** URI. */
  readonly path: string
  readonly bytes: number
  readonly partitionSpecId: number
  readonly content: 'data' | 'deletes'
  readonly sequenceNumber: bigint
  readonly minSequenceNumber: bigint
  readonly addedSnapshotId: bigint
  readonly addedFiles: number
  readonly existingFiles: number
  readonly deletedFiles: number
  readonly addedRows: bigint
  readonly existingRows: bigint
  readonly deletedRows: bigint
  /** Row id of its first added row; `null` for deletes, and in tables before version 3. */
  readonly firstRowId: bigint | null
  /** The list's `partitions` and `key_metadata` as decoded, for writing them again. */
  readonly record: AvroRecord | null
}

export function liveFiles(manifest: ManifestFile): number {
  return manifest.addedFiles + manifest.existingFiles
}

type Type = string | object
const required = (name: string, id: number, type: Type): object => ({
  name,
  'field-id': id,
  type,
})
const optional = (name: string, id: number, type: Type): object => ({
  name,
  'field-id': id,
  type: ['null', type],
  default: null,
})

const SUMMARY = {
  type: 'record',
  name: 'r508',
  fields: [
    required('contains_null', 509, 'boolean'),
    optional('contains_nan', 518, 'boolean'),
    optional('lower_bound', 510, 'bytes'),
    optional('upper_bound', 511, 'bytes'),
  ],
}

const LIST_SCHEMA = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    required('manifest_path', 500, 'string'),
    required('manifest_length', 501, 'long'),
    required('partition_spec_id', 502, 'int'),
    required('content', 517, 'int'),
    required('sequence_number', 515, 'long'),
    required('min_sequence_number', 516, 'long'),
    required('added_snapshot_id', 503, 'long'),
    required('added_files_count', 504, 'int'),
    required('existing_files_count', 505, 'int'),
    required('deleted_files_count', 506, 'int'),
    required('added_rows_count', 512, 'long'),
    required('existing_rows_count', 513, 'long'),
    required('deleted_rows_count', 514, 'long'),
    optional('partitions', 507, { type: 'array', items: SUMMARY, 'element-id': 508 }),
    optional('key_metadata', 519, 'bytes'),
    optional('first_row_id', 520, 'long'),
  ],
}
const LIST_SCHEMA_TEXT = JSON.stringify(LIST_SCHEMA)
const listType = avroType(LIST_SCHEMA)

export interface ManifestListPlan {
  readonly snapshotId: bigint
  readonly parentSnapshotId: bigint | null
  readonly sequenceNumber: bigint
  /** Row id of the first row that this snapshot adds. */
  readonly firstRowId: bigint
  /** In the order of the list; those that this snapshot adds have `firstRowId` null. */
  readonly manifests: readonly ManifestFile[]
}

export interface EncodedManifestList {
  readonly bytes: Buffer
  /** The manifests with the row ids they were given. */
  readonly manifests: readonly ManifestFile[]
  readonly nextRowId: bigint
}

/**
 * Gives row ids to data manifests that have none, in the order of the list, as many as a manifest
 * has added and existing rows; existing rows keep the id that their entry states.
 */
export function encodeManifestList(plan: ManifestListPlan): EncodedManifestList {
  let nextRowId = plan.firstRowId
  const manifests = plan.manifests.map((manifest) => {
    if (manifest.content === 'deletes' || manifest.firstRowId !== null) return manifest
    const firstRowId = nextRowId
    nextRowId += manifest.addedRows + manifest.existingRows
    return { ...manifest, firstRowId }
  })
  const metadata = {
    'snapshot-id': plan.snapshotId.toString(),
    'parent-snapshot-id': plan.parentSnapshotId?.toString() ?? 'null',
    'sequence-number': plan.sequenceNumber.toString(),
    'first-row-id': plan.firstRowId.toString(),
    'format-version': '3',
  }
  const records = manifests.map((manifest) => listType.toBuffer(toRecord(manifest)))
  return { bytes: encodeContainer(LIST_SCHEMA_TEXT, metadata, records), manifests, nextRowId }
}

function toRecord(manifest: ManifestFile): AvroRecord {
  return {
    manifest_path: manifest.path,
    manifest_length: BigInt(manifest.bytes),
    partition_spec_id: manifest.partitionSpecId,
    content: manifest.content === 'data' ? 0 : 1,
    sequence_number: manifest.sequenceNumber,
    min_sequence_number: manifest.minSequenceNumber,
    added_snapshot_id: manifest.addedSnapshotId,
    added_files_count: manifest.addedFiles,
    existing_files_count: manifest.existingFiles,
    deleted_files_count: manifest.deletedFiles,
    added_rows_count: manifest.addedRows,
    existing_rows_count: manifest.existingRows,
    deleted_rows_count: manifest.deletedRows,
    partitions: manifest.record?.['partitions'] ?? [],
    key_metadata: manifest.record?.['key_metadata'] ?? null,
    first_row_id: manifest.firstRowId,
  }
}

/** @throws PipelineError LAKE_FORMAT */
export function decodeManifestList(bytes: Uint8Array, file: string): ManifestFile[] {
  return decodeContainer(bytes, file).records.map((record) => ({
    path: record['manifest_path'] as string,
    bytes: Number(record['manifest_length']),
    partitionSpecId: record['partition_spec_id'] as number,
    content: record['content'] === 1 ? 'deletes' : 'data',
    sequenceNumber: longOf(record, 'sequence_number') ?? 0n,
    minSequenceNumber: longOf(record, 'min_sequence_number') ?? 0n,
    addedSnapshotId: longOf(record, 'added_snapshot_id') ?? -1n,
    addedFiles: countOf(record, 'files_count', 'added'),
    existingFiles: countOf(record, 'files_count', 'existing'),
    deletedFiles: countOf(record, 'files_count', 'deleted'),
    addedRows: longOf(record, 'added_rows_count') ?? 0n,
    existingRows: longOf(record, 'existing_rows_count') ?? 0n,
    deletedRows: longOf(record, 'deleted_rows_count') ?? 0n,
    firstRowId: longOf(record, 'first_row_id'),
    record,
  }))
}

function longOf(record: AvroRecord, name: string): bigint | null {
  return (record[name] ?? null) as bigint | null
}

/** Iceberg 0.x wrote `added_data_files_count`; a count that is missing means at least one. */
function countOf(record: AvroRecord, name: string, kind: string): number {
  const count = record[`${kind}_${name}`] ?? record[`${kind}_data_${name}`] ?? 1
  return Number(count)
}
