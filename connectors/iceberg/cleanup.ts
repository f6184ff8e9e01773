// What becomes of lake files that are not needed any more: those that commits have replaced, and
// those that a crash left behind. They are deleted after a grace, or the caller takes them.

import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import type { Catalog, CatalogTable } from '../../runtime/catalog.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import type { CommitPlan } from './commit-plan.ts'
import { LakeGarbage } from './garbage.ts'
import { LakeFiles } from './lake-files.ts'
import { tablePath } from './layout.ts'
import { findOrphans, unreachable } from './orphans.ts'

/**
 * Who has asked the catalog for a metadata file reads it at once and never again, and it was
 * superseded twenty commits before. At a commit a second each has 700 KB, an hour of them 2.5 GB.
 */
const METADATA_GRACE_MS = 60_000

export interface CleanupOptions {
  readonly warehouse: ObjectStore
  readonly state: ObjectStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly log: Log
  /** `null`: nothing is deleted, the caller asks `take`. */
  readonly graceMs: number | null
}

export class LakeCleanup {
  readonly #options: CleanupOptions
  readonly #files: LakeFiles
  readonly #garbage: LakeGarbage | null
  #taken: string[] = []

  constructor(options: CleanupOptions) {
    const { warehouse, state, clock, graceMs } = options
    this.#options = options
    this.#files = new LakeFiles(warehouse)
    const stillFree = this.#unreachable.bind(this)
    const parts = { state, warehouse, clock, unreachable: stillFree }
    this.#garbage = graceMs === null ? null : new LakeGarbage({ ...parts, graceMs })
  }

  /** Deletes what has become free. The commits have happened: trouble here is no failure. */
  async tidy(accepted: readonly CommitPlan[]): Promise<void> {
    for (const { superseded, unnamed, findFree } of accepted) {
      this.#discard(superseded, METADATA_GRACE_MS)
      this.#discard(unnamed)
      await this.#attempt(async () => this.#discard(await findFree()))
    }
    await this.#attempt(async () => this.#garbage?.tick())
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#options.log.warn('replaced files of the lake could not be deleted', { error })
    }
  }

  #discard(uris: readonly string[], graceMs?: number): void {
    const paths = uris.flatMap((uri) => this.#files.pathBelow(uri) ?? [])
    if (this.#garbage === null) this.#taken.push(...paths)
    else this.#garbage.add(paths, graceMs)
  }

  /** Files, relative to the warehouse, since the last call. */
  take(): readonly string[] {
    const taken = this.#taken
    this.#taken = []
    return taken
  }

  /** Looks for what a crash left in the table's folder. @returns files found */
  async sweep(table: CatalogTable, keep: ReadonlySet<string>): Promise<number> {
    const { catalog, warehouse, log } = this.#options
    await warehouse.removeUnfinished(tablePath(table), keep)
    const orphans = await this.#readable(table, () =>
      findOrphans({ catalog, warehouse }, table, keep),
    )
    if (orphans.length > 0) log.info('files of a crash', { table, files: orphans.length })
    if (this.#garbage === null) this.#taken.push(...orphans)
    else await this.#garbage.addFound(table, orphans)
    return orphans.length
  }

  #unreachable(table: CatalogTable, paths: readonly string[]): Promise<readonly string[]> {
    return this.#readable(table, () => unreachable(this.#options, table, paths))
  }

  /** Metadata that cannot be read says nothing about its files: they stay, and all else goes on. */
  async #readable(
    table: CatalogTable,
    find: () => Promise<readonly string[]>,
  ): Promise<readonly string[]> {
    try {
      return await find()
    } catch (error) {
      if (!(error instanceof PipelineError) || error.error !== 'LAKE_FORMAT') throw error
      this.#options.log.warn('files of a crash stay, their table cannot be read', { table, error })
      return []
    }
  }

  async flush(): Promise<void> {
    await this.#garbage?.flush()
  }
}
