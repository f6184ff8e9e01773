// Our decoding of JSON records against JSON.parse and filling the same columns from its objects:
// twelve fields, the same bytes in memory, one thread, in turns. Once with names in one order, and
// once with names that change their order and strings that have escapes.
// Run: node bench/json-decode.ts

import { jsonFormat } from '../connectors/kafka/json/json-decoder.ts'
import type { JsonColumn } from '../connectors/kafka/json/columns.ts'
import { AS_TEXT } from '../runtime/data/json/fill.ts'
import type { RecordDecoder } from '../connectors/kafka/format.ts'
import type { RecordSet } from '../connectors/kafka/records.ts'
import type { BytesBuilder, FixedBuilder } from '../runtime/data/column/builder.ts'
import { parseType } from '../runtime/data/type-text.ts'
import { recordSet, TestSink } from '../test/kafka/json/records.ts'

const RUNS = 9
const RECORDS = 50_000
const BATCH_RECORDS = 5000

const TYPES: Readonly<Record<string, string>> = {
  event_id: 'long',
  user_id: 'int',
  up_id: 'long',
  amount: 'decimal(12,2)',
  ts: 'timestamptz',
  city: 'string',
  ratio: 'double',
  flag: 'boolean',
  status: 'string',
  note: 'string',
  device: 'string',
  score: 'int',
}
const MILLISECONDS = { kind: 'number', unit: 'ms' } as const
const COLUMNS = Object.entries(TYPES).map(([name, text]): JsonColumn => {
  const encoding = name === 'ts' ? MILLISECONDS : AS_TEXT
  return { name, path: [name], type: parseType(text)!, nullable: true, encoding }
})

function event(n: number): Record<string, unknown> {
  return {
    event_id: n * 7919,
    user_id: (n * 104_729) % 1_000_003,
    up_id: n % 5000,
    amount: ((n * 3725) % 100_000_000) / 100,
    ts: 1_700_000_000_000 + n,
    city: ['berlin', 'paris', 'rome', 'new york'][n % 4],
    ratio: n / 7,
    flag: n % 2 === 0,
    status: 'paid',
    note: `note of order ${n}`,
    device: 'ios-17.4-iphone',
    score: n % 100,
  }
}

/** The order of the names turns with every third record. */
function shuffled(n: number): Record<string, unknown> {
  const of = { ...event(n), note: `a "quoted"\nline ${n}, 5 € \\ 😀` }
  const names = Object.entries(of)
  const first = n % 3 === 0 ? n % names.length : 0
  return Object.fromEntries([...names.slice(first), ...names.slice(0, first)])
}

function sets(make: (n: number) => Record<string, unknown>): RecordSet[] {
  return Array.from({ length: RECORDS / BATCH_RECORDS }, (_, batch) =>
    recordSet(
      Array.from({ length: BATCH_RECORDS }, (_, n) => ({
        value: JSON.stringify(make(batch * BATCH_RECORDS + n)),
      })),
    ),
  )
}

type Fill = (record: RecordSet, sink: TestSink) => void

function ours(decoder: RecordDecoder): Fill {
  return (records, sink) => {
    decoder.decode(records, 0, records.count, sink)
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A loop over columns with the value's kind known: no checks, as fast as objects allow. */
function theirs(records: RecordSet, sink: TestSink): void {
  sink.reserve(records.count)
  for (let row = 0; row < records.count; row++) {
    const bytes = records.bytes.subarray(records.valueStart[row], records.valueEnd[row])
    const of = JSON.parse(decoder.decode(bytes)) as Record<string, number>
    for (let index = 0; index < COLUMNS.length; index++) {
      const { name, type } = COLUMNS[index]!
      put(sink.builders[index] as FixedBuilder, row, type.kind, of[name])
    }
  }
  sink.rows = records.count
}

function put(
  builder: FixedBuilder,
  row: number,
  kind: string,
  value: number | string | undefined,
): void {
  if (value === undefined || value === null) builder.setNull(row)
  else if (typeof value === 'string') {
    const target = builder as unknown as BytesBuilder
    target.reserveBytes(value.length * 3)
    target.bytesLength += encoder.encodeInto(
      value,
      target.bytes.subarray(target.bytesLength),
    ).written
    target.endRow(row)
  } else if (kind === 'long') putWords(builder, row, value)
  else if (kind === 'decimal') putWords(builder, row, Math.round(value * 100))
  else if (kind === 'timestamptz') putWords(builder, row, value * 1000)
  else (builder.values as Float64Array)[row] = value
}

function putWords({ pairs }: FixedBuilder, row: number, value: number): void {
  pairs[2 * row] = value
  pairs[2 * row + 1] = Math.floor(value / 2 ** 32)
}

/** @returns records a second of CPU time */
function timed(input: readonly RecordSet[], fill: Fill): number {
  const sink = new TestSink()
  sink.open(COLUMNS.map(({ type }) => type))
  const before = process.cpuUsage()
  let rows = 0
  for (const records of input) {
    fill(records, sink)
    rows += sink.rows
    sink.rows = 0
    for (const builder of sink.builders) builder.reset()
  }
  const { user, system } = process.cpuUsage(before)
  if (rows !== RECORDS) throw new Error(`${rows} rows instead of ${RECORDS}`)
  return (rows / (user + system)) * 1e6
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0
}

for (const [name, make] of [
  ['one order', event],
  ['changing order, escapes', shuffled],
] as const) {
  const input = sets(make)
  const format = jsonFormat({ columns: COLUMNS, unknown: { kind: 'ignore' } })
  const fill = ours(format.decoder('bench', 'value', null))
  const turns = Array.from({ length: RUNS }, () => [timed(input, fill), timed(input, theirs)])
  const rates = [0, 1].map((index) => median(turns.map((turn) => turn[index] ?? 0)))
  const ratio = median(turns.map(([mine = 0, other = 1]) => mine / other))
  const bytes = input.reduce((sum, set) => sum + set.bytes.length, 0) / RECORDS
  console.log(`${name}: ${bytes.toFixed(0)} bytes a record, records/s of CPU time`)
  console.log(`  millrace           ${rates[0]?.toFixed(0)}`)
  console.log(`  JSON.parse + fill  ${rates[1]?.toFixed(0)}   ${ratio.toFixed(1)}x`)
}
