// One table of a directory in one writer: takes its rows and controls in order, and ends its part
// of an epoch. Rows are only added, so there is no index; what is wrong with a row parks the table.

import { assert, present } from '../../../runtime/base/assert.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../../../runtime/base/errors.ts'
import type { Log } from '../../../runtime/base/log.ts'
import { Op, type ChangeBatch } from '../../../runtime/data/batch.ts'
import { isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import type { Truncate } from '../../../runtime/data/element.ts'
import { applyTransform } from '../../../runtime/data/partition/apply.ts'
import type { RowGroups } from '../../../runtime/data/partition/groups.ts'
import type { FolderLayout } from '../../../runtime/data/partition/layout.ts'
import { partitionKey, partitionTupleAt } from '../../../runtime/data/partition/value.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import type { TableCounts } from '../../../runtime/sink.ts'
import { changelogColumns, knownColumns } from '../table/changelog-columns.ts'
import type { DataFile, Partition } from '../table/data-file.ts'
import { lakeFields } from '../table/fields.ts'
import { EpochCounts } from '../table/row-counts.ts'
import type { DirectoryFile } from './committable.ts'
import { bindFolders, partitionFolder, resolveFolders } from './folders.ts'
import type { BoundFolder, FolderField } from './folders.ts'
import { localTimes, type LocalZone } from './local-times.ts'
import type { FileOwner, StagedFiles } from './staged-files.ts'

/** Partitions that are remembered: more would be memory for what may never come again. */
const KNOWN_MAX = 16 * 1024
const WHOLE: Partition = { key: '', tuple: [], folder: '' }

export type DirectoryMode = 'append' | 'changelog'

/** What the tables of one writer share. */
export interface TableParts {
  readonly mode: DirectoryMode
  readonly isFirst: boolean
  readonly files: StagedFiles
  readonly groups: RowGroups
  readonly zone: LocalZone
  readonly log: Log
  readonly layoutOf: (table: string) => FolderLayout
  /** The table's folder, relative to the lake. */
  readonly folderOf: (table: string) => string
  /** How tables are parted that have been written; a table that is new is added. */
  readonly fields: Map<string, readonly FolderField[]>
}

/** What a table's epoch comes to. */
export interface TableEpoch {
  readonly truncated: boolean
  readonly files: readonly DirectoryFile[]
  readonly emptied: readonly string[]
}

/** Rows of a batch that are to be written. */
interface Rows {
  readonly columns: readonly Column[]
  readonly rows: number
  readonly selection: Int32Array | null
  readonly count: number
}

export class DirectoryTable {
  readonly table: string
  /** Why the table takes no rows; `null`: it does. */
  parked: ErrorRecord | null = null
  /** Parked by this writer in this epoch: the runtime does not know yet. */
  newlyParked = false
  private readonly parts: TableParts
  private readonly log: Log
  private readonly owner: FileOwner = { open: new Map(), ended: [] }
  private readonly known = new Map<string, Partition>()
  private schema: TableSchema | null = null
  /** Of the files, under the present structure. */
  private columns: readonly Field[] = []
  private folders: readonly BoundFolder[] = []
  /** Why it cannot be written under its present structure; `null`: it can. */
  private fault: PipelineError | null = null
  private counts = new EpochCounts(0)
  private backfilling = false
  private truncated = false
  private emptied: string[] = []

  constructor(table: string, parts: TableParts) {
    this.table = table
    this.parts = parts
    this.log = parts.log.with({ table })
  }

  setSchema(schema: TableSchema): Promise<void> | undefined {
    this.schema = schema
    for (const file of this.owner.open.values()) this.parts.files.end(file)
    this.known.clear()
    this.fault = null
    try {
      this.bind(schema)
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      this.fault = error
    }
    if (this.parked !== null || this.fault === null) return undefined
    return this.parkSelf(this.fault)
  }

  private bind(schema: TableSchema): void {
    const { mode, fields, layoutOf } = this.parts
    // Files of all structures are read as one: none may require what another lacks.
    this.columns = lakeFields(schema, mode).map((field) => ({ ...field, nullable: true }))
    const layout = layoutOf(this.table)
    const known = fields.get(this.table) ?? bindFolders(this.table, layout, this.columns)
    this.folders = resolveFolders(this.table, known, this.columns)
    if (known.length > 0) fields.set(this.table, known)
  }

  write(batch: ChangeBatch): Promise<void> | undefined {
    this.counts.add(batch.ops, batch.rows)
    if (this.parked !== null) {
      this.counts.park()
      return undefined
    }
    assert(this.schema?.version === batch.schemaVersion, 'rows follow the schema that they have')
    return this.orPark(async () => this.append(batch))
  }

  /** Chunk rows that the log has overtaken. */
  fill(batch: ChangeBatch): void {
    this.counts.add(batch.ops, batch.rows)
    if (this.parked !== null) this.counts.park()
    else this.counts.stale += batch.rows
  }

  /** What makes a row unusable is the table's trouble, not the pipeline's. */
  private async orPark(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof PipelineError) || !parks(error)) throw error
      await this.parkSelf(error)
    }
  }

  private async append(batch: ChangeBatch): Promise<void> {
    const rows = this.parts.mode === 'append' ? this.newRows(batch) : this.changes(batch)
    this.counts.written += rows.count
    this.counts.absorbed += batch.rows - rows.count
    if (rows.count === 0) return
    if (this.folders.length === 0) await this.put(WHOLE, rows.columns, rows.count, rows.selection)
    else await this.putApart(rows)
  }

  /** New rows only: what happens to a row later is not carried. */
  private newRows({ ops, rows, columns }: ChangeBatch): Rows {
    const selection = new Int32Array(rows)
    let count = 0
    for (let row = 0; row < rows; row++) {
      if (ops[row] === Op.insert || ops[row] === Op.read) selection[count++] = row
    }
    for (const column of columns) {
      if (column.unchanged === null) continue
      for (let at = 0; at < count; at++) {
        if (isUnchanged(column, selection[at] as number)) throw this.missingValue()
      }
    }
    return { columns, rows, count, selection: count === rows ? null : selection }
  }

  private changes(batch: ChangeBatch): Rows {
    const known = knownColumns(batch)
    if (known === null) throw this.missingValue()
    const columns = [...known, ...changelogColumns(batch)]
    return { columns, rows: batch.rows, count: batch.rows, selection: null }
  }

  private missingValue(): PipelineError {
    return new PipelineError(
      'UNCHANGED_VALUE_MISSING',
      `a change of table "${this.table}" lacks a value that it did not change`,
    )
  }

  /** Appends rows to the open files of their partitions. */
  private async putApart({ columns, rows, selection, count }: Rows): Promise<void> {
    const { groups, zone } = this.parts
    const values = this.folders.map(({ transform, column, isInstant }) => {
      const source = present(columns[column], 'a batch has all columns')
      return applyTransform(transform, isInstant ? localTimes(source, rows, zone) : source, rows)
    })
    groups.split(values, selection, count)
    // Another table of the writer may split while this one waits for the disk.
    const order = groups.rows.slice(0, count)
    const starts = groups.starts.slice(0, groups.count + 1)
    for (let group = 0; group + 1 < starts.length; group++) {
      const [start, end] = [starts[group] as number, starts[group + 1] as number]
      const partition = this.partitionOf(values, order[start] as number)
      await this.put(partition, columns, end - start, order.subarray(start, end))
    }
  }

  private partitionOf(values: readonly Column[], row: number): Partition {
    const tuple = partitionTupleAt(values, row)
    const key = partitionKey(tuple)
    const known = this.known.get(key)
    if (known !== undefined) return known
    if (this.known.size >= KNOWN_MAX) this.known.clear()
    const partition = { key, tuple, folder: partitionFolder(this.folders, tuple) }
    this.known.set(key, partition)
    return partition
  }

  private async put(
    partition: Partition,
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<void> {
    const wait = this.parts.files.append(this.writable(partition), columns, count, selection)
    if (wait !== undefined) await wait
  }

  private writable(partition: Partition): DataFile {
    const open = this.owner.open.get(partition.key)
    if (open !== undefined) return open
    const schema = present(this.schema, 'a schema comes before the rows that have it')
    const folder = [this.parts.folderOf(this.table), partition.folder].filter((one) => one !== '')
    const { files } = this.parts
    return files.create(this.owner, this.columns, schema.version, partition, folder.join('/'))
  }

  /**
   * All rows so far are gone at the source. A first copy begins anew; else the rows stay, as the
   * history that they are, and the manifest says where the log emptied the table.
   */
  truncate({ order }: Truncate): Promise<void> | undefined {
    if (this.parked !== null) return undefined
    if (!this.backfilling) {
      if (!this.parts.isFirst) return undefined
      this.log.warn('emptied or made anew at the source: the rows of before are kept')
      this.emptied.push(order.toString(16).padStart(32, '0'))
      return undefined
    }
    this.truncated = true
    return this.undo()
  }

  /** Takes back what the epoch has done so far. */
  private undo(): Promise<void> {
    this.counts.cancel(0)
    this.emptied = []
    return this.parts.files.cancel(this.owner)
  }

  park(reason: ErrorRecord): Promise<void> | undefined {
    if (this.parked !== null) return undefined
    this.parked = reason
    this.truncated = false
    this.backfilling = false
    const undone = this.undo()
    this.counts.park()
    return undone
  }

  private parkSelf(error: PipelineError): Promise<void> | undefined {
    this.log.warn('a table can no longer be written', { code: error.spec.code })
    this.newlyParked = this.parked === null
    return this.park(recordOf(error))
  }

  startBackfill(): Promise<void> | undefined {
    this.parked = null
    this.newlyParked = false
    this.backfilling = true
    return this.fault === null ? undefined : this.parkSelf(this.fault)
  }

  /** @param done  all chunks are merged */
  settle(done: boolean): void {
    if (done) this.backfilling = false
  }

  /** Finishes the files of the epoch. */
  async finish(): Promise<TableEpoch> {
    const { truncated, emptied } = this
    this.truncated = false
    this.emptied = []
    return { truncated, emptied, files: await this.parts.files.finishAll(this.owner) }
  }

  /** Ends the epoch's counts. @returns `null` when there are no rows to account for */
  report(): TableCounts | null {
    const { counts } = this
    this.counts = new EpochCounts(0)
    this.newlyParked = false
    return counts.isEmpty(0) ? null : counts.report(this.table, 0, 0)
  }

  async abort(): Promise<void> {
    await this.parts.files.cancel(this.owner)
  }
}

/** Errors of rows and structures; everything else, such as a full disk, ends the attempt. */
function parks({ error }: PipelineError): boolean {
  return (
    error === 'UNCHANGED_VALUE_MISSING' ||
    error === 'VALUE_UNREPRESENTABLE' ||
    error === 'DDL_UNMAPPABLE'
  )
}
