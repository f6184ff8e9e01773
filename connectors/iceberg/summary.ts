// The summary of a snapshot: counters as every engine writes and reads them. Totals go on from the
// parent's, and are left out where a foreign parent has none: a wrong total is worse than none.
// Source: Apache Iceberg specification, Appendix F, "Optional Snapshot Summary Fields".

export type Operation = 'append' | 'overwrite' | 'delete' | 'replace'

/** What one snapshot adds and removes. Rows of delete files are positions. */
export interface SnapshotChanges {
  addedFiles: number
  addedRows: bigint
  deletedFiles: number
  deletedRows: bigint
  addedVectors: number
  addedPositions: bigint
  removedVectors: number
  removedPositions: bigint
  removedPositionFiles: number
  removedEqualityFiles: number
  removedEqualities: bigint
  /** Bytes of data files and of the content of delete files. */
  addedBytes: bigint
  removedBytes: bigint
  manifestsCreated: number
  manifestsReplaced: number
  manifestsKept: number
  /** Keys of the partitions that files are added to or removed from. */
  readonly partitions: Set<string>
}

export function noChanges(): SnapshotChanges {
  return {
    addedFiles: 0,
    addedRows: 0n,
    deletedFiles: 0,
    deletedRows: 0n,
    addedVectors: 0,
    addedPositions: 0n,
    removedVectors: 0,
    removedPositions: 0n,
    removedPositionFiles: 0,
    removedEqualityFiles: 0,
    removedEqualities: 0n,
    addedBytes: 0n,
    removedBytes: 0n,
    manifestsCreated: 0,
    manifestsReplaced: 0,
    manifestsKept: 0,
    partitions: new Set(),
  }
}

/** As Java's row delta names it: by what kinds of files are added. */
export function operationOf(changes: SnapshotChanges): Operation {
  if (changes.addedVectors === 0 && changes.deletedFiles === 0) return 'append'
  return changes.addedFiles === 0 ? 'delete' : 'overwrite'
}

type Counter = readonly [name: string, value: number | bigint]

/**
 * @param parent  summary of the snapshot before; `null`: there is none
 * @returns the summary, `operation` first, counters that are 0 left out but for the totals
 */
export function summaryOf(
  operation: Operation,
  changes: SnapshotChanges,
  parent: Readonly<Record<string, string>> | null,
): Record<string, string> {
  const removedDeletes =
    changes.removedVectors + changes.removedPositionFiles + changes.removedEqualityFiles
  const counters: readonly Counter[] = [
    ['added-data-files', changes.addedFiles],
    ['added-records', changes.addedRows],
    ['deleted-data-files', changes.deletedFiles],
    ['deleted-records', changes.deletedRows],
    ['added-delete-files', changes.addedVectors],
    ['added-dvs', changes.addedVectors],
    ['added-position-deletes', changes.addedPositions],
    ['removed-delete-files', removedDeletes],
    ['removed-dvs', changes.removedVectors],
    ['removed-position-delete-files', changes.removedPositionFiles],
    ['removed-equality-delete-files', changes.removedEqualityFiles],
    ['removed-position-deletes', changes.removedPositions],
    ['removed-equality-deletes', changes.removedEqualities],
    ['added-files-size', changes.addedBytes],
    ['removed-files-size', changes.removedBytes],
    ['changed-partition-count', changes.partitions.size],
  ]
  const summary: Record<string, string> = { operation }
  for (const [name, value] of counters) if (value > 0) summary[name] = String(value)
  summary['manifests-created'] = String(changes.manifestsCreated)
  summary['manifests-replaced'] = String(changes.manifestsReplaced)
  summary['manifests-kept'] = String(changes.manifestsKept)
  return { ...summary, ...totalsOf(changes, removedDeletes, parent) }
}

function totalsOf(
  changes: SnapshotChanges,
  removedDeletes: number,
  parent: Readonly<Record<string, string>> | null,
): Record<string, string> {
  const totals: readonly [name: string, change: bigint][] = [
    ['total-data-files', BigInt(changes.addedFiles - changes.deletedFiles)],
    ['total-delete-files', BigInt(changes.addedVectors - removedDeletes)],
    ['total-records', changes.addedRows - changes.deletedRows],
    ['total-files-size', changes.addedBytes - changes.removedBytes],
    ['total-position-deletes', changes.addedPositions - changes.removedPositions],
    ['total-equality-deletes', -changes.removedEqualities],
  ]
  const summary: Record<string, string> = {}
  for (const [name, change] of totals) {
    const before = parent === null ? '0' : parent[name]
    if (before === undefined || !/^\d+$/.test(before)) continue
    summary[name] = String(BigInt(before) + change)
  }
  return summary
}
