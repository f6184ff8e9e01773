// Another engine that commits to a table of the lake, as far as tests need one: it knows nothing of
// markers and tags, keeps properties, and moves main.

import { randomId63, randomUuid } from '../../runtime/base/clock.ts'
import { LakeFiles } from '../../connectors/iceberg/lake-files.ts'
import { dataFileRecord, encodeAdded } from '../../connectors/iceberg/manifest.ts'
import { branchAt, formatTableMetadata } from '../../connectors/iceberg/metadata.ts'
import { snapshotWithId, type TableMetadata } from '../../connectors/iceberg/metadata.ts'
import { schemaWithId } from '../../connectors/iceberg/schema.ts'
import { SnapshotDraft } from '../../connectors/iceberg/snapshot-draft.ts'
import { loadTableState, readManifestList } from '../../connectors/iceberg/table-state.ts'
import type { TableState } from '../../connectors/iceberg/table-state.ts'
import { NO_METRICS, targetOf, type Lake } from './lake.ts'

/** Puts metadata in place of the table's current one. */
export async function foreignUpdate(
  lake: Lake,
  table: string,
  change: (state: TableState, files: LakeFiles) => Promise<TableMetadata> | TableMetadata,
): Promise<TableMetadata> {
  const files = new LakeFiles(lake.warehouse)
  const target = targetOf(table)
  const location = await lake.catalog.load(target)
  const state = await loadTableState(files, location!)
  const metadata = await change(state, files)
  const number = Number(/\/(\d+)-[^/]*$/.exec(location!)![1]) + 1
  const folder = files.path(metadata.location)
  const path = `${folder}/metadata/${String(number).padStart(5, '0')}-${randomUuid()}.metadata.json`
  await lake.warehouse.put(path, Buffer.from(formatTableMetadata(metadata)))
  const conflicts = await lake.catalog.swap([
    { table: target, expected: location, next: lake.warehouse.uri(path) },
  ])
  if (conflicts.length > 0) throw new Error('the foreign engine lost a race')
  return metadata
}

export interface ForeignCommit {
  /** Snapshot to go on from; default: the head of main. */
  readonly parent?: bigint
  /** Branch that moves to the new snapshot; `null`: it is only staged. Default main. */
  readonly branch?: string | null
  /** Snapshots of the branch that stay. */
  readonly keep?: number
}

/** Appends one data file that Millrace knows nothing of. */
export async function foreignAppend(
  lake: Lake,
  table: string,
  { parent, branch = 'main', keep }: ForeignCommit = {},
): Promise<TableMetadata> {
  return foreignUpdate(lake, table, async (state, files) => {
    const { metadata } = state
    const folder = files.path(metadata.location)
    const path = `${folder}/data/00000-0-${randomUuid()}.parquet`
    await lake.warehouse.put(path, new Uint8Array(102))
    const record = { fileId: 0, path, schemaVersion: 0, rows: 2, bytes: 102, metrics: NO_METRICS }
    const head = parent ?? metadata.currentSnapshotId
    const draft = new SnapshotDraft(files, `${folder}/metadata`, {
      spec: [],
      parent: head === null ? null : snapshotWithId(metadata, head),
      manifests: head === null ? [] : await readManifestList(files, metadata, head),
      lastSequenceNumber: metadata.lastSequenceNumber,
      nextRowId: metadata.nextRowId,
      timestampMs: metadata.lastUpdatedMs,
    })
    const snapshotId = randomId63()
    const schema = schemaWithId(metadata.schemas, metadata.currentSchemaId)
    const format = draft.format(schema)
    const encoded = encodeAdded(format, snapshotId, dataFileRecord(record, files.uri(path)), [])
    draft.changes.addedFiles++
    draft.changes.addedRows += 2n
    draft.changes.addedBytes += 102n
    const added = [{ encoded, rows: 2, partition: [] }]
    const none = { existing: [], deleted: [] }
    draft.writeManifest(snapshotId, schema, { content: 'data', format, added, ...none })
    draft.close(snapshotId, schema.schemaId, {})
    for (const { uri, bytes } of draft.writes) await lake.warehouse.put(files.path(uri), bytes)
    const grown = {
      ...metadata,
      lastSequenceNumber: draft.sequenceNumber - 1n,
      snapshots: [...metadata.snapshots, ...draft.snapshots],
      nextRowId: draft.nextRowId,
    }
    if (branch === null) return grown
    const ref = { ...(metadata.refs[branch] ?? branchAt(snapshotId)), snapshotId }
    const kept = keep === undefined ? {} : { minSnapshotsToKeep: keep, maxSnapshotAgeMs: 1 }
    const refs = { ...metadata.refs, [branch]: { ...ref, ...kept } }
    if (branch !== 'main') return { ...grown, refs }
    const entry = { snapshotId, timestampMs: metadata.lastUpdatedMs }
    const snapshotLog = [...metadata.snapshotLog, entry]
    return { ...grown, refs, currentSnapshotId: snapshotId, snapshotLog }
  })
}
