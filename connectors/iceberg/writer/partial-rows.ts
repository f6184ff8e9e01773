// Rows that lack values because the log left them out (PostgreSQL's unchanged TOAST, MySQL's
// minimal row images). Each gets them from the row that its key had: an earlier row of the same
// batch, a row of the open file that is still in memory, or a data file that is read back; never a
// NULL instead.
//
// Algorithm: find each partial row's base; fetch what lies in files, one read a file; then follow,
// column by column, from row to base to its base until the value is there. A row that stays partial
// because its base is unknown is held until the backfill brings it.
//
// An insert is only partial when it is the second half of a key change; its base is the row that
// the delete right before it removed. While a table is handed over that row must have come by the
// log. One that a chunk brought may be newer than the log is:
//
//   source   move 1 to 2, insert another 1, (chunk is read)
//   writer   chunk: 1 and 2 as they are now, then the log: move 1 to 2
//
// and the values of the other 1 would go to 2, with nothing behind them in the log to repair it.
// Such a row is held until a chunk comes that has the move in it: older chunks may have another row
// under its new key. For updates neither matters, since the log repeats, key by key, whatever the
// chunk has seen.

import { assert, present } from '../../../runtime/base/assert.ts'
import { Op, transactionOrder, type ChangeBatch } from '../../../runtime/data/batch.ts'
import { appendRows } from '../../../runtime/data/column/append.ts'
import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import type { Order } from '../../../runtime/data/position.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import type { KeyChain } from '../index/key-chain.ts'
import type { RowPlaces } from '../index/table-index.ts'
import { NEVER_MOVED, type HeldRows } from './held-rows.ts'
import type { FetchedRows } from './fetch-rows.ts'

/** Where a value comes from: a number that says which of these, and which row of it. */
const FETCHED = 1 << 28
const HELD = 1 << 29
const ROW_MASK = FETCHED - 1
const NOWHERE = -1

/** Where a deleted row stood; the next batch may begin with the insert that belongs to it. */
export interface LastDelete {
  readonly order: Order
  readonly sequence: number
  /** 0: there was none. */
  readonly file: number
  readonly position: number
}

/** Rows from before the batch. */
export interface EarlierRows {
  /** Looks up keys by their rows of the batch, as they were before it. */
  readonly lookup: (rows: Int32Array) => RowPlaces
  readonly held: HeldRows
  readonly lastDelete: LastDelete | null
  /** The table is being handed over: what lies in files may be newer than the log. */
  readonly backfilling: boolean
}

export interface BaseRows {
  /**
   * By row of the batch: an earlier row of it, a row to be fetched (FETCHED), a held row (HELD), or
   * NOWHERE. Looked at for partial rows only.
   */
  readonly base: Int32Array
  /** Files and positions of the rows to be fetched. */
  readonly fetch: RowPlaces
  /** By row: 1 when no value of it may come from a file. */
  readonly moved: Uint8Array
}

/** @returns true by row: the log left out a value, and the row is not a delete */
export function partialRows(batch: ChangeBatch): Uint8Array {
  const partial = new Uint8Array(batch.rows)
  for (const column of batch.columns) {
    if (column.unchanged === null) continue
    for (let row = 0; row < batch.rows; row++) {
      if (batch.ops[row] !== Op.delete && isUnchanged(column, row)) partial[row] = 1
    }
  }
  return partial
}

/**
 * Finds the base of each partial row.
 *
 * @param chain  linked for the batch
 */
export function findBases(
  batch: ChangeBatch,
  hashes: Int32Array,
  partial: Uint8Array,
  chain: KeyChain,
  { lookup, held, lastDelete, backfilling }: EarlierRows,
): BaseRows {
  const { rows, ops } = batch
  const base = new Int32Array(rows).fill(NOWHERE)
  const moved = new Uint8Array(rows)
  const keys: number[] = []
  const wanted: number[] = []
  for (let row = 0; row < rows; row++) {
    if (partial[row] === 0) continue
    if (backfilling && ops[row] === Op.insert) moved[row] = 1
    const key = ops[row] === Op.insert ? deletedBy(batch, row) : row
    if (key === null) continue
    const before = chain.previous[key] as number
    if (before >= 0) {
      if (ops[before] !== Op.delete) base[row] = before
      continue
    }
    keys.push(key)
    wanted.push(row)
  }
  const found = lookup(Int32Array.from(keys))
  const files: number[] = []
  const positions: number[] = []
  const addFetch = (row: number, file: number, position: number): void => {
    if (moved[row] === 1) return
    base[row] = FETCHED | files.length
    files.push(file)
    positions.push(position)
  }
  for (const [index, row] of wanted.entries()) {
    const file = found.files[index] as number
    const waiting = held.find(hashes, (keys[index] as number) * held.words)
    if (waiting >= 0) base[row] = HELD | waiting
    else if (file !== 0) addFetch(row, file, found.positions[index] as number)
  }
  const first = partial[0] === 1 && ops[0] === Op.insert && continues(batch, lastDelete)
  if (first && lastDelete !== null) addFetch(0, lastDelete.file, lastDelete.position)
  const fetch = { files: Int32Array.from(files), positions: Int32Array.from(positions) }
  return { base, fetch, moved }
}

/**
 * @returns by partial row of the batch: order of the change of key that it is, or that it lies
 *          over; NEVER_MOVED: none that anybody remembers
 */
export function movesOf(
  batch: ChangeBatch,
  partial: Uint8Array,
  { base, moved }: BaseRows,
  held: HeldRows,
): readonly Order[] {
  const orders: Order[] = []
  for (let row = 0; row < batch.rows; row++) {
    const from = base[row] as number
    let order = NEVER_MOVED
    if (partial[row] === 1) {
      if (moved[row] === 1) {
        order = transactionOrder(batch.transactions, batch.transaction[row] ?? 0)
      } else if (kindOf(from) === HELD) order = held.movedAt(from & ROW_MASK)
      else if (kindOf(from) === 0) order = orders[from] ?? NEVER_MOVED
    }
    orders.push(order)
  }
  return orders
}

/** @returns the delete of the same key change, right before `row`; `null` when there is none */
function deletedBy(batch: ChangeBatch, row: number): number | null {
  const { ops, transaction, sequence } = batch
  const before = row - 1
  const belongs =
    before >= 0 &&
    ops[before] === Op.delete &&
    transaction[before] === transaction[row] &&
    (sequence[before] as number) + 1 === sequence[row]
  return belongs ? before : null
}

function continues(batch: ChangeBatch, last: LastDelete | null): boolean {
  if (last === null || last.file === 0) return false
  const order = transactionOrder(batch.transactions, batch.transaction[0] ?? 0)
  return order === last.order && batch.sequence[0] === last.sequence + 1
}

export interface MergedRows {
  /** Columns of the batch with the values that were found; what is missing is still unchanged. */
  readonly columns: readonly Column[]
  /** By row: 1 when a value is still missing. */
  readonly incomplete: Uint8Array
}

/** Builds the columns with all values that are known. */
export function mergeRows(
  batch: ChangeBatch,
  schema: TableSchema,
  partial: Uint8Array,
  bases: BaseRows,
  fetched: FetchedRows,
  held: HeldRows,
): MergedRows {
  const incomplete = new Uint8Array(batch.rows)
  const columns = batch.columns.map((column, index) => {
    if (column.unchanged === null) return column
    const sources = sourcesOf(column, index, batch.rows, partial, bases, held)
    for (let row = 0; row < batch.rows; row++) {
      if (sources[row] === NOWHERE) incomplete[row] = 1
    }
    const field = present(schema.fields[index], 'a batch has the columns of its schema')
    return mergeColumn(column, index, field, sources, fetched, held)
  })
  return { columns, incomplete }
}

/** By row: where its value of this column is. Bases lie before their rows: one pass is enough. */
function sourcesOf(
  column: Column,
  index: number,
  rows: number,
  partial: Uint8Array,
  { base, moved }: BaseRows,
  held: HeldRows,
): Int32Array {
  const sources = new Int32Array(rows)
  for (let row = 0; row < rows; row++) {
    sources[row] = row
    // What a delete lacks nobody asks for.
    if (partial[row] === 0 || !isUnchanged(column, row)) continue
    const from = base[row] as number
    if (from === NOWHERE || (from & FETCHED) !== 0) sources[row] = from
    else if ((from & HELD) !== 0) sources[row] = held.lacks(index, from & ROW_MASK) ? NOWHERE : from
    else sources[row] = sources[from] as number
    // By way of an earlier row of the batch.
    if (moved[row] === 1 && kindOf(sources[row] as number) === FETCHED) sources[row] = NOWHERE
  }
  return sources
}

/** Copies stretches of rows that come from the same place. */
function mergeColumn(
  column: Column,
  index: number,
  field: Field,
  sources: Int32Array,
  fetched: FetchedRows,
  held: HeldRows,
): Column {
  const builder = columnBuilder(field.type)
  const rows = sources.length
  builder.reserveRows(rows)
  const selection = new Int32Array(rows)
  for (let start = 0; start < rows;) {
    const kind = kindOf(sources[start] as number)
    let end = start
    while (end < rows && kindOf(sources[end] as number) === kind) {
      selection[end] = (sources[end] as number) & ROW_MASK
      end++
    }
    if (kind === NOWHERE) markUnchanged(builder, start, end)
    else {
      const source =
        kind === FETCHED ? fetched.column(index) : kind === HELD ? held.column(index) : column
      appendRows(builder, start, source, end - start, selection.subarray(start, end))
    }
    start = end
  }
  return builder.view(rows)
}

function kindOf(source: number): number {
  return source === NOWHERE ? NOWHERE : source & (FETCHED | HELD)
}

function markUnchanged(builder: ColumnBuilder, start: number, end: number): void {
  for (let row = start; row < end; row++) builder.setUnchanged(row)
}

/**
 * The backfill rows of keys that wait: what the log has said of them lies over the chunk's values.
 *
 * @param waiting  by row: the held row of its key
 * @returns the columns of the whole batch
 */
export function completeHeld(
  batch: ChangeBatch,
  schema: TableSchema,
  waiting: Int32Array,
  held: HeldRows,
): readonly Column[] {
  assert(waiting.length === batch.rows, 'each row has a held one, or -1')
  return batch.columns.map((column, index) => {
    const sources = new Int32Array(batch.rows)
    for (let row = 0; row < batch.rows; row++) {
      const from = waiting[row] as number
      sources[row] = from < 0 || held.lacks(index, from) ? row : HELD | from
    }
    const field = present(schema.fields[index], 'a batch has the columns of its schema')
    return mergeColumn(column, index, field, sources, noRows, held)
  })
}

const noRows: FetchedRows = {
  column() {
    throw new RangeError('nothing was fetched')
  },
}
