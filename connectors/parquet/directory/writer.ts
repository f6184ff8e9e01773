// The writer of a Parquet directory: gives each element to its table, and at a barrier makes every
// file of the epoch durable, under names that no reader takes for data.

import { silentLog, type Log } from '../../../runtime/base/log.ts'
import type { CatalogTable } from '../../../runtime/catalog.ts'
import type { ChangeBatch } from '../../../runtime/data/batch.ts'
import type { Control } from '../../../runtime/data/element.ts'
import { RowGroups } from '../../../runtime/data/partition/groups.ts'
import type { FolderLayout } from '../../../runtime/data/partition/layout.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import type { PreparedEpoch, SinkWriter, WriterState } from '../../../runtime/sink.ts'
import type { DirectoryCommittable } from './committable.ts'
import { tableFolder } from './folders.ts'
import { localZone } from './local-times.ts'
import { StagedFiles, type StagedFilesOptions } from './staged-files.ts'
import { DirectoryTable, type DirectoryMode, type TableParts } from './table-writer.ts'
import { readFields, writeFields, type WriterData } from './writer-state.ts'

export interface DirectoryWriterOptions extends StagedFilesOptions {
  /** Number of this writer, 0...count - 1. */
  readonly index: number
  readonly mode: DirectoryMode
  readonly state: ObjectStore
  /** Of all writers of the checkpoint, in order; their count may have been another. */
  readonly states: readonly WriterState[]
  /** The table's names in the lake. */
  readonly targetOf: (table: string) => CatalogTable
  readonly layout: FolderLayout
  /** Where it is not `layout`: tables without the columns of it. */
  readonly layoutOf?: (table: string) => FolderLayout
  /** IANA name: where a day of an instant begins. */
  readonly timeZone: string
  readonly log?: Log
}

/**
 * Opens a writer on the states of a checkpoint.
 *
 * @returns a writer that takes elements in the order of the corridor, one call after the other
 * @throws PipelineError CHECKPOINT_CORRUPT, STORAGE_FAILED
 */
export async function createDirectoryWriter(
  options: DirectoryWriterOptions,
): Promise<SinkWriter<DirectoryCommittable>> {
  const { state, states, layout, layoutOf = () => layout, mode, log = silentLog } = options
  const parts: TableParts = {
    mode,
    isFirst: options.index === 0,
    files: new StagedFiles(options),
    groups: new RowGroups(),
    zone: localZone(options.timeZone),
    log,
    layoutOf,
    folderOf: (table) => tableFolder(layoutOf(table), options.targetOf(table)),
    fields: await readFields(state, states),
  }
  return new DirectoryWriter(options, parts)
}

class DirectoryWriter implements SinkWriter<DirectoryCommittable> {
  private readonly options: DirectoryWriterOptions
  private readonly parts: TableParts
  private readonly tables = new Map<string, DirectoryTable>()
  /** Tables that this epoch's elements were about. */
  private readonly touched = new Set<DirectoryTable>()
  /** The list of fields as the last checkpoint has it. */
  private saved: { readonly count: number; readonly place: WriterData['tables'] } = {
    count: 0,
    place: null,
  }

  constructor(options: DirectoryWriterOptions, parts: TableParts) {
    this.options = options
    this.parts = parts
  }

  holds(): boolean {
    return false
  }

  fill(batch: ChangeBatch): undefined {
    this.tableOf(batch.table).fill(batch)
  }

  private tableOf(name: string): DirectoryTable {
    const table = this.tables.get(name) ?? new DirectoryTable(name, this.parts)
    this.tables.set(name, table)
    this.touched.add(table)
    return table
  }

  write(element: ChangeBatch | Control): Promise<void> | undefined {
    const table = this.tableOf(element.kind === 'schema' ? element.schema.table : element.table)
    switch (element.kind) {
      case 'changes':
        return table.write(element)
      case 'schema':
        return table.setSchema(element.schema)
      case 'truncate':
        return table.truncate(element)
      case 'park':
        return table.park(element.reason)
      case 'backfill':
        return table.startBackfill()
      case 'settled':
        table.settle(element.done)
        return undefined
    }
  }

  async prepare(epoch: number): Promise<PreparedEpoch<DirectoryCommittable>> {
    const tables = [...this.touched]
    const committables: DirectoryCommittable[] = []
    for (const table of tables) {
      const { truncated, emptied, files } = await table.finish()
      if (!truncated && files.length === 0 && emptied.length === 0) continue
      const { index: writer } = this.options
      committables.push({ table: table.table, writer, truncated, files, emptied, deletes: null })
    }
    const state = await this.state(epoch)
    const parked = tables.flatMap(({ table, parked, newlyParked }) =>
      parked !== null && newlyParked ? [{ table, reason: parked }] : [],
    )
    const counts = tables.map((table) => table.report()).filter((counts) => counts !== null)
    this.touched.clear()
    return { epoch, committables, state, counts, parked }
  }

  private async state(epoch: number): Promise<WriterState> {
    const { options, parts } = this
    const { fields } = parts
    if (fields.size !== this.saved.count) {
      const path = `index/${options.fileSuffix}_w${options.index}-${epoch}.folders`
      this.saved = { count: fields.size, place: await writeFields(options.state, path, fields) }
    }
    const { place } = this.saved
    const data: WriterData = {
      format: 1,
      layout: options.layout.text,
      timeZone: options.timeZone,
      tables: place,
    }
    const files = place === null ? [] : [place.path]
    return { data, files, nextFileId: parts.files.nextFileId }
  }

  async close(): Promise<void> {
    for (const table of this.touched) await table.abort()
  }
}
