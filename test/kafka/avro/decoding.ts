// Records in memory, decoded as the source does it: rows are taken away whenever the structure
// changes, and what is to be loaded is loaded.
import avro from 'avsc'
import type { DecodeFault, RecordDecoder, RowSink } from '../../../connectors/kafka/format.ts'
import type { RecordSet } from '../../../connectors/kafka/records.ts'
import type {
  KnownSchema,
  RegisteredSchema,
  SchemaRegistry,
} from '../../../connectors/kafka/registry/schemas.ts'
import { type ColumnBuilder, columnBuilder } from '../../../runtime/data/column/builder.ts'
import { type Column, isNull } from '../../../runtime/data/column/column.ts'
import type { ColumnType } from '../../../runtime/data/type.ts'

/** avsc throws above 2^53 with its own longs. */
const longType = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (left: bigint, right: bigint) => (left < right ? -1 : left > right ? 1 : 0),
})

/** The second codec. Longs are bigints, values of unions `{ branch: value }`. */
export function avscType(schema: unknown): avro.Type {
  const options = { registry: { long: longType }, wrapUnions: true }
  return avro.Type.forSchema(plain(schema) as avro.Schema, options)
}

/** Primitives without their logical types: only so does avsc find our long. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plain)
  if (typeof schema !== 'object' || schema === null) return schema
  const { type, fields, items, values, ...rest } = schema as Record<string, unknown>
  if (fields !== undefined) {
    const own = (fields as Record<string, unknown>[]).map((field) => {
      return { ...field, type: plain(field['type']) }
    })
    return { ...rest, type, fields: own }
  }
  if (items !== undefined) return { type, items: plain(items) }
  if (values !== undefined) return { type, values: plain(values) }
  return type === 'enum' || type === 'fixed' ? schema : plain(type)
}

/** @param id  `null`: no frame stands in front of the value */
export function framed(id: number | null, value: Uint8Array): Uint8Array {
  if (id === null) return value
  const bytes = Buffer.alloc(5 + value.length)
  bytes.writeUInt32BE(id, 1)
  bytes.set(value, 5)
  return bytes
}

/** A record set with `gap` bytes that belong to nobody in front of each value. */
export function recordsOf(values: readonly Uint8Array[], gap = 3): RecordSet {
  const total = values.reduce((sum, { length }) => sum + length + gap, 0)
  const bytes = new Uint8Array(total).fill(0xff)
  const count = values.length
  const records = {
    topic: 't',
    partition: 0,
    count,
    bytes,
    offsets: new Float64Array(count),
    timestamps: new Float64Array(count),
    appendTime: false,
    keyStart: new Int32Array(count).fill(-1),
    keyEnd: new Int32Array(count).fill(-1),
    valueStart: new Int32Array(count),
    valueEnd: new Int32Array(count),
    headersStart: new Int32Array(count),
    headersEnd: new Int32Array(count),
    headerCount: new Int32Array(count),
  }
  let at = 0
  for (const [index, value] of values.entries()) {
    at += gap
    records.valueStart[index] = at
    bytes.set(value, at)
    at += value.length
    records.valueEnd[index] = at
    records.offsets[index] = index
  }
  return records
}

/** Knows a schema only once it was asked for it. */
export class MemoryRegistry implements SchemaRegistry {
  readonly waitsFor = null
  readonly asked: number[] = []
  private readonly all: ReadonlyMap<number, RegisteredSchema>
  private readonly seen = new Map<number, KnownSchema>()

  constructor(schemas: ReadonlyMap<number, string>) {
    this.all = new Map(
      [...schemas].map(([id, text]) => [id, { id, kind: 'AVRO', text, references: [] }]),
    )
  }

  known(id: number): KnownSchema | null {
    return this.seen.get(id) ?? null
  }

  async schemaById(id: number): Promise<KnownSchema> {
    this.asked.push(id)
    const schema = this.all.get(id) ?? 'unknown'
    this.seen.set(id, schema)
    return schema
  }
}

export type Cell = boolean | number | bigint | string | null | readonly Cell[]

/** A decoded row: cells that are not null, by the identity of their column. */
export interface Row {
  readonly record: number
  readonly cells: Readonly<Record<string, Cell>>
}

export interface Dirty extends DecodeFault {
  readonly record: number
}

export interface DecodedRows {
  readonly rows: readonly Row[]
  readonly dirty: readonly Dirty[]
}

/** One set of builders, for one structure. */
export class TestSink implements RowSink {
  readonly builders: readonly ColumnBuilder[]
  rows = 0
  ops = new Uint8Array(0)
  record = new Int32Array(0)
  readonly faults: Dirty[] = []

  constructor(types: readonly ColumnType[]) {
    this.builders = types.map(columnBuilder)
  }

  reserve(rows: number): void {
    for (const builder of this.builders) builder.reserveRows(rows)
    if (rows <= this.ops.length) return
    const [ops, record] = [new Uint8Array(rows * 2), new Int32Array(rows * 2)]
    ops.set(this.ops)
    record.set(this.record)
    this.ops = ops
    this.record = record
  }

  dirty(record: number, fault: DecodeFault): void {
    for (const builder of this.builders) builder.truncate(this.rows)
    this.faults.push({ ...fault, record })
  }

  reset(): void {
    for (const builder of this.builders) builder.reset()
    this.rows = 0
  }
}

/** @param limit  rows of one call */
export async function decodeAll(
  decoder: RecordDecoder,
  records: RecordSet,
  limit = 1000,
): Promise<DecodedRows> {
  const rows: Row[] = []
  const dirty: Dirty[] = []
  const { signal } = new AbortController()
  let sink: TestSink | null = null
  let shown = decoder.table
  const take = (): void => {
    if (sink === null) return
    rows.push(
      ...rowsOf(
        sink,
        shown.columns.map(({ identity }) => identity),
      ),
    )
    dirty.push(...sink.faults.splice(0))
    sink.reset()
  }
  for (let at = 0; ;) {
    if (sink === null || shown !== decoder.table) {
      shown = decoder.table
      sink = new TestSink(shown.columns.map(({ type }) => type))
    }
    const { next, stop } = decoder.decode(records, at, limit, sink)
    at = next
    if (stop === 'all') break
    if (stop !== 'limit' || sink.rows > 3 * limit) take()
    if (stop !== 'limit') await decoder.advance(records, at, signal)
  }
  take()
  return { rows, dirty }
}

function rowsOf(sink: TestSink, identities: readonly string[]): Row[] {
  const columns = sink.builders.map((builder) => builder.view(sink.rows))
  return Array.from({ length: sink.rows }, (_, row) => {
    const cells = columns.map((column, at) => [identities[at], cellAt(column, row)] as const)
    const filled = cells.filter(([, cell]) => cell !== null)
    return { record: sink.record[row] ?? -1, cells: Object.fromEntries(filled) }
  })
}

/** 128-bit values and int64 are bigints, text is text, other bytes are hexadecimal. */
export function cellAt(column: Column, row: number): Cell {
  if (isNull(column, row)) return null
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1
    case 'int128':
      return (column.values[row * 2 + 1]! << 64n) | BigInt.asUintN(64, column.values[row * 2]!)
    case 'uuid16':
      return Buffer.from(column.values.subarray(row * 16, row * 16 + 16)).toString('hex')
    case 'bytes': {
      const bytes = Buffer.from(column.bytes.slice(column.offsets[row], column.offsets[row + 1]))
      return bytes.toString(column.type.kind === 'binary' ? 'hex' : 'utf8')
    }
    case 'list': {
      const [start = 0, end = 0] = [column.offsets[row], column.offsets[row + 1]]
      return Array.from({ length: end - start }, (_, at) => cellAt(column.child, start + at))
    }
    default:
      return column.values[row]!
  }
}
