// Makes the epochs of a directory visible, each exactly once, whatever is lost on the way.
//
// Algorithm, for each epoch in order: if its manifest is there, it is done. Else what came before
// is compared with what the checkpoint knows; a list of the files that are about to be seen is made
// durable; the files get the names under which readers find them; the manifest is created, which is
// the commit; the list goes. Every step can be done again: a crash anywhere leaves the intent in
// the checkpoint, and the next call goes through the same steps and finds which of them are done.
//
// Who reads by the manifests sees whole epochs only. Who lists folders may see some files of an
// epoch before the others, for the moment between the first name and the manifest.

import { randomUuid } from '../../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../../runtime/base/errors.ts'
import { silentLog, type Log } from '../../../runtime/base/log.ts'
import type { CatalogTable } from '../../../runtime/catalog.ts'
import { partitionKey, type PartitionTuple } from '../../../runtime/data/partition/value.ts'
import { tableKey, type TableSchema } from '../../../runtime/data/schema.ts'
import type { MovingStore } from '../../../runtime/object-store.ts'
import type {
  AdoptedTable,
  Committer,
  Intent,
  TableClaim,
  TableCommit,
  TableIntent,
} from '../../../runtime/sink.ts'
import { lakeFields } from '../table/fields.ts'
import type { DirectoryCommittable, DirectoryFile } from './committable.ts'
import { isDataFile, STAGED_FOLDER } from './folders.ts'
import { manifestSchema, ManifestStore } from './manifest.ts'
import type { Manifest, TableChange, TableHead } from './manifest.ts'
import type { DirectoryMode } from './table-writer.ts'

export interface DirectoryCommitterOptions {
  readonly pipeline: string
  readonly mode: DirectoryMode
  readonly lake: MovingStore
  /** The table's names in the lake. */
  readonly targetOf: (table: string) => CatalogTable
  /** The table's folder, relative to the lake. */
  readonly folderOf: (table: string) => string
  readonly log?: Log
}

type DirectoryIntent = Intent<DirectoryCommittable>
type DirectoryTableIntent = TableIntent<DirectoryCommittable>

/** A table's part of an epoch that may be committed. */
interface Plan {
  readonly intent: DirectoryTableIntent
  readonly files: readonly DirectoryFile[]
  readonly head: TableHead
  readonly change: TableChange
}

/** What one call of `commit` knows. */
interface Call {
  readonly results: Map<string, TableCommit>
  /** By table: ids of its intents in this call so far. */
  readonly before: Map<string, string[]>
}

export class DirectoryCommitter implements Committer<DirectoryCommittable> {
  private readonly options: DirectoryCommitterOptions
  private readonly manifests: ManifestStore
  private readonly log: Log
  /** `undefined`: not read yet. */
  private newest: Manifest | null | undefined = undefined

  constructor(options: DirectoryCommitterOptions) {
    this.options = options
    this.manifests = new ManifestStore(options.lake)
    this.log = options.log ?? silentLog
  }

  /**
   * Takes the directory for the pipeline.
   *
   * @throws PipelineError CONFIG_VALUE when it is another's
   */
  async open(): Promise<void> {
    const { pipeline, lake } = this.options
    const owner = await this.manifests.claim(pipeline)
    if (owner !== pipeline) throw ownedBy(lake.uri('x').slice(0, -2), owner)
  }

  /**
   * @throws PipelineError TIMELINE_AHEAD, FENCED (stop); STORAGE_FAILED, STORAGE_FULL, LAKE_FORMAT
   */
  async commit(intents: readonly DirectoryIntent[]): Promise<readonly TableCommit[]> {
    const call: Call = { results: new Map(), before: new Map() }
    for (const intent of intents) {
      const tables = intent.tables.filter(
        ({ table }) => call.results.get(table)?.outcome !== 'diverged',
      )
      await this.commitEpoch({ ...intent, tables }, call)
      for (const { table, snapshotId } of tables) {
        call.before.set(table, [...(call.before.get(table) ?? []), String(snapshotId)])
      }
    }
    return [...call.results.values()]
  }

  private async commitEpoch(intent: DirectoryIntent, call: Call): Promise<void> {
    const { epoch } = intent
    const newest = await this.latest()
    const done = await this.manifests.ofEpoch(epoch)
    if (done !== null) {
      await this.finish(done)
      this.acceptDone(intent, done, call)
      return
    }
    if (newest !== null && newest.epoch > epoch) throw this.ahead(newest, epoch)
    const plans = await this.plan(intent, newest, call)
    await this.takeBack(epoch, new Set(filesOf(plans).map(({ path }) => path)))
    if (plans.length === 0) return
    const manifest = this.manifestOf(intent, newest, plans)
    await this.publish(epoch, plans)
    if (!(await this.manifests.create(manifest))) {
      const other = await this.manifests.ofEpoch(epoch)
      if (other === null || !isSame(other, manifest)) {
        throw new PipelineError('FENCED', `epoch ${epoch} was committed by another instance`)
      }
    }
    this.newest = manifest
    await this.finish(manifest)
    for (const plan of plans) call.results.set(plan.intent.table, this.committed(plan, epoch))
  }

  private async latest(): Promise<Manifest | null> {
    this.newest ??= await this.manifests.newest()
    return this.newest
  }

  /** What may be committed; what may not is reported as diverged. */
  private async plan(
    { epoch, tables }: DirectoryIntent,
    newest: Manifest | null,
    call: Call,
  ): Promise<Plan[]> {
    const plans: Plan[] = []
    for (const intent of tables) {
      try {
        const known = newest?.tables[intent.table] ?? null
        this.requireUndisturbed(intent, known, newest, call)
        const files = intent.committables.flatMap((one) => one.files)
        this.requireOwnFolder(intent.table, newest, plans)
        await this.requireFiles(intent.table, files)
        plans.push(this.planOf(intent, known, files, epoch))
      } catch (error) {
        if (!(error instanceof PipelineError) || !DIVERGED.has(error.error)) throw error
        call.results.set(intent.table, diverged(intent.table, error))
      }
    }
    return plans
  }

  /** The last that was committed to the table is the last that the checkpoint knows of. */
  private requireUndisturbed(
    { table, lastIntent, tableUuid }: DirectoryTableIntent,
    known: TableHead | null,
    newest: Manifest | null,
    call: Call,
  ): void {
    const before = call.before.get(table) ?? []
    if (known === null) {
      if (lastIntent === null && tableUuid === null && before.length === 0) return
      const detail = 'Its manifests are gone; the checkpoint knows of commits to it.'
      const message = `the directory has no table ${table} any more`
      throw new PipelineError('TABLE_IDENTITY_CHANGED', message, { detail, hint: LOST_HINT })
    }
    const expected = lastIntent === null ? before : [String(lastIntent), ...before]
    if (!expected.includes(known.intent) && newest !== null) throw this.ahead(newest, known.epoch)
    if (tableUuid === null || tableUuid === known.uuid) return
    const message = `table ${table} of the directory is not the one that was written to`
    throw new PipelineError('TABLE_IDENTITY_CHANGED', message, { hint: LOST_HINT })
  }

  private ahead({ epoch: newest, pipeline }: Manifest, epoch: number): PipelineError {
    const message = `the directory of pipeline "${pipeline}" has commits up to epoch ${newest}`
    return new PipelineError('TIMELINE_AHEAD', message, {
      detail: `The checkpoint does not know of them: it is about to go on from epoch ${epoch}.`,
      hint: LOST_HINT,
    })
  }

  /** A folder with the files of two tables would be one table to every reader. */
  private requireOwnFolder(table: string, newest: Manifest | null, plans: readonly Plan[]): void {
    const folder = this.options.folderOf(table)
    const heads = Object.entries(newest?.tables ?? {})
    const planned = plans.map(({ intent, head }): [string, TableHead] => [intent.table, head])
    const other = [...heads, ...planned].find(([name, head]) => {
      return name !== table && head.folder === folder
    })
    if (other === undefined) return
    const message = `table ${table} would lie in the folder of table ${other[0]}: "${folder}"`
    const hint =
      'Put {namespace} and {table} into `sink.layout`, or give a table another name by `route`.'
    throw new PipelineError('TARGET_DIVERGED', message, { hint })
  }

  private async requireFiles(table: string, files: readonly DirectoryFile[]): Promise<void> {
    const { lake } = this.options
    for (const { path, staged } of files) {
      if ((await lake.exists(staged)) || (await lake.exists(path))) continue
      const message = `a file of table ${table} was removed before it was committed`
      throw new PipelineError('TARGET_DIVERGED', message, { detail: `It was ${staged}.` })
    }
  }

  private planOf(
    intent: DirectoryTableIntent,
    known: TableHead | null,
    files: readonly DirectoryFile[],
    epoch: number,
  ): Plan {
    const { table, schemas, committables, snapshotId } = intent
    const last = schemas.at(-1)
    const change: TableChange = {
      intent: String(snapshotId),
      schemas: schemas.map((schema) => manifestSchema(schema, this.columnsOf(schema))),
      truncated: committables.some(({ truncated }) => truncated),
      emptied: committables.flatMap(({ emptied }) => emptied),
      files: files.map(({ path, rows, bytes, schemaVersion }) => {
        return { path, rows, bytes, schema_version: schemaVersion }
      }),
    }
    const head: TableHead = {
      name: tableKey(this.options.targetOf(table)),
      uuid: known?.uuid ?? randomUuid(),
      intent: change.intent,
      epoch,
      folder: this.options.folderOf(table),
      schema_version: last?.version ?? known?.schema_version ?? 0,
      last_field_id: last?.lastFieldId ?? known?.last_field_id ?? 0,
    }
    return { intent, files, head, change }
  }

  private columnsOf(schema: TableSchema): ReturnType<typeof lakeFields> {
    return lakeFields(schema, this.options.mode)
  }

  private manifestOf(
    { pipeline, timeline, epoch, fence, position, sourceTimeUs }: DirectoryIntent,
    newest: Manifest | null,
    plans: readonly Plan[],
  ): Manifest {
    const changes = plans.map(({ intent, change }) => [intent.table, change] as const)
    const heads = plans.map(({ intent, head }) => [intent.table, head] as const)
    return {
      format: 1,
      pipeline,
      timeline,
      epoch,
      previous: newest?.epoch ?? null,
      fence,
      position: position.token,
      source_time: new Date(Number(sourceTimeUs / 1000n)).toISOString(),
      changes: Object.fromEntries(changes),
      tables: { ...newest?.tables, ...Object.fromEntries(heads) },
    }
  }

  private async publish(epoch: number, plans: readonly Plan[]): Promise<void> {
    const files = filesOf(plans)
    const isTruncated = plans.some(({ change }) => change.truncated)
    if (files.length === 0 && !isTruncated) return
    await this.manifests.begin({ epoch, files: files.map(({ path }) => path) })
    await this.options.lake.publish(files.map(({ staged: from, path: to }) => ({ from, to })))
  }

  /** What a call that failed has made visible, and this one will not commit: a table was parked. */
  private async takeBack(epoch: number, wanted: ReadonlySet<string>): Promise<number> {
    const publishing = await this.manifests.publishing(epoch)
    if (publishing === null) return 0
    const unwanted = publishing.files.filter((path) => !wanted.has(path))
    for (const path of unwanted) await this.options.lake.delete(path)
    if (unwanted.length === publishing.files.length) await this.manifests.end(epoch)
    return unwanted.length
  }

  /** Behind the manifest: files that are no part of their tables any more, and the list. */
  private async finish({ epoch, changes, tables }: Manifest): Promise<void> {
    if ((await this.manifests.publishing(epoch)) === null) return
    for (const [table, { truncated, files }] of Object.entries(changes)) {
      if (truncated) await this.removeOlder(tables[table]?.folder ?? '', files)
    }
    await this.manifests.end(epoch)
  }

  private async removeOlder(folder: string, files: TableChange['files']): Promise<void> {
    const { lake } = this.options
    const kept = new Set(files.map(({ path }) => path))
    for (const path of await lake.list(folder)) {
      if (isDataFile(path) && !kept.has(path)) await lake.delete(path)
    }
  }

  private acceptDone({ epoch, tables }: DirectoryIntent, done: Manifest, call: Call): void {
    const ids = (table: string): string | undefined => done.changes[table]?.intent
    const mine = tables.filter(({ table, snapshotId }) => ids(table) === String(snapshotId))
    if (mine.length === 0 && tables.length > 0) throw this.ahead(done, epoch)
    for (const intent of tables) {
      const { table } = intent
      const head = done.tables[table]
      if (mine.includes(intent) && head !== undefined) {
        const files = intent.committables.flatMap((one) => one.files)
        const commit = { ...this.committed({ intent, head, files }, epoch) }
        call.results.set(table, { ...commit, outcome: 'already-committed' })
        continue
      }
      if (ids(table) !== undefined) throw this.ahead(done, epoch)
      const message = `epoch ${epoch} was committed without table ${table}`
      call.results.set(table, diverged(table, new PipelineError('TARGET_DIVERGED', message)))
    }
    if (this.newest === null || (this.newest?.epoch ?? -1) < epoch) this.newest = done
  }

  private committed(
    { intent, head, files }: Pick<Plan, 'intent' | 'head' | 'files'>,
    epoch: number,
  ): TableCommit {
    const partitions = new Map<string, PartitionTuple>()
    for (const { partition = [] } of files) {
      if (partition.length > 0) partitions.set(partitionKey(partition), partition)
    }
    return {
      table: intent.table,
      outcome: 'committed',
      tableUuid: head.uuid,
      snapshotId: intent.snapshotId,
      metadataLocation: this.manifests.uri(epoch),
      partitions: [...partitions.values()],
      reason: null,
    }
  }

  async adopt(table: string, claim: TableClaim): Promise<AdoptedTable | null> {
    const newest = await this.latest()
    const head = newest?.tables[table]
    if (newest === null || head === undefined) return null
    // Its next manifests would have the names of those that are there.
    if (newest.epoch >= claim.epoch) throw this.ahead(newest, claim.epoch)
    const snapshotId = BigInt(head.intent)
    return {
      commit: {
        table,
        outcome: 'committed',
        tableUuid: head.uuid,
        snapshotId,
        metadataLocation: this.manifests.uri(newest.epoch),
        partitions: [],
        reason: null,
      },
      lastSchemaId: head.schema_version,
      lastColumnId: head.last_field_id,
      before: snapshotId,
    }
  }

  /** A directory has no properties. */
  changeProperties(): Promise<boolean> {
    return Promise.resolve(false)
  }

  /**
   * Removes what a crash left: staged files that no checkpoint names, and files that were made
   * visible for an epoch that will not be committed.
   *
   * @param keep  paths of pending intents, staged and final
   */
  async sweep(_tables: readonly string[], keep: ReadonlySet<string>): Promise<number> {
    const { lake } = this.options
    let found = await this.manifests.removeUnfinished()
    for (const path of await lake.list(STAGED_FOLDER)) {
      if (keep.has(path)) continue
      await lake.delete(path)
      found++
    }
    for (const epoch of await this.manifests.publishingEpochs()) {
      const done = await this.manifests.ofEpoch(epoch)
      if (done === null) found += await this.takeBack(epoch, keep)
      else await this.finish(done)
    }
    if (found > 0) this.log.info('files that a crash had left were removed', { files: found })
    return found
  }

  async close(): Promise<void> {
    await Promise.resolve()
  }
}

const LOST_HINT =
  'Restore the state folder (or the directory) that belongs to the other; or give the pipeline ' +
  'another `sink.path` and another `name`, and run it anew.'

/** Errors that park a table; the others are committed. */
const DIVERGED: ReadonlySet<string> = new Set(['TARGET_DIVERGED', 'TABLE_IDENTITY_CHANGED'])

function filesOf(plans: readonly Plan[]): DirectoryFile[] {
  return plans.flatMap(({ files }) => files)
}

function isSame(left: Manifest, right: Manifest): boolean {
  const ids = ({ pipeline, changes }: Manifest): string =>
    JSON.stringify([
      pipeline,
      Object.entries(changes).map(([table, { intent }]) => [table, intent]),
    ])
  return ids(left) === ids(right)
}

function diverged(table: string, error: PipelineError): TableCommit {
  return {
    table,
    outcome: 'diverged',
    tableUuid: null,
    snapshotId: null,
    metadataLocation: null,
    reason: recordOf(error),
  }
}

export function ownedBy(path: string, owner: string): PipelineError {
  return new PipelineError('CONFIG_VALUE', `sink.path ${path} belongs to pipeline "${owner}"`, {
    detail: 'The epochs of two pipelines would have the same manifests.',
    hint: 'Give each pipeline a directory of its own.',
  })
}
