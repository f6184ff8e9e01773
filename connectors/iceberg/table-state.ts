// What the committer knows of a lake table: metadata, the manifests of the current snapshot and,
// once positions have to be deleted, the live files. It belongs to one metadata location: when the
// catalog says another one, it is read anew.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { PartitionTuple } from '../../runtime/data/partition/value.ts'
import type { LakeFiles } from './lake-files.ts'
import { fileIdOf } from './layout.ts'
import { decodeManifest, EntryStatus, FileContent, isVector, vectorPlace } from './manifest.ts'
import type { EncodedEntry, ManifestEntry } from './manifest.ts'
import type { ManifestFormat } from './manifest-format.ts'
import { decodeManifestList, liveFiles, type ManifestFile } from './manifest-list.ts'
import { ReleaseLog } from './releases.ts'
import { parseTableMetadata, snapshotWithId, type TableMetadata } from './metadata.ts'
import { isDead, isShared } from './vectors.ts'

/** A data file that Millrace wrote. */
export interface DataFileState {
  /** URI, spelled as in the manifest. */
  readonly path: string
  readonly rows: number
  /** [] in an unpartitioned table. */
  readonly partition: PartitionTuple
  /** URI of the manifest that names it; it moves when manifests are joined. */
  manifest: string
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
  /** That of the data file: readers look for a vector in no other. */
  readonly partition: PartitionTuple
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly fileSequenceNumber: bigint
  /** URI of the manifest that names it. */
  readonly manifest: string
  /** Its entry as a manifest states it that is written again; made when first needed. */
  existing: { readonly format: ManifestFormat; readonly encoded: EncodedEntry } | null
}

export interface LiveFiles {
  /** Data files of Millrace by file id; those of others are not here. */
  readonly dataFiles: Map<number, DataFileState>
  /** By URI of the data file. */
  readonly vectors: Map<string, VectorState>
  /** Delete files that are no deletion vectors, by URI of their manifest. */
  readonly otherDeletes: Map<string, ManifestEntry[]>
  /** Of `dataFiles`: those that are dead and still there, since their manifest is large. */
  readonly dead: Map<number, DataFileState>
}

export function noLiveFiles(): LiveFiles {
  return { dataFiles: new Map(), vectors: new Map(), otherDeletes: new Map(), dead: new Map() }
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
  const live = noLiveFiles()
  for (const manifest of manifests) {
    if (liveFiles(manifest) === 0) continue
    const entries = decodeManifest(await files.read(manifest.path), manifest)
    for (const entry of entries) {
      if (entry.status !== EntryStatus.deleted) addEntry(live, manifest, entry)
    }
  }
  for (const vector of live.vectors.values()) {
    const fileId = fileIdOf(vector.dataFile)
    const file = fileId === null ? undefined : live.dataFiles.get(fileId)
    if (fileId === null || file === undefined) continue
    if (isDead(vector, file, isShared(vector))) live.dead.set(fileId, file)
  }
  return live
}

function addEntry(live: LiveFiles, manifest: ManifestFile, entry: ManifestEntry): void {
  if (entry.content === FileContent.data) {
    // A file of another spec is not one that Millrace wrote, whatever its name.
    const fileId = manifest.partitionSpecId === 0 ? fileIdOf(entry.path) : null
    const { path, rows, partition } = entry
    if (fileId === null) return
    live.dataFiles.set(fileId, { path, rows, partition, manifest: manifest.path })
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
    partition: entry.partition,
    snapshotId: entry.snapshotId,
    sequenceNumber: entry.sequenceNumber,
    fileSequenceNumber: entry.fileSequenceNumber,
    manifest: manifest.path,
    existing: null,
  })
}
