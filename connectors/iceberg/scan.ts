// Reading a lake table as its metadata says it is: the live data files with the rows that are
// deleted in them, and what a snapshot has changed in its partitions. For rebuilding an index, for
// verification, and for whoever wants to look.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Catalog, CatalogTable } from '../../runtime/catalog.ts'
import { partitionKey, type PartitionTuple } from '../../runtime/data/partition/value.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { PositionSet } from './deletion-vector.ts'
import { LakeFiles } from './lake-files.ts'
import { fileIdOf } from './layout.ts'
import { decodeManifest, EntryStatus, FileContent, isVector, vectorPlace } from './manifest.ts'
import type { ManifestEntry } from './manifest.ts'
import { liveFiles } from './manifest-list.ts'
import { parseTableMetadata, snapshotWithId, type TableMetadata } from './metadata.ts'
import { schemaWithId, fieldsOf, type IcebergField } from './schema.ts'
import { readManifestList } from './table-state.ts'

export interface ScannedFile {
  /** Path relative to the warehouse. */
  readonly path: string
  /** URI, as the manifest has it. */
  readonly uri: string
  /** `null`: somebody else wrote the file. */
  readonly fileId: number | null
  readonly rows: number
  readonly bytes: number
  readonly sequenceNumber: bigint
  readonly firstRowId: bigint | null
  /** Deleted rows; the caller's to dispose. `null`: none. */
  readonly deleted: PositionSet | null
}

export interface ScannedTable {
  readonly metadata: TableMetadata
  readonly metadataLocation: string
  /** `null`: the table has no snapshot. */
  readonly snapshotId: bigint | null
  /** Columns of the schema to read with: the snapshot's, or the current one. */
  readonly fields: readonly IcebergField[]
  readonly files: readonly ScannedFile[]
}

export interface ScanSource {
  readonly catalog: Catalog
  readonly warehouse: ObjectStore
}

/**
 * @param snapshotId  default: the head of main, read with the table's current schema
 * @returns `null` when there is no such table
 * @throws PipelineError LAKE_FORMAT, also for tables with other deletes than deletion vectors
 */
export async function readTable(
  { catalog, warehouse }: ScanSource,
  table: CatalogTable,
  snapshotId?: bigint,
): Promise<ScannedTable | null> {
  const metadataLocation = await catalog.load(table)
  if (metadataLocation === null) return null
  const files = new LakeFiles(warehouse)
  const metadata = parseTableMetadata(await files.read(metadataLocation), metadataLocation)
  const id = snapshotId ?? metadata.currentSnapshotId
  const snapshot = id === null ? null : snapshotWithId(metadata, id)
  const schemaId =
    snapshotId === undefined ? metadata.currentSchemaId : (snapshot?.schemaId ?? null)
  const schema = schemaWithId(metadata.schemas, schemaId ?? metadata.currentSchemaId)
  return {
    metadata,
    metadataLocation,
    snapshotId: id,
    fields: fieldsOf(schema),
    files: id === null ? [] : await scanSnapshot(files, metadata, id),
  }
}

async function scanSnapshot(
  files: LakeFiles,
  metadata: TableMetadata,
  snapshotId: bigint,
): Promise<ScannedFile[]> {
  const data: ManifestEntry[] = []
  const vectors = new Map<string, ManifestEntry>()
  for (const manifest of await readManifestList(files, metadata, snapshotId)) {
    if (liveFiles(manifest) === 0) continue
    for (const entry of decodeManifest(await files.read(manifest.path), manifest)) {
      if (entry.status === EntryStatus.deleted) continue
      if (entry.content === FileContent.data) data.push(entry)
      else if (isVector(entry)) addVector(vectors, entry)
      else throw unreadable(`delete file ${entry.path} is no deletion vector`)
    }
  }
  const sets = await readVectors(files, vectors)
  return data.map((entry) => ({
    path: files.path(entry.path),
    uri: entry.path,
    fileId: fileIdOf(entry.path),
    rows: entry.rows,
    bytes: entry.bytes,
    sequenceNumber: entry.sequenceNumber,
    firstRowId: entry.firstRowId,
    deleted: sets.get(entry.path) ?? null,
  }))
}

function addVector(vectors: Map<string, ManifestEntry>, entry: ManifestEntry): void {
  const { of } = vectorPlace(entry)
  if (vectors.has(of)) throw unreadable(`data file ${of} has two deletion vectors`)
  vectors.set(of, entry)
}

/** Reads each Puffin file once. */
async function readVectors(
  files: LakeFiles,
  vectors: ReadonlyMap<string, ManifestEntry>,
): Promise<Map<string, PositionSet>> {
  const byPuffin = new Map<string, ManifestEntry[]>()
  for (const entry of vectors.values()) {
    byPuffin.set(entry.path, [...(byPuffin.get(entry.path) ?? []), entry])
  }
  const sets = new Map<string, PositionSet>()
  for (const [path, entries] of byPuffin) {
    const puffin = await files.read(path)
    for (const entry of entries) {
      const { offset, bytes, of } = vectorPlace(entry)
      const set = PositionSet.decode(puffin.subarray(offset, offset + bytes), of)
      if (set.cardinality !== entry.rows) {
        throw unreadable(`the deletion vector of ${of} has ${set.cardinality} positions`)
      }
      sets.set(of, set)
    }
  }
  return sets
}

function unreadable(message: string): PipelineError {
  return new PipelineError('LAKE_FORMAT', message)
}

/**
 * What a snapshot has changed in one partition: whatever is not 0 changes what its readers see.
 */
export interface PartitionChange {
  /** In the order of the spec's fields; [] in an unpartitioned table. */
  readonly partition: PartitionTuple
  addedFiles: number
  addedRows: number
  addedBytes: number
  /** Data files that left, for example because all their rows were deleted before. */
  removedFiles: number
  /** Deletion vectors that came or went. */
  vectors: number
}

/**
 * What a snapshot has changed in each partition, by its own manifests: so it is known also of a
 * commit whose answer was lost, and of rows that moved from one partition to another.
 *
 * @param snapshotId  retained in the metadata. A commit with DDL has several: ask for each
 * @returns by `partitionKey`
 * @throws PipelineError LAKE_FORMAT
 * Cost: reads the manifests that the snapshot added.
 */
export async function readPartitionChanges(
  files: LakeFiles,
  metadata: TableMetadata,
  snapshotId: bigint,
): Promise<Map<string, PartitionChange>> {
  const changes = new Map<string, PartitionChange>()
  for (const manifest of await readManifestList(files, metadata, snapshotId)) {
    if (manifest.addedSnapshotId !== snapshotId) continue
    for (const entry of decodeManifest(await files.read(manifest.path), manifest)) {
      if (entry.status === EntryStatus.existing || entry.snapshotId !== snapshotId) continue
      count(changeOf(changes, entry.partition), entry)
    }
  }
  return changes
}

function changeOf(
  changes: Map<string, PartitionChange>,
  partition: PartitionTuple,
): PartitionChange {
  const key = partitionKey(partition)
  const known = changes.get(key)
  if (known !== undefined) return known
  const nothing = { addedFiles: 0, addedRows: 0, addedBytes: 0, removedFiles: 0, vectors: 0 }
  const change = { partition, ...nothing }
  changes.set(key, change)
  return change
}

function count(change: PartitionChange, { content, status, rows, bytes }: ManifestEntry): void {
  if (content !== FileContent.data) change.vectors++
  else if (status === EntryStatus.deleted) change.removedFiles++
  else {
    change.addedFiles++
    change.addedRows += rows
    change.addedBytes += bytes
  }
}
