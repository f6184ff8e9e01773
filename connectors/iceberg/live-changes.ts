// What a commit changes in the live files of its table, kept apart until the swap has happened: an
// attempt that fails must leave them as they are.

import { present } from '../../runtime/base/assert.ts'
import type { CommitWork } from './commit-work.ts'
import type { LakeFiles } from './lake-files.ts'
import { fileIdOf } from './layout.ts'
import { NO_PARTITION } from './manifest-format.ts'
import type { NewVector } from './manifest-plan.ts'
import type { SnapshotDraft } from './snapshot-draft.ts'
import { noLiveFiles, type DataFileState, type LiveFiles } from './table-state.ts'
import type { TableState, VectorState } from './table-state.ts'
import type { VectorCache } from './vectors.ts'

/** What happened to data files that were there before. */
export interface DataChanges {
  /** URI of the manifest of each file that moved to another. */
  readonly homes: ReadonlyMap<string, string>
  /** Dead files that left, by file id. */
  readonly dropped: ReadonlyMap<number, DataFileState>
  /** Those that are dead and stay for now. */
  readonly dead: ReadonlyMap<number, DataFileState>
}

export interface VectorUpdate {
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly added: readonly NewVector[]
  /** Of `added`, in their order. */
  readonly blobs: readonly Uint8Array[]
  readonly superseded: readonly VectorState[]
  /** URI of the manifest of each new vector, and of each that moved, by data file. */
  readonly homes: ReadonlyMap<string, string>
}

export class LiveChanges {
  readonly newFiles: ReadonlyMap<number, DataFileState>
  #removed: ReadonlySet<string> | null = null
  #data: DataChanges = { homes: new Map(), dropped: new Map(), dead: new Map() }
  #vectors: VectorUpdate | null = null

  constructor(files: LakeFiles, work: CommitWork) {
    this.newFiles = new Map(
      work.files.map(({ fileId, path, rows, partition = NO_PARTITION }) => [
        fileId,
        { path: files.uri(path), rows, partition, manifest: '' },
      ]),
    )
  }

  /** The manifest of a new file is known. */
  place(fileId: number, manifest: string): void {
    present(this.newFiles.get(fileId), 'only a new file gets a place').manifest = manifest
  }

  truncate(removed: ReadonlySet<string>): void {
    this.#removed = removed
  }

  data(changes: DataChanges): void {
    this.#data = changes
  }

  vectors(update: VectorUpdate): void {
    this.#vectors = update
  }

  /** Files of the base and of the snapshots on the way that the last one does not refer to. */
  released(base: TableState | null, draft: SnapshotDraft): string[] {
    const stay = new Set(draft.manifests.map(({ path }) => path))
    const before = base?.manifests.map(({ path }) => path) ?? []
    const gone = [...new Set([...before, ...draft.listed])].filter((path) => !stay.has(path))
    if (base === null) return gone
    if (this.#removed !== null) return [...gone, ...this.#removed]
    for (const { path } of this.#data.dropped.values()) gone.push(path)
    // A Puffin file stays until none of its vectors is live.
    const superseded = new Set(this.#vectors?.superseded)
    const puffins = new Set([...superseded].map(({ path }) => path))
    if (puffins.size === 0) return gone
    for (const vector of base.live?.vectors.values() ?? []) {
      if (!superseded.has(vector)) puffins.delete(vector.path)
    }
    return [...gone, ...puffins]
  }

  /** @returns the live files after the swap; `null`: they are read when they are needed */
  accept(
    live: LiveFiles | null,
    draft: SnapshotDraft,
    cache: VectorCache,
    created: boolean,
  ): LiveFiles | null {
    const emptied = created || this.#removed !== null
    if (live === null && !emptied) return null
    const next = emptied || live === null ? noLiveFiles() : live
    for (const [fileId, file] of this.newFiles) next.dataFiles.set(fileId, file)
    this.#acceptData(next)
    if (this.#vectors !== null) acceptVectors(next, this.#vectors, cache)
    // Deletes of other kinds have moved to a manifest that is not noted here: read them anew.
    const listed = new Set(draft.manifests.map(({ path }) => path))
    const moved = [...next.otherDeletes.keys()].some((path) => !listed.has(path))
    return moved ? null : next
  }

  #acceptData({ dataFiles, dead }: LiveFiles): void {
    for (const [path, manifest] of this.#data.homes) {
      const fileId = fileIdOf(path)
      const file = fileId === null ? undefined : dataFiles.get(fileId)
      if (file?.path === path) file.manifest = manifest
    }
    for (const [fileId, file] of this.#data.dead) dead.set(fileId, file)
    for (const fileId of this.#data.dropped.keys()) {
      dataFiles.delete(fileId)
      dead.delete(fileId)
    }
  }
}

function acceptVectors({ vectors }: LiveFiles, update: VectorUpdate, cache: VectorCache): void {
  const { snapshotId, sequenceNumber, added, blobs, superseded, homes } = update
  for (const vector of superseded) {
    vectors.delete(vector.dataFile)
    cache.drop(vector)
  }
  for (const [dataFile, manifest] of homes) {
    const vector = vectors.get(dataFile)
    if (vector !== undefined) vectors.set(dataFile, { ...vector, manifest })
  }
  for (const [index, vector] of added.entries()) {
    const { dataFile } = vector
    const manifest = present(homes.get(dataFile), 'a new vector is in a manifest')
    const own = { snapshotId, sequenceNumber, fileSequenceNumber: sequenceNumber, manifest }
    vectors.set(dataFile, { ...vector, ...own, existing: null })
    cache.put(vector, present(blobs[index], 'each new vector has a blob'))
  }
}
