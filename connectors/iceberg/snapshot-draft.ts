// Snapshots under construction on top of a base. All bytes are made in memory first; the caller
// writes them together, and only then asks the catalog. Sequence numbers and row ids depend on the
// base, so they are given here, anew at every retry.

import type { PartitionTuple } from '../../runtime/data/partition/value.ts'
import type { LakeFiles } from './lake-files.ts'
import { ownFileId } from './layout.ts'
import { encodeManifest, type EncodedEntry } from './manifest.ts'
import { manifestFormat, type ManifestFormat } from './manifest-format.ts'
import { encodeManifestList, liveFiles, type ManifestFile } from './manifest-list.ts'
import type { Snapshot } from './metadata.ts'
import type { PartitionSpec } from './partition-spec.ts'
import type { IcebergSchema } from './schema.ts'
import { noChanges, operationOf, summaryOf, type SnapshotChanges } from './summary.ts'

/** A file to be written before the swap. */
export interface NewFile {
  readonly uri: string
  readonly bytes: Uint8Array
}

/** An encoded entry, with what the manifest list counts of it. */
export interface CountedEntry {
  readonly encoded: EncodedEntry
  readonly rows: number
  readonly partition: PartitionTuple
}

export interface CountedExisting extends CountedEntry {
  readonly sequenceNumber: bigint
}

export interface ManifestEntries {
  readonly content: 'data' | 'deletes'
  /** How the entries are encoded. */
  readonly format: ManifestFormat
  readonly added: readonly CountedEntry[]
  readonly existing: readonly CountedExisting[]
  readonly deleted: readonly CountedEntry[]
}

export interface DraftBase {
  readonly spec: PartitionSpec
  readonly parent: Snapshot | null
  readonly manifests: readonly ManifestFile[]
  readonly lastSequenceNumber: bigint
  readonly nextRowId: bigint
  readonly timestampMs: number
}

export class SnapshotDraft {
  readonly #files: LakeFiles
  /** Folder of metadata files, relative to the warehouse. */
  readonly #folder: string
  readonly #timestampMs: number
  readonly #spec: PartitionSpec
  readonly snapshots: Snapshot[] = []
  readonly writes: NewFile[] = []
  parent: Snapshot | null
  sequenceNumber: bigint
  nextRowId: bigint
  changes: SnapshotChanges = noChanges()
  /** Keys of the partitions that the snapshots so far have changed. */
  readonly partitions = new Set<string>()
  /** Manifests that this snapshot adds, and those it takes over from its parent. */
  created: ManifestFile[] = []
  kept: ManifestFile[]

  constructor(files: LakeFiles, folder: string, base: DraftBase) {
    this.#files = files
    this.#folder = folder
    this.#timestampMs = base.timestampMs
    this.#spec = base.spec
    this.parent = base.parent
    this.kept = base.manifests.filter((manifest) => liveFiles(manifest) > 0)
    this.sequenceNumber = base.lastSequenceNumber + 1n
    this.nextRowId = base.nextRowId
  }

  /** How entries are written in a snapshot with this schema. */
  format(schema: IcebergSchema): ManifestFormat {
    return manifestFormat(this.#spec, schema)
  }

  newUri(name: string): string {
    return this.#files.uri(`${this.#folder}/${name}`)
  }

  /** Adds a manifest that exists or will: `file` says where. */
  addManifest(snapshotId: bigint, entries: ManifestEntries, file: NewFile): ManifestFile {
    const { content, format, added, existing, deleted } = entries
    const summaries = format.summaries([added, existing, deleted])
    const manifest: ManifestFile = {
      path: file.uri,
      bytes: file.bytes.length,
      partitionSpecId: 0,
      content,
      sequenceNumber: this.sequenceNumber,
      minSequenceNumber: minSequence(existing, added.length > 0 || existing.length === 0, this),
      addedSnapshotId: snapshotId,
      addedFiles: added.length,
      existingFiles: existing.length,
      deletedFiles: deleted.length,
      addedRows: rowsOf(added),
      existingRows: rowsOf(existing),
      deletedRows: rowsOf(deleted),
      firstRowId: null,
      record: summaries.length === 0 ? null : { partitions: summaries },
    }
    this.created.push(manifest)
    this.changes.manifestsCreated++
    return manifest
  }

  /** Encodes and adds a manifest that only this attempt needs. */
  writeManifest(snapshotId: bigint, schema: IcebergSchema, entries: ManifestEntries): ManifestFile {
    const file = this.encodeManifest(schema, entries)
    this.writes.push(file)
    return this.addManifest(snapshotId, entries, file)
  }

  encodeManifest(schema: IcebergSchema, entries: ManifestEntries): NewFile {
    const { content, format, added, existing, deleted } = entries
    const encoded = [...added, ...existing, ...deleted].map((entry) => entry.encoded)
    const uri = this.newUri(`${ownFileId()}-${content === 'data' ? 'm' : 'd'}.avro`)
    return { uri, bytes: encodeManifest(content, schema, format, encoded) }
  }

  /** Takes manifests out of the list, since others replace them. */
  replace(manifests: ReadonlySet<string>): void {
    this.kept = this.kept.filter(({ path }) => !manifests.has(path))
    this.changes.manifestsReplaced += manifests.size
  }

  /** Ends a snapshot; the next one starts from it. */
  close(snapshotId: bigint, schemaId: number, extra: Readonly<Record<string, string>>): void {
    const { parent, sequenceNumber } = this
    for (const key of this.changes.partitions) this.partitions.add(key)
    this.changes.manifestsKept = this.kept.length
    const list = encodeManifestList({
      snapshotId,
      parentSnapshotId: parent?.snapshotId ?? null,
      sequenceNumber,
      firstRowId: this.nextRowId,
      manifests: [...this.created, ...this.kept],
    })
    const uri = this.newUri(`snap-${snapshotId}-${ownFileId()}.avro`)
    this.writes.push({ uri, bytes: list.bytes })
    const operation = operationOf(this.changes)
    const snapshot: Snapshot = {
      snapshotId,
      parentSnapshotId: parent?.snapshotId ?? null,
      sequenceNumber,
      timestampMs: this.#timestampMs,
      manifestList: uri,
      summary: { ...summaryOf(operation, this.changes, parent?.summary ?? null), ...extra },
      schemaId,
      firstRowId: this.nextRowId,
      addedRows: list.nextRowId - this.nextRowId,
      rest: {},
    }
    this.snapshots.push(snapshot)
    this.parent = snapshot
    this.sequenceNumber += 1n
    this.nextRowId = list.nextRowId
    this.changes = noChanges()
    this.created = []
    this.kept = list.manifests.filter((manifest) => liveFiles(manifest) > 0)
    this.manifests = list.manifests
    for (const { path } of list.manifests) this.listed.add(path)
  }

  /** The list of the last snapshot that was closed. */
  manifests: readonly ManifestFile[] = []
  /** URIs of the manifests in the lists of all of them. */
  readonly listed = new Set<string>()
}

function rowsOf(entries: readonly CountedEntry[]): bigint {
  return entries.reduce((sum, { rows }) => sum + BigInt(rows), 0n)
}

/** The smallest sequence number of a live entry; new ones have that of the snapshot. */
function minSequence(
  existing: readonly CountedExisting[],
  countsOwn: boolean,
  { sequenceNumber }: { readonly sequenceNumber: bigint },
): bigint {
  let min = countsOwn ? sequenceNumber : null
  for (const entry of existing) {
    if (min === null || entry.sequenceNumber < min) min = entry.sequenceNumber
  }
  return min ?? sequenceNumber
}
