// What must hold in every snapshot of a lake table, checked against its files with nothing but the
// decoders: counts, totals, sequence numbers, row ids, deletion vectors, and that every file
// exists.

import { expect } from 'vitest'
import { PositionSet } from '../../connectors/iceberg/deletion-vector.ts'
import { LakeFiles } from '../../connectors/iceberg/lake-files.ts'
import { decodeManifest, EntryStatus, FileContent } from '../../connectors/iceberg/manifest.ts'
import type { ManifestEntry } from '../../connectors/iceberg/manifest.ts'
import { decodeManifestList, type ManifestFile } from '../../connectors/iceberg/manifest-list.ts'
import { markerOf } from '../../connectors/iceberg/marker.ts'
import { parseTableMetadata, snapshotWithId } from '../../connectors/iceberg/metadata.ts'
import type { Snapshot, TableMetadata } from '../../connectors/iceberg/metadata.ts'
import { readPuffinFooter } from '../../connectors/iceberg/puffin.ts'
import { PIPELINE, targetOf, type Lake } from './lake.ts'

interface SnapshotFiles {
  readonly data: Map<string, ManifestEntry>
  readonly vectors: Map<string, { entry: ManifestEntry; positions: number[] }>
}

/** @returns the metadata that was checked */
export async function checkInvariants(lake: Lake, table: string): Promise<TableMetadata> {
  const location = await lake.catalog.load(targetOf(table))
  const files = new LakeFiles(lake.warehouse)
  const metadata = parseTableMetadata(await files.read(location!), location!)
  const { snapshots, metadataLog, refs, currentSnapshotId } = metadata

  expect(metadataLog.length).toBeLessThanOrEqual(20)
  for (const { metadataFile } of metadataLog) await mustExist(lake, files, metadataFile)
  expect(refs['main']?.snapshotId ?? null).toBe(currentSnapshotId)
  expect(refs[`millrace-${PIPELINE}`]?.snapshotId).toBe(markerOf(metadata, PIPELINE)?.intent)
  for (const ref of Object.values(refs)) {
    expect(snapshotWithId(metadata, ref.snapshotId)).not.toBeNull()
  }
  for (const { snapshotId } of metadata.snapshotLog) {
    expect(snapshotWithId(metadata, snapshotId)).not.toBeNull()
  }
  const ids = metadata.schemas.map(({ schemaId }) => schemaId)
  expect(new Set(ids).size).toBe(ids.length)

  const seen = new Map<bigint, SnapshotFiles>()
  for (const snapshot of snapshots) {
    const content = await checkSnapshot(lake, files, metadata, snapshot)
    seen.set(snapshot.snapshotId, content)
    const parent = seen.get(snapshot.parentSnapshotId ?? -1n)
    if (parent !== undefined) checkVectorsGrow(parent, content)
  }
  return metadata
}

async function mustExist(lake: Lake, files: LakeFiles, uri: string): Promise<void> {
  expect(await lake.warehouse.exists(files.path(uri)), uri).toBe(true)
}

async function checkSnapshot(
  lake: Lake,
  files: LakeFiles,
  metadata: TableMetadata,
  snapshot: Snapshot,
): Promise<SnapshotFiles> {
  const { manifestList, sequenceNumber } = snapshot
  const manifests = decodeManifestList(await files.read(manifestList!), manifestList!)
  const content: SnapshotFiles = { data: new Map(), vectors: new Map() }
  const totals = { files: 0, deletes: 0, records: 0n, positions: 0n, bytes: 0n }
  for (const manifest of manifests) {
    const bytes = await files.read(manifest.path)
    expect(bytes.length).toBe(manifest.bytes)
    expect(manifest.sequenceNumber).toBeLessThanOrEqual(sequenceNumber)
    const entries = decodeManifest(bytes, manifest)
    checkManifest(manifest, entries)
    for (const entry of entries) {
      if (entry.status === EntryStatus.deleted) continue
      await mustExist(lake, files, entry.path)
      totals.bytes += BigInt(entry.contentBytes ?? entry.bytes)
      if (entry.content === FileContent.data) {
        expect(content.data.has(entry.path)).toBe(false)
        content.data.set(entry.path, entry)
        totals.files++
        totals.records += BigInt(entry.rows)
      } else {
        await addVector(files, content, entry)
        totals.deletes++
        totals.positions += BigInt(entry.rows)
      }
    }
  }
  for (const [path, { entry, positions }] of content.vectors) {
    const file = content.data.get(path)
    expect(file, `a vector of the absent file ${path}`).toBeDefined()
    expect(positions.at(-1)!).toBeLessThan(file!.rows)
    expect(entry.sequenceNumber).toBeGreaterThanOrEqual(file!.sequenceNumber)
    expect(entry.partition, 'a vector is in the partition of its file').toEqual(file!.partition)
  }
  checkRowIds(metadata, content)
  expect(snapshot.summary).toMatchObject({
    'total-data-files': String(totals.files),
    'total-delete-files': String(totals.deletes),
    'total-records': String(totals.records),
    'total-position-deletes': String(totals.positions),
    'total-files-size': String(totals.bytes),
    'total-equality-deletes': '0',
  })
  expect(metadata.schemas.some(({ schemaId }) => schemaId === snapshot.schemaId)).toBe(true)
  return content
}

function checkManifest(manifest: ManifestFile, entries: readonly ManifestEntry[]): void {
  const count = (status: EntryStatus): { files: number; rows: bigint } => {
    const chosen = entries.filter((entry) => entry.status === status)
    return { files: chosen.length, rows: chosen.reduce((sum, { rows }) => sum + BigInt(rows), 0n) }
  }
  const added = count(EntryStatus.added)
  const existing = count(EntryStatus.existing)
  const deleted = count(EntryStatus.deleted)
  expect(manifest).toMatchObject({
    addedFiles: added.files,
    existingFiles: existing.files,
    deletedFiles: deleted.files,
    addedRows: added.rows,
    existingRows: existing.rows,
    deletedRows: deleted.rows,
  })
  const live = entries.filter(({ status }) => status !== EntryStatus.deleted)
  const sequences = live.map((entry) => entry.sequenceNumber)
  const min = sequences.reduce(
    (left, right) => (right < left ? right : left),
    manifest.sequenceNumber,
  )
  expect(manifest.minSequenceNumber).toBe(min)
  for (const entry of entries) {
    const own = entry.status === EntryStatus.added || entry.status === EntryStatus.deleted
    if (own) expect(entry.snapshotId).toBe(manifest.addedSnapshotId)
    else expect(entry.sequenceNumber).toBeLessThan(manifest.sequenceNumber)
  }
}

async function addVector(
  files: LakeFiles,
  content: SnapshotFiles,
  entry: ManifestEntry,
): Promise<void> {
  const { referencedDataFile, contentOffset, contentBytes } = entry
  expect(content.vectors.has(referencedDataFile!), 'two vectors of one file').toBe(false)
  const puffin = await files.read(entry.path)
  expect(puffin.length).toBe(entry.bytes)
  expect(readPuffinFooter(puffin, entry.path)).toContainEqual({
    dataFile: referencedDataFile,
    cardinality: entry.rows,
    offset: contentOffset,
    bytes: contentBytes,
  })
  const blob = puffin.subarray(contentOffset!, contentOffset! + contentBytes!)
  const set = PositionSet.decode(blob, entry.path)
  const positions = set.positions()
  set.dispose()
  expect(positions.length).toBe(entry.rows)
  content.vectors.set(referencedDataFile!, { entry, positions })
}

/** A row keeps its id, and no two live rows share one. */
function checkRowIds(metadata: TableMetadata, { data }: SnapshotFiles): void {
  const ranges = [...data.values()]
    .map(({ firstRowId, rows }) => ({ start: firstRowId!, end: firstRowId! + BigInt(rows) }))
    .toSorted((left, right) => (left.start < right.start ? -1 : 1))
  for (const [index, { start, end }] of ranges.entries()) {
    expect(end).toBeLessThanOrEqual(metadata.nextRowId)
    if (index > 0) expect(start).toBeGreaterThanOrEqual(ranges[index - 1]!.end)
  }
}

/** A row that is deleted stays deleted for as long as its file lives; row ids never change. */
function checkVectorsGrow(parent: SnapshotFiles, child: SnapshotFiles): void {
  for (const [path, file] of child.data) {
    const before = parent.data.get(path)
    if (before === undefined) continue
    expect(file.firstRowId).toBe(before.firstRowId)
    expect(file.sequenceNumber).toBe(before.sequenceNumber)
    const deleted = new Set(child.vectors.get(path)?.positions)
    for (const position of parent.vectors.get(path)?.positions ?? []) {
      expect(deleted.has(position)).toBe(true)
    }
  }
}
