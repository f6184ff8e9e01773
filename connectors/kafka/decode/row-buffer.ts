// The rows of one table that wait to become a batch: columns in builders, and the transactions that
// they come from. Kafka has no transactions that a reader could use, so records of one partition
// that follow each other and have one timestamp count as one: each row has a place of its own, and
// its time. All of it is typed arrays, and nothing is allocated per row.

import { assert } from '../../../runtime/base/assert.ts'
import {
  BATCH_BYTES_MAX,
  BATCH_ROWS_MAX,
  Op,
  type ChangeBatch,
} from '../../../runtime/data/batch.ts'
import type { ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { packBatch } from '../../../runtime/data/pack.ts'
import type { TableSchema } from '../../../runtime/data/schema.ts'
import type { DecodeFault, RowSink } from '../format.ts'
import type { RecordSet } from '../records.ts'

const ROWS_AT_START = 1024
const TWO_32 = 0x1_0000_0000
/** Times beyond are no times of records: a clock that is broken must not overflow ours. */
const TIME_MS_MAX = 253_402_300_799_999

export class RowBuffer implements RowSink {
  readonly schema: TableSchema
  /** One a field of the schema, in its order. */
  readonly columns: readonly ColumnBuilder[]
  /** One a column of the value's structure; some of them may be none of the table's. */
  readonly builders: readonly ColumnBuilder[]
  rows = 0
  bytes = 0
  ops: Uint8Array = new Uint8Array(ROWS_AT_START)
  record: Int32Array = new Int32Array(ROWS_AT_START)
  /** Told by the decoder since the last call of `takeFaults`: record, and what is wrong with it. */
  faults: { readonly record: number; readonly fault: DecodeFault }[] = []
  private readonly reserved: readonly ColumnBuilder[]
  private transaction = new Uint32Array(ROWS_AT_START)
  private sequence = new Uint32Array(ROWS_AT_START)
  /** Orders and times as pairs of 32-bit words, the lower one first. */
  private orders = new Uint32Array(32)
  private times = new Int32Array(32)
  private transactions = 0

  constructor(
    schema: TableSchema,
    columns: readonly ColumnBuilder[],
    builders: readonly ColumnBuilder[],
  ) {
    this.schema = schema
    this.columns = columns
    this.builders = builders
    this.reserved = [...new Set([...columns, ...builders])]
    for (const builder of this.reserved) builder.reserveRows(ROWS_AT_START)
  }

  get full(): boolean {
    return this.rows >= BATCH_ROWS_MAX || this.bytes >= BATCH_BYTES_MAX
  }

  /** Rows that are wanted yet, where records have about `recordBytes`; at least 1. */
  room(recordBytes: number): number {
    const byBytes = Math.floor((BATCH_BYTES_MAX - this.bytes) / Math.max(1, recordBytes))
    return Math.max(1, Math.min(BATCH_ROWS_MAX - this.rows, byBytes))
  }

  reserve(rows: number): void {
    for (const builder of this.reserved) builder.reserveRows(rows)
    if (rows <= this.ops.length) return
    const capacity = Math.max(rows, this.ops.length * 2)
    this.ops = grown(this.ops, new Uint8Array(capacity))
    this.record = grown(this.record, new Int32Array(capacity))
    this.transaction = grown(this.transaction, new Uint32Array(capacity))
    this.sequence = grown(this.sequence, new Uint32Array(capacity))
  }

  dirty(record: number, fault: DecodeFault): void {
    for (const builder of this.builders) builder.truncate(this.rows)
    this.faults.push({ record, fault })
  }

  /** Takes back the rows from `rows` on, which have no transaction yet. */
  truncate(rows: number): void {
    for (const builder of this.reserved) builder.truncate(rows)
    this.rows = rows
  }

  takeFaults(): readonly { readonly record: number; readonly fault: DecodeFault }[] {
    if (this.faults.length === 0) return this.faults
    const { faults } = this
    this.faults = []
    return faults
  }

  /** Adds a row of no value: the other columns of the table are filled by the caller. */
  addDelete(record: number): void {
    this.reserve(this.rows + 1)
    for (const builder of this.builders) builder.setNull(this.rows)
    this.ops[this.rows] = Op.delete
    this.record[this.rows] = record
    this.rows++
  }

  /**
   * Says where the rows from `from` on come from. Rows of one record follow each other.
   *
   * @param orderBase  order of the row whose record has offset 0
   */
  stamp(from: number, set: RecordSet, orderBase: number): void {
    const { record, transaction, sequence, rows } = this
    const { offsets, timestamps } = set
    let timestamp = NaN
    let number = 0
    for (let row = from; row < rows; row++) {
      const index = record[row]!
      // NaN, before the first row, is unlike all.
      if (timestamps[index] !== timestamp) {
        timestamp = timestamps[index]!
        this.beginTransaction(orderBase + offsets[index]!, timestamp)
        number = 0
      }
      transaction[row] = this.transactions - 1
      sequence[row] = number++
    }
  }

  private beginTransaction(order: number, timestampMs: number): void {
    const at = this.transactions++
    if (2 * at >= this.orders.length) {
      this.orders = grown(this.orders, new Uint32Array(4 * at))
      this.times = grown(this.times, new Int32Array(4 * at))
    }
    this.orders[2 * at] = order
    this.orders[2 * at + 1] = Math.floor(order / TWO_32)
    const timeUs = timestampMs < 0 ? 0 : Math.min(timestampMs, TIME_MS_MAX) * 1000
    this.times[2 * at] = timeUs % TWO_32
    this.times[2 * at + 1] = Math.floor(timeUs / TWO_32)
  }

  /** @returns all rows as a batch with memory of its own; the buffer is empty then */
  take(): ChangeBatch {
    const { rows, transactions, schema } = this
    assert(rows > 0, 'a batch has at least one row')
    const batch = packBatch({
      kind: 'changes',
      table: schema.table,
      schemaVersion: schema.version,
      rows,
      ops: this.ops.subarray(0, rows),
      columns: this.columns.map((builder) => builder.view(rows)),
      transactions: {
        count: transactions,
        orderHigh: 0n,
        orderLow: new BigUint64Array(this.orders.buffer, 0, transactions),
        timeUs: new BigInt64Array(this.times.buffer, 0, transactions),
        // No ids: a producer's transaction is not told to consumers.
        idOffsets: new Int32Array(transactions + 1),
        idBytes: new Uint8Array(0),
      },
      transaction: this.transaction.subarray(0, rows),
      sequence: this.sequence.subarray(0, rows),
      keyHash: null,
    })
    for (const builder of this.reserved) builder.reset()
    this.rows = 0
    this.bytes = 0
    this.transactions = 0
    return batch
  }
}

function grown<A extends Uint8Array | Int32Array | Uint32Array>(array: A, larger: A): A {
  larger.set(array)
  return larger
}
