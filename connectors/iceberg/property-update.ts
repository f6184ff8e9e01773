// A change of a table's properties and of nothing else: the next metadata is that of before, with
// its snapshots and files.

import type { Clock } from '../../runtime/base/clock.ts'
import type { PropertyChange } from '../../runtime/sink.ts'
import { metadataName, type CommitPlan } from './commit-plan.ts'
import type { LakeFiles } from './lake-files.ts'
import { formatTableMetadata, type TableMetadata } from './metadata.ts'
import type { TableState } from './table-state.ts'
import { logWith } from './table-update.ts'

/** @returns `null`: the table has these properties already */
export function planProperties(
  files: LakeFiles,
  state: TableState,
  change: PropertyChange,
  clock: Clock,
): CommitPlan | null {
  const { metadata: start, location } = state
  const properties = { ...start.properties }
  for (const [name, value] of Object.entries(change(start.properties))) {
    if (value === null) delete properties[name]
    else properties[name] = value
  }
  if (isEqual(properties, start.properties)) return null
  const log = logWith(start.metadataLog, location, start.lastUpdatedMs)
  const lastUpdatedMs = Math.max(clock.nowMs(), start.lastUpdatedMs)
  const metadata: TableMetadata = { ...start, lastUpdatedMs, properties, metadataLog: log.kept }
  const folder = `${files.path(start.location)}/metadata`
  const next = files.uri(`${folder}/${metadataName(location)}`)
  return {
    base: location,
    next,
    metadata,
    writes: [{ uri: next, bytes: Buffer.from(formatTableMetadata(metadata)) }],
    shared: [],
    partitions: new Set(),
    superseded: log.dropped,
    unnamed: [],
    findFree: async () => [],
    accept: () => ({ ...state, location: next, metadata }),
  }
}

function isEqual(
  left: Readonly<Record<string, string>>,
  right: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(left)
  if (names.length !== Object.keys(right).length) return false
  return names.every((name) => left[name] === right[name])
}
