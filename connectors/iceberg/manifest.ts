// Manifests: lists of data files or of delete files. Reads what format versions 1 to 3 wrote,
// writes version 3. What an entry inherits from its manifest (sequence numbers,
// snapshot id, first row id) is filled in when it is read, so that nobody downstream knows about
// inheritance. Source: Apache Iceberg specification, "Manifests" and "Manifest Inheritance".

import { assert } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import { partitionKey, type PartitionTuple } from '../../runtime/data/partition/value.ts'
import { decodeContainer, encodeContainer, type AvroRecord } from './avro.ts'
import type { DataFileRecord, FileMetricsRecord } from '../parquet/table/data-file-record.ts'
import { formatJson } from './json.ts'
import { EMPTY_FILE, NO_PARTITION, structFields, tupleOf } from './manifest-format.ts'
import type { ManifestFormat, StructField } from './manifest-format.ts'
import type { ManifestFile } from './manifest-list.ts'
import type { IcebergSchema } from './schema.ts'

export const EntryStatus = { existing: 0, added: 1, deleted: 2 } as const
export type EntryStatus = (typeof EntryStatus)[keyof typeof EntryStatus]

export const FileContent = { data: 0, positionDeletes: 1, equalityDeletes: 2 } as const
export type FileContent = (typeof FileContent)[keyof typeof FileContent]

/** An entry of a manifest as it was read, inheritance applied. */
export interface ManifestEntry {
  readonly status: EntryStatus
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly fileSequenceNumber: bigint
  readonly content: FileContent
  /** URI, spelled as in the manifest. */
  readonly path: string
  readonly format: string
  readonly rows: number
  readonly bytes: number
  /** Data files of version 3 tables. */
  readonly firstRowId: bigint | null
  /** Deletion vectors and position deletes of one data file: its path. */
  readonly referencedDataFile: string | null
  /** Deletion vectors: place of the blob in the Puffin file. */
  readonly contentOffset: number | null
  readonly contentBytes: number | null
  /** [] in an unpartitioned spec, and where a value has a type that Millrace does not know. */
  readonly partition: PartitionTuple
  /** The `data_file` record as decoded, for writing it again. */
  readonly record: AvroRecord
}

/** An entry to be written: bytes of its Avro record. */
export type EncodedEntry = Uint8Array

/** @returns the `data_file` record of a new data file */
export function dataFileRecord(file: DataFileRecord, uri: string): AvroRecord {
  const { metrics } = file
  return {
    ...EMPTY_FILE,
    content: FileContent.data,
    file_path: uri,
    file_format: 'PARQUET',
    record_count: BigInt(file.rows),
    file_size_in_bytes: BigInt(file.bytes),
    column_sizes: countMap(metrics.columnSizes),
    value_counts: countMap(metrics.valueCounts),
    null_value_counts: countMap(metrics.nullCounts),
    nan_value_counts: countMap(metrics.nanCounts),
    lower_bounds: boundMap(metrics.lowerBounds),
    upper_bounds: boundMap(metrics.upperBounds),
    split_offsets: metrics.splitOffsets.map(BigInt),
    sort_order_id: 0,
  }
}

/** @returns the `data_file` record of a deletion vector */
export function vectorRecord(vector: {
  readonly path: string
  readonly fileBytes: number
  readonly dataFile: string
  readonly offset: number
  readonly bytes: number
  readonly cardinality: number
}): AvroRecord {
  return {
    ...EMPTY_FILE,
    content: FileContent.positionDeletes,
    file_path: vector.path,
    file_format: 'PUFFIN',
    record_count: BigInt(vector.cardinality),
    file_size_in_bytes: BigInt(vector.fileBytes),
    referenced_data_file: vector.dataFile,
    content_offset: BigInt(vector.offset),
    content_size_in_bytes: BigInt(vector.bytes),
  }
}

function countMap(counts: FileMetricsRecord['valueCounts']): object[] {
  return Object.entries(counts).map(([key, value]) => ({ key: Number(key), value: BigInt(value) }))
}

function boundMap(bounds: FileMetricsRecord['lowerBounds']): object[] {
  return Object.entries(bounds).map(([key, value]) => ({
    key: Number(key),
    value: Buffer.from(value, 'base64'),
  }))
}

/** A new file: sequence numbers and first row id come from the snapshot that takes the manifest. */
export function encodeAdded(
  format: ManifestFormat,
  snapshotId: bigint,
  record: AvroRecord,
  partition: PartitionTuple,
): EncodedEntry {
  return encodeEntry(format, EntryStatus.added, snapshotId, null, { record, partition })
}

/** A file that stays, with what it had inherited written out. */
export function encodeExisting(format: ManifestFormat, entry: ManifestEntry): EncodedEntry {
  return encodeEntry(format, EntryStatus.existing, entry.snapshotId, entry, owned(entry))
}

/** A file that snapshot `snapshotId` removes. */
export function encodeDeleted(
  format: ManifestFormat,
  snapshotId: bigint,
  entry: ManifestEntry,
): EncodedEntry {
  return encodeEntry(format, EntryStatus.deleted, snapshotId, entry, owned(entry))
}

type StatedFile = Pick<ManifestEntry, 'record' | 'partition'>

function owned(entry: ManifestEntry): StatedFile {
  const { content, firstRowId, partition } = entry
  // Entries of older format versions lack the later fields.
  return {
    record: { ...EMPTY_FILE, ...entry.record, content, first_row_id: firstRowId },
    partition,
  }
}

function encodeEntry(
  format: ManifestFormat,
  status: EntryStatus,
  snapshotId: bigint,
  numbers: Pick<ManifestEntry, 'sequenceNumber' | 'fileSequenceNumber'> | null,
  { record, partition }: StatedFile,
): EncodedEntry {
  const file = partition.length === 0 ? record : { ...record, partition: format.struct(partition) }
  return format.entryType.toBuffer({
    status,
    snapshot_id: snapshotId,
    sequence_number: numbers?.sequenceNumber ?? null,
    file_sequence_number: numbers?.fileSequenceNumber ?? null,
    data_file: file,
  })
}

/** @returns bytes of a version 3 manifest of spec 0 */
export function encodeManifest(
  content: 'data' | 'deletes',
  schema: IcebergSchema,
  format: ManifestFormat,
  entries: readonly EncodedEntry[],
): Buffer {
  const metadata = {
    schema: formatJson(schema.json),
    'schema-id': String(schema.schemaId),
    'partition-spec': format.specText,
    'partition-spec-id': '0',
    'format-version': '3',
    content,
  }
  return encodeContainer(format.schemaText, metadata, entries)
}

/**
 * @param manifest  the manifest's entry in the manifest list, from which its entries inherit
 * @returns all entries, removed ones included, in the order of the file
 * @throws PipelineError LAKE_FORMAT
 */
export function decodeManifest(bytes: Uint8Array, manifest: ManifestFile): ManifestEntry[] {
  const { metadata, records } = decodeContainer(bytes, manifest.path)
  const partitions = new Partitions(structFields(metadata['avro.schema'] ?? ''))
  let nextRowId = manifest.firstRowId
  return records.map((record) => {
    const entry = readEntry(record, manifest, nextRowId, partitions)
    const inherits = longOf(entry.record, 'first_row_id') === null
    const takesIds = inherits && entry.status !== EntryStatus.deleted
    if (nextRowId !== null && takesIds) nextRowId += BigInt(entry.rows)
    return entry
  })
}

function readEntry(
  record: AvroRecord,
  manifest: ManifestFile,
  nextRowId: bigint | null,
  partitions: Partitions,
): ManifestEntry {
  const status = record['status'] as EntryStatus
  const file = record['data_file'] as AvroRecord
  const ownSequence = longOf(record, 'sequence_number')
  const ownFileSequence = longOf(record, 'file_sequence_number')
  const inherits = ownSequence === null && status !== EntryStatus.added
  // Version 1 has no sequence numbers: everything counts as 0, which its manifest list says too.
  if (inherits && manifest.sequenceNumber !== 0n) damaged(manifest, 'an entry without sequence')
  const path = textOf(file, 'file_path') ?? damaged(manifest, 'an entry without path')
  const offset = longOf(file, 'content_offset')
  const length = longOf(file, 'content_size_in_bytes')
  return {
    status,
    snapshotId: longOf(record, 'snapshot_id') ?? manifest.addedSnapshotId,
    sequenceNumber: ownSequence ?? manifest.sequenceNumber,
    fileSequenceNumber: ownFileSequence ?? manifest.sequenceNumber,
    content: (file['content'] ?? FileContent.data) as FileContent,
    path,
    format: (textOf(file, 'file_format') ?? 'PARQUET').toUpperCase(),
    rows: Number(file['record_count']),
    bytes: Number(file['file_size_in_bytes']),
    firstRowId: longOf(file, 'first_row_id') ?? (status === EntryStatus.deleted ? null : nextRowId),
    referencedDataFile: textOf(file, 'referenced_data_file'),
    contentOffset: offset === null ? null : Number(offset),
    contentBytes: length === null ? null : Number(length),
    partition: partitions.of(file),
    record: file,
  }
}

/** Partitions of the entries of one manifest; equal ones are one object, for they are kept. */
class Partitions {
  readonly #fields: readonly StructField[]
  readonly #known = new Map<string, PartitionTuple>()

  constructor(fields: readonly StructField[]) {
    this.#fields = fields
  }

  of(file: AvroRecord): PartitionTuple {
    if (this.#fields.length === 0) return NO_PARTITION
    const tuple = tupleOf(this.#fields, (file['partition'] ?? {}) as AvroRecord) ?? NO_PARTITION
    const key = partitionKey(tuple)
    const known = this.#known.get(key)
    if (known === undefined) this.#known.set(key, tuple)
    return known ?? tuple
  }
}

function longOf(record: AvroRecord, name: string): bigint | null {
  const value = record[name]
  return typeof value === 'bigint' ? value : null
}

function textOf(record: AvroRecord, name: string): string | null {
  const value = record[name]
  return typeof value === 'string' ? value : null
}

function damaged(manifest: ManifestFile, what: string): never {
  throw new PipelineError('LAKE_FORMAT', `manifest ${manifest.path} has ${what}`)
}

/** @returns true for a deletion vector, false for data files and for other kinds of deletes */
export function isVector(entry: ManifestEntry): boolean {
  return entry.content === FileContent.positionDeletes && entry.format === 'PUFFIN'
}

/** The place of a deletion vector. */
export function vectorPlace(entry: ManifestEntry): { offset: number; bytes: number; of: string } {
  const { contentOffset, contentBytes, referencedDataFile } = entry
  assert(isVector(entry), 'only deletion vectors have a place in a Puffin file')
  if (contentOffset === null || contentBytes === null || referencedDataFile === null) {
    throw new PipelineError('LAKE_FORMAT', `a deletion vector in ${entry.path} has no place`)
  }
  return { offset: contentOffset, bytes: contentBytes, of: referencedDataFile }
}
