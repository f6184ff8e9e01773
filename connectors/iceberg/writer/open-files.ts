// The data files that all tables of a writer have open, and their memory. When there is too much of
// either, the largest is encoded early, or the one that has been idle longest is set aside: it
// stays open without memory, so a partition gets one file however often others come between its
// rows. What is remembered of row groups has a bound as well: beyond it files are ended.
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
import { DataFile, type DataFileOptions, type Partition } from '../../parquet/table/data-file.ts'
import type { HeldFile } from '../../parquet/table/held-file.ts'
import { heldSource } from './held-files.ts'
import { targetOf, type IcebergWriterOptions } from './options.ts'

const BUFFER_BYTES_MAX = 256 * 1024 * 1024
const OPEN_FILES_MAX = 512
/** Remembered of row groups: some 600 bytes each, and half of it in checkpoints with held rows. */
const CHUNKS_MAX = 128 * 1024
/** Columns of open partitions, each of which has a builder: a wide table has fewer open. */
const OPEN_COLUMNS_MAX = 32 * 1024
/** Many partitions get few rows: their builders begin small. */
const PARTITION_ROWS_AT_START = 64
const PARTITION_MEMORY_BYTES = 16 * 1024 * 1024
/** Files that are made durable at the same time, and that wait for it. */
const FINISHING_MAX = 16
const WAITING_MAX = 64
const FILE_ID_MAX = 0xffff_fffe

interface Open {
  readonly file: DataFile
  /** Ends the file on behalf of its table. */
  readonly end: (file: DataFile) => void
  bytes: number
  chunks: number
}

export class OpenFiles {
  /** Id of the next file. */
  nextFileId: number
  private readonly options: IcebergWriterOptions
  /** The one that was used last is the last. */
  private readonly open = new Map<DataFile, Open>()
  /** Open as well, without memory; in the order in which they lost it. */
  private readonly aside = new Map<DataFile, Open>()
  /** Those that still write what they had in memory. */
  private readonly leaving = new Set<Promise<void>>()
  private bytes = 0
  private columns = 0
  /** Of all of them, with and without memory. */
  private chunks = 0
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
    const file = new DataFile(fields, this.place(table, schemaVersion, partition))
    this.admit({ file, end, bytes: 0, chunks: 0 })
    return file
  }

  /** Goes on with a file of an earlier start, as one of this start. */
  restore(held: HeldFile, end: (file: DataFile) => void): DataFile {
    const { table, fields, schemaVersion, partition } = held
    const place = this.place(table, schemaVersion, partition)
    const file = new DataFile(fields, { ...place, from: heldSource(this.options.warehouse, held) })
    this.aside.set(file, { file, end, bytes: 0, chunks: file.chunks })
    this.chunks += file.chunks
    return file
  }

  private place(
    table: string,
    schemaVersion: number,
    partition: Partition | null,
  ): DataFileOptions {
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
    return { store: warehouse, fileId, path, schemaVersion, partition, parquet }
  }

  /** Gives the file a place among those with memory. */
  private admit(entry: Open): void {
    const { file } = entry
    this.aside.delete(file)
    this.open.set(file, entry)
    if (file.partition !== null) this.columns += file.fields.length
    while (this.isCrowded() && this.open.size > 1) this.evict()
  }

  private isCrowded(): boolean {
    const { openFilesMax = OPEN_FILES_MAX } = this.options
    return this.open.size > openFilesMax || this.columns > OPEN_COLUMNS_MAX
  }

  /** Sets the file aside that has been idle longest. */
  private evict(): void {
    for (const entry of this.open.values()) {
      const { file, end } = entry
      if (file.rows === 0) {
        end(file)
        return
      }
      this.leaveOpen(entry)
      this.aside.set(file, entry)
      const written = file
        .setAside()
        // Whoever ends the file, or holds it, hears of it.
        .catch(() => undefined)
        .finally(() => this.leaving.delete(written))
      this.leaving.add(written)
      this.measure(entry)
      return
    }
  }

  private leaveOpen({ file }: Open): void {
    if (this.open.delete(file) && file.partition !== null) this.columns -= file.fields.length
  }

  /** Appends rows to an open file. @returns a promise when the caller must wait for the disk */
  append(
    file: DataFile,
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<void> | undefined {
    const waits = [this.appendRows(file, columns, count, selection)]
    if (this.leaving.size > WAITING_MAX) waits.push(this.left())
    if (this.waiting.length > WAITING_MAX) waits.push(this.caughtUp())
    const due = waits.filter((wait) => wait !== undefined)
    return due.length === 0 ? undefined : Promise.all(due).then(() => undefined)
  }

  private async left(): Promise<void> {
    await Promise.all(this.leaving)
  }

  private appendRows(
    file: DataFile,
    columns: readonly Column[],
    count: number,
    selection: Int32Array | null,
  ): Promise<void> | undefined {
    const entry = this.open.get(file) ?? this.aside.get(file)
    assert(entry !== undefined, 'rows go into an open file')
    if (this.open.delete(file)) this.open.set(file, entry)
    else this.admit(entry)
    const wait = file.append(columns, count, selection)
    this.measure(entry)
    while (this.chunks > CHUNKS_MAX && this.endOldest(file));
    if (this.bytes <= (this.options.bufferBytesMax ?? BUFFER_BYTES_MAX)) return wait
    const relieved = this.relieveLargest()
    return wait === undefined ? relieved : wait.then(() => relieved)
  }

  /** @returns false when there is none but `file` */
  private endOldest(file: DataFile): boolean {
    for (const entries of [this.aside, this.open]) {
      for (const entry of entries.values()) {
        if (entry.file === file) continue
        entry.end(entry.file)
        return true
      }
    }
    return false
  }

  private measure(entry: Open): void {
    const { bufferedBytes: bytes, chunks } = entry.file
    this.bytes += bytes - entry.bytes
    this.chunks += chunks - entry.chunks
    entry.bytes = bytes
    entry.chunks = chunks
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
    const entry = this.open.get(file) ?? this.aside.get(file)
    if (entry === undefined) return
    this.bytes -= entry.bytes
    this.chunks -= entry.chunks
    this.leaveOpen(entry)
    this.aside.delete(file)
  }

  /** Makes the rows of an open file durable, as soon as it is its turn. */
  async hold(table: string, file: DataFile): Promise<HeldFile> {
    const held = await this.inTurn(() => file.hold(table))
    const entry = this.open.get(file) ?? this.aside.get(file)
    if (entry !== undefined) this.measure(entry)
    return held
  }

  /** Finishes a file that is no longer open, as soon as it is its turn. */
  finish(file: DataFile): Promise<DataFileRecord> {
    return this.inTurn(() => file.finish())
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.finishing < FINISHING_MAX) {
      this.finishing++
      return this.work(work)
    }
    return this.turn().then(() => this.work(work))
  }

  /** Resolves with a place among those that are finishing. */
  private turn(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  private async work<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
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
