// Turns the work of one table into the files and the metadata of one commit, on top of one base.
// Nothing here is visible to anybody: the plan becomes true when the catalog takes `next`.
//
// An epoch with DDL is several snapshots, one for each schema version, so that none mixes schemas;
// main moves once, to the last, which alone deletes rows and alone is a cut (C2).

import { assert, present } from '../../runtime/base/assert.ts'
import { randomId63, type Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { CatalogTable } from '../../runtime/catalog.ts'
import type { PartitionField } from '../../runtime/data/partition/transform.ts'
import { partitionKey } from '../../runtime/data/partition/value.ts'
import type { DataFileRecord } from '../parquet/table/data-file-record.ts'
import type { CommitWork, IcebergIntent } from './commit-work.ts'
import { lakeFields, type TableMode } from '../parquet/table/fields.ts'
import type { HistoryPolicy } from './expiry.ts'
import type { LakeFiles } from './lake-files.ts'
import { ownFileId, tablePath } from './layout.ts'
import { LiveChanges } from './live-changes.ts'
import { chooseData, dataEntries, removeAll, rewriteData } from './manifest-plan.ts'
import { rewriteDeletes, type NewVector } from './manifest-plan.ts'
import { snapshotWithId, type TableMetadata } from './metadata.ts'
import { bindSpec, type PartitionSpec } from './partition-spec.ts'
import { encodePuffin } from './puffin.ts'
import { ReleaseLog } from './releases.ts'
import { icebergSchema, schemaWithId, type IcebergSchema } from './schema.ts'
import { SnapshotDraft, type ManifestEntries, type NewFile } from './snapshot-draft.ts'
import { finishMetadata, newTableMetadata } from './table-update.ts'
import { checkWritable } from './writable.ts'
import { liveFilesOf, noLiveFiles, type LiveFiles, type TableState } from './table-state.ts'
import type { VectorState } from './table-state.ts'
import { isDead, planVectors, puffinName, type NewBlob, type VectorCache } from './vectors.ts'

export interface PlanContext {
  readonly pipeline: string
  readonly mode: TableMode
  readonly files: LakeFiles
  readonly cache: VectorCache
  readonly clock: Clock
  readonly history: HistoryPolicy
  /** Of a lake table that is to be made. */
  readonly partitionBy: (table: string) => readonly PartitionField[]
}

/** Made once for an intent and used by every attempt: snapshot ids, manifests of new files. */
export interface PreparedFiles {
  readonly snapshotIds: bigint[]
  /** By id of the snapshot that adds them. */
  readonly manifests: Map<bigint, { entries: ManifestEntries; file: NewFile }>
}

export interface CommitPlan {
  /** Location of the base; `null`: the table is created. */
  readonly base: string | null
  readonly next: string
  readonly metadata: TableMetadata
  /** Files of this attempt only. */
  readonly writes: readonly NewFile[]
  /** Files that every attempt uses. */
  readonly shared: readonly NewFile[]
  /** The table after the swap; call it once, when the swap is known to have happened. */
  readonly accept: () => TableState
  /** Keys of the partitions that files are added to or removed from. */
  readonly partitions: ReadonlySet<string>
  /** URIs of metadata files that the metadata does not name any more. */
  readonly superseded: readonly string[]
  /** URIs that nothing names: manifest lists of expired snapshots, files that died too early. */
  readonly unnamed: readonly string[]
  /** URIs of files that no snapshot refers to any more; call it after `accept`. */
  readonly findFree: () => Promise<readonly string[]>
}

interface Step {
  readonly kind: 'truncate' | 'files'
  readonly snapshotId: bigint
  readonly schema: IcebergSchema
  readonly files: readonly DataFileRecord[]
  readonly last: boolean
}

/**
 * @param base  the table as it is; `null`: it does not exist
 * @throws PipelineError TARGET_DIVERGED, SCHEMA_DIVERGED, LAKE_FORMAT
 */
export async function planCommit(
  context: PlanContext,
  target: CatalogTable,
  base: TableState | null,
  work: CommitWork,
  prepared: PreparedFiles,
): Promise<CommitPlan> {
  const { files, clock } = context
  const start = base?.metadata ?? newTable(context, files.uri(tablePath(target)), work)
  const spec = checkWritable(work, start, context.mode)
  const schemas = mergedSchemas(context.mode, work, base === null ? null : start)
  const folder = `${files.path(start.location)}/metadata`
  const timestampMs = Math.max(clock.nowMs(), start.lastUpdatedMs)
  const draft = new SnapshotDraft(files, folder, {
    spec,
    parent: headOf(start),
    manifests: base?.manifests ?? [],
    lastSequenceNumber: start.lastSequenceNumber,
    nextRowId: start.nextRowId,
    timestampMs,
  })
  const steps = planSteps(work, schemas, base === null ? null : start.currentSchemaId, prepared)
  const changes = new LiveChanges(files, work)
  for (const step of steps) {
    if (step.kind === 'truncate') {
      const removed = await removeAll(files, draft, step.snapshotId, step.schema)
      changes.truncate(removed)
    } else {
      addFiles(files, draft, step, prepared, changes)
      if (step.last) await finishLast(context, draft, step, base, work, changes)
    }
    draft.close(step.snapshotId, step.schema.schemaId, step.last ? summaryExtra(context, work) : {})
  }
  const last = present(steps.at(-1), 'a commit has a last snapshot')
  assert(last.snapshotId === work.snapshotId, 'main moves to the snapshot that names the intent')
  const finished = finishMetadata(context, start, base?.location ?? null, work, {
    snapshots: draft.snapshots,
    schemas,
    currentSchemaId: last.schema.schemaId,
    nextRowId: draft.nextRowId,
    timestampMs,
  })
  const releases = base?.releases ?? new ReleaseLog(0n)
  const { sequenceNumber } = present(draft.parent, 'the last snapshot has been closed')
  const released = { sequenceNumber, uris: changes.released(base, draft) }
  const next = draft.newUri(metadataName(base?.location ?? null))
  const metadataFile = { uri: next, bytes: Buffer.from(finished.text) }
  const stillborn = work.stillborn.map(({ path }) => files.uri(path))
  return {
    base: base?.location ?? null,
    next,
    metadata: finished.metadata,
    writes: [...draft.writes, metadataFile],
    shared: steps.flatMap(({ snapshotId }) => prepared.manifests.get(snapshotId)?.file ?? []),
    partitions: draft.partitions,
    superseded: finished.superseded,
    unnamed: [...finished.expiredLists, ...stillborn],
    findFree: () => releases.takeFree(files, base?.metadata ?? null, finished.metadata),
    accept: () => {
      releases.add(released)
      return {
        location: next,
        metadata: finished.metadata,
        manifests: draft.manifests,
        live: changes.accept(base?.live ?? null, draft, context.cache, base === null),
        releases,
      }
    },
  }
}

function headOf(metadata: TableMetadata): ReturnType<typeof snapshotWithId> {
  const { currentSnapshotId: id } = metadata
  return id === null ? null : snapshotWithId(metadata, id)
}

export function metadataName(base: string | null): string {
  const number = base === null ? 0 : Number(/\/v?(\d+)[-.][^/]*$/.exec(base)?.[1] ?? 0) + 1
  return `${String(number).padStart(5, '0')}-${ownFileId()}.metadata.json`
}

/** The files say how they are partitioned; of an empty table the pipeline file says it. */
function newTable(context: PlanContext, location: string, work: CommitWork): TableMetadata {
  const first = present(work.schemas[0], 'the first epoch of a table carries its schema')
  const bind = (): PartitionSpec =>
    bindSpec(work.table, context.partitionBy(work.table), lakeFields(first, context.mode))
  return newTableMetadata(location, work.snapshotId, work.spec ?? bind(), context.clock.nowMs())
}

/** The table's schemas and those of the work behind them (C3: nobody else has used their ids). */
function mergedSchemas(
  mode: TableMode,
  work: CommitWork,
  base: TableMetadata | null,
): IcebergSchema[] {
  const schemas = [...(base?.schemas ?? [])]
  for (const schema of work.schemas) {
    if (schemas.some(({ schemaId }) => schemaId >= schema.version)) {
      const message = `lake table ${work.table} already has a schema ${schema.version}`
      const detail = 'Somebody else has added it, or the checkpoint is older than the table.'
      throw new PipelineError('SCHEMA_DIVERGED', message, { detail })
    }
    schemas.push(icebergSchema(schema, mode))
  }
  assert(schemas.length > 0, 'the first epoch of a table carries its schema')
  return schemas
}

/**
 * Rows that were written before the epoch's first DDL have the version that the table has now. What
 * a repair has held back may be older: the table took the structures of those epochs at once. Such
 * files go with the first snapshot whose structure is theirs or newer; readers match columns by id.
 */
function planSteps(
  work: CommitWork,
  schemas: readonly IcebergSchema[],
  current: number | null,
  prepared: PreparedFiles,
): Step[] {
  const added = work.schemas.map(({ version }) => version)
  const hasOlder = work.files.some(({ schemaVersion }) => schemaVersion <= (current ?? -1))
  const versions = current !== null && hasOlder ? [current, ...added] : added
  const byVersion = new Map<number, DataFileRecord[]>()
  for (const file of work.files) {
    const version = versions.find((candidate) => candidate >= file.schemaVersion)
    assert(version !== undefined, 'a data file has a schema of the table or of the intent')
    byVersion.set(version, [...(byVersion.get(version) ?? []), file])
  }
  const kinds: { kind: Step['kind']; version: number }[] = versions.map((version) => ({
    kind: 'files',
    version,
  }))
  const first = present(versions[0] ?? current, 'a table without schema gets one')
  if (work.truncated && current !== null) kinds.unshift({ kind: 'truncate', version: current })
  else if (kinds.length === 0) kinds.push({ kind: 'files', version: first })
  return kinds.map(({ kind, version }, index) => {
    const last = index === kinds.length - 1
    prepared.snapshotIds[index] ??= randomId63()
    return {
      kind,
      snapshotId: last ? work.snapshotId : present(prepared.snapshotIds[index], 'just made'),
      schema: schemaWithId(schemas, version),
      files: kind === 'files' ? (byVersion.get(version) ?? []) : [],
      last,
    }
  })
}

/** New data files. Their manifest is made once: entries take all that varies from the list. */
function addFiles(
  files: LakeFiles,
  draft: SnapshotDraft,
  step: Step,
  prepared: PreparedFiles,
  changes: LiveChanges,
): void {
  if (step.files.length === 0) return
  const { schema, snapshotId } = step
  let manifest = prepared.manifests.get(snapshotId)
  if (manifest === undefined) {
    const format = draft.format(schema)
    const entries = dataEntries(format, snapshotId, step.files, (path) => files.uri(path))
    manifest = { entries, file: draft.encodeManifest(schema, entries) }
    prepared.manifests.set(snapshotId, manifest)
  }
  draft.addManifest(snapshotId, manifest.entries, manifest.file)
  for (const { fileId, rows, bytes, partition = [] } of step.files) {
    changes.place(fileId, manifest.file.uri)
    draft.changes.partitions.add(partitionKey(partition))
    draft.changes.addedFiles++
    draft.changes.addedRows += BigInt(rows)
    draft.changes.addedBytes += BigInt(bytes)
  }
}

/** The last snapshot deletes rows, drops dead files and tidies up manifests. */
async function finishLast(
  { files, cache }: PlanContext,
  draft: SnapshotDraft,
  { snapshotId, schema }: Step,
  base: TableState | null,
  work: CommitWork,
  changes: LiveChanges,
): Promise<void> {
  const live = await liveBefore(files, base, work)
  const blobs = live === null ? [] : await planDeletes(files, cache, live, work, changes)
  const dying = blobs.filter(({ cardinality, file, shared }) =>
    isDead({ cardinality }, file, shared),
  )
  const dead = new Map(live?.dead)
  for (const { fileId, file } of dying) dead.set(fileId, file)
  // Manifests of earlier snapshots of this commit are not written yet: they wait for the next.
  const rewrite = chooseData(draft, dead, draft.snapshots.length === 0)
  const { dropped } = rewrite
  const homes = await rewriteData(files, draft, snapshotId, schema, rewrite)
  changes.data({ homes, dropped, dead })
  if (live === null) return

  const stay = blobs.filter(({ fileId }) => !dropped.has(fileId))
  const superseded = [
    ...stay.map((blob) => blob.superseded),
    ...[...dropped.values()].map(({ path }) => live.vectors.get(path) ?? null),
  ].filter((vector) => vector !== null)
  if (stay.length + superseded.length === 0) return
  const ordered = [...stay.filter(({ shared }) => !shared), ...stay.filter(({ shared }) => shared)]
  const added = writePuffins(draft, ordered)
  countVectors(draft, superseded, added)
  changes.vectors({
    snapshotId,
    sequenceNumber: draft.sequenceNumber,
    added,
    blobs: ordered.map(({ blob }) => blob),
    superseded,
    homes: rewriteDeletes(draft, snapshotId, schema, live, added, superseded),
  })
}

/** `null`: not known, and not needed. */
async function liveBefore(
  files: LakeFiles,
  base: TableState | null,
  work: CommitWork,
): Promise<LiveFiles | null> {
  if (base === null || work.truncated) return noLiveFiles()
  return work.deletes.size > 0 ? liveFilesOf(files, base) : base.live
}

async function planDeletes(
  files: LakeFiles,
  cache: VectorCache,
  live: LiveFiles,
  { table, truncated, deletes }: CommitWork,
  { newFiles }: LiveChanges,
): Promise<NewBlob[]> {
  if (deletes.size === 0) return []
  // A writer may hold positions in files that the truncate of the same epoch has removed.
  const due = truncated ? new Map([...deletes].filter(([fileId]) => newFiles.has(fileId))) : deletes
  return planVectors(files, cache, table, live, newFiles, due)
}

/** One file for vectors that are ours alone, one for those that are not. */
function writePuffins(draft: SnapshotDraft, blobs: readonly NewBlob[]): NewVector[] {
  return [false, true].flatMap((shared) => {
    const chosen = blobs.filter((blob) => blob.shared === shared)
    if (chosen.length === 0) return []
    const { bytes, places } = encodePuffin(chosen)
    const uri = draft.newUri(puffinName(ownFileId(), shared))
    draft.writes.push({ uri, bytes })
    return places.map((place, index) => {
      const { partition } = present(chosen[index], 'each vector has a place').file
      return { ...place, partition, path: uri, fileBytes: bytes.length }
    })
  })
}

function countVectors(
  { changes }: SnapshotDraft,
  superseded: readonly VectorState[],
  added: readonly NewVector[],
): void {
  for (const { cardinality, bytes, partition } of added) {
    changes.partitions.add(partitionKey(partition))
    changes.addedVectors++
    changes.addedPositions += BigInt(cardinality)
    changes.addedBytes += BigInt(bytes)
  }
  for (const { cardinality, bytes, partition } of superseded) {
    changes.partitions.add(partitionKey(partition))
    changes.removedVectors++
    changes.removedPositions += BigInt(cardinality)
    changes.removedBytes += BigInt(bytes)
  }
}

/** Event time up to which the table has all its rows, in microseconds as its other times are. */
function watermarkOf({ epochs }: CommitWork): Record<string, string> {
  const us = epochs.at(-1)?.entry.watermarkUs ?? null
  return us === null ? {} : { 'millrace.watermark': String(us) }
}

function summaryExtra(context: PlanContext, work: CommitWork): Record<string, string> {
  const first = present(work.epochs[0], 'a commit has at least one epoch').intent
  const last = present(work.epochs.at(-1), 'a commit has at least one epoch').intent
  return {
    'engine-name': 'Millrace',
    'millrace.pipeline': context.pipeline,
    ...(work.cut ? { ...cutOf(first, last, work), ...watermarkOf(work) } : {}),
  }
}

/** Where rows are held back the table is not what the source was at any position. */
function cutOf(
  first: IcebergIntent,
  last: IcebergIntent,
  { epochs }: CommitWork,
): Record<string, string> {
  const held = epochs.at(-1)?.entry.held ?? 0
  const epoch = {
    'millrace.epoch': String(last.epoch),
    ...(first === last ? {} : { 'millrace.epochs': `${first.epoch}-${last.epoch}` }),
  }
  if (held > 0) return { ...epoch, 'millrace.held': String(held) }
  return {
    ...epoch,
    'millrace.source-position': last.position.token,
    'millrace.source-time-us': String(last.sourceTimeUs),
  }
}
