// Which files a snapshot has replaced, so that they can go when the last snapshot before it is
// expired. Commits of this process are remembered; what was committed before it (or by others) is
// read from the manifests at the time it matters, one snapshot at a time.

import type { LakeFiles } from './lake-files.ts'
import { decodeManifest, EntryStatus } from './manifest.ts'
import { decodeManifestList, liveFiles, type ManifestFile } from './manifest-list.ts'
import { ancestorsOf } from './marker.ts'
import { snapshotWithId, type Snapshot, type TableMetadata } from './metadata.ts'

/** Files that no snapshot from this sequence number on refers to. */
export interface Release {
  readonly sequenceNumber: bigint
  readonly uris: readonly string[]
}

/** Replaced files that are remembered; what is beyond stays as orphans. */
const REMEMBERED_URIS_MAX = 20_000

/** @returns the smallest sequence number of a snapshot; `null`: there is none */
function oldestOf({ snapshots }: TableMetadata): bigint | null {
  let oldest: bigint | null = null
  for (const { sequenceNumber } of snapshots) {
    if (oldest === null || sequenceNumber < oldest) oldest = sequenceNumber
  }
  return oldest
}

/**
 * A file that a snapshot replaced is free once every retained snapshot is at least as new: sequence
 * numbers only grow, whatever branch or tag holds a snapshot.
 */
export function dueReleases(
  releases: readonly Release[],
  metadata: TableMetadata,
): { due: string[]; later: Release[] } {
  const oldest = oldestOf(metadata)
  const due: string[] = []
  const later: Release[] = []
  let waiting = 0
  // From the newest on, so that a tag that nobody ever removes cannot make us remember without end.
  for (const release of releases.toReversed()) {
    if (release.uris.length === 0) continue
    if (oldest !== null && release.sequenceNumber <= oldest) {
      due.push(...release.uris)
      continue
    }
    waiting += release.uris.length
    if (waiting <= REMEMBERED_URIS_MAX) later.unshift(release)
  }
  return { due, later }
}

/**
 * What became free by a commit, of the snapshots that nobody remembers.
 *
 * @param before  metadata that the commit started from
 * @param after  metadata that it left, snapshots expired
 * @param rememberedFrom  sequence number from which on releases are remembered
 * @returns URIs that no retained snapshot refers to
 * @throws PipelineError LAKE_FORMAT
 */
export async function forgottenReleases(
  files: LakeFiles,
  before: TableMetadata,
  after: TableMetadata,
  rememberedFrom: bigint,
): Promise<string[]> {
  const oldestBefore = oldestOf(before)
  const oldest = oldestOf(after)
  if (oldestBefore === null || oldest === null || oldest === oldestBefore) return []
  const uris: string[] = []
  // Only along main: what a rollback left aside may be referred to again by what came after it.
  for (const snapshot of ancestorsOf(before, before.currentSnapshotId)) {
    const { sequenceNumber, parentSnapshotId } = snapshot
    if (sequenceNumber <= oldestBefore) break
    if (sequenceNumber > oldest || sequenceNumber >= rememberedFrom) continue
    const parent = parentSnapshotId === null ? null : snapshotWithId(before, parentSnapshotId)
    if (parent !== null) uris.push(...(await replacedBy(files, parent, snapshot)))
  }
  return uris
}

async function replacedBy(
  files: LakeFiles,
  parent: Snapshot,
  snapshot: Snapshot,
): Promise<string[]> {
  const before = await manifestsOf(files, parent)
  const after = await manifestsOf(files, snapshot)
  const stay = new Set(after.map(({ path }) => path))
  const gone = before.map(({ path }) => path).filter((path) => !stay.has(path))
  const removed = new Set<string>()
  const live = new Set<string>()
  for (const content of ['data', 'deletes'] as const) {
    const manifests = after.filter((manifest) => manifest.content === content)
    const removing = manifests.some(
      ({ addedSnapshotId, deletedFiles }) =>
        addedSnapshotId === snapshot.snapshotId && deletedFiles > 0,
    )
    // Without removals nothing of this kind became free, and reading it would be for nothing.
    if (removing) await sortEntries(files, snapshot, manifests, removed, live)
  }
  return [...gone, ...[...removed].filter((path) => !live.has(path))]
}

/** A Puffin file whose one vector is removed may hold another one that lives. */
async function sortEntries(
  files: LakeFiles,
  { snapshotId }: Snapshot,
  manifests: readonly ManifestFile[],
  removed: Set<string>,
  live: Set<string>,
): Promise<void> {
  for (const manifest of manifests) {
    if (liveFiles(manifest) === 0 && manifest.addedSnapshotId !== snapshotId) continue
    for (const entry of decodeManifest(await files.read(manifest.path), manifest)) {
      if (entry.status !== EntryStatus.deleted) live.add(entry.path)
      else if (entry.snapshotId === snapshotId) removed.add(entry.path)
    }
  }
}

async function manifestsOf(files: LakeFiles, snapshot: Snapshot): Promise<ManifestFile[]> {
  const { manifestList } = snapshot
  if (manifestList === null) return []
  return decodeManifestList(await files.read(manifestList), manifestList)
}
