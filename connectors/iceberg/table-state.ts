// What the committer knows of a lake table: metadata, the manifests of the current snapshot and,
// once positions have to be deleted, the live files. It belongs to one metadata location: when the
// catalog says another one, it is read anew.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { LakeFiles } from './lake-files.ts'
import { fileIdOf } from './layout.ts'
import { decodeManifest, EntryStatus, FileContent, isVector, vectorPlace } from './manifest.ts'
import type { EncodedEntry, ManifestEntry } from './manifest.ts'
import { decodeManifestList, liveFiles, type ManifestFile } from './manifest-list.ts'
import { ReleaseLog } from './releases.ts'
import { parseTableMetadata, snapshotWithId, type TableMetadata } from './metadata.ts'

/** A data file that Millrace wrote. */
export interface DataFileState {
  /** URI, spelled as in the manifest. */
  readonly path: string
  readonly rows: number
}

/** The deletion vector of a data file. */
export interface VectorState {
  /** URI of the data file. */
  readonly dataFile: string
  /** URI of the Puffin file, and the blob in it. */
  readonly path: string
  readonly fileBytes: number
  readonly offset: number
  readonly bytes: number
  readonly cardinality: number
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly fileSequenceNumber: bigint
  /** URI of the manifest that names it. */
  readonly manifest: string
  /** Its entry as a manifest states it that is written again; made when first needed. */
  existing: EncodedEntry | null
}

export interface LiveFiles {
  /** Data files of Millrace by file id; those of others are not here. */
  readonly dataFiles: Map<number, DataFileState>
  /** By URI of the data file. */
  readonly vectors: Map<string, VectorState>
  /** Delete files that are no deletion vectors, by URI of their manifest. */
  readonly otherDeletes: Map<string, ManifestEntry[]>
}

export interface TableState {
  readonly location: string
  readonly metadata: TableMetadata
  /** Of the current snapshot; [] when there is none. */
  readonly manifests: readonly ManifestFile[]
  live: LiveFiles | null
  /** What our own commits have replaced since this state was read; goes on to the next state. */
  readonly releases: ReleaseLog
}

/** @throws PipelineError LAKE_FORMAT */
export async function loadTableState(files: LakeFiles, location: string): Promise<TableState> {
  const metadata = parseTableMetadata(await files.read(location), location)
  const manifests =
    metadata.currentSnapshotId === null
      ? []
      : await readManifestList(files, metadata, metadata.currentSnapshotId)
  const releases = new ReleaseLog(metadata.lastSequenceNumber + 1n)
  return { location, metadata, manifests, live: null, releases }
}

/** @throws PipelineError LAKE_FORMAT */
export async function readManifestList(
  files: LakeFiles,
  metadata: TableMetadata,
  snapshotId: bigint,
): Promise<ManifestFile[]> {
  const snapshot = snapshotWithId(metadata, snapshotId)
  if (snapshot === null || snapshot.manifestList === null) {
    const message = `the metadata of ${metadata.location} lacks snapshot ${snapshotId}`
    throw new PipelineError('LAKE_FORMAT', message)
  }
  return decodeManifestList(await files.read(snapshot.manifestList), snapshot.manifestList)
}

/** Live files of the current snapshot, read at the first call. @throws PipelineError LAKE_FORMAT */
export async function liveFilesOf(files: LakeFiles, state: TableState): Promise<LiveFiles> {
  state.live ??= await readLiveFiles(files, state.manifests)
  return state.live
}

async function readLiveFiles(
  files: LakeFiles,
  manifests: readonly ManifestFile[],
): Promise<LiveFiles> {
  const live: LiveFiles = { dataFiles: new Map(), vectors: new Map(), otherDeletes: new Map() }
  for (const manifest of manifests) {
    if (liveFiles(manifest) === 0) continue
    const entries = decodeManifest(await files.read(manifest.path), manifest)
    for (const entry of entries) {
      if (entry.status !== EntryStatus.deleted) addEntry(live, manifest, entry)
    }
  }
  return live
}

function addEntry(live: LiveFiles, manifest: ManifestFile, entry: ManifestEntry): void {
  if (entry.content === FileContent.data) {
    // A file of another spec is not one that Millrace wrote, whatever its name.
    const fileId = manifest.partitionSpecId === 0 ? fileIdOf(entry.path) : null
    if (fileId !== null) live.dataFiles.set(fileId, { path: entry.path, rows: entry.rows })
    return
  }
  if (!isVector(entry)) {
    const others = live.otherDeletes.get(manifest.path) ?? []
    live.otherDeletes.set(manifest.path, [...others, entry])
    return
  }
  const { of, offset, bytes } = vectorPlace(entry)
  live.vectors.set(of, {
    dataFile: of,
    path: entry.path,
    fileBytes: entry.bytes,
    offset,
    bytes,
    cardinality: entry.rows,
    snapshotId: entry.snapshotId,
    sequenceNumber: entry.sequenceNumber,
    fileSequenceNumber: entry.fileSequenceNumber,
    manifest: manifest.path,
    existing: null,
  })
}
