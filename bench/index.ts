// Random updates of the primary-key index, folds and fsync included, and the memory that it takes.
//
//   node bench/index.ts [--keys=40] [--epoch=1000000] [--epochs=10] [--memory=512]
//
// Loads `keys` million int64 keys first, then updates random ones in epochs of `epoch` rows.

import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { KeyIndex } from '../connectors/iceberg/index/key-index.ts'
import type { IndexState } from '../connectors/iceberg/index/manifest.ts'
import { localStore } from '../connectors/storage/local.ts'
import { systemClock } from '../runtime/base/clock.ts'
import { Op } from '../runtime/data/batch.ts'
import { columnBuilder, type FixedBuilder } from '../runtime/data/column/builder.ts'
import { keyHashes, SEGMENTS } from '../runtime/data/key-hash.ts'

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '40' },
    epoch: { type: 'string', default: '1000000' },
    epochs: { type: 'string', default: '10' },
    memory: { type: 'string', default: '512' },
  },
})
const keys = Number(values.keys) * 1e6
const epochRows = Number(values.epoch)
const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'millrace-index-'))
const store = localStore(folder)
const BATCH = 16 * 1024

let replaced = 0
let starts = 0
function options(): Parameters<typeof KeyIndex.open>[0] {
  return {
    store,
    prefix: `index/b${starts++}`,
    memoryBytes: Number(values.memory) * 1024 * 1024,
    start: 0,
    end: SEGMENTS,
    onResolved: (_table, { count }) => {
      replaced += count
    },
  }
}

const builder = columnBuilder({ kind: 'long' }) as FixedBuilder
builder.reserveRows(BATCH)
const ops = new Uint8Array(BATCH).fill(Op.update)

// xorshift32: the bench must not depend on chance.
let random = 0x2545f491
function nextKey(): number {
  random ^= random << 13
  random ^= random >>> 17
  random ^= random << 5
  return (random >>> 0) % keys
}

async function put(
  index: KeyIndex,
  rows: number,
  file: number,
  first: number | null,
): Promise<void> {
  const table = index.table('bench.t', 2)
  for (let done = 0; done < rows; done += BATCH) {
    const count = Math.min(BATCH, rows - done)
    for (let row = 0; row < count; row++) {
      builder.pairs[2 * row] = first === null ? nextKey() : first + done + row
      builder.pairs[2 * row + 1] = 0
    }
    const { hashes } = keyHashes([builder.view(count)], count)
    table.apply(hashes, ops, null, count, file, done)
    const wait = index.afterApply(table)
    if (wait !== undefined) await wait
  }
}

async function timed(name: string, rows: number, task: () => Promise<void>): Promise<void> {
  const start = systemClock.elapsedMs()
  const cpu = process.cpuUsage()
  await task()
  const ms = systemClock.elapsedMs() - start
  const { user, system } = process.cpuUsage(cpu)
  const rss = Math.round(process.memoryUsage.rss() / 1048576)
  console.log(
    `${name}: ${(rows / ms / 1000).toFixed(2)} M rows/s, ${Math.round(ms)} ms, ` +
      `${((user + system) / 1e6 / (rows / 1e6)).toFixed(2)} CPU s per M rows, rss ${rss} MB`,
  )
}

console.log(
  `${cpus()[0]?.model}, ${cpus().length} cores, node ${process.version}, ${JSON.stringify(values)}`,
)
try {
  let index = await KeyIndex.open(options(), [])
  let epoch = 0
  await timed('load', keys, async () => {
    for (let first = 0; first < keys; first += 1e6) {
      await put(index, Math.min(1e6, keys - first), ++epoch, first)
      await index.prepare(epoch)
    }
  })
  let state: IndexState | null = null
  const epochs = Number(values.epochs)
  await timed('update', epochs * epochRows, async () => {
    for (let at = 0; at < epochs; at++) {
      const start = systemClock.elapsedMs()
      await put(index, epochRows, ++epoch, null)
      const prepare = systemClock.elapsedMs()
      state = (await index.prepare(epoch)).data
      const end = systemClock.elapsedMs()
      if (epochs <= 20)
        console.log(`  epoch ${Math.round(end - start)} ms, prepare ${Math.round(end - prepare)}`)
    }
  })
  console.log(`replaced ${replaced} of ${epochs * epochRows} updates`)
  await index.close()
  await timed('recover', keys, async () => {
    index = await KeyIndex.open(options(), state === null ? [] : [state])
  })
  await index.close()
} finally {
  rmSync(folder, { recursive: true })
}
