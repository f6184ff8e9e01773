// The data files that all tables of a writer have open, and their memory. When there is too much of
// either, the largest is encoded early, or the one that has been idle longest is ended early.

import type { Column } from '../../../runtime/data/column/column.ts'
import type { Field } from '../../../runtime/data/schema.ts'
import { assert } from '../../../runtime/base/assert.ts'
import { RowGroupMemory } from '../../parquet/encode/row-group-memory.ts'
import { dataFilePath } from '../layout.ts'
import { DataFile } from './data-file.ts'
import { targetOf, type IcebergWriterOptions } from './options.ts'

const BUFFER_BYTES_MAX = 256 * 1024 * 1024
const OPEN_FILES_MAX = 512
const FILE_ID_MAX = 0xffff_fffe

interface Open {
  readonly file: DataFile
  /** Ends the file on behalf of its table. */
  readonly end: () => void
  bytes: number
}

export class OpenFiles {
  /** Id of the next file. */
  nextFileId: number
  private readonly options: IcebergWriterOptions
  /** The one that was used last is the last. */
  private readonly open = new Map<DataFile, Open>()
  private bytes = 0
  private readonly memory = new RowGroupMemory()

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
    end: () => void,
  ): DataFile {
    const { warehouse, fileSuffix, count } = this.options
    const parquet = { ...this.options.parquet, memory: this.memory }
    const fileId = this.nextFileId
    assert(fileId <= FILE_ID_MAX, 'a pipeline has less than 2^32 data files')
    this.nextFileId += count
    const target = (this.options.targetOf ?? targetOf)(table)
    const path = dataFilePath(target, fileId, fileSuffix)
    const file = new DataFile(fields, { store: warehouse, fileId, path, schemaVersion, parquet })
    this.open.set(file, { file, end, bytes: 0 })
    if (this.open.size > (this.options.openFilesMax ?? OPEN_FILES_MAX)) {
      for (const idle of this.open.values()) {
        idle.end()
        break
      }
    }
    return file
  }

  /** Appends rows to an open file. @returns a promise when the caller must wait for the disk */
  append(
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
    const bytes = entry.file.encoder.bufferedBytes
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
    this.bytes -= this.open.get(file)?.bytes ?? 0
    this.open.delete(file)
  }
}
