// Snapshots that a commit removes from the metadata, so that it stays small (C8): at one commit a
// second, a day of snapshots is 50 MB of JSON in every commit. Heads of branches and tags stay, and
// of each branch the newest ones.

import { ancestorsOf } from './marker.ts'
import type { Snapshot, SnapshotLogEntry, TableMetadata } from './metadata.ts'

export interface HistoryPolicy {
  /** Snapshots of a branch that stay, whatever their age. */
  readonly keep: number
  /** Snapshots of a branch that are younger than this stay, whatever their number. */
  readonly keepMs: number
}

/** Snapshots on no branch belong to whoever stages them; Iceberg's own default of five days. */
const STAGED_KEEP_MS = 432_000_000

/** @returns ids of the snapshots that stay */
export function retainedSnapshots(
  metadata: TableMetadata,
  nowMs: number,
  policy: HistoryPolicy,
): Set<bigint> {
  const retained = new Set<bigint>()
  const referenced = new Set<bigint>()
  for (const ref of Object.values(metadata.refs)) {
    retained.add(ref.snapshotId)
    if (ref.type === 'tag') continue
    const keep = ref.minSnapshotsToKeep ?? policy.keep
    const keepMs = ref.maxSnapshotAgeMs ?? policy.keepMs
    let index = 0
    for (const { snapshotId, timestampMs } of ancestorsOf(metadata, ref.snapshotId)) {
      referenced.add(snapshotId)
      if (index < keep || isYoung(timestampMs, nowMs, keepMs)) retained.add(snapshotId)
      index++
    }
  }
  for (const { snapshotId, timestampMs } of metadata.snapshots) {
    const staged = !referenced.has(snapshotId)
    if (staged && timestampMs > nowMs - STAGED_KEEP_MS) retained.add(snapshotId)
  }
  return retained
}

/**
 * A snapshot from the future is not young: timestamps never go back, so after a clock that was
 * ahead all snapshots have its last time until the clock has caught up, and none would ever be old.
 */
function isYoung(timestampMs: number, nowMs: number, keepMs: number): boolean {
  return Math.abs(nowMs - timestampMs) < keepMs
}

/**
 * Removes the snapshots that are not to stay, and what metadata says about them.
 *
 * @returns the metadata, and the snapshots removed
 */
export function expireSnapshots(
  metadata: TableMetadata,
  nowMs: number,
  policy: HistoryPolicy,
): { metadata: TableMetadata; expired: readonly Snapshot[] } {
  const retained = retainedSnapshots(metadata, nowMs, policy)
  const expired = metadata.snapshots.filter(({ snapshotId }) => !retained.has(snapshotId))
  if (expired.length === 0) return { metadata, expired }
  const snapshots = metadata.snapshots.filter(({ snapshotId }) => retained.has(snapshotId))
  const snapshotLog = unbrokenLog(metadata.snapshotLog, retained)
  const rest = { ...metadata.rest }
  for (const name of ['statistics', 'partition-statistics']) {
    const items = rest[name]
    if (Array.isArray(items)) rest[name] = items.filter((item) => staysWith(item, retained))
  }
  return { metadata: { ...metadata, snapshots, snapshotLog, rest }, expired }
}

/** A log with a hole would tell a time traveller the wrong snapshot, so what is before it goes. */
function unbrokenLog(
  log: readonly SnapshotLogEntry[],
  retained: ReadonlySet<bigint>,
): readonly SnapshotLogEntry[] {
  const hole = log.findLastIndex(({ snapshotId }) => !retained.has(snapshotId))
  return log.slice(hole + 1)
}

function staysWith(item: unknown, retained: ReadonlySet<bigint>): boolean {
  if (typeof item !== 'object' || item === null || !('snapshot-id' in item)) return true
  const id = item['snapshot-id']
  return typeof id !== 'bigint' && typeof id !== 'number' ? true : retained.has(BigInt(id))
}
