// Which files the snapshots of a table have replaced, and which of those may go. Commits of this
// process are remembered; what was committed before it (or by others) is read from the manifests at
// the time it matters, one snapshot at a time.
//
// Correctness. Along main a file that was replaced never comes back, so it is free of main as soon
// as all snapshots that are left of main are at least as new as the one that replaced it. That says
// nothing about other branches, tags and staged snapshots: a commit to a branch that was made from
// an old snapshot of main is newer than what main has replaced since, and refers to it. What these
// refer to is therefore looked up and stays; when one of them is expired, its files are looked up
// once more, for what main does not have any more either.

import type { LakeFiles } from './lake-files.ts'
import { decodeManifest, EntryStatus } from './manifest.ts'
import { decodeManifestList, liveFiles, type ManifestFile } from './manifest-list.ts'
import { ancestorsOf } from './marker.ts'
import { snapshotWithId, type Snapshot, type TableMetadata } from './metadata.ts'
import { freedOf, SideFiles } from './snapshot-files.ts'

/** Files that no snapshot of main from this sequence number on refers to. */
export interface Release {
  readonly sequenceNumber: bigint
  readonly uris: readonly string[]
}

/** Replaced files that are remembered; what is beyond stays as orphans. */
const REMEMBERED_URIS_MAX = 20_000

/** What the commits to one table have replaced. It belongs to a process, not to a commit. */
export class ReleaseLog {
  /** Oldest first. */
  #waiting: readonly Release[] = []
  /** Sequence number of the first commit that is remembered. */
  readonly #rememberedFrom: bigint
  readonly #side = new SideFiles()

  constructor(rememberedFrom: bigint) {
    this.#rememberedFrom = rememberedFrom
  }

  add(release: Release): void {
    if (release.uris.length > 0) this.#waiting = [...this.#waiting, release]
  }

  /**
   * What has become free by a commit, each file once.
   *
   * @param before  metadata that the commit started from; `null`: it created the table
   * @param after  metadata that it left, snapshots expired
   * @throws PipelineError LAKE_FORMAT
   */
  async takeFree(
    files: LakeFiles,
    before: TableMetadata | null,
    after: TableMetadata,
  ): Promise<string[]> {
    const main = mainOf(after)
    const oldest = main.at(-1)
    if (oldest === undefined) return []
    const due: string[] = []
    const waiting: Release[] = []
    for (const release of this.#waiting) {
      if (release.sequenceNumber <= oldest.sequenceNumber) due.push(...release.uris)
      else waiting.push(release)
    }
    const onMain = new Set(main)
    const side = after.snapshots.filter((snapshot) => !onMain.has(snapshot))
    if (before !== null) {
      due.push(...(await forgottenReleases(files, before, after, this.#rememberedFrom)))
      due.push(...(await freedOf(files, goneFromSide(before, oldest, after), after.snapshots)))
    }
    const used = await this.#side.usedOf(files, side, due)
    const held = used === null ? [{ sequenceNumber: 0n, uris: due }] : []
    this.#waiting = youngest([...held, ...waiting])
    return used === null ? [] : [...new Set(due)].filter((uri) => !used.has(uri))
  }
}

/** So many that a tag that nobody ever removes cannot make us remember without end. */
function youngest(releases: readonly Release[]): Release[] {
  const kept: Release[] = []
  let count = 0
  for (const release of releases.toReversed()) {
    count += release.uris.length
    if (release.uris.length > 0 && count <= REMEMBERED_URIS_MAX) kept.unshift(release)
  }
  return kept
}

/**
 * Snapshots beside main that were expired, and that alone may have kept a file from going. What
 * younger ones have of main's files, main itself has yet to release.
 */
function goneFromSide(
  before: TableMetadata,
  oldest: Snapshot,
  after: TableMetadata,
): readonly Snapshot[] {
  const main = new Set(mainOf(before))
  return before.snapshots.filter(
    (snapshot) =>
      snapshot.sequenceNumber < oldest.sequenceNumber &&
      !main.has(snapshot) &&
      snapshotWithId(after, snapshot.snapshotId) === null,
  )
}

/** The head of main and what is retained before it without a gap, newest first. */
function mainOf(metadata: TableMetadata): Snapshot[] {
  return [...ancestorsOf(metadata, metadata.currentSnapshotId)]
}

/** What became free of main by a commit, of the snapshots that nobody remembers. */
async function forgottenReleases(
  files: LakeFiles,
  before: TableMetadata,
  after: TableMetadata,
  rememberedFrom: bigint,
): Promise<string[]> {
  const main = mainOf(before)
  const oldestBefore = main.at(-1)?.sequenceNumber ?? null
  const oldest = mainOf(after).at(-1)?.sequenceNumber ?? null
  if (oldestBefore === null || oldest === null || oldest === oldestBefore) return []
  const uris: string[] = []
  for (const snapshot of main) {
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
    const added = manifests.filter((manifest) => manifest.addedSnapshotId === snapshot.snapshotId)
    // Without removals nothing of this kind became free, and reading it would be for nothing.
    if (!added.some(({ deletedFiles }) => deletedFiles > 0)) continue
    // A Puffin file whose one vector is removed may hold another one that lives, in any manifest.
    const read = content === 'data' ? added : manifests
    await sortEntries(files, snapshot, read, removed, live)
  }
  return [...gone, ...[...removed].filter((path) => !live.has(path))]
}

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
