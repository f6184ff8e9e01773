// The data files that all tables of a writer have open, and their memory. They are staged: under
// names that no reader takes for data. Too many, or too much that waits to be encoded, and the
// one that has been idle longest is ended, or the largest is encoded early.

import { assert } from '../../../runtime/base/assert.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { ParquetOptions } from '../encode/encoder.ts'
import { RowGroupMemory } from '../encode/row-group-memory.ts'
import { DataFile, type Partition } from '../table/data-file.ts'
import type { DirectoryFile } from './committable.ts'
import { fileName, stagedPath } from './folders.ts'

const BUFFER_BYTES_MAX = 256 * 1024 * 1024
const OPEN_FILES_MAX = 512
/** Columns of open partitions, each of which has a builder: a wide table has fewer open. */
const OPEN_COLUMNS_MAX = 32 * 1024
/** Many partitions get few rows: their builders begin small. */
const PARTITION_ROWS_AT_START = 64
const PARTITION_MEMORY_BYTES = 16 * 1024 * 1024
/** Files that are written to their ends at the same time: each holds a handle and its bytes. */
const FINISHING_MAX = 32
const FILE_BYTES_MAX = 256 * 1024 * 1024

export interface StagedFilesOptions {
  readonly lake: ObjectStore
  /** Files get the ids firstFileId, firstFileId + count, ...: u32, above 0. */
  readonly firstFileId: number
  readonly count: number
  readonly fileSuffix: string
  readonly bufferBytesMax?: number | undefined
  readonly openFilesMax?: number | undefined
  readonly fileBytesMax?: number | undefined
  readonly parquet?: ParquetOptions | undefined
}

interface Open {
  readonly file: DataFile
  readonly owner: FileOwner
  /** Below the lake. */
  readonly folder: string
  bytes: number
}

/** Files of one table in one epoch. */
export interface FileOwner {
  /** By key of the partition. */
  readonly open: Map<string, DataFile>
  readonly ended: Promise<DirectoryFile>[]
}

export class StagedFiles {
  /** Id of the next file. */
  nextFileId: number
  private readonly options: StagedFilesOptions
  /** The one that was used last is the last. */
  private readonly open = new Map<DataFile, Open>()
  private bytes = 0
  private columns = 0
  private readonly memory = new RowGroupMemory()
  private readonly partitionMemory = new RowGroupMemory(
    PARTITION_MEMORY_BYTES,
    PARTITION_ROWS_AT_START,
  )
  private readonly finishing = new Set<Promise<unknown>>()

  constructor(options: StagedFilesOptions) {
    this.options = options
    this.nextFileId = options.firstFileId
  }

  /** @param folder  of the partition, relative to the lake; '' is the lake itself */
  create(
    owner: FileOwner,
    fields: readonly Field[],
    schemaVersion: number,
    partition: Partition,
    folder: string,
  ): DataFile {
    const { lake: store, fileSuffix, count, parquet } = this.options
    const memory = partition.folder === '' ? this.memory : this.partitionMemory
    const fileId = this.nextFileId
    assert(fileId <= 0xffff_fffe, 'a pipeline has less than 2^32 data files')
    this.nextFileId += count
    const path = stagedPath(fileId, fileSuffix)
    const place = { store, fileId, path, schemaVersion, partition, parquet: { ...parquet, memory } }
    const file = new DataFile(fields, place)
    this.open.set(file, { file, owner, folder, bytes: 0 })
    owner.open.set(partition.key, file)
    this.columns += fields.length
    while (this.isCrowded() && this.open.size > 1) this.endIdle()
    return file
  }

  private isCrowded(): boolean {
    const { openFilesMax = OPEN_FILES_MAX } = this.options
    return this.open.size > openFilesMax || this.columns > OPEN_COLUMNS_MAX
  }

  private endIdle(): void {
    for (const { file } of this.open.values()) {
      this.end(file)
      return
    }
  }

  /** Appends rows to an open file. @returns a promise when the caller must wait for the disk */
  append(
    file: DataFile,
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<unknown> | undefined {
    const wait = file.append(columns, count, selection)
    const entry = this.open.get(file)
    assert(entry !== undefined, 'rows go into an open file')
    this.open.delete(file)
    this.open.set(file, entry)
    this.measure(entry)
    const relieved =
      this.bytes > (this.options.bufferBytesMax ?? BUFFER_BYTES_MAX)
        ? this.relieveLargest()
        : undefined
    if (file.bytes >= (this.options.fileBytesMax ?? FILE_BYTES_MAX)) this.end(file)
    const crowd = this.finishing.size > FINISHING_MAX ? Promise.race(this.finishing) : undefined
    if (wait === undefined && relieved === undefined) return crowd
    return Promise.all([wait, relieved, crowd])
  }

  private measure(entry: Open): void {
    const bytes = entry.file.bufferedBytes
    this.bytes += bytes - entry.bytes
    entry.bytes = bytes
  }

  private relieveLargest(): Promise<void> | undefined {
    let largest: Open | null = null
    for (const entry of this.open.values()) {
      if (largest === null || entry.bytes > largest.bytes) largest = entry
    }
    const wait = largest?.file.relieve()
    if (largest !== null) this.measure(largest)
    return wait
  }

  /** No more rows go into a file. It is finished beside what follows. */
  end(file: DataFile): void {
    const { owner, folder } = this.remove(file)
    if (file.rows === 0) return
    const finished = this.finish(file, folder)
    // Looked at when the epoch is prepared.
    finished.catch(() => undefined)
    owner.ended.push(finished)
    const settled: Promise<unknown> = finished.then(
      () => this.finishing.delete(settled),
      () => this.finishing.delete(settled),
    )
    this.finishing.add(settled)
  }

  private async finish(file: DataFile, folder: string): Promise<DirectoryFile> {
    const { metrics: _, path: staged, ...record } = await file.finish()
    const name = fileName(file.fileId, this.options.fileSuffix)
    return { ...record, staged, path: folder === '' ? name : `${folder}/${name}` }
  }

  private remove(file: DataFile): Open {
    const entry = this.open.get(file)
    assert(entry !== undefined, 'a file is ended once')
    this.bytes -= entry.bytes
    this.columns -= file.fields.length
    this.open.delete(file)
    entry.owner.open.delete(file.partition?.key ?? '')
    return entry
  }

  /** Ends all files of a table and waits for them. @returns those of the epoch */
  async finishAll(owner: FileOwner): Promise<DirectoryFile[]> {
    for (const file of owner.open.values()) this.end(file)
    return Promise.all(owner.ended.splice(0))
  }

  /** Takes all files of the epoch back: no checkpoint names them. */
  async cancel(owner: FileOwner): Promise<void> {
    for (const file of owner.open.values()) {
      this.remove(file)
      await file.abort()
    }
    for (const ended of owner.ended.splice(0)) {
      await this.options.lake.delete((await ended).staged)
    }
  }
}
