// The data files that all tables of a writer have open, and their memory. When there is too much of
// either, the largest is encoded early, or the one that has been idle longest is ended early.
//
// An ended file is encoded, written and fsynced beside what follows, a few at a time: a batch may
// touch thousands of partitions, and each would hold a handle and its bytes. Who writes more must
// wait for them.

import type { Column } from '../../../runtime/data/column/column.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { RowGroupMemory } from '../../parquet/encode/row-group-memory.ts'
import type { DataFileRecord } from '../../parquet/table/data-file-record.ts'
import { dataFilePath } from '../layout.ts'
import { DataFile, type Partition } from '../../parquet/table/data-file.ts'
import { targetOf, type IcebergWriterOptions } from './options.ts'

const BUFFER_BYTES_MAX = 256 * 1024 * 1024
const OPEN_FILES_MAX = 512
/** Columns of open partitions, each of which has a builder: a wide table has fewer open. */
const OPEN_COLUMNS_MAX = 32 * 1024
/** Many partitions get few rows: their builders begin small. */
const PARTITION_ROWS_AT_START = 64
const PARTITION_MEMORY_BYTES = 16 * 1024 * 1024
/** Files that are written to their ends at the same time, and that wait for it. */
const FINISHING_MAX = 16
const WAITING_MAX = 64
const FILE_ID_MAX = 0xffff_fffe

interface Open {
  readonly file: DataFile
  /** Ends the file on behalf of its table. */
  readonly end: (file: DataFile) => void
  bytes: number
}

export class OpenFiles {
  /** Id of the next file. */
  nextFileId: number
  /** Files that were ended to make room for others. */
  evicted = 0
  private readonly options: IcebergWriterOptions
  /** The one that was used last is the last. */
  private readonly open = new Map<DataFile, Open>()
  private bytes = 0
  private columns = 0
  private readonly memory = new RowGroupMemory()
  private readonly partitionMemory = new RowGroupMemory(
    PARTITION_MEMORY_BYTES,
    PARTITION_ROWS_AT_START,
  )
  private finishing = 0
  private readonly waiting: (() => void)[] = []

  constructor(options: IcebergWriterOptions) {
    this.options = options
    this.nextFileId = options.firstFileId
  }

  /**
   * @param end  called when the file must be ended to make room; the table calls `remove` then
   */
  create(
    table: string,
    fields: readonly Field[],
    schemaVersion: number,
    partition: Partition | null,
    end: (file: DataFile) => void,
  ): DataFile {
    const { warehouse, fileSuffix, count, mode } = this.options
    const memory = partition === null ? this.memory : this.partitionMemory
    const parquet = { ...this.options.parquet, memory }
    const fileId = this.nextFileId
    assert(fileId <= FILE_ID_MAX, 'a pipeline has less than 2^32 data files')
    this.nextFileId += count
    const target = (this.options.targetOf ?? targetOf)(table)
    // An index knows of a file nothing but its id, which must lead to it.
    const folder = mode === 'upsert' ? '' : (partition?.folder ?? '')
    const path = dataFilePath(target, fileId, fileSuffix, folder)
    const place = { store: warehouse, fileId, path, schemaVersion, partition, parquet }
    const file = new DataFile(fields, place)
    this.open.set(file, { file, end, bytes: 0 })
    if (partition !== null) this.columns += fields.length
    while (this.isCrowded() && this.open.size > 1) this.evict()
    return file
  }

  private isCrowded(): boolean {
    const { openFilesMax = OPEN_FILES_MAX } = this.options
    return this.open.size > openFilesMax || this.columns > OPEN_COLUMNS_MAX
  }

  /** Ends the file that has been idle longest. */
  private evict(): void {
    for (const { file, end } of this.open.values()) {
      if (file.rows > 0) this.evicted++
      end(file)
      return
    }
  }

  /** Appends rows to an open file. @returns a promise when the caller must wait for the disk */
  append(
    file: DataFile,
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<void> | undefined {
    const wait = this.appendRows(file, columns, count, selection)
    if (this.waiting.length <= WAITING_MAX) return wait
    const caught = this.caughtUp()
    return wait === undefined ? caught : wait.then(() => caught)
  }

  private appendRows(
    file: DataFile,
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<void> | undefined {
    const wait = file.append(columns, count, selection)
    const entry = this.open.get(file)
    assert(entry !== undefined, 'rows go into an open file')
    this.open.delete(file)
    this.open.set(file, entry)
    this.measure(entry)
    if (this.bytes <= (this.options.bufferBytesMax ?? BUFFER_BYTES_MAX)) return wait
    const relieved = this.relieveLargest()
    return wait === undefined ? relieved : wait.then(() => relieved)
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
    if (largest === null) return undefined
    const wait = largest.file.relieve()
    this.measure(largest)
    return wait
  }

  /** The file is ended or aborted. */
  remove(file: DataFile): void {
    const entry = this.open.get(file)
    if (entry === undefined) return
    this.bytes -= entry.bytes
    if (file.partition !== null) this.columns -= file.fields.length
    this.open.delete(file)
  }

  /** Finishes a file that is no longer open, as soon as it is its turn. */
  finish(file: DataFile): Promise<DataFileRecord> {
    if (this.finishing < FINISHING_MAX) {
      this.finishing++
      return this.finishNow(file)
    }
    return this.turn().then(() => this.finishNow(file))
  }

  /** Resolves with a place among those that are finishing. */
  private turn(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  private async finishNow(file: DataFile): Promise<DataFileRecord> {
    try {
      return await file.finish()
    } finally {
      this.leave()
    }
  }

  /** Gives the place to the next, if there is one. */
  private leave(): void {
    const next = this.waiting.shift()
    if (next === undefined) this.finishing--
    else next()
  }

  /** Resolves when all files that wait now have had their turn. */
  private async caughtUp(): Promise<void> {
    await this.turn()
    this.leave()
  }
}
