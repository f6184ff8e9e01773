// The data files of one table in one epoch: the open one, and those that are ended. All of them can
// be taken back until the epoch is prepared, since no checkpoint names them.

import type { Column } from '../../../runtime/data/column/column.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { DataFileRecord } from '../committable.ts'
import { lakeFields, type TableMode } from '../fields.ts'
import type { DataFile } from './data-file.ts'
import type { OpenFiles } from './open-files.ts'

const FILE_BYTES_MAX = 256 * 1024 * 1024

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
  private current: DataFile | null = null
  private ended: Ended[] = []

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
  writable(schema: TableSchema): DataFile {
    if (this.current !== null && this.current.schemaVersion !== schema.version) this.end()
    this.current ??= this.openFiles.create(
      this.table,
      lakeFields(schema, this.mode),
      schema.version,
      () => this.end(),
    )
    return this.current
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
    if (this.current === file && file.bytes >= this.fileBytesMax) this.end()
    return wait
  }

  /** No more rows go into the open file. It is finished beside what follows. */
  end(): void {
    const file = this.current
    if (file === null) return
    this.current = null
    this.openFiles.remove(file)
    if (file.rows === 0) return
    const record = file.finish()
    // Looked at when the epoch is prepared.
    record.catch(() => undefined)
    this.ended.push({ file, record })
  }

  /** The file of this epoch with that id; `null`: it is of an earlier one. */
  find(fileId: number): DataFile | null {
    if (this.current?.fileId === fileId) return this.current
    return this.ended.find(({ file }) => file.fileId === fileId)?.file ?? null
  }

  /** Ends the file if it is open, and waits until it can be read. */
  async finished(fileId: number): Promise<void> {
    if (this.current?.fileId === fileId) this.end()
    await this.ended.find(({ file }) => file.fileId === fileId)?.record
  }

  /**
   * Finishes all files.
   *
   * @param isDead  true for a file all of whose rows are deleted again: it is not kept
   * @returns the files in the order of their rows
   */
  async finish(isDead: (file: DataFile) => boolean): Promise<DataFileRecord[]> {
    if (this.current !== null && isDead(this.current)) {
      await this.abortCurrent()
    }
    this.end()
    const { ended } = this
    this.ended = []
    const records: DataFileRecord[] = []
    for (const { file, record } of ended) {
      const finished = await record
      if (isDead(file)) await this.warehouse.delete(file.path)
      else records.push(finished)
    }
    return records
  }

  private async abortCurrent(): Promise<void> {
    const file = this.current
    if (file === null) return
    this.current = null
    this.openFiles.remove(file)
    await file.abort()
  }

  /** Takes all files of the epoch back. */
  async cancel(): Promise<void> {
    await this.abortCurrent()
    const { ended } = this
    this.ended = []
    for (const { file, record } of ended) {
      await record
      await this.warehouse.delete(file.path)
    }
  }

  get isEmpty(): boolean {
    return this.current === null && this.ended.length === 0
  }
}
