// Which manifests a snapshot rewrites: those whose deletion vectors are superseded or whose data
// files are dead, all of them at a truncate, and small ones that have become many. Entries keep the
// sequence numbers and row ids they have; a removed file is stated as removed once, in the snapshot
// that removes it.

import { PipelineError } from '../../runtime/base/errors.ts'
import { partitionKey } from '../../runtime/data/partition/value.ts'
import { dataFileRecord, decodeManifest, encodeAdded, encodeDeleted } from './manifest.ts'
import { encodeExisting, EntryStatus, FileContent, isVector, vectorRecord } from './manifest.ts'
import type { EncodedEntry, ManifestEntry } from './manifest.ts'
import { NO_PARTITION, type ManifestFormat } from './manifest-format.ts'
import { liveFiles, type ManifestFile } from './manifest-list.ts'
import type { DataFileRecord } from '../parquet/table/data-file-record.ts'
import type { LakeFiles } from './lake-files.ts'
import type { IcebergSchema } from './schema.ts'
import type { CountedEntry, CountedExisting, ManifestEntries } from './snapshot-draft.ts'
import type { SnapshotDraft } from './snapshot-draft.ts'
import type { DataFileState, LiveFiles, VectorState } from './table-state.ts'

/** Manifests of one size class become one when there are this many. */
const MERGE_COUNT = 16
/** The most files of a manifest that is made of others: it takes a tenth of a second to write. */
const MERGE_FILES_MAX = 4096
/** A merge of fewer manifests is not worth it. */
const MERGE_COUNT_MIN = 4
/** A rewritten delete manifest with fewer survivors is joined with the new one. */
const FOLD_FILES_MAX = 1000
/** Dead files leave a manifest of so few files at once; a larger one when they are this share. */
const DROP_AT_ONCE_MAX = 32
const DROP_SHARE_MIN = 1 / 8

export function dataEntries(
  format: ManifestFormat,
  snapshotId: bigint,
  records: readonly DataFileRecord[],
  uriOf: (path: string) => string,
): ManifestEntries {
  const added = records.map((file) => {
    const { rows, partition = NO_PARTITION } = file
    const record = dataFileRecord(file, uriOf(file.path))
    return { encoded: encodeAdded(format, snapshotId, record, partition), rows, partition }
  })
  return { content: 'data', format, added, existing: [], deleted: [] }
}

/** Removes every live file. @returns the URIs of the data and Puffin files removed */
export async function removeAll(
  files: LakeFiles,
  draft: SnapshotDraft,
  snapshotId: bigint,
  schema: IcebergSchema,
): Promise<Set<string>> {
  const removed = new Set<string>()
  const format = draft.format(schema)
  for (const manifest of draft.kept) {
    if (manifest.partitionSpecId !== 0) throw ofOtherSpec(manifest)
    const entries = await liveEntries(files, manifest)
    const deleted = entries.map((entry) => {
      countRemoved(draft, entry)
      removed.add(entry.path)
      const { rows, partition } = entry
      return { encoded: encodeDeleted(format, snapshotId, entry), rows, partition }
    })
    const { content } = manifest
    draft.writeManifest(snapshotId, schema, { content, format, added: [], existing: [], deleted })
  }
  draft.replace(new Set(draft.kept.map(({ path }) => path)))
  return removed
}

function ofOtherSpec(manifest: ManifestFile): PipelineError {
  const message = `lake table has files of another partitioning in ${manifest.path}`
  const detail = 'Somebody else wrote them; a pipeline keeps one partitioning for life.'
  return new PipelineError('TARGET_DIVERGED', message, { detail })
}

function countRemoved({ changes }: SnapshotDraft, entry: ManifestEntry): void {
  const rows = BigInt(entry.rows)
  changes.partitions.add(partitionKey(entry.partition))
  changes.removedBytes += BigInt(entry.contentBytes ?? entry.bytes)
  if (entry.content === FileContent.data) {
    changes.deletedFiles++
    changes.deletedRows += rows
  } else if (entry.content === FileContent.equalityDeletes) {
    changes.removedEqualityFiles++
    changes.removedEqualities += rows
  } else {
    changes.removedPositions += rows
    if (isVector(entry)) changes.removedVectors++
    else changes.removedPositionFiles++
  }
}

async function liveEntries(files: LakeFiles, manifest: ManifestFile): Promise<ManifestEntry[]> {
  const entries = decodeManifest(await files.read(manifest.path), manifest)
  return entries.filter(({ status }) => status !== EntryStatus.deleted)
}

/** What becomes of the data manifests that a snapshot takes over. */
export interface DataRewrite {
  /** Manifests that are written again, joined. */
  readonly manifests: readonly ManifestFile[]
  /** Dead files that leave with them. */
  readonly dropped: ReadonlyMap<number, DataFileState>
}

/**
 * Chooses data manifests to write again. Small ones are joined, so that a commit a second does not
 * leave 86,400 of them a day: sizes grow by a factor of 16 from class to class, each file is moved
 * a few times in its life. Dead files leave a small manifest at once, and a large one when they are
 * enough: writing 4,000 entries for each file that dies would take longer than all else.
 *
 * @param dead  files of manifests that are written, by file id
 * @param merges  false while manifests of this commit are not written yet: they cannot be read
 */
export function chooseData(
  draft: SnapshotDraft,
  dead: ReadonlyMap<number, DataFileState>,
  merges: boolean,
): DataRewrite {
  const data = draft.kept.filter(({ content }) => content === 'data')
  const deadIn = new Map<string, number>()
  for (const { manifest } of dead.values()) {
    deadIn.set(manifest, (deadIn.get(manifest) ?? 0) + 1)
  }
  const chosen = new Set(merges ? crowdedClass(data) : [])
  for (const manifest of data) {
    const count = deadIn.get(manifest.path) ?? 0
    const files = liveFiles(manifest)
    const leaves = files <= DROP_AT_ONCE_MAX || count >= files * DROP_SHARE_MIN
    if (count > 0 && leaves && manifest.partitionSpecId === 0) chosen.add(manifest)
  }
  const manifests = [...chosen]
  const paths = new Set(manifests.map(({ path }) => path))
  const dropped = new Map([...dead].filter(([, { manifest }]) => paths.has(manifest)))
  return { manifests, dropped }
}

/**
 * Writes the chosen manifests again, without the files that leave.
 *
 * @returns the URI of the manifest that each of their other files is in
 */
export async function rewriteData(
  files: LakeFiles,
  draft: SnapshotDraft,
  snapshotId: bigint,
  schema: IcebergSchema,
  { manifests, dropped }: DataRewrite,
): Promise<Map<string, string>> {
  const homes = new Map<string, string>()
  const format = draft.format(schema)
  const gone = new Set([...dropped.values()].map(({ path }) => path))
  let existing: CountedExisting[] = []
  let deleted: CountedEntry[] = []
  let stay: string[] = []
  const write = (): void => {
    if (existing.length + deleted.length === 0) return
    const entries = { content: 'data', format, added: [], existing, deleted } as const
    const { path } = draft.writeManifest(snapshotId, schema, entries)
    for (const file of stay) homes.set(file, path)
    existing = []
    deleted = []
    stay = []
  }
  for (const manifest of manifests) {
    if (existing.length + liveFiles(manifest) > MERGE_FILES_MAX) write()
    for (const entry of await liveEntries(files, manifest)) {
      const { rows, partition, sequenceNumber, path } = entry
      if (gone.has(path)) {
        countRemoved(draft, entry)
        deleted.push({ encoded: encodeDeleted(format, snapshotId, entry), rows, partition })
      } else {
        const encoded = encodeExisting(format, entry)
        existing.push({ encoded, rows, partition, sequenceNumber })
        stay.push(path)
      }
    }
  }
  write()
  draft.replace(new Set(manifests.map(({ path }) => path)))
  return homes
}

/** Of the smallest size class that is full what fits in one manifest; [] when there is none. */
function crowdedClass(manifests: readonly ManifestFile[]): ManifestFile[] {
  const classes = new Map<number, ManifestFile[]>()
  for (const manifest of manifests) {
    const count = liveFiles(manifest)
    if (manifest.partitionSpecId !== 0 || count >= MERGE_FILES_MAX) continue
    const level = Math.floor(Math.log2(count) / Math.log2(MERGE_COUNT))
    classes.set(level, [...(classes.get(level) ?? []), manifest])
  }
  const levels = [...classes].toSorted(([left], [right]) => left - right)
  for (const [, members] of levels) {
    const fitting = members.length < MERGE_COUNT ? [] : smallestOf(members)
    if (fitting.length >= MERGE_COUNT_MIN) return fitting
  }
  return []
}

function smallestOf(manifests: readonly ManifestFile[]): ManifestFile[] {
  const bySize = manifests.toSorted((left, right) => liveFiles(left) - liveFiles(right))
  let files = 0
  return bySize.filter((manifest) => (files += liveFiles(manifest)) <= MERGE_FILES_MAX)
}

/** A deletion vector of this commit, in its Puffin file. */
export type NewVector = Omit<
  VectorState,
  'snapshotId' | 'sequenceNumber' | 'fileSequenceNumber' | 'manifest' | 'existing'
>

/**
 * Writes the new vectors and takes the superseded ones out of their manifests.
 *
 * @returns the URI of the manifest that each vector of a rewritten manifest and each new one is in
 */
export function rewriteDeletes(
  draft: SnapshotDraft,
  snapshotId: bigint,
  schema: IcebergSchema,
  live: LiveFiles,
  vectors: readonly NewVector[],
  superseded: readonly VectorState[],
): Map<string, string> {
  const groups = groupByManifest(draft, live, superseded)
  const format = draft.format(schema)
  const homes = new Map<string, string>()
  const joined: CountedExisting[] = []
  const joinedDeleted: CountedEntry[] = []
  const joinedFiles: string[] = []
  for (const { survivors, removed, others } of groups.values()) {
    const deleted = removed.map((vector) => removal(format, snapshotId, vector))
    const existing = [
      ...survivors.map((vector) => survival(format, vector)),
      ...others.map((entry) => otherSurvival(format, entry)),
    ]
    if (existing.length < FOLD_FILES_MAX) {
      joined.push(...existing)
      joinedDeleted.push(...deleted)
      joinedFiles.push(...survivors.map(({ dataFile }) => dataFile))
      continue
    }
    const entries = { content: 'deletes', format, added: [], existing, deleted } as const
    const { path } = draft.writeManifest(snapshotId, schema, entries)
    for (const { dataFile } of survivors) homes.set(dataFile, path)
  }
  draft.replace(new Set(groups.keys()))
  const added = vectors.map((vector) => addition(format, snapshotId, vector))
  if (added.length + joined.length + joinedDeleted.length > 0) {
    const kept = { existing: joined, deleted: joinedDeleted }
    const entries = { content: 'deletes', format, added, ...kept } as const
    const { path } = draft.writeManifest(snapshotId, schema, entries)
    for (const dataFile of joinedFiles) homes.set(dataFile, path)
    for (const { dataFile } of vectors) homes.set(dataFile, path)
  }
  return homes
}

interface DeleteGroup {
  readonly survivors: VectorState[]
  readonly removed: VectorState[]
  others: readonly ManifestEntry[]
}

/** The delete manifests to rewrite, with what becomes of their entries. */
function groupByManifest(
  draft: SnapshotDraft,
  live: LiveFiles,
  superseded: readonly VectorState[],
): Map<string, DeleteGroup> {
  const groups = new Map<string, DeleteGroup>()
  const rewrite = (manifest: string): void => {
    if (groups.has(manifest)) return
    const others = live.otherDeletes.get(manifest) ?? []
    groups.set(manifest, { survivors: [], removed: [], others })
  }
  for (const { manifest } of superseded) rewrite(manifest)
  const untouched = draft.kept.filter(
    ({ content, path }) => content === 'deletes' && !groups.has(path),
  )
  for (const { path } of crowdedClass(untouched)) rewrite(path)
  if (groups.size === 0) return groups

  const gone = new Set(superseded)
  for (const vector of live.vectors.values()) {
    const group = groups.get(vector.manifest)
    if (gone.has(vector)) group?.removed.push(vector)
    else group?.survivors.push(vector)
  }
  return groups
}

function addition(format: ManifestFormat, snapshotId: bigint, vector: NewVector): CountedEntry {
  const { cardinality: rows, partition } = vector
  const encoded = encodeAdded(format, snapshotId, vectorRecord(vector), partition)
  return { encoded, rows, partition }
}

function survival(format: ManifestFormat, vector: VectorState): CountedExisting {
  const { cardinality: rows, partition, sequenceNumber } = vector
  if (vector.existing?.format !== format) {
    vector.existing = { format, encoded: encodeExisting(format, entryOf(vector)) }
  }
  return { encoded: vector.existing.encoded, rows, partition, sequenceNumber }
}

function otherSurvival(format: ManifestFormat, entry: ManifestEntry): CountedExisting {
  const { rows, partition, sequenceNumber } = entry
  return { encoded: encodeExisting(format, entry), rows, partition, sequenceNumber }
}

function removal(format: ManifestFormat, snapshotId: bigint, vector: VectorState): CountedEntry {
  const { cardinality: rows, partition } = vector
  const encoded: EncodedEntry = encodeDeleted(format, snapshotId, entryOf(vector))
  return { encoded, rows, partition }
}

function entryOf(vector: VectorState): ManifestEntry {
  const { snapshotId, sequenceNumber, fileSequenceNumber, path } = vector
  return {
    status: EntryStatus.existing,
    snapshotId,
    sequenceNumber,
    fileSequenceNumber,
    content: FileContent.positionDeletes,
    path,
    format: 'PUFFIN',
    rows: vector.cardinality,
    bytes: vector.fileBytes,
    firstRowId: null,
    referencedDataFile: vector.dataFile,
    contentOffset: vector.offset,
    contentBytes: vector.bytes,
    partition: vector.partition,
    record: vectorRecord(vector),
  }
}
