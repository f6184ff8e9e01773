// Our Parquet encoder against hyparquet-writer, parquet-wasm and parquetjs-lite: the same ten
// columns, one thread, in memory. Prints rows/s and CPU seconds per million rows.
// Run: node bench/parquet-encode.ts [million rows] [--ours]

import { cpus } from 'node:os'
import { Writable } from 'node:stream'
import { zstdCompressSync } from 'node:zlib'
import {
  columnBuilder,
  type BytesBuilder,
  type FixedBuilder,
} from '../runtime/data/column/builder.ts'
import type { Column } from '../runtime/data/column/column.ts'
import type { ColumnType } from '../runtime/data/type.ts'
import type { Compression } from '../connectors/parquet/encode/compress.ts'
import { ParquetEncoder } from '../connectors/parquet/encode/encoder.ts'
import type { ParquetField } from '../connectors/parquet/encode/leaf.ts'

const BATCH_ROWS = 16 * 1024
const BATCHES = 16
const RUNS = 5

const columns: readonly [string, ColumnType, boolean][] = [
  ['id', { kind: 'long' }, true],
  ['customer', { kind: 'int' }, true],
  ['status', { kind: 'string' }, true],
  ['amount', { kind: 'decimal', precision: 12, scale: 2 }, true],
  ['price', { kind: 'double' }, true],
  ['note', { kind: 'string' }, false],
  ['created', { kind: 'timestamp' }, true],
  ['updated', { kind: 'timestamp' }, false],
  ['flag', { kind: 'boolean' }, true],
  ['payload', { kind: 'binary' }, true],
]
const fields: ParquetField[] = columns.map(([name, type, required], at) => ({
  id: at + 1,
  name,
  type,
  required,
}))

const statuses = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned', 'cancelled']
const words = (
  'the order was placed by phone and customer asks for delivery before noon please call again ' +
  'gift wrapped second address fragile do not bend left at door refund pending review stock'
).split(' ')

/** A small generator with a fixed seed: every run encodes the same rows. */
let seed = 42
function random(limit: number): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0
  return Math.floor(((seed >>> 8) / 0x100_0000) * limit)
}

function noteText(): string {
  let text = words[random(words.length)]!
  while (text.length < 20 + random(30)) text += ` ${words[random(words.length)]!}`
  return text.slice(0, 64)
}

function payloadText(): string {
  let text = ''
  while (text.length < 60) text += random(0x100_0000).toString(36).padStart(5, '0')
  return text.slice(0, 56 + random(8))
}

function batch(first: number): Column[] {
  const builders = fields.map((field) => columnBuilder(field.type))
  for (const builder of builders) builder.reserveRows(BATCH_ROWS)
  const [id, customer, status, amount, price, note, created, updated, flag, payload] = builders
  const numbers = (builder: unknown): FixedBuilder['values'] => (builder as FixedBuilder).values
  const text = (builder: unknown, row: number, value: string): void => {
    const bytes = Buffer.from(value)
    ;(builder as BytesBuilder).setBytes(row, bytes, 0, bytes.length)
  }
  for (let row = 0; row < BATCH_ROWS; row++) {
    const at = 1_700_000_000_000_000n + BigInt(first + row) * 1_237n + BigInt(random(1000))
    numbers(id)[row] = BigInt(first + row)
    numbers(customer)[row] = random(200_000)
    text(status, row, statuses[random(statuses.length)]!)
    numbers(amount)[row] = BigInt(random(10_000_000))
    numbers(price)[row] = random(100_000) / 100
    if (random(10) === 0) note!.setNull(row)
    else text(note, row, noteText())
    numbers(created)[row] = at
    if (random(5) === 0) updated!.setNull(row)
    else numbers(updated)[row] = at + BigInt(random(86_400)) * 1_000_000n
    numbers(flag)[row] = random(2)
    text(payload, row, payloadText())
  }
  return builders.map((builder) => builder.view(BATCH_ROWS))
}

const batches = Array.from({ length: BATCHES }, (_, at) => batch(at * BATCH_ROWS))

interface Measure {
  readonly name: string
  readonly rows: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly bytes: number
}

/** @returns the run of median CPU time */
async function measure(
  name: string,
  rows: number,
  runs: number,
  encode: () => number | Promise<number>,
): Promise<Measure> {
  const measures: Measure[] = []
  for (let run = 0; run < runs; run++) {
    const cpu = process.cpuUsage()
    const start = performance.now()
    const bytes = await encode()
    const seconds = (performance.now() - start) / 1000
    const used = process.cpuUsage(cpu)
    measures.push({ name, rows, seconds, cpuSeconds: (used.user + used.system) / 1e6, bytes })
  }
  measures.sort((left, right) => left.cpuSeconds - right.cpuSeconds)
  return measures[runs >> 1]!
}

/** Hands each chunk to `write` and forgets it, as a file would. @returns bytes of the file */
function encodeOurs(
  rows: number,
  compression: Compression,
  write: (chunk: Uint8Array) => void = () => {},
): number {
  const encoder = new ParquetEncoder(fields, { compression })
  for (let row = 0; row < rows; row += BATCH_ROWS) {
    const full = encoder.append(batches[(row / BATCH_ROWS) % BATCHES]!, BATCH_ROWS, null)
    for (const { chunks } of full) chunks.forEach(write)
  }
  if (encoder.bufferedRows > 0) encoder.encodeRowGroup().chunks.forEach(write)
  encoder.finish().chunks.forEach(write)
  return encoder.bytes
}

/**
 * The values as JavaScript has them, which is what the peers take. Not part of what is measured.
 */
function plainColumns(rows: number): unknown[][] {
  const decoder = new TextDecoder()
  return fields.map((field, at) =>
    Array.from({ length: rows }, (_, row) => {
      const column = batches[Math.floor(row / BATCH_ROWS) % BATCHES]![at]!
      const index = row % BATCH_ROWS
      if (column.validity !== null && !((column.validity[index >> 3]! >> (index & 7)) & 1)) {
        return null
      }
      if (column.layout === 'bytes') {
        const bytes = column.bytes.slice(column.offsets[index], column.offsets[index + 1])
        return field.type.kind === 'string' ? decoder.decode(bytes) : bytes
      }
      if (column.layout === 'list') throw new TypeError('no lists here')
      return field.type.kind === 'boolean' ? column.values[index] === 1 : column.values[index]!
    }),
  )
}

async function measureHyparquet(rows: number): Promise<Measure> {
  const { parquetWriteBuffer } = await import('hyparquet-writer')
  const kinds = {
    boolean: 'BOOLEAN',
    int: 'INT32',
    long: 'INT64',
    double: 'DOUBLE',
    decimal: 'INT64',
    string: 'STRING',
    timestamp: 'INT64',
    binary: 'BYTE_ARRAY',
  } as const
  const data = plainColumns(rows)
  const columnData = fields.map((field, at) => {
    const kind = field.type.kind as keyof typeof kinds
    const values = data[at]!
    const typed = {
      int: Int32Array,
      long: BigInt64Array,
      double: Float64Array,
      decimal: BigInt64Array,
    }[kind as 'int']
    return {
      name: field.name,
      type: kinds[kind],
      nullable: !field.required,
      columnIndex: true,
      data: typed === undefined ? values : typed.from(values as number[]),
    }
  })
  return measure('hyparquet-writer 0.17', rows, 3, () => {
    const file = parquetWriteBuffer({
      columnData,
      codec: 'ZSTD',
      compressors: { ZSTD: (page) => zstdCompressSync(page, { chunkSize: page.length + 65_536 }) },
      rowGroupSize: 256 * 1024,
    })
    return file.byteLength
  })
}

async function measureWasm(rows: number): Promise<Measure> {
  const wasm = await import('parquet-wasm')
  const chunks: Uint8Array[] = []
  encodeOurs(rows, 'none', (chunk) => chunks.push(chunk))
  const ipc = wasm.readParquet(Buffer.concat(chunks)).intoIPCStream()
  return measure('parquet-wasm 0.8', rows, 3, () => {
    const properties = new wasm.WriterPropertiesBuilder()
      .setCompression(wasm.Compression.ZSTD)
      .setMaxRowGroupSize(256 * 1024)
      .build()
    return wasm.writeParquet(wasm.Table.fromIPCStream(ipc), properties).length
  })
}

async function measureParquetjs(rows: number): Promise<Measure> {
  // @ts-expect-error the package has no types
  const { default: parquet } = await import('parquetjs-lite')
  const kinds = {
    boolean: 'BOOLEAN',
    int: 'INT32',
    long: 'INT64',
    double: 'DOUBLE',
    decimal: 'INT64',
    string: 'UTF8',
    timestamp: 'INT64',
    binary: 'BYTE_ARRAY',
  } as const
  const shape = fields.map((field) => [
    field.name,
    {
      type: kinds[field.type.kind as keyof typeof kinds],
      optional: !field.required,
      compression: 'GZIP',
    },
  ])
  const data = plainColumns(rows)
  // It takes 64-bit integers as numbers, bytes as a Buffer and null as undefined.
  const valueOf = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return Buffer.from(value)
    return typeof value === 'bigint' ? Number(value) : (value ?? undefined)
  }
  const objects = Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(fields.map((field, at) => [field.name, valueOf(data[at]![row])])),
  )
  return measure('parquetjs-lite 0.8 (gzip)', rows, 1, async () => {
    let bytes = 0
    const sink = new Writable({
      write(chunk: Uint8Array, _encoding, done) {
        bytes += chunk.length
        done()
      },
    })
    const schema = new parquet.ParquetSchema(Object.fromEntries(shape))
    const writer = await parquet.ParquetWriter.openStream(schema, sink, { rowGroupSize: 65_536 })
    for (const row of objects) await writer.appendRow(row)
    await writer.close()
    return bytes
  })
}

function print(measures: readonly Measure[]): void {
  const ours = measures[0]!
  const cpuOf = (it: Measure): number => (it.cpuSeconds * 1e6) / it.rows
  console.table(
    measures.map((it) => ({
      encoder: it.name,
      rows: it.rows,
      'M rows/s': (it.rows / it.seconds / 1e6).toFixed(2),
      'CPU s/M rows': cpuOf(it).toFixed(2),
      'bytes/row': (it.bytes / it.rows).toFixed(1),
      'CPU, ours = 1': (cpuOf(it) / cpuOf(ours)).toFixed(1),
    })),
  )
}

const onlyOurs = process.argv.includes('--ours')
const millions = Number(process.argv.find((word, at) => at > 1 && !word.startsWith('-')) ?? 2)
const rows = Math.ceil((millions * 1e6) / BATCH_ROWS) * BATCH_ROWS

console.log(`${cpus()[0]?.model.trim()} x ${cpus().length}, Node ${process.version}`)
encodeOurs(rows, 'zstd')
const measures = [
  await measure('millrace, zstd', rows, RUNS, () => encodeOurs(rows, 'zstd')),
  await measure('millrace, gzip', rows >> 2, 3, () => encodeOurs(rows >> 2, 'gzip')),
  await measure('millrace, none', rows, RUNS, () => encodeOurs(rows, 'none')),
]
if (!onlyOurs) {
  const peerRows = Math.min(rows, BATCH_ROWS * 32)
  measures.push(await measureWasm(peerRows))
  measures.push(await measureHyparquet(peerRows))
  measures.push(await measureParquetjs(BATCH_ROWS * 4))
}
print(measures)
