// Rows of one table in `upsert` mode: each goes to the open data file, and the row that its key had
// before, wherever it stands, is deleted by position. A batch is taken in its order, with any
// number of changes a key: what a row replaces in its own batch is deleted like everything else, or
// not written at all where that happens often.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { assert, present } from '../../../runtime/base/assert.ts'
import { Op, type ChangeBatch } from '../../../runtime/data/batch.ts'
import type { Column } from '../../../runtime/data/column/column.ts'
import { hashWordsOf, keyHashes, type HashWords } from '../../../runtime/data/key-hash.ts'
import { transactionOrder } from '../../../runtime/data/batch.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import { KeyChain } from '../index/key-chain.ts'
import type { KeyIndex } from '../index/key-index.ts'
import type { Resolved } from '../index/replaced-rows.ts'
import type { RowPlaces, TableIndex } from '../index/table-index.ts'
import { fetchRows, type FetchParts } from './fetch-rows.ts'
import { HeldRows } from './held-rows.ts'
import { completeHeld, findBases, mergeRows, movesOf, type LastDelete } from './partial-rows.ts'
import type { SupersededRows } from './positions.ts'
import type { Partitioner, RowsToWrite } from './partitioner.ts'
import type { EpochCounts } from '../../parquet/table/row-counts.ts'

/** From this share of repeated keys on, rows are dropped before they are written. */
const FOLD_SHARE = 0.07

/** What all tables of a writer share: a batch is done with before the next comes. */
export class UpsertScratch {
  readonly chain = new KeyChain()
  private places = placesOf(0)

  /** Places of the rows of a batch, by their numbers; what they hold is of another batch. */
  placesFor(rows: number): RowPlaces {
    if (rows > this.places.files.length) this.places = placesOf(rows)
    return this.places
  }
}

function placesOf(rows: number): RowPlaces {
  return { files: new Int32Array(rows), positions: new Int32Array(rows) }
}

export interface UpsertParts extends FetchParts {
  readonly table: string
  readonly keyIndex: KeyIndex
  readonly superseded: SupersededRows
  readonly scratch: UpsertScratch
}

/** @returns words of the key hashes @throws PipelineError TABLE_WITHOUT_KEY */
export function keyWordsOf(schema: TableSchema): HashWords {
  const { key, fields, table } = schema
  if (key === null) {
    throw new PipelineError('TABLE_WITHOUT_KEY', `table "${table}" has no key`)
  }
  return hashWordsOf(key.map((index) => present(fields[index], 'a key names fields').type))
}

/** @throws PipelineError when a row has no key, or only a part of it */
export function batchHashes(batch: ChangeBatch, schema: TableSchema): Int32Array {
  if (batch.keyHash !== null) return batch.keyHash
  const key = present(schema.key, 'a table in upsert mode has a key')
  const columns = key.map((index) => present(batch.columns[index], 'a batch has all fields'))
  return keyHashes(columns, batch.rows).hashes
}

export class UpsertRows {
  private readonly parts: UpsertParts
  /** `null`: the table is not partitioned. */
  partitioner: Partitioner | null = null
  /** The last batch repeated many keys: the next is searched too. */
  private folds = false
  /** Partial rows that wait for their backfill row; `null`: none ever did. */
  held: HeldRows | null = null
  /** Grows when `held` changes. */
  heldChanges = 0
  private lastDelete: LastDelete | null = null
  /** A batch was searched for repeated keys since the index told what it has replaced. */
  private sampled = false

  constructor(parts: UpsertParts) {
    this.parts = parts
  }

  index(schema: TableSchema): TableIndex {
    return this.parts.keyIndex.table(this.parts.table, keyWordsOf(schema))
  }

  /** True when the index holds no key. */
  isEmpty(): boolean {
    return this.parts.keyIndex.isEmpty(this.parts.table)
  }

  /**
   * Writes a batch without partial rows.
   *
   * @returns a promise when the caller must wait before the next batch
   */
  write(
    batch: ChangeBatch,
    schema: TableSchema,
    hashes: Int32Array,
    counts: EpochCounts,
  ): Promise<void> | undefined {
    const { ops, rows } = batch
    this.dropHeld(batch, hashes, counts)
    // A chunk has each key once. The insert that belongs to a delete at the end may ask for the row
    // before it.
    const mayFold = ops[0] !== Op.read && ops[rows - 1] !== Op.delete
    if (!mayFold || (this.sampled && !this.folds)) {
      return this.place(batch, batch.columns, schema, hashes, null, rows, counts)
    }
    const { chain } = this.parts.scratch
    const repeats = chain.link(hashes, keyWordsOf(schema), rows)
    this.sampled = true
    this.folds = repeats > rows * FOLD_SHARE
    if (repeats === 0) return this.place(batch, batch.columns, schema, hashes, null, rows, counts)
    const selection = chain.lastRows(rows, repeats)
    counts.absorbed += repeats
    return this.place(batch, batch.columns, schema, hashes, selection, selection.length, counts)
  }

  /** Complete rows and deletes take the place of what waits for their keys. */
  private dropHeld(batch: ChangeBatch, hashes: Int32Array, counts: EpochCounts): void {
    const { held } = this
    if (held === null || held.count === 0) return
    for (let row = 0; row < batch.rows; row++) this.dropHeldRow(held, hashes, row, counts)
  }

  private dropHeldRow(held: HeldRows, hashes: Int32Array, row: number, counts: EpochCounts): void {
    if (held.count === 0 || !held.remove(hashes, row * held.words)) return
    counts.absorbed++
    this.heldChanges++
  }

  /**
   * Writes a batch with partial rows.
   *
   * @param partial      by row: 1 when it lacks a value
   * @param backfilling  rows whose base is not known are held; else the table cannot go on
   * @throws PipelineError UNCHANGED_VALUE_MISSING
   */
  async writePartial(
    batch: ChangeBatch,
    schema: TableSchema,
    hashes: Int32Array,
    partial: Uint8Array,
    backfilling: boolean,
    counts: EpochCounts,
  ): Promise<void> {
    const { rows, columns } = batch
    const index = this.index(schema)
    const { words } = index
    this.held ??= new HeldRows(words, schema.fields)
    const { held } = this
    const { chain } = this.parts.scratch
    chain.link(hashes, words, rows)
    const lookup = (keys: Int32Array): RowPlaces => {
      const found = placesOf(keys.length)
      index.lookup(hashes, keys, found)
      return found
    }
    const { lastDelete } = this
    const earlier = { lookup, held, lastDelete, backfilling }
    const bases = findBases(batch, hashes, partial, chain, earlier)
    const wanted = columns.flatMap(({ unchanged }, at) => (unchanged === null ? [] : [at]))
    const fetched = await fetchRows(this.parts, bases.fetch, schema.fields, wanted)
    const merged = mergeRows(batch, schema, partial, bases, fetched, held)
    // Before the first row is held: that may renumber those that were.
    const moves = backfilling ? movesOf(batch, partial, bases, held) : []
    const selection = new Int32Array(rows)
    let count = 0
    for (let row = 0; row < rows; row++) {
      if (merged.incomplete[row] === 0) {
        this.dropHeldRow(held, hashes, row, counts)
        selection[count++] = row
        continue
      }
      if (!backfilling) throw missingValue(this.parts.table)
      const movedAt = present(moves[row], 'each row has one')
      if (held.put(hashes, row * words, merged.columns, row, movedAt)) counts.absorbed++
      this.heldChanges++
    }
    if (count === 0) return
    await this.place(batch, merged.columns, schema, hashes, selection, count, counts)
  }

  /**
   * Takes chunk rows that are older than what the log has said of their keys: only rows that wait
   * for them have a use for them, and of these only such as had their key when the chunk was read.
   */
  fill(
    batch: ChangeBatch,
    schema: TableSchema,
    hashes: Int32Array,
    counts: EpochCounts,
  ): Promise<void> | undefined {
    const { rows } = batch
    const { held } = this
    const low = transactionOrder(batch.transactions, 0)
    const waiting = new Int32Array(rows).fill(-1)
    const selection = new Int32Array(rows)
    let count = 0
    for (let row = 0; row < rows; row++) {
      const found = held === null ? -1 : held.find(hashes, row * held.words)
      if (held === null || found < 0 || held.movedAt(found) >= low) continue
      waiting[row] = found
      selection[count++] = row
    }
    counts.stale += rows - count
    if (held === null || count === 0) return undefined
    const columns = completeHeld(batch, schema, waiting, held)
    for (let at = 0; at < count; at++) {
      this.dropHeldRow(held, hashes, selection[at] as number, counts)
    }
    return this.place(batch, columns, schema, hashes, selection, count, counts)
  }

  /** Forgets what waits. */
  clear(): void {
    if (this.held !== null && this.held.count > 0) this.heldChanges++
    this.held = null
    this.lastDelete = null
  }

  /** The table has another structure from here on. */
  evolve(schema: TableSchema): void {
    if (this.held === null) return
    this.held.evolve(schema)
    this.heldChanges++
  }

  /** What the changes handed to the index have replaced. */
  resolved({ count, files, positions }: Resolved): void {
    this.parts.superseded.addAll(files, positions, count)
    this.sampled = false
  }

  /**
   * Hands rows to the index. Where the row of a delete at the end of a batch stood is kept: the
   * insert that belongs to it may come with the next batch and ask for its values.
   */
  private applyTo(
    index: TableIndex,
    { ops, rows, transaction, transactions, sequence }: ChangeBatch,
    hashes: Int32Array,
    selection: Int32Array | null,
    count: number,
    apply: (selection: Int32Array | null, count: number) => void,
  ): void {
    const last = rows - 1
    const endsInDelete = ops[last] === Op.delete
    // A chunk may come between the two halves of a key change: it is no part of the log's order.
    if (!endsInDelete && ops[last] !== Op.read) this.lastDelete = null
    if (!endsInDelete) {
      apply(selection, count)
      return
    }
    const isWhole = selection === null ? count === rows : selection[count - 1] === last
    assert(isWhole, 'a delete at the end of a batch is never left out')
    apply(selection, count - 1)
    const selected = Int32Array.of(last)
    const found = placesOf(1)
    index.lookup(hashes, selected, found)
    this.lastDelete = {
      order: transactionOrder(transactions, transaction[last] ?? 0),
      sequence: sequence[last] as number,
      file: found.files[0] as number,
      position: found.positions[0] as number,
    }
    apply(selected, 1)
  }

  /**
   * Puts rows into index and file.
   *
   * @param columns    of the batch, no selected row of which is partial
   * @param selection  rows in their order, `count` of them; `null`: all
   */
  place(
    batch: ChangeBatch,
    columns: readonly Column[],
    schema: TableSchema,
    hashes: Int32Array,
    selection: Int32Array | null,
    count: number,
    counts: EpochCounts,
  ): Promise<void> | undefined {
    const { keyIndex, files } = this.parts
    const { ops } = batch
    const written = writtenRows(ops, selection, count)
    const writes = written === null ? count : written.length
    const rows = written ?? (writes === batch.rows ? null : selection)
    counts.written += writes
    counts.unresolved += count - writes
    const { partitioner } = this
    if (partitioner !== null && writes > 0) {
      const chosen = { columns, rows: batch.rows, selection: rows, count: writes }
      return this.placeByPartition(partitioner, batch, schema, chosen, hashes, selection, count)
    }
    const file = writes === 0 ? null : files.writable(schema)
    const position = file?.rows ?? 0
    const fileId = (file?.fileId ?? 1) | 0
    const index = this.index(schema)
    this.applyTo(index, batch, hashes, selection, count, (selected, length) =>
      index.apply(hashes, ops, selected, length, fileId, position),
    )
    const wait = file === null ? undefined : files.append(file, columns, writes, rows)
    const work = keyIndex.afterApply(index)
    if (wait === undefined) return work
    return work === undefined ? wait : Promise.all([wait, work]).then(() => undefined)
  }

  /** The files first: where a row stands is known when its partition has taken it. */
  private async placeByPartition(
    partitioner: Partitioner,
    batch: ChangeBatch,
    schema: TableSchema,
    written: RowsToWrite,
    hashes: Int32Array,
    selection: Int32Array | null,
    count: number,
  ): Promise<void> {
    const { keyIndex, files, scratch } = this.parts
    const places = scratch.placesFor(batch.rows)
    await partitioner.append(files, schema, written, places)
    const index = this.index(schema)
    this.applyTo(index, batch, hashes, selection, count, (selected, length) =>
      index.applyPlaced(hashes, batch.ops, selected, length, places),
    )
    await keyIndex.afterApply(index)
  }
}

/** @returns the selected rows that are not deletes; `null` when none is one */
function writtenRows(
  ops: Uint8Array,
  selection: Int32Array | null,
  count: number,
): Int32Array | null {
  // A native search: most batches have no delete, and a selection is of the batch's rows.
  if (!ops.includes(Op.delete)) return null
  let deletes = 0
  for (let at = 0; at < count; at++) {
    if (ops[selection === null ? at : (selection[at] as number)] === Op.delete) deletes++
  }
  if (deletes === 0) return null
  const written = new Int32Array(count - deletes)
  let next = 0
  for (let at = 0; at < count; at++) {
    const row = selection === null ? at : (selection[at] as number)
    if (ops[row] !== Op.delete) written[next++] = row
  }
  return written
}

/** @returns the error of a row whose missing value nobody can supply */
export function missingValue(table: string): PipelineError {
  const message = `table "${table}" has a row with a value that the log left out`
  return new PipelineError('UNCHANGED_VALUE_MISSING', message, {
    detail: 'The row that holds the value is not known to this writer.',
  })
}
