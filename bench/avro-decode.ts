// Our Avro decoding against avsc's, on the same record batch in memory, one thread: ten columns of
// the usual kinds, framed, and the same with every field nullable. Prints records/s of CPU time.
// Run: node bench/avro-decode.ts

import avro from 'avsc'
import { AvroDecoder } from '../connectors/kafka/avro/decoder.ts'
import type { RecordSet } from '../connectors/kafka/records.ts'
import { FRAME_BYTES } from '../connectors/kafka/registry/framing.ts'
import { framed, MemoryRegistry, recordsOf, TestSink } from '../test/kafka/avro/decoding.ts'

const RUNS = 15
const RECORDS = 20_000
/** A record batch of the usual megabyte. */
const BATCH = 5000

interface FieldShape {
  readonly name: string
  readonly type: unknown
  readonly value: (n: number) => unknown
}

const START_MS = 1_700_000_000_000

const fields: readonly FieldShape[] = [
  { name: 'id', type: 'long', value: (n) => n * 7919 },
  { name: 'customer', type: 'int', value: (n) => (n * 104_729) % 100_000 },
  { name: 'status', type: enumOf(['new', 'paid', 'shipped', 'cancelled']), value: statusOf },
  { name: 'amount', type: decimalOf(12, 2), value: (n) => decimalBytes(n * 3725) },
  { name: 'price', type: 'double', value: (n) => n / 7 },
  { name: 'note', type: 'string', value: (n) => `note of order ${n}` },
  { name: 'created', type: logical('timestamp-micros'), value: (n) => (START_MS + n) * 1000 + 7 },
  { name: 'updated', type: logical('timestamp-millis'), value: (n) => START_MS + n * 977 },
  { name: 'flag', type: 'boolean', value: (n) => n % 3 === 0 },
  { name: 'payload', type: 'string', value: (n) => `payload ${'x'.repeat(40 + (n % 12))}${n}` },
]

function enumOf(symbols: readonly string[]): unknown {
  return { type: 'enum', name: 'Status', symbols }
}

function decimalOf(precision: number, scale: number): unknown {
  return { type: 'bytes', logicalType: 'decimal', precision, scale }
}

function logical(logicalType: string): unknown {
  return { type: 'long', logicalType }
}

function statusOf(n: number): string {
  return ['new', 'paid', 'shipped', 'cancelled'][n % 4] ?? ''
}

function decimalBytes(value: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes.writeIntBE(value, 0, 5)
  return bytes
}

/** @returns a schema of all fields, and record `n` of it */
function table(nullable: boolean): {
  readonly schema: object
  readonly record: (n: number) => Record<string, unknown>
} {
  const own = fields.map(({ name, type }) => ({ name, type: nullable ? ['null', type] : type }))
  const isNull = (n: number, index: number): boolean => nullable && (n + index) % 10 === 3
  return {
    schema: { type: 'record', name: 'Order', fields: own },
    record: (n) =>
      Object.fromEntries(
        fields.map(({ name, value }, index) => [name, isNull(n, index) ? null : value(n)]),
      ),
  }
}

class Ours {
  private readonly decoder: AvroDecoder
  private sink: TestSink | null = null

  constructor(schema: object) {
    const registry = new MemoryRegistry(new Map([[7, JSON.stringify(schema)]]))
    this.decoder = new AvroDecoder('orders', 'value', { kind: 'registry', registry }, null)
  }

  async open(records: RecordSet): Promise<void> {
    const { signal } = new AbortController()
    const nobody = new TestSink([])
    while (this.decoder.decode(records, 0, 1, nobody).stop !== 'limit') {
      await this.decoder.advance(records, 0, signal)
      if (this.decoder.table.columns.length > 0) break
    }
    this.sink = new TestSink(this.decoder.table.columns.map(({ type }) => type))
  }

  pass(batches: readonly RecordSet[]): number {
    const { sink } = this
    if (sink === null) return 0
    let rows = 0
    for (const records of batches) {
      this.decoder.decode(records, 0, records.count, sink)
      for (const builder of sink.builders) builder.view(sink.rows)
      rows += sink.rows
      sink.reset()
    }
    return rows
  }
}

function theirs(type: avro.Type, batches: readonly RecordSet[]): number {
  let count = 0
  for (const { bytes, count: records, valueStart, valueEnd } of batches) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let index = 0; index < records; index++) {
      const start = (valueStart[index] ?? 0) + FRAME_BYTES
      type.fromBuffer(buffer.subarray(start, valueEnd[index]))
      count++
    }
  }
  return count
}

/** CPU seconds of the fastest of several runs: a busy machine only makes runs slower. */
function fastest(runs: number, work: () => number): number {
  let best = Infinity
  for (let run = 0; run < runs; run++) {
    const before = process.cpuUsage()
    const found = work()
    const { user, system } = process.cpuUsage(before)
    if (found !== RECORDS) throw new Error(`${found} records instead of ${RECORDS}`)
    best = Math.min(best, (user + system) / 1e6)
  }
  return best
}

function line(name: string, seconds: number, than?: number): string {
  const rate = (RECORDS / seconds / 1e6).toFixed(2)
  const times = than === undefined ? '' : `  ${(than / seconds).toFixed(1)} times`
  const cost = ((seconds / RECORDS) * 1e6).toFixed(3)
  return `  ${name.padEnd(8)} ${rate.padStart(6)} M rows/s  ${cost} CPU s per M rows${times}`
}

for (const nullable of [false, true]) {
  const { schema, record } = table(nullable)
  const type = avro.Type.forSchema(schema as avro.Schema)
  const values = Array.from({ length: RECORDS }, (_, n) => framed(7, type.toBuffer(record(n))))
  const batches = Array.from({ length: RECORDS / BATCH }, (_, at) =>
    recordsOf(values.slice(at * BATCH, (at + 1) * BATCH), 8),
  )
  const [first] = batches
  if (first === undefined) throw new Error('there is nothing to decode')
  const ours = new Ours(schema)
  await ours.open(first)
  const own = fastest(RUNS * 4, () => ours.pass(batches))
  const other = fastest(RUNS, () => theirs(type, batches))
  const bytes = values.reduce((sum, { length }) => sum + length, 0) / RECORDS
  console.log(`ten fields${nullable ? ', each nullable' : ''}: ${bytes.toFixed(0)} bytes a record`)
  console.log(line('avsc', other))
  console.log(line('ours', own, other))
}
