// Records in memory, and a sink that keeps the law of the port: what a format is tested with.

import { Op } from '../../../runtime/data/batch.ts'
import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { isNull, isUnchanged, type Column } from '../../../runtime/data/column/column.ts'
import type { ColumnType } from '../../../runtime/data/type.ts'
import type { DecodeFault, RecordDecoder, RowSink } from '../../../connectors/kafka/format.ts'
import type { RecordSet } from '../../../connectors/kafka/records.ts'

export type Bytes = string | Uint8Array | null

export interface TestRecord {
  readonly key?: Bytes
  readonly value: Bytes
}

/** Keys and values lie one behind the other, as in a batch, with a byte of a header between. */
export function recordSet(records: readonly TestRecord[]): RecordSet {
  const parts: Uint8Array[] = []
  let length = 0
  const place = (bytes: Bytes | undefined): [number, number] => {
    if (bytes === null || bytes === undefined) return [-1, -1]
    const part = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    parts.push(part, Uint8Array.of(0))
    const start = length
    length += part.length + 1
    return [start, start + part.length]
  }
  const places = records.map(({ key, value }) => [place(key), place(value)] as const)
  const column = (of: (place: (typeof places)[number]) => number): Int32Array =>
    Int32Array.from(places, of)
  return {
    topic: 'topic',
    partition: 0,
    count: records.length,
    bytes: new Uint8Array(Buffer.concat(parts)),
    offsets: Float64Array.from(records, (_, index) => index),
    timestamps: new Float64Array(records.length),
    appendTime: false,
    keyStart: column(([key]) => key[0]),
    keyEnd: column(([key]) => key[1]),
    valueStart: column(([, value]) => value[0]),
    valueEnd: column(([, value]) => value[1]),
    headersStart: new Int32Array(records.length),
    headersEnd: new Int32Array(records.length),
    headerCount: new Int32Array(records.length),
  }
}

export type Row = Readonly<Record<string, unknown>>
export const unchanged = Symbol('unchanged')

export interface TestRow {
  readonly record: number
  readonly op: string
  readonly row: Row
}

export class TestSink implements RowSink {
  builders: readonly ColumnBuilder[] = []
  rows = 0
  ops: Uint8Array = new Uint8Array(0)
  record: Int32Array = new Int32Array(0)
  readonly faults = new Map<number, DecodeFault>()

  open(types: readonly ColumnType[]): void {
    this.builders = types.map((type) => columnBuilder(type))
    this.rows = 0
  }

  reserve(rows: number): void {
    for (const builder of this.builders) builder.reserveRows(rows)
    if (rows <= this.ops.length) return
    const { ops, record } = this
    this.ops = new Uint8Array(2 * rows)
    this.ops.set(ops)
    this.record = new Int32Array(2 * rows)
    this.record.set(record)
  }

  dirty(record: number, fault: DecodeFault): void {
    if (this.faults.has(record)) throw new Error(`record ${record} is told twice`)
    this.faults.set(record, fault)
    for (const builder of this.builders) builder.truncate(this.rows)
  }

  take(names: readonly string[]): TestRow[] {
    const columns = this.builders.map((builder) => builder.view(this.rows))
    return Array.from({ length: this.rows }, (_, at) => ({
      record: this.record[at]!,
      op: Object.keys(Op)[this.ops[at]!]!,
      row: Object.fromEntries(names.map((name, index) => [name, valueAt(columns[index]!, at)])),
    }))
  }
}

export interface Decoding {
  readonly rows: readonly TestRow[]
  readonly faults: ReadonlyMap<number, DecodeFault>
  /** Structures, as names and types, in their order. */
  readonly structures: readonly (readonly string[])[]
}

/** Decodes as a source does: rows of before are taken before a structure changes. */
export function decodeAll(decoder: RecordDecoder, records: RecordSet, limit = 1000): Decoding {
  const sink = new TestSink()
  const rows: TestRow[] = []
  const structures: string[][] = []
  const { signal } = new AbortController()
  const open = (): void => {
    sink.open(decoder.table.columns.map(({ type }) => type))
    structures.push(decoder.table.columns.map(({ name, sourceType }) => `${name} ${sourceType}`))
  }
  const take = (): void => {
    rows.push(...sink.take(decoder.table.columns.map(({ name }) => name)))
  }
  open()
  for (let at = 0; at < records.count;) {
    const { next, stop } = decoder.decode(records, at, limit, sink)
    if (next === at && stop !== 'structure') throw new Error(`no progress at record ${at}`)
    at = next
    if (stop !== 'structure') continue
    take()
    const before = decoder.table
    void decoder.advance(records, at, signal)
    if (decoder.table === before) throw new Error(`no new structure at record ${at}`)
    open()
  }
  take()
  return { rows, faults: sink.faults, structures }
}

export function valueAt(column: Column, row: number): unknown {
  if (isNull(column, row)) return null
  if (isUnchanged(column, row)) return unchanged
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1
    case 'bytes': {
      const bytes = Buffer.from(column.bytes.slice(column.offsets[row], column.offsets[row + 1]))
      return column.type.kind === 'binary' ? bytes.toString('hex') : bytes.toString()
    }
    case 'int128':
      return (column.values[2 * row + 1]! << 64n) | BigInt.asUintN(64, column.values[2 * row]!)
    case 'uuid16':
      return Buffer.from(column.values.slice(row * 16, row * 16 + 16)).toString('hex')
    case 'list': {
      const [from, to] = [column.offsets[row]!, column.offsets[row + 1]!]
      return Array.from({ length: to - from }, (_, at) => valueAt(column.child, from + at))
    }
    default:
      return column.values[row]
  }
}
