// The data files of one table: the open ones, one for each partition, and those that this epoch has
// ended. All of them can be taken back until the epoch is prepared, since no intent names them.
//
// In `append` an epoch may leave files open (`finish`): the checkpoint has them as
// state of the writer, and the intent of a later epoch names them once they are large enough or
// their rows may not wait any longer.

import type { Column } from '../../../runtime/data/column/column.ts'
import type { Shown } from '../../../runtime/data/element.ts'
import { partitionKey, type PartitionTuple } from '../../../runtime/data/partition/value.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { DataFileRecord } from '../../parquet/table/data-file-record.ts'
import { lakeFields, type TableMode } from '../../parquet/table/fields.ts'
import type { DataFile, Partition } from '../../parquet/table/data-file.ts'
import type { HeldFile } from '../../parquet/table/held-file.ts'
import type { OpenFiles } from './open-files.ts'

const FILE_BYTES_MAX = 256 * 1024 * 1024
/** Key of the only file of a table that is not partitioned. */
const WHOLE = ''

/** What is left of a table's files at the end of an epoch. */
export interface FinishedFiles {
  /** In the order in which they were ended. */
  readonly records: readonly DataFileRecord[]
  /** Those that stay open. */
  readonly held: readonly HeldFile[]
}

interface Ended {
  readonly file: DataFile
  readonly record: Promise<DataFileRecord>
}

export class TableFiles {
  private readonly table: string
  private readonly openFiles: OpenFiles
  private readonly warehouse: ObjectStore
  private readonly mode: TableMode
  private readonly fileBytesMax: number
  /** By key of the partition. */
  private readonly open = new Map<string, DataFile>()
  private readonly openById = new Map<number, DataFile>()
  /** By id, in the order of their ends. */
  private ended = new Map<number, Ended>()
  /** Paths that the checkpoint of before names and the next one does not. */
  private leftovers: string[] = []
  private readonly endFile = (file: DataFile): void => this.end(file)

  constructor(
    table: string,
    openFiles: OpenFiles,
    options: { warehouse: ObjectStore; mode: TableMode; fileBytesMax?: number },
  ) {
    this.table = table
    this.openFiles = openFiles
    this.warehouse = options.warehouse
    this.mode = options.mode
    this.fileBytesMax = options.fileBytesMax ?? FILE_BYTES_MAX
  }

  /** The file that takes rows of `schema`; a new one when there is none. */
  writable(schema: TableSchema, partition: Partition | null = null): DataFile {
    const key = partition?.key ?? WHOLE
    const known = this.open.get(key)
    if (known !== undefined && known.schemaVersion === schema.version) return known
    if (known !== undefined) this.end(known)
    const fields = lakeFields(schema, this.mode)
    const { table, endFile } = this
    const file = this.openFiles.create(table, fields, schema.version, partition, endFile)
    this.open.set(key, file)
    this.openById.set(file.fileId, file)
    return file
  }

  /** Goes on with a file that a checkpoint has open. */
  restore(held: HeldFile): void {
    const file = this.openFiles.restore(held, this.endFile)
    const key = held.partition?.key ?? WHOLE
    const known = this.open.get(key)
    // There were more writers then: the partition has a file of each.
    if (known !== undefined) this.end(known)
    this.open.set(key, file)
    this.openById.set(file.fileId, file)
  }

  /** Rows of open files. */
  get openRows(): number {
    let rows = 0
    for (const file of this.open.values()) rows += file.rows
    return rows
  }

  /** Tuples of the partitions whose files are open. */
  openPartitions(): PartitionTuple[] {
    const open = [...this.open.values()]
    return open.flatMap(({ partition }) => (partition === null ? [] : [partition.tuple]))
  }

  /** Appends rows to the file that `writable` gave. */
  append(
    file: DataFile,
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<void> | undefined {
    if (count === 0) return undefined
    const wait = this.openFiles.append(file, columns, count, selection)
    if (file.bytes >= this.fileBytesMax && this.openById.has(file.fileId)) this.end(file)
    return wait
  }

  /** No more rows go into the open files. They are finished beside what follows. */
  endAll(): void {
    for (const file of this.open.values()) this.end(file)
  }

  /** Of another structure no more rows come. */
  endOthers(schemaVersion: number): void {
    for (const file of this.open.values()) {
      if (file.schemaVersion !== schemaVersion) this.end(file)
    }
  }

  private end(file: DataFile): void {
    this.close(file)
    if (file.rows === 0) return
    const record = this.openFiles.finish(file)
    // Looked at when the epoch is prepared.
    record.catch(() => undefined)
    this.ended.set(file.fileId, { file, record })
  }

  private close(file: DataFile): void {
    this.open.delete(file.partition?.key ?? WHOLE)
    this.openById.delete(file.fileId)
    this.openFiles.remove(file)
  }

  /** The file of this epoch with that id; `null`: it is of an earlier one. */
  find(fileId: number): DataFile | null {
    return this.openById.get(fileId) ?? this.ended.get(fileId)?.file ?? null
  }

  /** Ends the file if it is open, and waits until it can be read. */
  async finished(fileId: number): Promise<void> {
    const file = this.openById.get(fileId)
    if (file !== undefined) this.end(file)
    await this.ended.get(fileId)?.record
  }

  /**
   * Ends the epoch.
   *
   * @param isDead  true for a file all of whose rows are deleted again: it is not kept
   * @param shows   files of other rows stay open, with durable rows, unless they are large enough
   */
  async finish(isDead: (file: DataFile) => boolean, shows: Shown): Promise<FinishedFiles> {
    for (const file of this.shown(shows)) {
      if (isDead(file)) await this.abort(file)
      else this.end(file)
    }
    const held = await this.hold()
    const { ended } = this
    this.ended = new Map()
    const records: DataFileRecord[] = []
    for (const { file, record } of ended.values()) {
      const finished = await record
      if (isDead(file)) await this.warehouse.delete(file.path)
      else records.push(finished)
    }
    return { records, held }
  }

  /** Open files whose rows become visible. */
  private shown(shows: Shown): DataFile[] {
    const open = [...this.open.values()]
    if (shows === 'all') return open
    const mine = shows.filter(({ table }) => table === this.table)
    const keys = new Set(mine.map(({ partition }) => partitionKey(partition)))
    return open.filter(({ partition }) => partition !== null && keys.has(partition.key))
  }

  private async hold(): Promise<HeldFile[]> {
    const files = [...this.open.values()].filter(({ rows }) => rows > 0)
    const held = await Promise.all(files.map((file) => this.openFiles.hold(this.table, file)))
    // How large they are is known now that all rows are encoded.
    const large = files.map(({ bytes }) => bytes >= this.fileBytesMax)
    for (const [at, file] of files.entries()) if (large[at] === true) this.end(file)
    return held.filter((_, at) => large[at] !== true)
  }

  private async abort(file: DataFile): Promise<void> {
    this.close(file)
    this.leftovers.push(...(await file.abort()))
  }

  /** Takes all files back. */
  async cancel(): Promise<void> {
    for (const file of this.open.values()) await this.abort(file)
    const { ended } = this
    this.ended = new Map()
    for (const { file, record } of ended.values()) {
      await record
      this.leftovers.push(...(await file.remove()))
    }
  }

  /** Stops writing. What the last checkpoint names stays. */
  async leave(): Promise<void> {
    for (const file of this.open.values()) {
      this.close(file)
      await file.leave()
    }
    const { ended } = this
    this.ended = new Map()
    for (const { file, record } of ended.values()) {
      await record.catch(() => undefined)
      await file.remove()
    }
  }

  takeLeftovers(): string[] {
    const { leftovers } = this
    this.leftovers = []
    return leftovers
  }

  get isEmpty(): boolean {
    return this.open.size === 0 && this.ended.size === 0
  }
}
