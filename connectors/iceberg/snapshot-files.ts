// Which files snapshots refer to, above all those that are not on main's way: heads of other
// branches, tags that main has left behind, staged commits.

import type { LakeFiles } from './lake-files.ts'
import { isOwnFile } from './layout.ts'
import { decodeManifest, EntryStatus } from './manifest.ts'
import { decodeManifestList, liveFiles, type ManifestFile } from './manifest-list.ts'
import type { Snapshot } from './metadata.ts'

/** Files beside main that are remembered for one table; of more than that nothing is known. */
const FILES_MAX = 200_000

/**
 * Every file that a reader of one of the snapshots may open, as URIs. An entry that says that its
 * file was removed does not count: nobody opens it.
 *
 * @throws PipelineError LAKE_FORMAT
 * Cost: reads each manifest once.
 */
export async function filesOfSnapshots(
  files: LakeFiles,
  snapshots: readonly Snapshot[],
): Promise<Set<string>> {
  const uris = new Set<string>()
  for (const { manifestList } of snapshots) {
    if (manifestList === null) continue
    uris.add(manifestList)
    for (const manifest of decodeManifestList(await files.read(manifestList), manifestList)) {
      if (uris.has(manifest.path)) continue
      uris.add(manifest.path)
      for (const uri of await liveUris(files, manifest)) uris.add(uri)
    }
  }
  return uris
}

async function liveUris(files: LakeFiles, manifest: ManifestFile): Promise<string[]> {
  if (liveFiles(manifest) === 0) return []
  const entries = decodeManifest(await files.read(manifest.path), manifest)
  return entries.filter(({ status }) => status !== EntryStatus.deleted).map(({ path }) => path)
}

/**
 * @param gone  snapshots that were expired
 * @param stay  those that are left
 * @returns our files that only `gone` referred to, without their manifest lists
 * @throws PipelineError LAKE_FORMAT
 */
export async function freedOf(
  files: LakeFiles,
  gone: readonly Snapshot[],
  stay: readonly Snapshot[],
): Promise<string[]> {
  if (gone.length === 0) return []
  const used = await filesOfSnapshots(files, stay)
  for (const { manifestList } of gone) if (manifestList !== null) used.add(manifestList)
  return [...(await filesOfSnapshots(files, gone))].filter(
    (uri) => isOwnFile(uri) && !used.has(uri),
  )
}

/** The manifests of some snapshots with the files in them, by URI. */
type SnapshotFiles = ReadonlyMap<string, readonly string[]>

/** Remembers what the snapshots beside main refer to: it is asked at every commit. */
export class SideFiles {
  /** Of the last call. */
  #lists: ReadonlyMap<bigint, readonly ManifestFile[]> = new Map()
  #manifests: SnapshotFiles = new Map()

  /**
   * @param snapshots  those beside main
   * @returns those of `uris` that one of them refers to; `null` when that would be too much to know
   * @throws PipelineError LAKE_FORMAT
   */
  async usedOf(
    files: LakeFiles,
    snapshots: readonly Snapshot[],
    uris: readonly string[],
  ): Promise<Set<string> | null> {
    if (uris.length === 0) return new Set()
    const found = await this.#read(files, snapshots)
    if (found === null) return null
    const asked = new Set(uris)
    const used = new Set<string>()
    for (const [manifest, inside] of found) {
      if (asked.has(manifest)) used.add(manifest)
      for (const uri of inside) if (asked.has(uri)) used.add(uri)
    }
    return used
  }

  /** Reads what is not known yet. @returns `null` when it is too much */
  async #read(files: LakeFiles, snapshots: readonly Snapshot[]): Promise<SnapshotFiles | null> {
    const lists = new Map<bigint, readonly ManifestFile[]>()
    const listed = new Map<string, ManifestFile>()
    for (const { snapshotId, manifestList } of snapshots) {
      // Version 1 could do without a list.
      if (manifestList === null) return null
      const known = this.#lists.get(snapshotId)
      const list = known ?? decodeManifestList(await files.read(manifestList), manifestList)
      lists.set(snapshotId, list)
      for (const manifest of list) listed.set(manifest.path, manifest)
    }
    let count = 0
    for (const manifest of listed.values()) count += liveFiles(manifest)
    if (count > FILES_MAX) return null
    const manifests = new Map<string, readonly string[]>()
    for (const [path, manifest] of listed) {
      manifests.set(path, this.#manifests.get(path) ?? (await liveUris(files, manifest)))
    }
    this.#lists = lists
    this.#manifests = manifests
    return manifests
  }
}
