// The rows of one table that are being collected: builders of its columns, and per row its op, its
// transaction and its number in it. `take` hands them out as a batch over memory of its own, so
// the builders can start over at once.

import { assert } from '../../runtime/base/assert.ts'
import { BATCH_BYTES_MAX, BATCH_ROWS_MAX } from '../../runtime/data/batch.ts'
import type { ChangeBatch, Op } from '../../runtime/data/batch.ts'
import { columnBuilder, type ColumnBuilder } from '../../runtime/data/column/builder.ts'
import { packBatch } from '../../runtime/data/pack.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { DecodeRows, RowsDecoded } from './decode/rows-decoder.ts'
import type { Lsn } from './lsn.ts'
import type { Wire } from './wire.ts'

const ROWS_AT_START = 256
const TWO_32 = 0x1_0000_0000
/** From 1970 to 2000, where PostgreSQL's clock begins. */
export const US_TO_2000 = 946_684_800_000_000

/** The source transaction that rows belong to. */
export interface TransactionStamp {
  /** Differs between any two transactions of one reader. */
  readonly serial: number
  /** Place of the commit record; for a chunk its LOW. */
  readonly lsn: Lsn
  /** Commit time, microseconds since 2000. */
  readonly time2000Us: number
  /** Running maximum of these; of a chunk its own. */
  readonly latest2000Us: number
  /** As text in `Transactions.idBytes`; 0: no id. */
  readonly xid: number
}

export class TableBatch {
  readonly schema: TableSchema
  readonly sourceEpoch: number
  readonly builders: readonly ColumnBuilder[]
  rows = 0
  /** Bytes of the wire that went in, about what the batch takes in memory. */
  bytes = 0
  private readonly orderHigh: bigint
  /** Rows that fit before `reserveRow` makes more room. */
  private capacity = 0
  private ops = new Uint8Array(0)
  private transaction = new Uint32Array(0)
  private sequence = new Uint32Array(0)
  private count = 0
  private serial = -1
  private orders = new Uint32Array(0)
  private times = new Int32Array(0)
  private latest = new Int32Array(0)
  private idOffsets = new Int32Array(1)
  private idBytes = new Uint8Array(0)
  /** By column: what generated code writes its bytes through. */
  private readonly views: DataView[]
  private readonly decoded: RowsDecoded = { row: 0, bytes: 0 }

  /** @param sourceEpoch  upper part of every order in here */
  constructor(schema: TableSchema, sourceEpoch: number) {
    this.schema = schema
    this.sourceEpoch = sourceEpoch
    this.builders = schema.fields.map((field) => columnBuilder(field.type))
    const none = new DataView(new ArrayBuffer(0))
    this.views = schema.fields.map(() => none)
    this.orderHigh = BigInt(sourceEpoch) << 32n
  }

  /** The batch is to be taken before it gets another row. */
  get full(): boolean {
    return this.rows >= BATCH_ROWS_MAX || this.bytes >= BATCH_BYTES_MAX
  }

  /** Makes room for one more row in all builders; the row counts from `endRow` on. */
  reserveRow(): void {
    if (this.rows < this.capacity) return
    const capacity = Math.max(ROWS_AT_START, this.capacity * 2)
    for (const builder of this.builders) builder.reserveRows(capacity)
    this.ops = grown(this.ops, new Uint8Array(capacity))
    this.transaction = grown(this.transaction, new Uint32Array(capacity))
    this.sequence = grown(this.sequence, new Uint32Array(capacity))
    this.capacity = capacity
  }

  /** Ends the row that was decoded at `rows`. */
  endRow(op: Op, stamp: TransactionStamp, sequence: number): void {
    if (stamp.serial !== this.serial) this.addTransaction(stamp)
    const row = this.rows
    this.ops[row] = op
    this.transaction[row] = this.count - 1
    this.sequence[row] = sequence
    this.rows = row + 1
  }

  /** The last row is none: what is decoded next takes its place. */
  forgetRow(): void {
    this.rows--
  }

  opAt(row: number): Op {
    return (this.ops[row] ?? 0) as Op
  }

  /**
   * Decodes the rows at the start of the wire's window that `decode` reads, and passes over them.
   *
   * @param oid  of the table, where others have rows on the wire as well
   * @param sequence  number in the transaction of the first row
   * @returns how many rows; 0: the next one is for the kernels, or not wholly there
   */
  decodeRows(
    decode: DecodeRows,
    wire: Wire,
    oid: number,
    stamp: TransactionStamp,
    sequence: number,
  ): number {
    this.reserveRow()
    const { rows, decoded, builders, views, ops } = this
    const { bytes, view, start, end } = wire
    const limit = Math.min(this.capacity, BATCH_ROWS_MAX)
    const bytesMax = BATCH_BYTES_MAX - this.bytes
    wire.start = decode(
      bytes,
      view,
      start,
      end,
      oid,
      builders,
      views,
      ops,
      rows,
      limit,
      bytesMax,
      decoded,
    )
    const count = decoded.row - rows
    if (count === 0) return 0
    if (stamp.serial !== this.serial) this.addTransaction(stamp)
    const transaction = this.count - 1
    for (let index = 0; index < count; index++) {
      this.transaction[rows + index] = transaction
      this.sequence[rows + index] = sequence + index
    }
    this.rows = decoded.row
    this.bytes += decoded.bytes
    return count
  }

  private addTransaction({ serial, lsn, xid, ...stamp }: TransactionStamp): void {
    const at = this.count
    if (at * 2 >= this.orders.length) {
      const capacity = Math.max(16, at * 2)
      this.orders = grown(this.orders, new Uint32Array(capacity * 2))
      this.times = grown(this.times, new Int32Array(capacity * 2))
      this.latest = grown(this.latest, new Int32Array(capacity * 2))
      this.idOffsets = grown(this.idOffsets, new Int32Array(capacity + 1))
      this.idBytes = grown(this.idBytes, new Uint8Array(capacity * 10))
    }
    this.orders[2 * at] = lsn >>> 0
    this.orders[2 * at + 1] = Math.floor(lsn / TWO_32)
    putTime(this.times, at, stamp.time2000Us)
    putTime(this.latest, at, stamp.latest2000Us)
    this.idOffsets[at + 1] = this.writeId(this.idOffsets[at] ?? 0, xid)
    this.count = at + 1
    this.serial = serial
  }

  /** Writes decimal digits. @returns the offset behind them */
  private writeId(start: number, xid: number): number {
    if (xid === 0) return start
    let digits = 1
    for (let limit = 10; limit <= xid; limit *= 10) digits++
    let left = xid
    for (let at = start + digits - 1; at >= start; at--) {
      this.idBytes[at] = 0x30 + (left % 10)
      left = Math.floor(left / 10)
    }
    return start + digits
  }

  /** @returns all rows as a batch; the collection is empty then and can go on */
  take(): ChangeBatch {
    const { rows, count } = this
    assert(rows > 0, 'a batch has at least one row')
    const batch = packBatch({
      kind: 'changes',
      table: this.schema.table,
      schemaVersion: this.schema.version,
      rows,
      ops: this.ops.subarray(0, rows),
      columns: this.builders.map((builder) => builder.view(rows)),
      transactions: {
        count,
        orderHigh: this.orderHigh,
        orderLow: new BigUint64Array(this.orders.buffer, 0, count),
        timeUs: new BigInt64Array(this.times.buffer, 0, count),
        latestUs: new BigInt64Array(this.latest.buffer, 0, count),
        idOffsets: this.idOffsets.subarray(0, count + 1),
        idBytes: this.idBytes.subarray(0, this.idOffsets[count] ?? 0),
      },
      transaction: this.transaction.subarray(0, rows),
      sequence: this.sequence.subarray(0, rows),
      keyHash: null,
    })
    this.clear()
    return batch
  }

  /** Forgets the rows and keeps the memory. */
  clear(): void {
    for (const builder of this.builders) builder.reset()
    this.rows = 0
    this.bytes = 0
    this.count = 0
    this.serial = -1
  }
}

/** Times as pairs of words: a BigInt for each transaction would cost more than the rest. */
function putTime(times: Int32Array, at: number, time2000Us: number): void {
  const timeUs = time2000Us + US_TO_2000
  times[2 * at] = timeUs % TWO_32
  times[2 * at + 1] = Math.floor(timeUs / TWO_32)
}

function grown<A extends Uint8Array | Int32Array | Uint32Array>(array: A, larger: A): A {
  larger.set(array)
  return larger
}
