// Record sets and a sink for tests of formats: bytes in, values by column and row out.

import type { ErrorName } from '../../../runtime/base/errors.ts'
import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { isNull, type Column } from '../../../runtime/data/column/column.ts'
import type { DecodeFault, FormatTable, RecordDecoder } from '../../../connectors/kafka/format.ts'
import type { RowSink } from '../../../connectors/kafka/format.ts'
import type { RecordSet } from '../../../connectors/kafka/records.ts'

/** @param values  of the records, one behind the other with something between them */
export function recordSet(values: readonly (Uint8Array | null)[]): RecordSet {
  const count = values.length
  const total = values.reduce((sum, value) => sum + 2 + (value?.length ?? 0), 0)
  // What lies around a value must not be taken for a part of it.
  const bytes = new Uint8Array(total + 1).fill(0xff)
  const valueStart = new Int32Array(count + 3)
  const valueEnd = new Int32Array(count + 3)
  let at = 1
  for (const [index, value] of values.entries()) {
    valueStart[index] = value === null ? -1 : at
    valueEnd[index] = value === null ? -1 : at + value.length
    if (value === null) continue
    bytes.set(value, at)
    at += value.length + 2
  }
  const none = new Int32Array(count).fill(-1)
  return {
    topic: 'plays',
    partition: 0,
    count,
    bytes,
    offsets: Float64Array.from({ length: count }, (_, index) => index),
    timestamps: new Float64Array(count),
    appendTime: false,
    keyStart: none,
    keyEnd: none,
    valueStart,
    valueEnd,
    headersStart: none,
    headersEnd: none,
    headerCount: new Int32Array(count),
  }
}

export interface Dirty extends DecodeFault {
  readonly record: number
}

export class TestSink implements RowSink {
  readonly builders: readonly ColumnBuilder[]
  rows = 0
  ops = new Uint8Array(0)
  record = new Int32Array(0)
  readonly dirties: Dirty[] = []

  constructor({ columns }: FormatTable) {
    this.builders = columns.map(({ type }) => columnBuilder(type))
  }

  reserve(rows: number): void {
    for (const builder of this.builders) builder.reserveRows(rows)
    if (rows <= this.ops.length) return
    const ops = new Uint8Array(rows * 2)
    ops.set(this.ops)
    this.ops = ops
    const record = new Int32Array(rows * 2)
    record.set(this.record)
    this.record = record
  }

  dirty(record: number, fault: DecodeFault): void {
    for (const builder of this.builders) builder.truncate(this.rows)
    this.dirties.push({ record, ...fault })
  }

  /** By row: values by column. */
  values(): unknown[][] {
    const columns = this.builders.map((builder) => plain(builder.view(this.rows)))
    return Array.from({ length: this.rows }, (_, row) => columns.map((column) => column[row]))
  }
}

/** Rows by the index of their record, with values by column name. */
export type Rows = Map<number, Record<string, unknown>>

export interface DecodedSet {
  readonly rows: Rows
  /** The same by the identity of the column. */
  readonly identified: ReadonlyMap<number, readonly (readonly [string, unknown])[]>
  readonly dirties: readonly Dirty[]
  readonly faults: readonly ErrorName[]
  /** Structures on the way, the first record that needed each. */
  readonly tables: readonly { readonly at: number; readonly table: FormatTable }[]
}

/** Decodes all records as a source does: new builders for each structure. */
export async function decodeAll(
  decoder: RecordDecoder,
  values: readonly (Uint8Array | null)[],
  limit = 1000,
): Promise<DecodedSet> {
  const records = recordSet(values)
  const rows: Rows = new Map()
  const identified = new Map<number, (readonly [string, unknown])[]>()
  const dirties: Dirty[] = []
  const tables: { at: number; table: FormatTable }[] = []
  let at = 0
  let sink = new TestSink(decoder.table)
  let table = decoder.table
  const take = (): void => {
    for (const [row, of] of sink.values().entries()) {
      const named = table.columns.map(({ name }, column) => [name, of[column]] as const)
      rows.set(sink.record[row]!, Object.fromEntries(named))
      const by = table.columns.map(({ identity }, column) => [identity, of[column]] as const)
      identified.set(sink.record[row]!, by)
    }
    dirties.push(...sink.dirties)
  }
  for (;;) {
    const { next, stop } = decoder.decode(records, at, limit, sink)
    at = next
    if (stop === 'all') break
    if (stop === 'limit') continue
    await decoder.advance(records, at, AbortSignal.timeout(5000))
    if (decoder.table === table) continue
    take()
    table = decoder.table
    tables.push({ at, table })
    sink = new TestSink(table)
  }
  take()
  return { rows, identified, dirties, faults: dirties.map(({ name }) => name), tables }
}

/** bigint for 64 and 128 bits, hex for bytes, strings for text. */
function plain(column: Column): unknown[] {
  const { type } = column
  return Array.from({ length: column.length }, (_, row): unknown => {
    if (isNull(column, row)) return null
    switch (column.layout) {
      case 'bytes': {
        const bytes = Buffer.from(column.bytes.slice(column.offsets[row], column.offsets[row + 1]))
        return type.kind === 'binary' ? `0x${bytes.toString('hex')}` : bytes.toString('utf8')
      }
      case 'list':
        return plain(column.child).slice(column.offsets[row], column.offsets[row + 1])
      case 'int128': {
        const low = BigInt.asUintN(64, column.values[row * 2] ?? 0n)
        return ((column.values[row * 2 + 1] ?? 0n) << 64n) | low
      }
      case 'bool8':
        return column.values[row] === 1
      default:
        return column.values[row]
    }
  })
}
