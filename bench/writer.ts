// The Iceberg sink's writer alone: rows of ten columns into index, Parquet and fsynced files.
//
//   node bench/writer.ts [--rows=4] [--epoch=1000000] [--memory=512]
//
// Copies `rows` million rows first, then updates random ones in epochs of `epoch` rows.

import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createIcebergWriter } from '../connectors/iceberg/writer/iceberg-writer.ts'
import { localStore } from '../connectors/storage/local.ts'
import { systemClock } from '../runtime/base/clock.ts'
import { Op, type ChangeBatch } from '../runtime/data/batch.ts'
import { columnBuilder, type FixedBuilder } from '../runtime/data/column/builder.ts'
import type { Field, TableSchema } from '../runtime/data/schema.ts'
import type { ColumnType } from '../runtime/data/type.ts'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '4' },
    epoch: { type: 'string', default: '1000000' },
    epochs: { type: 'string', default: '4' },
    memory: { type: 'string', default: '512' },
  },
})
const rows = Number(values.rows) * 1e6
const epochRows = Number(values.epoch)
const BATCH = 16 * 1024
const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'millrace-writer-'))

const types: ColumnType[] = [
  { kind: 'long' },
  { kind: 'int' },
  { kind: 'double' },
  { kind: 'timestamptz' },
  { kind: 'string' },
  { kind: 'string' },
  { kind: 'decimal', precision: 12, scale: 2 },
  { kind: 'boolean' },
  { kind: 'date' },
  { kind: 'string' },
]
const fields = types.map((type, at): Field => ({
  id: at + 1,
  elementId: null,
  identity: String(at),
  name: `c${at}`,
  type,
  nullable: at > 0,
  comment: null,
  initialDefault: null,
}))
const schema: TableSchema = {
  table: 'bench.t',
  version: 0,
  fields,
  key: [0],
  comment: null,
  lastFieldId: fields.length,
}

// xorshift32: the bench must not depend on chance.
let random = 0x2545f491
function next(): number {
  random ^= random << 13
  random ^= random >>> 17
  random ^= random << 5
  return random >>> 0
}

const builders = fields.map(({ type }) => columnBuilder(type))
for (const builder of builders) builder.reserveRows(BATCH)
const text = Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789-the-quick-brown-fox-jumps-over')

function fill(count: number, first: number | null): ChangeBatch {
  for (const builder of builders) builder.reset()
  for (let row = 0; row < count; row++) {
    for (const [at, builder] of builders.entries()) {
      const number = next()
      if (builder.layout === 'bytes') {
        const start = at === 4 ? number & 15 : number % 40
        builder.setBytes(row, text, start, start + 8 + (at === 9 ? number % 20 : 0))
      } else {
        const { pairs, values } = builder as FixedBuilder
        if (values instanceof BigInt64Array) {
          pairs[2 * row] =
            at === 0 ? (first === null ? number % rows : first + row) : number & 0xffff
          pairs[2 * row + 1] = 0
        } else values[row] = at === 7 ? number & 1 : number & 0xfff
      }
    }
  }
  return {
    kind: 'changes',
    table: 'bench.t',
    schemaVersion: 0,
    rows: count,
    ops: new Uint8Array(count).fill(first === null ? Op.update : Op.read),
    columns: builders.map((builder) => builder.view(count)),
    transactions: {
      count: 1,
      orderHigh: 0n,
      orderLow: new BigUint64Array(1),
      timeUs: new BigInt64Array(1),
      idOffsets: new Int32Array(2),
      idBytes: new Uint8Array(0),
    },
    transaction: new Uint32Array(count),
    sequence: new Uint32Array(count),
    keyHash: null,
  }
}

// Making the rows takes longer than writing them: it is left out of the time.
let makingMs = 0
let makingCpu = 0
async function send(count: number, first: number | null): Promise<void> {
  for (let done = 0; done < count; done += BATCH) {
    const start = systemClock.elapsedMs()
    const cpu = process.cpuUsage()
    const batch = fill(Math.min(BATCH, count - done), first === null ? null : first + done)
    const { user, system } = process.cpuUsage(cpu)
    makingMs += systemClock.elapsedMs() - start
    makingCpu += user + system
    const wait = writer.write(batch)
    if (wait !== undefined) await wait
  }
}

const writer = await createIcebergWriter({
  index: 0,
  count: 1,
  mode: 'upsert',
  warehouse: localStore(join(folder, 'lake')),
  state: localStore(join(folder, 'state')),
  states: [],
  firstFileId: 1,
  fileSuffix: 'bench',
  indexMemoryBytes: Number(values.memory) * 1024 * 1024,
})
let epoch = 0

async function timed(name: string, total: number, task: () => Promise<void>): Promise<void> {
  makingMs = 0
  makingCpu = 0
  const start = systemClock.elapsedMs()
  const cpu = process.cpuUsage()
  await task()
  const ms = systemClock.elapsedMs() - start - makingMs
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (user + system - makingCpu) / 1e6
  console.log(
    `${name}: ${(total / ms / 1000).toFixed(2)} M rows/s, ` +
      `${(seconds / (total / 1e6)).toFixed(2)} CPU s per M rows, ` +
      `rss ${Math.round(process.memoryUsage.rss() / 1048576)} MB`,
  )
}

console.log(
  `${cpus()[0]?.model}, ${cpus().length} cores, node ${process.version}, ${JSON.stringify(values)}`,
)
try {
  await writer.write({ kind: 'schema', schema })
  await timed('copy', rows, async () => {
    for (let first = 0; first < rows; first += 1e6) {
      await send(Math.min(1e6, rows - first), first)
      await writer.prepare(++epoch)
    }
  })
  const epochs = Number(values.epochs)
  await timed('update', epochs * epochRows, async () => {
    for (let at = 0; at < epochs; at++) {
      await send(epochRows, null)
      await writer.prepare(++epoch)
    }
  })
} finally {
  await writer.close()
  rmSync(folder, { recursive: true })
}
