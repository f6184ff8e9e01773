// Makes intents visible in the lake, each exactly once, whatever is lost on the way.
//
// Algorithm. For a range of intents: read where the catalog says each table is; decide by the
// marker in that very metadata what is already done; plan the rest on that base; write all files;
// swap all tables in one transaction, each from the location that was read. The check and the swap
// use the same base, so a commit of our own that is still under way somewhere cannot slip between
// them: one of the two swaps fails, reads again, and finds the other's marker.
//
// Outcome unknown (the catalog's answer was lost): read again, and the marker tells. Files of such
// an attempt are never deleted, since the commit may have happened. A catalog that is held by
// somebody else has surely done nothing: the call ends, and whoever called tries again later.

import { assert, present } from '../../runtime/base/assert.ts'
import { randomId63, systemClock, type Clock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import { silentLog, type Log } from '../../runtime/base/log.ts'
import type { Catalog, CatalogTable } from '../../runtime/catalog.ts'
import type { PartitionField } from '../../runtime/data/partition/transform.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import type { Committer, PropertyChange, TableCommit } from '../../runtime/sink.ts'
import { LakeCleanup } from './cleanup.ts'
import type { IcebergCommittable } from './committable.ts'
import { planCommit, type PlanContext } from './commit-plan.ts'
import { CommitTask, pendingIntents, type PendingTable } from './commit-task.ts'
import { commitRanges, DeletesReader, epochsByTable, gatherWork } from './commit-work.ts'
import { isEmptyWork, markingWork, type CommitWork } from './commit-work.ts'
import type { IcebergIntent } from './commit-work.ts'
import type { TableMode } from '../parquet/table/fields.ts'
import { LakeFiles } from './lake-files.ts'
import { partitionsOfSnapshots, tuplesOf } from './touched-partitions.ts'
import { planProperties } from './property-update.ts'
import { checkUndisturbed, intentsDone, markerOf } from './marker.ts'
import { loadTableState, type TableState } from './table-state.ts'
import { VectorCache } from './vectors.ts'

export interface IcebergCommitterOptions {
  readonly pipeline: string
  readonly mode: TableMode
  /** Where the tables' files are; paths of data files are relative to it. */
  readonly warehouse: ObjectStore
  /** Holds what `IcebergCommittable.deletes` names. */
  readonly state: ObjectStore
  readonly catalog: Catalog
  /** The lake table of a source table (`TableSchema.table`). */
  readonly target: (table: string) => CatalogTable
  /** Snapshots of main that stay, and the age up to which any stays. Default 100 and 10 minutes. */
  readonly historyKeep?: number
  readonly historyKeepMs?: number
  /** Deletion vectors kept in memory, bytes over all tables. Default 64 MiB. */
  readonly vectorBytesMax?: number
  /** Live files kept in memory, over all tables. Default 500,000. */
  readonly liveFilesMax?: number
  /**
   * How long a file stays that nothing refers to any more; readers may still be at it. Default one
   * hour. `null`: nothing is deleted, the caller asks `takeGarbage`.
   */
  readonly garbageGraceMs?: number | null
  /** How a lake table is partitioned that is made without rows. Default: not at all. */
  readonly partitionBy?: (table: string) => readonly PartitionField[]
  readonly clock?: Clock
  readonly log?: Log
}

export interface IcebergCommitter extends Committer<IcebergCommittable> {
  /**
   * With `garbageGraceMs: null`: files, relative to the warehouse, that no retained snapshot refers
   * to any more, since the last call.
   */
  takeGarbage(): readonly string[]
  /**
   * Looks for files of ours that a crash left in the folders of `tables`, and deletes them after the
   * grace (or gives them to `takeGarbage`). Only at the start, under the lock, before any writer
   * runs: a file that a writer has just finished looks the same.
   *
   * @param keep  data files of intents that are not committed yet, relative to the warehouse
   * @returns files found
   */
  sweep(tables: readonly string[], keep: ReadonlySet<string>): Promise<number>
  /**
   * Takes the lake table as it is now for the state that this pipeline left: an empty snapshot
   * carries a new marker, the tag moves to it. For a table that comes back after it had diverged,
   * and for a rewind. Whoever calls it knows what the table's rows are; nothing is compared here.
   *
   * @returns the commit, whose snapshot id is the table's last intent from now on; `null` when
   *          there is no such table
   * @throws PipelineError CATALOG_UNAVAILABLE, CATALOG_CONFLICT (retry) · TARGET_DIVERGED when
   *         Millrace could not write to the table
   */
  adopt(table: string, claim: TableClaim): Promise<AdoptedTable | null>
}

export interface TableClaim {
  readonly timeline: number
  readonly epoch: number
  readonly fence: string
}

/** A table that the next commit may go on from. */
export interface AdoptedTable {
  readonly commit: TableCommit
  /** Schema versions and field ids of later epochs must lie above these (C3). */
  readonly lastSchemaId: number
  readonly lastColumnId: number
  /** The intent that our marker named before; `null`: it had none of ours. */
  readonly before: bigint | null
}

/** Swaps of a busy catalog: conflicts and lost answers that one call of `commit` bears. */
const ATTEMPTS_MAX = 10
const RETRY_MS = 20
/** Tables that are read and planned at the same time. */
const TABLES_AT_ONCE = 8

/** Errors that concern one table only: it is parked, the others go on. */
const PARKING: ReadonlySet<string> = new Set(
  'TARGET_DIVERGED SCHEMA_DIVERGED LAKE_FORMAT DDL_UNMAPPABLE'.split(' '),
)

export function createIcebergCommitter(options: IcebergCommitterOptions): IcebergCommitter {
  return new CatalogCommitter(options)
}

class CatalogCommitter implements IcebergCommitter {
  readonly #options: IcebergCommitterOptions
  readonly #context: PlanContext
  readonly #log: Log
  readonly #clock: Clock
  /** By table; in the order of use, the most recent last. */
  readonly #states = new Map<string, TableState>()
  readonly #namespaces = new Set<string>()
  readonly #cleanup: LakeCleanup
  #busy = false

  constructor(options: IcebergCommitterOptions) {
    const { pipeline, mode, warehouse, clock = systemClock, log = silentLog } = options
    this.#options = options
    this.#log = log
    this.#clock = clock
    const graceMs = options.garbageGraceMs === undefined ? 3_600_000 : options.garbageGraceMs
    this.#cleanup = new LakeCleanup({ ...options, clock, log, graceMs })
    this.#context = {
      pipeline,
      mode,
      files: new LakeFiles(warehouse),
      cache: new VectorCache(options.vectorBytesMax ?? 64 * 1024 * 1024),
      clock,
      partitionBy: options.partitionBy ?? (() => []),
      history: { keep: options.historyKeep ?? 100, keepMs: options.historyKeepMs ?? 600_000 },
    }
  }

  async commit(
    intents: readonly IcebergIntent[],
    signal?: AbortSignal,
  ): Promise<readonly TableCommit[]> {
    assert(!this.#busy, 'one commit at a time')
    this.#busy = true
    try {
      return await this.#commitAll(intents, signal)
    } finally {
      this.#busy = false
    }
  }

  async #commitAll(
    intents: readonly IcebergIntent[],
    signal: AbortSignal | undefined,
  ): Promise<readonly TableCommit[]> {
    const results = new Map<string, TableCommit>()
    const pending = pendingIntents(intents)
    const reader = new DeletesReader(this.#options.state)
    for (const range of commitRanges(intents)) {
      const tasks: CommitTask[] = []
      for (const [table, epochs] of epochsByTable(range)) {
        if (results.get(table)?.outcome === 'diverged') continue
        const known = pending.get(table)
        assert(known !== undefined, 'every table of a range is pending')
        const target = this.#options.target(table)
        tasks.push(new CommitTask(table, target, epochs, known))
      }
      try {
        await this.#commitRange(tasks, reader, signal)
      } finally {
        for (const task of tasks) await task.discard(this.#context.files)
      }
      for (const task of tasks) this.#conclude(task, results)
      await this.#cleanup.tidy(tasks.flatMap(({ accepted }) => accepted ?? []))
    }
    return [...results.values()]
  }

  async #commitRange(
    tasks: readonly CommitTask[],
    reader: DeletesReader,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let obstacle: PipelineError | null = null
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (attempt > 0 && !(await this.#pause(attempt, signal))) break
      const open = tasks.filter(({ result }) => result === null)
      await eachLimited(open, TABLES_AT_ONCE, (task) => this.#prepare(task, reader))
      obstacle = await this.#swap(tasks.filter(({ plan }) => plan !== null))
      if (obstacle === null) return
    }
    throw present(obstacle, 'the first attempt is always made')
  }

  /** @returns false when `signal` says that there shall be no further attempt */
  async #pause(attempt: number, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#clock.sleep(RETRY_MS * 2 ** Math.min(attempt - 1, 6), signal)
      return true
    } catch (error) {
      if (signal?.aborted === true) return false
      throw error
    }
  }

  /** Decides what becomes of a table: a result, or a plan whose files are written. */
  async #prepare(task: CommitTask, reader: DeletesReader): Promise<void> {
    const location = await this.#options.catalog.load(task.target)
    if (task.plan !== null) {
      // Only a swap whose answer was lost leaves a plan behind that may have become true.
      if (location === task.plan.next) return this.#accept(task)
      if (location === task.plan.base) return
      await task.discardPlan(this.#context.files)
    }
    try {
      await this.#plan(task, location, reader)
    } catch (error) {
      if (!(error instanceof PipelineError) || !PARKING.has(error.error)) throw error
      this.#states.delete(task.table)
      task.finish({ outcome: 'diverged', reason: recordOf(error) })
      this.#log.warn('table cannot be committed', { table: task.table, error })
    }
  }

  async #plan(task: CommitTask, location: string | null, reader: DeletesReader): Promise<void> {
    const { table, target, pending, epochs } = task
    const state = location === null ? null : await this.#stateAt(table, location)
    const done = this.#intentsDone(task, state)
    const remaining = epochs.filter(({ entry: { snapshotId } }) => {
      const place = pending.places.get(snapshotId)
      return place !== undefined && place >= done
    })
    const found = { tableUuid: state?.metadata.tableUuid ?? null, metadataLocation: location }
    if (state !== null && remaining.length < epochs.length) {
      const ids = epochs.flatMap((epoch) =>
        remaining.includes(epoch) ? [] : [epoch.entry.snapshotId],
      )
      const { files } = this.#context
      task.changedBefore = await partitionsOfSnapshots(files, state.metadata, ids)
    }
    if (remaining.length === 0) {
      const snapshotId = epochs.at(-1)?.entry.snapshotId ?? null
      const partitions = tuplesOf(task.changedBefore)
      task.finish({ outcome: 'already-committed', snapshotId, ...found, partitions })
      this.#log.info('already committed', { table, snapshotId })
      return
    }
    const work = await task.workOf(remaining, () => gatherWork(table, remaining, reader))
    if (isEmptyWork(work)) {
      task.finish({ outcome: 'unchanged', ...found })
      return
    }
    const { files } = this.#context
    const plan = await planCommit(this.#context, target, state, work, task.prepared)
    await task.write(files, plan)
    if (plan.base === null) await this.#createNamespace(target)
  }

  async #createNamespace({ namespace }: CatalogTable): Promise<void> {
    if (this.#namespaces.has(namespace)) return
    await this.#options.catalog.createNamespace(namespace)
    this.#namespaces.add(namespace)
  }

  async #stateAt(table: string, location: string): Promise<TableState> {
    const known = this.#states.get(table)
    if (known?.location === location) return known
    this.#states.delete(table)
    const state = await loadTableState(this.#context.files, location)
    this.#remember(table, state)
    return state
  }

  /** @throws PipelineError when the table is not the one that the checkpoint knows */
  #intentsDone({ table, target, pending }: CommitTask, state: TableState | null): number {
    const { pipeline } = this.#options
    const name = `${target.namespace}.${target.name}`
    const resync = `\`millrace resync FILE --table ${table}\``
    if (state === null) {
      if (pending.tableUuid === null && pending.committed.length === 0) return 0
      throw new PipelineError('TABLE_IDENTITY_CHANGED', `lake table ${name} no longer exists`, {
        detail: 'The checkpoint knows it, and Millrace never drops a lake table.',
        hint: `Run ${resync} to fill it anew.`,
      })
    }
    const { metadata } = state
    if (pending.tableUuid !== null && pending.tableUuid !== metadata.tableUuid) {
      throw new PipelineError('TABLE_IDENTITY_CHANGED', `lake table ${name} is another one`, {
        detail: `Its uuid is ${metadata.tableUuid}; the checkpoint knows ${pending.tableUuid}.`,
        hint: `Run ${resync} to fill it anew.`,
      })
    }
    const marker = markerOf(metadata, pipeline)
    if (marker === null && pending.tableUuid === null) {
      throw new PipelineError('TARGET_DIVERGED', `lake table ${name} exists already`, {
        detail: `Pipeline ${pipeline} did not create it, so it does not write to it.`,
        hint: `Drop or rename the lake table, then run ${resync}.`,
      })
    }
    const done = intentsDone(name, marker, pending)
    if (done < pending.ids.length) checkUndisturbed(name, metadata, marker, pipeline)
    return done
  }

  /**
   * @returns what was in the way; `null`: nothing is left to do
   * @throws PipelineError CATALOG_UNAVAILABLE when the catalog is held: it has changed nothing
   */
  async #swap(tasks: readonly CommitTask[]): Promise<PipelineError | null> {
    const swaps = tasks.flatMap(({ target, plan }) =>
      plan === null ? [] : [{ table: target, expected: plan.base, next: plan.next }],
    )
    if (swaps.length === 0) return null
    let conflicts: readonly CatalogTable[] | 'busy'
    try {
      conflicts = await this.#options.catalog.swap(swaps)
    } catch (error) {
      for (const task of tasks) task.unknown = true
      if (!(error instanceof PipelineError) || error.error !== 'CATALOG_UNAVAILABLE') throw error
      this.#log.warn('outcome of a commit is unknown', { error })
      return error
    }
    if (conflicts === 'busy') {
      const detail = 'Nothing of the commit is visible; it is made again when the lock is free.'
      throw new PipelineError('CATALOG_UNAVAILABLE', 'another process holds the catalog', {
        detail,
      })
    }
    if (conflicts.length > 0) {
      const tables = conflicts.map(({ namespace, name }) => `${namespace}.${name}`)
      this.#log.info('another writer committed first', { tables })
      return new PipelineError('CATALOG_CONFLICT', `others keep committing to ${tables.join(', ')}`)
    }
    for (const task of tasks) this.#accept(task)
    return null
  }

  #accept(task: CommitTask): void {
    const plan = task.takePlan()
    const state = plan.accept()
    const { tableUuid, currentSnapshotId } = state.metadata
    this.#remember(task.table, state)
    task.finish({
      outcome: 'committed',
      tableUuid,
      snapshotId: currentSnapshotId,
      metadataLocation: plan.next,
      partitions: tuplesOf(new Set([...task.changedBefore, ...plan.partitions])),
    })
  }

  /** Keeps the tables that were used last, as many as fit. */
  #remember(table: string, state: TableState): void {
    this.#states.delete(table)
    this.#states.set(table, state)
    let files = 0
    for (const { live } of this.#states.values()) files += live?.dataFiles.size ?? 0
    for (const [other, { live }] of this.#states) {
      if (files <= (this.#options.liveFilesMax ?? 500_000) || other === table) break
      files -= live?.dataFiles.size ?? 0
      this.#states.delete(other)
    }
  }

  #conclude({ table, result, pending }: CommitTask, results: Map<string, TableCommit>): void {
    assert(result !== null, 'every table of a range has a result')
    if (result.tableUuid !== null) pending.tableUuid = result.tableUuid
    const before = results.get(table)
    const isNews = result.outcome !== 'unchanged' || before === undefined
    if (isNews) results.set(table, result)
  }

  async adopt(table: string, claim: TableClaim): Promise<AdoptedTable | null> {
    const target = this.#options.target(table)
    const { pipeline } = this.#options
    const work = markingWork(table, { ...claim, pipeline }, randomId63())
    const { timeline, fence } = claim
    const pending = { ...nothingPending(), timeline, fence }
    const task = new CommitTask(table, target, [], pending)
    let obstacle: PipelineError | null = null
    let before: bigint | null = null
    try {
      for (let attempt = 0; attempt < ATTEMPTS_MAX && task.result === null; attempt++) {
        if (attempt > 0) await this.#pause(attempt, undefined)
        const location = await this.#options.catalog.load(target)
        if (location === null) return null
        if (attempt === 0) {
          const { metadata } = await this.#stateAt(table, location)
          before = markerOf(metadata, pipeline)?.intent ?? null
        }
        if (task.plan !== null && location === task.plan.next) this.#accept(task)
        else await this.#planMarking(task, location, work)
        if (task.result === null) obstacle = await this.#swap([task])
      }
    } finally {
      await task.discard(this.#context.files)
    }
    const { accepted, result } = task
    if (accepted === null || result === null) {
      throw present(obstacle, 'what was not adopted met something')
    }
    const ids = accepted.metadata.schemas.map(({ schemaId }) => schemaId)
    const { lastColumnId } = accepted.metadata
    return { commit: result, lastSchemaId: Math.max(...ids), lastColumnId, before }
  }

  async #planMarking(task: CommitTask, location: string, work: CommitWork): Promise<void> {
    if (task.plan?.base === location) return
    const { files } = this.#context
    await task.discardPlan(files)
    const state = await this.#stateAt(task.table, location)
    await task.write(
      files,
      await planCommit(this.#context, task.target, state, work, task.prepared),
    )
  }

  async changeProperties(table: string, change: PropertyChange): Promise<boolean> {
    const target = this.#options.target(table)
    const { pipeline, files, clock } = this.#context
    const task = new CommitTask(table, target, [], nothingPending())
    let obstacle: PipelineError | null = null
    try {
      for (let attempt = 0; attempt < ATTEMPTS_MAX && task.result === null; attempt++) {
        if (attempt > 0) await this.#pause(attempt, undefined)
        const location = await this.#options.catalog.load(target)
        if (location === null) return false
        if (task.plan !== null && location === task.plan.next) this.#accept(task)
        else {
          await task.discardPlan(files)
          const state = await this.#stateAt(table, location)
          if (markerOf(state.metadata, pipeline) === null) return false
          const plan = planProperties(files, state, change, clock)
          if (plan === null) return true
          await task.write(files, plan)
        }
        if (task.result === null) obstacle = await this.#swap([task])
      }
    } finally {
      await task.discard(files)
    }
    if (task.result === null) throw present(obstacle, 'what was not changed met something')
    await this.#cleanup.tidy(task.accepted === null ? [] : [task.accepted])
    return true
  }

  async sweep(tables: readonly string[], keep: ReadonlySet<string>): Promise<number> {
    let found = 0
    for (const table of tables) {
      found += await this.#cleanup.sweep(this.#options.target(table), keep)
    }
    return found
  }

  takeGarbage(): readonly string[] {
    return this.#cleanup.take()
  }

  async close(): Promise<void> {
    this.#states.clear()
    await this.#cleanup.flush()
  }
}

function nothingPending(): PendingTable {
  const none = { ids: [], places: new Map<bigint, number>(), committed: [], tableUuid: null }
  return { timeline: 0, fence: '', ...none }
}

async function eachLimited<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  async function run(): Promise<void> {
    while (next < items.length) {
      const item = items[next] as T
      next++
      await work(item)
    }
  }
  const runs = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, run))
  // All have ended: none goes on writing files behind the back of whoever handles the error.
  for (const outcome of runs) if (outcome.status === 'rejected') throw outcome.reason
}
