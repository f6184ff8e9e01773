// One table in one writer: takes its rows and controls in order, and ends its part of an epoch.
//
// State over epochs: whether it is parked, being backfilled, or repaired. A repair begins with an
// empty index: every row that the backfill or the log brings is written anew, into files that are
// held back, and in the epoch in which the backfill is done these files replace all that the table
// held. So readers see the old rows until then and exactly the confirmed ones after it.

import { recordOf, PipelineError, type ErrorRecord } from '../../../runtime/base/errors.ts'
import { type Log, silentLog } from '../../../runtime/base/log.ts'
import { assert, present } from '../../../runtime/base/assert.ts'
import { Op, type ChangeBatch } from '../../../runtime/data/batch.ts'
import { isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import type { Shown } from '../../../runtime/data/element.ts'
import type { PartitionTuple } from '../../../runtime/data/partition/value.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { TableCounts } from '../../../runtime/sink.ts'
import type { DataFileRecord } from '../../parquet/table/data-file-record.ts'
import { lakeFields, type TableMode } from '../../parquet/table/fields.ts'
import type { Resolved } from '../index/replaced-rows.ts'
import { resolveSpec, UNPARTITIONED_SPEC, type PartitionSpec } from '../partition-spec.ts'
import { changelogColumns, knownColumns } from '../../parquet/table/changelog-columns.ts'
import { SupersededRows } from './positions.ts'
import { EpochCounts } from '../../parquet/table/row-counts.ts'
import { Partitioner } from './partitioner.ts'
import { TableFiles } from './table-files.ts'
import { unknownFile } from './fetch-rows.ts'
import { heldRows, type HeldFile } from '../../parquet/table/held-file.ts'
import type { StoredHeldRows } from './held-rows.ts'
import { HeldRows } from './held-rows.ts'
import { partialRows } from './partial-rows.ts'
import { batchHashes, missingValue, UpsertRows } from './upsert-rows.ts'
import type { WriterParts } from './writer-parts.ts'

/** What a table's epoch comes to. */
export interface TableEpoch {
  readonly truncated: boolean
  readonly files: readonly DataFileRecord[]
  /** Rows to delete; the caller encodes and clears them. */
  readonly superseded: SupersededRows
  /** The files wait for the end of a repair. */
  readonly heldBack: boolean
  /** Files that stay open, with durable rows that nobody sees yet. */
  readonly open: readonly HeldFile[]
}

export class TableWriter {
  readonly table: string
  /** Why the table takes no rows; `null`: it does. */
  parked: ErrorRecord | null = null
  /** Parked by this writer in this epoch: the runtime does not know yet. */
  newlyParked = false
  /** Files of a repair under way; `null`: none is. */
  repair: DataFileRecord[] | null = null
  readonly superseded = new SupersededRows()
  /** How its files are partitioned. */
  spec: PartitionSpec = UNPARTITIONED_SPEC
  private readonly parts: WriterParts
  private readonly mode: TableMode
  private readonly log: Log
  private readonly files: TableFiles
  private readonly rows: UpsertRows
  private schema: TableSchema | null = null
  /** `null`: the table is not partitioned. */
  private partitioner: Partitioner | null = null
  /** Why it cannot be partitioned as it is to be, under its present structure; `null`: it can. */
  private partitionFault: PipelineError | null = null
  private counts = new EpochCounts(0)
  private backfilling = false
  /** The checkpoint's repair goes on with the first BackfillStart; the next begins another. */
  private resumable = false
  private truncated = false
  /** Rows of files that the last barrier, or the checkpoint, left open. */
  openRows = 0

  constructor(table: string, parts: WriterParts) {
    this.table = table
    this.parts = parts
    const { options, keyIndex, openFiles, scratch, readBack } = parts
    this.mode = options.mode
    this.log = (options.log ?? silentLog).with({ table })
    this.files = new TableFiles(table, openFiles, options)
    const { files, superseded } = this
    const pathOf = (fileId: number): string => {
      const path = parts.pathOf(table, fileId)
      if (path === null) throw unknownFile(table, fileId)
      return path
    }
    this.rows = new UpsertRows({
      table,
      keyIndex,
      files,
      superseded,
      scratch,
      readBack,
      pathOf,
    })
  }

  /** Goes on with the repair of a checkpoint. */
  restoreRepair(files: readonly DataFileRecord[]): void {
    this.repair = [...(this.repair ?? []), ...files]
    this.resumable = true
  }

  /** Partial rows that wait for their backfill row. */
  get held(): number {
    return this.rows.held?.count ?? 0
  }

  /** Grows when the held rows change. */
  get heldChanges(): number {
    return this.rows.heldChanges
  }

  /** @returns the JSON form of the held rows; `null`: none is held */
  storeHeld(): StoredHeldRows | null {
    const { held } = this.rows
    return held === null || held.count === 0 ? null : held.store(this.table)
  }

  /** Takes the held rows of a checkpoint whose segment is in [start, end). */
  restoreHeld(stored: StoredHeldRows, start: number, end: number): void {
    this.rows.held ??= new HeldRows(stored.words, stored.fields)
    this.rows.held.add(stored, start, end)
    this.counts = new EpochCounts(this.held)
  }

  /** Goes on with files that a checkpoint has open. */
  restoreFiles(files: readonly HeldFile[]): void {
    // The source may have nothing more to say of the table.
    this.spec = this.parts.specs.specOf(this.table, () => [])
    for (const file of files) this.files.restore(file)
    const rows = files.reduce((sum, file) => sum + heldRows(file), 0)
    this.counts = new EpochCounts(this.held, this.openRows + rows)
    this.openRows += rows
  }

  /** Tuples of the partitions that have files which stay open. */
  openPartitions(): readonly PartitionTuple[] {
    return this.files.openPartitions()
  }

  /** @returns paths that only checkpoints before the next one name */
  takeLeftovers(): string[] {
    return this.files.takeLeftovers()
  }

  setSchema(schema: TableSchema): Promise<void> | undefined {
    const before = this.schema
    this.schema = schema
    if (this.mode === 'append') this.files.endOthers(schema.version)
    else this.files.endAll()
    this.rows.evolve(schema)
    this.setPartitioning(schema)
    if (this.parked !== null) return undefined
    if (this.partitionFault !== null) return this.parkSelf(this.partitionFault)
    if (this.mode !== 'upsert') return undefined
    if (schema.key === null) {
      return this.parkSelf(
        new PipelineError('TABLE_WITHOUT_KEY', `table "${this.table}" has no key`),
      )
    }
    if (before !== null && keyIds(before) !== keyIds(schema) && !this.rows.isEmpty()) {
      // The index finds no row under another key: going on would keep the old rows for ever.
      return this.parkSelf(
        new PipelineError('KEY_CHANGED', `the key of table "${this.table}" changed`),
      )
    }
    return undefined
  }

  private setPartitioning(schema: TableSchema): void {
    this.partitionFault = null
    const columns = (): ReturnType<typeof lakeFields> => lakeFields(schema, this.mode)
    try {
      this.spec = this.parts.specs.specOf(this.table, columns)
      this.partitioner =
        this.spec.length === 0
          ? null
          : new Partitioner(resolveSpec(this.table, this.spec, columns()), this.parts.groups)
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      this.partitionFault = error
    }
    this.rows.partitioner = this.partitioner
  }

  write(batch: ChangeBatch): Promise<void> | undefined {
    const { counts } = this
    counts.add(batch.ops, batch.rows)
    if (this.parked !== null) {
      counts.park()
      return undefined
    }
    const schema = present(this.schema, 'a schema comes before the rows that have it')
    assert(schema.version === batch.schemaVersion, 'rows follow the schema that they have')
    return this.orPark(() => this.writeRows(batch, schema))
  }

  /** What makes a row unusable is the table's trouble, not the pipeline's. */
  private orPark(task: () => Promise<void> | undefined): Promise<void> | undefined {
    const failed = (error: unknown): Promise<void> | undefined => {
      if (!(error instanceof PipelineError) || !parks(error)) throw error
      return this.parkSelf(error)
    }
    try {
      return task()?.catch(failed)
    } catch (error) {
      return failed(error)
    }
  }

  private writeRows(batch: ChangeBatch, schema: TableSchema): Promise<void> | undefined {
    switch (this.mode) {
      case 'upsert': {
        const { rows, counts } = this
        const hashes = batchHashes(batch, schema)
        const partial = partialRows(batch)
        if (!partial.includes(1)) return rows.write(batch, schema, hashes, counts)
        return rows.writePartial(batch, schema, hashes, partial, this.backfilling, counts)
      }
      case 'append':
        return this.append(batch, schema)
      case 'changelog':
        return this.appendChanges(batch, schema)
    }
  }

  /** Chunk rows that the log has overtaken; they complete rows that wait for them. */
  fill(batch: ChangeBatch): Promise<void> | undefined {
    const { counts } = this
    counts.add(batch.ops, batch.rows)
    if (this.parked !== null) {
      counts.park()
      return undefined
    }
    if (this.mode !== 'upsert') {
      counts.stale += batch.rows
      return undefined
    }
    const schema = present(this.schema, 'a schema comes before the rows that have it')
    return this.orPark(() => this.rows.fill(batch, schema, batchHashes(batch, schema), counts))
  }

  /** New rows only: what happens to a row later is not carried. */
  private append(batch: ChangeBatch, schema: TableSchema): Promise<void> | undefined {
    const { ops, rows } = batch
    const selection = new Int32Array(rows)
    let count = 0
    for (let row = 0; row < rows; row++) {
      if (ops[row] === Op.insert || ops[row] === Op.read) selection[count++] = row
    }
    const isPartial = (row: number): boolean =>
      batch.columns.some((column) => isUnchanged(column, row))
    if (selection.subarray(0, count).some(isPartial)) throw missingValue(this.table)
    this.counts.written += count
    this.counts.absorbed += rows - count
    if (count === 0) return undefined
    return this.put(schema, batch.columns, rows, count === rows ? null : selection, count)
  }

  private appendChanges(batch: ChangeBatch, schema: TableSchema): Promise<void> | undefined {
    const known = knownColumns(batch)
    if (known === null) throw missingValue(this.table)
    this.counts.written += batch.rows
    const columns = [...known, ...changelogColumns(batch)]
    return this.put(schema, columns, batch.rows, null, batch.rows)
  }

  private put(
    schema: TableSchema,
    columns: readonly Column[],
    rows: number,
    selection: Int32Array | null,
    count: number,
  ): Promise<void> | undefined {
    const { files, partitioner } = this
    if (partitioner === null) {
      return files.append(files.writable(schema), columns, count, selection)
    }
    return partitioner.append(files, schema, { columns, rows, selection, count }, null)
  }

  /** What puts and deletes have replaced. */
  resolved(resolved: Resolved): void {
    this.rows.resolved(resolved)
    this.counts.resolve(resolved.deletesFound, resolved.deletesAbsent)
  }

  /** All rows so far are gone. The floor has been looked at before. */
  truncate(): Promise<void> | undefined {
    if (this.parked !== null) return undefined
    // These modes only add rows. The partial copy of a backfill that begins again is undone.
    if (this.mode !== 'upsert' && !this.backfilling) {
      if (this.parts.options.index === 0) {
        this.log.warn('emptied or made anew at the source: this mode keeps the rows of before')
      }
      return undefined
    }
    // A repair replaces everything at its end in any case.
    if (this.repair === null) this.truncated = true
    else this.repair = []
    return this.undo()
  }

  /** Takes back what the epoch has done so far, and forgets the keys. */
  private undo(): Promise<void> {
    this.counts.cancel(this.held)
    this.rows.clear()
    this.superseded.clear()
    if (this.mode === 'upsert') this.parts.keyIndex.reset(this.table)
    return this.files.cancel()
  }

  park(reason: ErrorRecord): Promise<void> | undefined {
    if (this.parked !== null) return undefined
    this.parked = reason
    this.truncated = false
    this.repair = null
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

  startBackfill(repair: boolean): Promise<void> | undefined {
    const replaced = this.repair !== null || this.parked !== null
    this.parked = null
    this.newlyParked = false
    this.backfilling = true
    const resumes = this.resumable
    this.resumable = false
    if (this.partitionFault !== null) return this.parkSelf(this.partitionFault)
    // In these modes rows are only added: what is read again stands there twice.
    if (this.mode !== 'upsert') return undefined
    if (!repair) {
      // Another table has the name now, perhaps with columns that the old rows do not have: they go
      // together with the old structure, not at the end of a repair of what is there no longer.
      if (replaced) this.truncated = true
      this.repair = null
      return undefined
    }
    if (resumes && this.repair !== null) return undefined
    this.log.info('repair begins: files are held back until its end')
    this.repair = []
    this.truncated = false
    return this.undo()
  }

  /** All chunks are merged: rows that still wait for theirs will wait for ever. */
  settle(): Promise<void> | undefined {
    this.backfilling = false
    this.resumable = false
    if (this.held > 0) return this.parkSelf(missingValue(this.table))
    if (this.repair !== null) {
      this.log.info('repair ends: the files replace the table', { files: this.repair.length })
      this.truncated = true
    }
    return undefined
  }

  /**
   * Finishes the files of the epoch. The index must have resolved everything.
   *
   * @param shows  in `append` files of other rows stay open, unless they are large enough
   */
  async finish(shows: Shown): Promise<TableEpoch> {
    const { superseded } = this
    const { records: written, held: open } = await this.files.finish(
      (file) => superseded.countOf(file.fileId) === file.rows && this.drop(file.fileId),
      this.mode === 'append' ? shows : 'all',
    )
    this.openRows = open.reduce((sum, file) => sum + heldRows(file), 0)
    const heldBack = this.repair !== null && !this.truncated
    if (heldBack) this.repair?.push(...written)
    const files = [...(this.truncated ? (this.repair ?? []) : []), ...written]
    const { truncated } = this
    if (truncated) this.repair = null
    this.truncated = false
    return { truncated, files: heldBack ? [] : files, superseded, heldBack, open }
  }

  private drop(fileId: number): boolean {
    this.superseded.forget(fileId)
    return true
  }

  /** Ends the epoch's counts. @returns `null` when there are no rows to account for */
  report(): TableCounts | null {
    const { counts, held, openRows } = this
    this.counts = new EpochCounts(held, openRows)
    this.newlyParked = false
    return counts.isEmpty(held + openRows) ? null : counts.report(this.table, held, openRows)
  }

  /** Stops writing; what the last checkpoint names stays. */
  leave(): Promise<void> {
    return this.files.leave()
  }
}

function keyIds({ key, fields }: TableSchema): string {
  return (key ?? []).map((index) => fields[index]?.id).join()
}

/** Errors of rows; everything else, such as a full disk, ends the attempt. */
function parks({ error }: PipelineError): boolean {
  switch (error) {
    case 'UNCHANGED_VALUE_MISSING':
    case 'VALUE_UNREPRESENTABLE':
    case 'TABLE_WITHOUT_KEY':
    case 'DDL_UNMAPPABLE':
    case 'LAKE_FORMAT':
      return true
    default:
      return false
  }
}
