// Which partitions a commit has changed, read back from its snapshots: for a commit that an earlier
// process made, and died before it could say so.

import type { PartitionTuple } from '../../runtime/data/partition/value.ts'
import { tupleOfKey } from '../../runtime/data/partition/value.ts'
import type { LakeFiles } from './lake-files.ts'
import { snapshotWithId, type TableMetadata } from './metadata.ts'
import { specOf } from './partition-spec.ts'
import { readPartitionChanges } from './scan.ts'

/**
 * @param ids  of snapshots; those that have expired are passed over
 * @returns keys of the partitions that files were added to or taken from
 * Cost: reads the manifests that the snapshots have written.
 */
export async function partitionsOfSnapshots(
  files: LakeFiles,
  metadata: TableMetadata,
  ids: readonly bigint[],
): Promise<Set<string>> {
  const keys = new Set<string>()
  if ((specOf(metadata.partitionSpecs) ?? []).length === 0) return keys
  for (const id of ids) {
    if (snapshotWithId(metadata, id) === null) continue
    const changes = await readPartitionChanges(files, metadata, id)
    for (const key of changes.keys()) keys.add(key)
  }
  return keys
}

/** An unpartitioned table has none. */
export function tuplesOf(keys: Iterable<string>): PartitionTuple[] {
  return [...keys].filter((key) => key !== '').map(tupleOfKey)
}
