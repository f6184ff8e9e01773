// What one table has to take over in one commit: the union of one or several intents.

import type { RoaringBitmap32 } from 'roaring-wasm'
import { present } from '../../runtime/base/assert.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import type { Intent, TableIntent } from '../../runtime/sink.ts'
import type { IcebergCommittable } from './committable.ts'
import type { DataFileRecord } from '../parquet/table/data-file-record.ts'
import { EpochDeletes } from './epoch-deletes.ts'
import { readNamed } from './index/state-files.ts'
import { UNPARTITIONED_SPEC, type PartitionSpec } from './partition-spec.ts'

export type IcebergIntent = Intent<IcebergCommittable>
export type IcebergTableIntent = TableIntent<IcebergCommittable>

/** One intent of one table, with the epoch that it belongs to. */
export interface TableEpoch {
  readonly intent: IcebergIntent
  readonly entry: IcebergTableIntent
}

export interface CommitWork {
  readonly table: string
  /** In epoch order; one, or several that are squashed. */
  readonly epochs: readonly TableEpoch[]
  /** Id of the snapshot that main will point to. */
  readonly snapshotId: bigint
  readonly schemas: readonly TableSchema[]
  readonly truncated: boolean
  readonly files: readonly DataFileRecord[]
  /** How the files are partitioned; `null`: there are none, so nothing is said. */
  readonly spec: PartitionSpec | null
  /** Files that died before they could be committed: no snapshot ever names them. */
  readonly stillborn: readonly DataFileRecord[]
  /** By file id, the union over writers and epochs. `disposeWork` frees them. */
  readonly deletes: ReadonlyMap<number, RoaringBitmap32>
  /** The snapshot shows the source as it was at the end of the last epoch. */
  readonly cut: boolean
}

/** Epoch deletes by path, read once for all tables of a commit. */
export class DeletesReader {
  readonly #state: ObjectStore
  readonly #objects = new Map<string, Promise<EpochDeletes>>()

  constructor(state: ObjectStore) {
    this.#state = state
  }

  async read(path: string, table: string): Promise<Map<number, RoaringBitmap32>> {
    let object = this.#objects.get(path)
    if (object === undefined) {
      object = readNamed(this.#state, path).then((bytes) => new EpochDeletes(bytes))
      this.#objects.set(path, object)
    }
    return (await object).read(table)
  }
}

/** @returns the union of `epochs`, which are one table's and not empty */
export async function gatherWork(
  table: string,
  epochs: readonly TableEpoch[],
  reader: DeletesReader,
): Promise<CommitWork> {
  const schemas: TableSchema[] = []
  const files: DataFileRecord[] = []
  const deletes = new Map<number, RoaringBitmap32>()
  let truncated = false
  let spec: PartitionSpec | null = null
  for (const { entry } of epochs) {
    schemas.push(...entry.schemas)
    for (const committable of entry.committables) {
      truncated ||= committable.truncated
      for (const file of committable.files) files.push(file)
      if (committable.files.length > 0) spec = committable.spec ?? UNPARTITIONED_SPEC
      if (committable.deletes === null) continue
      uniteDeletes(deletes, await reader.read(committable.deletes, table))
    }
  }
  const last = present(epochs.at(-1), 'a commit has at least one epoch')
  const { snapshotId } = last.entry
  const [alive, stillborn] = takeStillborn(files, deletes)
  return {
    table,
    epochs,
    snapshotId,
    schemas,
    truncated,
    files: alive,
    spec,
    stillborn,
    deletes,
    cut: true,
  }
}

/** A writer keeps no file that died in its epoch; other writers and later epochs may kill one. */
function takeStillborn(
  files: readonly DataFileRecord[],
  deletes: Map<number, RoaringBitmap32>,
): [alive: DataFileRecord[], stillborn: DataFileRecord[]] {
  const alive: DataFileRecord[] = []
  const stillborn: DataFileRecord[] = []
  for (const file of files) {
    const positions = deletes.get(file.fileId)
    if (positions?.size !== file.rows) {
      alive.push(file)
      continue
    }
    stillborn.push(file)
    deletes.delete(file.fileId)
    positions.dispose()
  }
  return [alive, stillborn]
}

function uniteDeletes(
  target: Map<number, RoaringBitmap32>,
  more: ReadonlyMap<number, RoaringBitmap32>,
): void {
  for (const [fileId, positions] of more) {
    const known = target.get(fileId)
    if (known === undefined) {
      target.set(fileId, positions)
      continue
    }
    known.orInPlace(positions)
    positions.dispose()
  }
}

/** Work that changes no row: it puts a marker on the table as it is. */
export function markingWork(
  table: string,
  claim: Pick<IcebergIntent, 'timeline' | 'epoch' | 'fence' | 'pipeline'>,
  snapshotId: bigint,
): CommitWork {
  const position = { split: '', order: 0n, token: '' }
  const entry = {
    table,
    snapshotId,
    schemas: [],
    tableUuid: null,
    lastIntent: null,
    committables: [],
  }
  const epochs = [{ intent: { ...claim, position, sourceTimeUs: 0n, tables: [entry] }, entry }]
  const none = { schemas: [], truncated: false, files: [], spec: null, stillborn: [] }
  return { table, epochs, snapshotId, ...none, deletes: new Map(), cut: false }
}

export function disposeWork(work: CommitWork): void {
  for (const positions of work.deletes.values()) positions.dispose()
}

/** True when there is nothing to commit: no snapshot is made for an epoch without changes. */
export function isEmptyWork({ schemas, truncated, files, deletes }: CommitWork): boolean {
  const deleted = [...deletes.values()].some((positions) => !positions.isEmpty)
  return schemas.length === 0 && !truncated && files.length === 0 && !deleted
}

/**
 * Intents that may become one commit (C5): neighbours without DDL and TRUNCATE in any table, since
 * those need an order among snapshots. The same cut for all tables, or a table would show an epoch
 * that another does not have.
 */
export function commitRanges(intents: readonly IcebergIntent[]): IcebergIntent[][] {
  const ranges: IcebergIntent[][] = []
  let open: IcebergIntent[] | null = null
  for (const intent of intents) {
    const alone = intent.tables.some(
      ({ schemas, committables }) =>
        schemas.length > 0 || committables.some(({ truncated }) => truncated),
    )
    if (open !== null && !alone) {
      open.push(intent)
      continue
    }
    const range = [intent]
    ranges.push(range)
    open = alone ? null : range
  }
  return ranges
}

/** The intents of each table, in the order of `range`. */
export function epochsByTable(range: readonly IcebergIntent[]): Map<string, TableEpoch[]> {
  const tables = new Map<string, TableEpoch[]>()
  for (const intent of range) {
    for (const entry of intent.tables) {
      const epochs = tables.get(entry.table)
      if (epochs === undefined) tables.set(entry.table, [{ intent, entry }])
      else epochs.push({ intent, entry })
    }
  }
  return tables
}
