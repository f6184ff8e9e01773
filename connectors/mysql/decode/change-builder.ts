// The batch under construction of one table: its columns, and op, transaction and number of every
// row. Reused: a batch looks at the builder's memory and is valid until `reset`.

import { assert } from '../../../runtime/base/assert.ts'
import { BATCH_BYTES_MAX, BATCH_ROWS_MAX, type ChangeBatch } from '../../../runtime/data/batch.ts'
import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { splitOrder, type Order } from '../../../runtime/data/position.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'

const ROWS_AT_START = 256
const TRANSACTIONS_AT_START = 16
const ID_BYTES_AT_START = 1024

export interface ChangeLimits {
  readonly rowsMax: number
  /** Of log bytes: what they become in memory is of the same size. */
  readonly bytesMax: number
}

const DEFAULT_LIMITS: ChangeLimits = { rowsMax: BATCH_ROWS_MAX, bytesMax: BATCH_BYTES_MAX }

export class ChangeBuilder {
  readonly schema: TableSchema
  readonly limits: ChangeLimits
  readonly columns: readonly ColumnBuilder[]
  /** By column of bytes: a DataView of what its `bytes` were last; decoders keep them here. */
  readonly views: DataView[]
  ops: Uint8Array = new Uint8Array(0)
  transaction: Uint32Array = new Uint32Array(0)
  sequence: Uint32Array = new Uint32Array(0)
  /** Complete rows; a decoder advances it. */
  rows = 0
  /** Of these: without those that an update has replaced. */
  changes = 0
  /** Log bytes that the rows were decoded from. */
  bytes = 0
  /** Rows that fit without growing. */
  capacity = 0
  private transactions = 0
  private orderHigh = 0n
  private orderLow = new BigUint64Array(TRANSACTIONS_AT_START)
  private timeUs = new BigInt64Array(TRANSACTIONS_AT_START)
  private latestUs = new BigInt64Array(TRANSACTIONS_AT_START)
  private idOffsets = new Int32Array(TRANSACTIONS_AT_START + 1)
  private idBytes = new Uint8Array(ID_BYTES_AT_START)

  constructor(schema: TableSchema, limits: ChangeLimits = DEFAULT_LIMITS) {
    // A changed key is two rows, and they must fit.
    assert(limits.rowsMax >= 2 && limits.rowsMax <= BATCH_ROWS_MAX, 'a batch holds 2...16384 rows')
    this.schema = schema
    this.limits = limits
    this.columns = schema.fields.map(({ type }) => columnBuilder(type))
    this.views = this.columns.map(() => new DataView(new ArrayBuffer(0)))
  }

  /** True when no further row may be decoded into it: take the batch and reset. */
  get full(): boolean {
    return this.rows + 2 > this.limits.rowsMax || this.bytes >= this.limits.bytesMax
  }

  /**
   * Names the transaction of the rows that are decoded next. Calling it again for the same order
   * changes nothing.
   *
   * @param id  text of the GTID as UTF-8; copied
   * @param latestUs  running maximum of the commit times; of a chunk its own
   * @returns false when the batch must be taken first: all its orders share their upper 64 bits
   */
  beginTransaction(order: Order, timeUs: bigint, id: Uint8Array, latestUs = timeUs): boolean {
    const { high, low } = splitOrder(order)
    const at = this.transactions
    if (at > 0) {
      if (high !== this.orderHigh) return false
      if (low === this.orderLow[at - 1]) return true
    }
    if (at === this.orderLow.length) this.growTransactions()
    const start = this.idOffsets[at]!
    if (start + id.length > this.idBytes.length) {
      const larger = new Uint8Array(Math.max(start + id.length, this.idBytes.length * 2))
      larger.set(this.idBytes)
      this.idBytes = larger
    }
    this.orderHigh = high
    this.orderLow[at] = low
    this.timeUs[at] = timeUs
    this.latestUs[at] = latestUs
    this.idBytes.set(id, start)
    this.idOffsets[at + 1] = start + id.length
    this.transactions = at + 1
    return true
  }

  /** Makes room for rows 0...rows - 1 in every array; arrays may be replaced. */
  reserveRows(rows: number): void {
    if (rows <= this.capacity) return
    const capacity = Math.max(rows, this.capacity * 2, ROWS_AT_START)
    for (const column of this.columns) column.reserveRows(capacity)
    const { ops, transaction, sequence } = this
    this.ops = new Uint8Array(capacity)
    this.ops.set(ops)
    this.transaction = new Uint32Array(capacity)
    this.transaction.set(transaction)
    this.sequence = new Uint32Array(capacity)
    this.sequence.set(sequence)
    this.capacity = capacity
  }

  /**
   * Counts rows in whose columns and ops are complete, all of the newest transaction.
   *
   * @param sequence  number of the first one in its transaction
   * @param bytes     of the log that they were decoded from
   * @param replaced  it is the row that the one before it has replaced, and has that one's number
   */
  addRows(count: number, sequence: number, bytes: number, replaced = false): void {
    assert(this.transactions > 0, 'rows belong to a transaction')
    assert(sequence + count <= 0xffff_ffff, 'a transaction has fewer than 2^32 rows')
    const start = this.rows
    const end = start + count
    this.transaction.fill(this.transactions - 1, start, end)
    for (let row = start, number = sequence; row < end; row++, number++) this.sequence[row] = number
    this.rows = end
    if (!replaced) this.changes += count
    this.bytes += bytes
  }

  /** The rows so far, over the builder's own memory: valid until `reset` or the next row. */
  view(): ChangeBatch {
    const { rows, schema, transactions: count } = this
    assert(rows > 0, 'a batch has rows')
    return {
      kind: 'changes',
      table: schema.table,
      schemaVersion: schema.version,
      rows,
      ops: this.ops.subarray(0, rows),
      columns: this.columns.map((column) => column.view(rows)),
      transactions: {
        count,
        orderHigh: this.orderHigh,
        orderLow: this.orderLow.subarray(0, count),
        timeUs: this.timeUs.subarray(0, count),
        latestUs: this.latestUs.subarray(0, count),
        idOffsets: this.idOffsets.subarray(0, count + 1),
        idBytes: this.idBytes.subarray(0, this.idOffsets[count]),
      },
      transaction: this.transaction.subarray(0, rows),
      sequence: this.sequence.subarray(0, rows),
      keyHash: null,
    }
  }

  /** Starts over in the same memory. The transaction must be named again. */
  reset(): void {
    for (const column of this.columns) column.reset()
    this.rows = 0
    this.changes = 0
    this.bytes = 0
    this.transactions = 0
  }

  private growTransactions(): void {
    const { orderLow, timeUs, latestUs, idOffsets } = this
    const length = orderLow.length * 2
    this.orderLow = new BigUint64Array(length)
    this.orderLow.set(orderLow)
    this.timeUs = new BigInt64Array(length)
    this.timeUs.set(timeUs)
    this.latestUs = new BigInt64Array(length)
    this.latestUs.set(latestUs)
    this.idOffsets = new Int32Array(length + 1)
    this.idOffsets.set(idOffsets)
  }
}
