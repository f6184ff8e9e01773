// One table in one range of intents, from the first attempt to its result: the work, the plan of
// the current attempt, and which files may be thrown away when it fails.

import { assert } from '../../runtime/base/assert.ts'
import type { CatalogTable } from '../../runtime/catalog.ts'
import type { TableCommit } from '../../runtime/sink.ts'
import type { CommitPlan, PreparedFiles } from './commit-plan.ts'
import { disposeWork, type CommitWork, type IcebergIntent } from './commit-work.ts'
import type { TableEpoch } from './commit-work.ts'
import type { LakeFiles } from './lake-files.ts'
import type { PendingIntents } from './marker.ts'
import type { NewFile } from './snapshot-draft.ts'

/** A table over all intents of one call of `commit`. */
export interface PendingTable extends PendingIntents {
  /** Place of an intent's snapshot id in `ids`. */
  readonly places: ReadonlyMap<bigint, number>
  /** `null`: not created yet, as far as anybody knows. */
  tableUuid: string | null
}

/** @returns by table: the intents in order, and what the checkpoint knows of earlier ones */
export function pendingIntents(intents: readonly IcebergIntent[]): Map<string, PendingTable> {
  const behind = new Map<string, readonly bigint[]>()
  const tables = new Map<string, PendingTable & { ids: bigint[]; places: Map<bigint, number> }>()
  for (const { timeline, fence, tables: entries } of intents) {
    for (const { table, snapshotId, lastIntent, tableUuid, behind: later } of entries) {
      if (later !== undefined) behind.set(table, later)
      const known = tables.get(table)
      const ids = known?.ids ?? []
      const places = known?.places ?? new Map<bigint, number>()
      const committed = new Set([
        ...(known?.committed ?? []),
        ...(lastIntent === null ? [] : [lastIntent]),
      ])
      places.set(snapshotId, ids.length)
      ids.push(snapshotId)
      const uuid = known?.tableUuid ?? tableUuid
      tables.set(table, {
        timeline,
        fence,
        ids,
        places,
        committed: [...committed],
        tableUuid: uuid,
      })
    }
  }
  for (const [table, later] of behind) for (const id of later) tables.get(table)?.ids.push(id)
  return tables
}

export class CommitTask {
  readonly table: string
  readonly target: CatalogTable
  readonly epochs: readonly TableEpoch[]
  readonly pending: PendingTable
  readonly prepared: PreparedFiles = { snapshotIds: [], manifests: new Map() }
  result: TableCommit | null = null
  plan: CommitPlan | null = null
  /** The plan that became true. */
  accepted: CommitPlan | null = null
  /** Keys of the partitions that intents have changed which an earlier process committed. */
  changedBefore: ReadonlySet<string> = new Set()
  /** A swap of the plan's files may have happened: they must stay. */
  unknown = false
  #work: CommitWork | null = null
  readonly #shared = new Map<string, NewFile>()

  constructor(
    table: string,
    target: CatalogTable,
    epochs: readonly TableEpoch[],
    pending: PendingTable,
  ) {
    this.table = table
    this.target = target
    this.epochs = epochs
    this.pending = pending
  }

  /** The union of `epochs`; made again only when fewer of them remain. */
  async workOf(
    epochs: readonly TableEpoch[],
    gather: () => Promise<CommitWork>,
  ): Promise<CommitWork> {
    if (this.#work !== null && this.#work.epochs.length === epochs.length) return this.#work
    if (this.#work !== null) disposeWork(this.#work)
    this.#work = null
    this.prepared.manifests.clear()
    this.#work = await gather()
    return this.#work
  }

  /** Writes the files of `plan`, which becomes the plan of this attempt. */
  async write(files: LakeFiles, plan: CommitPlan): Promise<void> {
    this.plan = plan
    const fresh = plan.shared.filter(({ uri }) => !this.#shared.has(uri))
    for (const file of fresh) this.#shared.set(file.uri, file)
    const all = [...fresh, ...plan.writes]
    await Promise.all(all.map(({ uri, bytes }) => files.store.put(files.path(uri), bytes)))
  }

  /** The plan has become true. */
  takePlan(): CommitPlan {
    const { plan } = this
    assert(plan !== null, 'only a planned table is accepted')
    this.plan = null
    this.accepted = plan
    this.#shared.clear()
    return plan
  }

  finish(result: Partial<TableCommit> & Pick<TableCommit, 'outcome'>): void {
    const { table } = this
    const nothing = { tableUuid: null, snapshotId: null, metadataLocation: null, reason: null }
    this.result = { table, ...nothing, ...result }
  }

  /** Throws the plan away, and its files where it is known that they were never committed. */
  async discardPlan(files: LakeFiles): Promise<void> {
    const { plan } = this
    this.plan = null
    if (plan !== null && !this.unknown) await deleteAll(files, plan.writes)
  }

  /** Ends the task: what was not committed is thrown away. */
  async discard(files: LakeFiles): Promise<void> {
    await this.discardPlan(files)
    if (!this.unknown) await deleteAll(files, [...this.#shared.values()])
    if (this.#work !== null) disposeWork(this.#work)
    this.#work = null
  }
}

/** Best effort: what stays is an orphan, which harms nobody. */
async function deleteAll(files: LakeFiles, dead: readonly NewFile[]): Promise<void> {
  await Promise.allSettled(dead.map(({ uri }) => files.store.delete(files.path(uri))))
}
