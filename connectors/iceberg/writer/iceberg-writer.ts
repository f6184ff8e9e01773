// The writer of an Iceberg sink: gives each element to its table, and at a barrier makes everything
// of the epoch durable: data files, the index's delta, and one object with all deleted positions.
// Nothing that it writes is visible before the committer has committed the intent that names it.

import type { ChangeBatch } from '../../../runtime/data/batch.ts'
import type { Control, Shown, TablePartition } from '../../../runtime/data/element.ts'
import { segmentsOf } from '../../../runtime/data/key-hash.ts'
import { RowGroups } from '../../../runtime/data/partition/groups.ts'
import type { PreparedEpoch, SinkWriter, WriterState } from '../../../runtime/sink.ts'
import type { IcebergCommittable } from '../committable.ts'
import type { DataFileRecord } from '../../parquet/table/data-file-record.ts'
import { encodeEpochDeletes, readEpochDeletes, type TableDeletes } from '../epoch-deletes.ts'
import { KeyIndex, type IndexCheckpoint } from '../index/key-index.ts'
import { readNamed } from '../index/state-files.ts'
import { dataFilePath } from '../layout.ts'
import type { StoredHeldRows } from './held-rows.ts'
import { OpenFiles } from './open-files.ts'
import { OpenState } from './open-state.ts'
import { targetOf, type IcebergWriterOptions } from './options.ts'
import { ReadBack } from './read-back.ts'
import { TableWriter, type TableEpoch } from './table-writer.ts'
import { TableSpecs } from './table-specs.ts'
import { UpsertScratch } from './upsert-rows.ts'
import type { WriterParts } from './writer-parts.ts'
import { blockOf, readBlocks, withoutDead, type OlderBlocks } from './file-blocks.ts'
import {
  readOpen,
  readPart,
  readSpecs,
  writePart,
  writerData,
  type RepairRecord,
  type StatePart,
  type WriterData,
} from './writer-state.ts'

const INDEX_MEMORY_BYTES = 512 * 1024 * 1024
/** Files that are fsynced at the same time. */
const FINISH_PARALLEL = 8

/**
 * Opens a writer on the states of a checkpoint.
 *
 * @returns a writer that takes elements in the order of the corridor, one call after the other:
 *          the next only when the promise of the last has settled
 * @throws PipelineError CHECKPOINT_CORRUPT, STORAGE_FAILED
 */
export async function createIcebergWriter(
  options: IcebergWriterOptions,
): Promise<SinkWriter<IcebergCommittable>> {
  const states = options.states.map(writerData)
  const tables = new Map<string, TableWriter>()
  const keyIndex = await KeyIndex.open(
    {
      store: options.state,
      prefix: `index/${options.fileSuffix}_w${options.index}`,
      memoryBytes: options.indexMemoryBytes ?? INDEX_MEMORY_BYTES,
      ...segmentsOf(options.index, options.count),
      onResolved: (table, resolved) => tables.get(table)?.resolved(resolved),
    },
    states.map(({ index }) => index),
  )
  const older = withoutDead(await readBlocks(options.state, states), keyIndex)
  const openFiles = new OpenFiles(options)
  const { firstFileId, fileSuffix } = options
  const parts: WriterParts = {
    options,
    keyIndex,
    openFiles,
    scratch: new UpsertScratch(),
    readBack: new ReadBack(options.warehouse),
    specs: new TableSpecs(options.partitionBy, await readSpecs(options.state, states)),
    groups: new RowGroups(),
    pathOf(table, fileId) {
      // Ids grow: those of this start are above all older ones.
      const suffix = fileId < firstFileId ? blockOf(older.blocks, fileId)?.suffix : fileSuffix
      const target = (options.targetOf ?? targetOf)(table)
      return suffix === undefined ? null : dataFilePath(target, fileId, suffix)
    },
  }
  const writer = new IcebergWriter(parts, tables, older)
  await writer.restoreRepairs(states)
  await writer.restoreHeld(states)
  await writer.restoreOpen(states)
  return writer
}

class IcebergWriter implements SinkWriter<IcebergCommittable> {
  private readonly parts: WriterParts
  private readonly tables: Map<string, TableWriter>
  private readonly older: OlderBlocks
  /** Where `older` is, once the first epoch has written it. */
  private olderPart: StatePart | null = null
  /** Tables that this epoch's elements were about. */
  private readonly touched = new Set<TableWriter>()
  private repairs: { readonly records: readonly RepairRecord[]; readonly part: StatePart | null } =
    {
      records: [],
      part: null,
    }
  /** Held rows as the last checkpoint has them, and the changes of each table that are in it. */
  private held: { changes: ReadonlyMap<string, number>; part: StatePart | null } = {
    changes: new Map(),
    part: null,
  }
  /** Specs as the last checkpoint has them. */
  private specs: { readonly changes: number; readonly part: StatePart | null } = {
    changes: -1,
    part: null,
  }
  private readonly openState: OpenState
  private partsWritten = 0

  constructor(parts: WriterParts, tables: Map<string, TableWriter>, older: OlderBlocks) {
    this.parts = parts
    this.tables = tables
    this.older = older
    this.openState = new OpenState(parts.options.warehouse)
  }

  /** Writer n of the checkpoint leaves its repair files to writer n modulo count. */
  async restoreRepairs(states: readonly WriterData[]): Promise<void> {
    const { index, count, state } = this.parts.options
    for (const [number, { repairs }] of states.entries()) {
      if (repairs === null) continue
      const records = (await readPart(state, repairs)) as RepairRecord[]
      for (const record of records) {
        const table = this.table(record.table)
        const isMine = number % count === index
        table.restoreRepair(isMine ? record.files : [])
        if (!isMine || record.deletes === null) continue
        // Its rows are written again into the first epoch's deletes.
        this.touched.add(table)
        const deletes = readEpochDeletes(await readNamed(state, record.deletes), record.table)
        for (const [file, positions] of deletes) {
          table.superseded.unite(file, positions)
          positions.dispose()
        }
      }
    }
  }

  /** Held rows go by the segment of their key. */
  async restoreHeld(states: readonly WriterData[]): Promise<void> {
    const { index, count, state } = this.parts.options
    const { start, end } = segmentsOf(index, count)
    for (const { held } of states) {
      if (held === null) continue
      for (const stored of (await readPart(state, held)) as StoredHeldRows[]) {
        const table = this.table(stored.table)
        table.restoreHeld(stored, start, end)
        this.touched.add(table)
      }
    }
  }

  /** Open files of writer n of the checkpoint go on with writer n modulo count. */
  async restoreOpen(states: readonly WriterData[]): Promise<void> {
    const { index, count, state } = this.parts.options
    for (const [number, open] of (await readOpen(state, states)).entries()) {
      if (number % count !== index) continue
      await this.openState.restore(open)
      for (const [name, files] of Map.groupBy(open.files, ({ table }) => table)) {
        const table = this.table(name)
        table.restoreFiles(files)
        this.touched.add(table)
      }
    }
  }

  holds(table: string): boolean {
    return (this.tables.get(table)?.held ?? 0) > 0
  }

  fill(batch: ChangeBatch): Promise<void> | undefined {
    const table = this.table(batch.table)
    this.touched.add(table)
    return table.fill(batch)
  }

  private table(name: string): TableWriter {
    const known = this.tables.get(name)
    if (known !== undefined) return known
    const table = new TableWriter(name, this.parts)
    this.tables.set(name, table)
    return table
  }

  write(element: ChangeBatch | Control): Promise<void> | undefined {
    const table = this.table(element.kind === 'schema' ? element.schema.table : element.table)
    this.touched.add(table)
    switch (element.kind) {
      case 'changes':
        return table.write(element)
      case 'schema':
        return table.setSchema(element.schema)
      case 'truncate':
        return table.truncate()
      case 'park':
        return table.park(element.reason)
      case 'backfill':
        return table.startBackfill(element.repair)
      case 'settled':
        return element.done ? table.settle() : undefined
    }
  }

  async prepare(epoch: number, shows: Shown = 'all'): Promise<PreparedEpoch<IcebergCommittable>> {
    const { keyIndex, options } = this.parts
    // The checkpoint before this one is durable.
    await this.openState.deleteLeftovers()
    keyIndex.resolveAll()
    const tables = [...this.touched]
    const index = keyIndex.prepare(epoch)
    // Awaited below; a failure of the files must not leave it unhandled.
    index.catch(() => undefined)
    const epochs = await this.finishTables(tables, shows)
    const deletes = await this.writeDeletes(epoch, epochs)
    const committables = committablesOf(epochs, deletes, options.index)
    await this.saveRepairs(epochs, deletes?.path ?? null)
    await this.saveHeld()
    await this.saveOlder()
    await this.saveSpecs()
    await this.saveOpen(epochs)
    const parked = tables.flatMap(({ table, parked, newlyParked }) =>
      parked !== null && newlyParked ? [{ table, reason: parked }] : [],
    )
    const counts = tables.map((table) => table.report()).filter((counts) => counts !== null)
    this.touched.clear()
    for (const table of this.tables.values()) {
      if (table.held > 0 || table.openRows > 0) this.touched.add(table)
    }
    const openPartitions = this.openPartitions()
    return { epoch, committables, state: this.state(await index), counts, parked, openPartitions }
  }

  private openPartitions(): TablePartition[] {
    return [...this.touched].flatMap((writer) =>
      writer.openPartitions().map((partition) => ({ table: writer.table, partition })),
    )
  }

  private async finishTables(
    tables: readonly TableWriter[],
    shows: Shown,
  ): Promise<Map<TableWriter, TableEpoch>> {
    const epochs = new Map<TableWriter, TableEpoch>()
    let next = 0
    const finishNext = async (): Promise<void> => {
      for (let table = tables[next++]; table !== undefined; table = tables[next++]) {
        epochs.set(table, await table.finish(shows))
      }
    }
    await Promise.all(Array.from({ length: FINISH_PARALLEL }, finishNext))
    return epochs
  }

  /** One object for all tables. @returns `null` when no row is deleted */
  private async writeDeletes(
    epoch: number,
    epochs: ReadonlyMap<TableWriter, TableEpoch>,
  ): Promise<{ path: string; tables: ReadonlySet<string> } | null> {
    const deletes = new Map<string, TableDeletes>()
    for (const [{ table }, { superseded, heldBack }] of epochs) {
      if (superseded.size === 0) continue
      deletes.set(table, superseded.encode())
      // The rows of a repair are deleted when its files are committed, all together.
      if (!heldBack) superseded.clear()
    }
    if (deletes.size === 0) return null
    const { state, fileSuffix, index } = this.parts.options
    const path = `epochs/${fileSuffix}_w${index}-${epoch}.deletes`
    const writer = await state.create(path)
    await writer.write(encodeEpochDeletes(deletes))
    await writer.finish()
    return { path, tables: new Set(deletes.keys()) }
  }

  private async saveRepairs(
    epochs: ReadonlyMap<TableWriter, TableEpoch>,
    deletesPath: string | null,
  ): Promise<void> {
    const before = new Map(this.repairs.records.map((record) => [record.table, record]))
    const records: RepairRecord[] = []
    let changed = false
    for (const table of this.tables.values()) {
      if (table.repair === null) continue
      const known = before.get(table.table)
      // An epoch writes all rows that are to be deleted again. None: a TRUNCATE took their files.
      const written = table.superseded.size > 0 ? deletesPath : null
      const deletes = epochs.has(table) ? written : (known?.deletes ?? null)
      records.push({ table: table.table, files: [...table.repair], deletes })
      changed ||= known === undefined || !sameFiles(known.files, table.repair)
      changed ||= known?.deletes !== deletes
    }
    if (!changed && records.length === before.size) return
    const part = records.length === 0 ? null : await this.writePart('repairs', records)
    this.repairs = { records, part }
  }

  private async saveHeld(): Promise<void> {
    const holding = [...this.tables.values()].filter(({ held }) => held > 0)
    const changes = new Map(holding.map(({ table, heldChanges }) => [table, heldChanges]))
    if (sameEntries(changes, this.held.changes)) return
    const stored = holding.map((table) => table.storeHeld())
    const part = stored.length === 0 ? null : await this.writePart('held', stored)
    this.held = { changes, part }
  }

  private async saveOlder(): Promise<void> {
    if (this.olderPart !== null || this.older.blocks.length === 0) return
    this.olderPart = await this.writePart('blocks', this.older)
  }

  private async saveSpecs(): Promise<void> {
    const { specs } = this.parts
    const { changes } = specs
    if (changes === this.specs.changes) return
    const stored = specs.store()
    this.specs = {
      changes,
      part: stored.length === 0 ? null : await this.writePart('specs', stored),
    }
  }

  private async saveOpen(epochs: ReadonlyMap<TableWriter, TableEpoch>): Promise<void> {
    const files = [...epochs.values()].flatMap(({ open }) => open)
    const leftovers = [...epochs.keys()].flatMap((table) => table.takeLeftovers())
    await this.openState.save(files, leftovers, (stored) => this.writePart('open', stored))
  }

  private writePart(kind: string, value: unknown): Promise<StatePart> {
    const { state, fileSuffix, index } = this.parts.options
    this.partsWritten++
    return writePart(state, `index/${fileSuffix}_w${index}-${this.partsWritten}.${kind}`, value)
  }

  private state({ data, files }: IndexCheckpoint): WriterState {
    const { options, openFiles } = this.parts
    const { firstFileId: first, fileSuffix: suffix } = options
    const { nextFileId } = openFiles
    const { part, records } = this.repairs
    const open = this.openState.part
    const state: WriterData = {
      format: 2,
      index: data,
      block: nextFileId === first ? null : { first, until: nextFileId, suffix },
      older: this.olderPart,
      repairs: part,
      held: this.held.part,
      ...(this.specs.part === null ? {} : { specs: this.specs.part }),
      ...(open === null ? {} : { open }),
    }
    const parts = [part, this.held.part, this.olderPart, this.specs.part, open]
    const own = parts.flatMap((part) => (part === null ? [] : [part.path]))
    const deletes = records.flatMap(({ deletes }) => (deletes === null ? [] : [deletes]))
    return { data: state, files: [...files, ...own, ...new Set(deletes)], nextFileId }
  }

  async close(): Promise<void> {
    for (const table of this.tables.values()) await table.leave()
    await this.parts.keyIndex.close()
    this.parts.readBack.close()
  }
}

/** Ids are never used twice, so the last one tells which files there are. */
function sameFiles(left: readonly DataFileRecord[], right: readonly DataFileRecord[]): boolean {
  return left.length === right.length && left.at(-1)?.fileId === right.at(-1)?.fileId
}

function sameEntries(left: ReadonlyMap<string, number>, right: typeof left): boolean {
  return left.size === right.size && [...left].every(([key, value]) => right.get(key) === value)
}

function committablesOf(
  epochs: ReadonlyMap<TableWriter, TableEpoch>,
  deletes: { readonly path: string; readonly tables: ReadonlySet<string> } | null,
  writer: number,
): IcebergCommittable[] {
  const committables: IcebergCommittable[] = []
  for (const [{ table, spec }, { truncated, files, heldBack }] of epochs) {
    const path = deletes?.tables.has(table) === true ? deletes.path : null
    if (heldBack || (!truncated && files.length === 0 && path === null)) continue
    const partitioned = spec.length === 0 ? {} : { spec }
    committables.push({ table, writer, truncated, files, deletes: path, ...partitioned })
  }
  return committables
}
