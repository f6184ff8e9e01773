import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { KeyIndex, type IndexCheckpoint } from '../../connectors/iceberg/index/key-index.ts'
import { KeyChain } from '../../connectors/iceberg/index/key-chain.ts'
import type { IndexState } from '../../connectors/iceberg/index/manifest.ts'
import { compareKeys, orderByHash } from '../../connectors/iceberg/index/sort.ts'
import { localStore } from '../../connectors/storage/local.ts'
import { Op } from '../../runtime/data/batch.ts'
import { columnBuilder, type FixedBuilder } from '../../runtime/data/column/builder.ts'
import { keyHashes, SEGMENTS } from '../../runtime/data/key-hash.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { memoryStore } from './memory-store.ts'

let starts = 0

function open(
  store: ObjectStore,
  memoryBytes: number,
  last: IndexCheckpoint | null,
  replaced: (file: number, position: number) => void = () => undefined,
): Promise<KeyIndex> {
  return KeyIndex.open(
    {
      store,
      prefix: `index/t${++starts}`,
      memoryBytes,
      start: 0,
      end: SEGMENTS,
      onResolved: (_table, { count, files, positions }) => {
        for (let at = 0; at < count; at++) replaced(files[at]!, positions[at]!)
      },
    },
    last === null ? [] : [last.data],
  )
}

type OpenRange = (start: number, end: number, states: IndexState[]) => Promise<KeyIndex>

/** Opens writers of a part of the key space. */
function ranges(store: ObjectStore, memoryBytes: number): OpenRange {
  return (start, end, states) => {
    const prefix = `index/t${++starts}`
    const onResolved = (): void => undefined
    return KeyIndex.open({ store, prefix, memoryBytes, start, end, onResolved }, states)
  }
}

/** Hashes of a key of the left and of the right half. */
const low = 0x01000000
const high = 0x81000000 | 0

/** One row in file 1, or its removal. */
async function write(index: KeyIndex, name: string, hash: number[], op: Op): Promise<void> {
  const table = index.table(name, hash.length === 2 ? 2 : 4)
  table.apply(Int32Array.from(hash), Uint8Array.of(op), null, 1, 1, 0)
  await index.afterApply(table)
}

function longHashes(keys: readonly number[]): Int32Array {
  const builder = columnBuilder({ kind: 'long' }) as FixedBuilder
  builder.reserveRows(keys.length)
  keys.forEach((key, row) => {
    builder.values[row] = BigInt(key) as never
  })
  return keyHashes([builder.view(keys.length)], keys.length).hashes
}

/** Puts keys as rows 0, 1, ... of `file`. */
async function put(index: KeyIndex, keys: readonly number[], file: number): Promise<void> {
  const table = index.table('t', 2)
  const ops = new Uint8Array(keys.length).fill(Op.update)
  table.apply(longHashes(keys), ops, null, keys.length, file, 0)
  await index.afterApply(table)
}

function find(index: KeyIndex, keys: readonly number[]): string[] {
  const previous = { files: new Int32Array(keys.length), positions: new Int32Array(keys.length) }
  const rows = Int32Array.from(keys, (_, row) => row)
  index.table('t', 2).lookup(longHashes(keys), rows, previous)
  return keys.map((_, row) => `${previous.files[row]}:${previous.positions[row]}`)
}

// Goal: segments that are split, runs of many blocks, and positional reads of real files.
test('400,000 keys on disk under a budget of 1 MiB answer as if they were in memory', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-index-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const store = localStore(folder)
  const model = new Map<number, string>()
  const seen: string[] = []
  const expected: string[] = []
  const replaced = (file: number, position: number): number => seen.push(`${file}:${position}`)
  let index = await open(store, 1024 * 1024, null, replaced)
  let last: IndexCheckpoint | null = null
  const BATCH = 20_000
  for (let epoch = 1; epoch <= 20; epoch++) {
    // Half of the keys are new, half were put in earlier epochs.
    const keys = Array.from({ length: BATCH }, (_, at) => {
      return at % 2 === 0 ? epoch * BATCH + at : ((at * 7919 + epoch) % epoch) * BATCH + at
    })
    const distinct = [...new Set(keys)]
    for (const [row, key] of distinct.entries()) {
      const before = model.get(key)
      if (before !== undefined) expected.push(before)
      model.set(key, `${epoch}:${row}`)
    }
    await put(index, distinct, epoch)
    last = await index.prepare(epoch)
    if (epoch % 7 === 0) {
      await index.close()
      index = await open(store, 1024 * 1024, last, replaced)
    }
  }
  expect(seen.sort()).toEqual(expected.sort())
  expect(index.table('t', 2).segments.length).toBe(SEGMENTS)
  const keys = [...model.keys()]
  expect(find(index, keys)).toEqual(keys.map((key) => model.get(key)))
  expect(find(index, [-1, 1e9, 7e8])).toEqual(['0:0', '0:0', '0:0'])
  const entries = index.table('t', 2).collect()
  expect(entries.length / 4).toBe(model.size)
  await index.close()
})

// The demo found it: with 90,000 puts in an epoch, 48 were in no delta and gone after a restart.
test('an epoch with hundreds of thousands of puts comes back whole after a restart', async () => {
  const store = memoryStore()
  let index = await open(store, 512 * 1024 * 1024, null)
  const model = new Map<number, string>()
  // A small batch first, so that the log does not grow by powers of two.
  const batches = [10, ...Array.from({ length: 20 }, () => 16_000)]
  for (const [batch, rows] of batches.entries()) {
    const keys = Array.from({ length: rows }, (_, at) => batch * 16_000 + at)
    await put(index, keys, batch + 1)
    for (const [row, key] of keys.entries()) model.set(key, `${batch + 1}:${row}`)
  }
  const last = await index.prepare(1)
  await index.close()
  index = await open(store, 512 * 1024 * 1024, last)
  const keys = [...model.keys()]
  expect(find(index, keys)).toEqual(keys.map((key) => model.get(key)))
  await index.close()
})

test('a flipped bit in any state file is found, never answered', async () => {
  const store = memoryStore()
  let index = await open(store, 20_000, null)
  let last: IndexCheckpoint | null = null
  for (let epoch = 1; epoch <= 3; epoch++) {
    await put(
      index,
      Array.from({ length: 1000 }, (_, at) => at * epoch),
      epoch,
    )
    last = await index.prepare(epoch)
  }
  await index.close()
  expect(last!.files.some((path) => path.endsWith('.run'))).toBe(true)
  const keys = Array.from({ length: 3000 }, (_, at) => at)
  const whole = await open(store, 20_000, last)
  const answers = find(whole, keys)
  let found = 0
  for (const path of last!.files) {
    const bytes = store.objects.get(path)!
    for (const at of [0, 1, 2, 3, 4].map((part) => Math.floor((bytes.length - 1) * (part / 4)))) {
      const damaged = bytes.slice()
      damaged[at]! ^= 0x10
      store.objects.set(path, damaged)
      try {
        index = await open(store, 20_000, last)
        // Eight bytes at the start of a run file are read by nobody.
        expect(find(index, keys), `${path} at ${at}`).toEqual(answers)
        expect(path.endsWith('.run') && at < 8).toBe(true)
      } catch (error) {
        expect(error).toMatchObject({ error: 'CHECKPOINT_CORRUPT' })
        found++
      }
    }
    store.objects.set(path, bytes)
  }
  expect(found).toBeGreaterThan(4 * last!.files.length)
})

// A TRUNCATE in epoch 2, then epochs that fold some segments: when sixteen deltas are merged, the
// reset of the first must not outlive the entries that the runs hold by then.
test('a restart keeps the keys of runs that were folded after a reset', async () => {
  const store = memoryStore()
  const MEMORY = 3 * 1024 * 1024
  const index = await open(store, MEMORY, null)
  const keys: number[] = []
  await put(index, [1, 2, 3], 1)
  await index.prepare(1)
  index.reset('t')
  for (let epoch = 2; epoch <= 24; epoch++) {
    for (const file of [epoch * 10, epoch * 10 + 1]) {
      const next = Array.from({ length: 5000 }, (_, at) => 1000 + keys.length + at)
      await put(index, next, file)
      keys.push(...next)
    }
    const last = await index.prepare(epoch)
    if (epoch % 4 !== 1) continue
    const again = await open(store, MEMORY, last)
    const places = find(index, keys)
    const lost = find(again, keys).filter((place, at) => place !== places[at])
    expect(lost.length, `keys lost in epoch ${epoch}`).toBe(0)
    expect(find(again, [1, 2, 3])).toEqual(['0:0', '0:0', '0:0'])
    await again.close()
  }
})

// Each of two writers takes half of the deltas that one has left. What the left one merges goes
// before what the right one still has, and must not void it.
test('the reset in a merged delta voids nothing of another writer', async () => {
  const openRange = ranges(memoryStore(), 64 * 1024 * 1024)
  const whole = await openRange(0, SEGMENTS, [])
  await put(whole, [1], 1)
  await whole.prepare(1)
  whole.reset('t')
  const keys = Array.from({ length: 600 }, (_, at) => 1000 + at)
  let data = (await whole.prepare(2)).data
  for (let epoch = 3; epoch <= 14; epoch++) {
    await put(whole, keys.slice((epoch - 3) * 50, (epoch - 2) * 50), epoch)
    data = (await whole.prepare(epoch)).data
  }
  const halves = [
    await openRange(0, SEGMENTS / 2, [data]),
    await openRange(SEGMENTS / 2, SEGMENTS, [data]),
  ]
  const left = (key: number): boolean => longHashes([key])[0]! >>> 24 < SEGMENTS / 2
  const more = Array.from({ length: 40 }, (_, at) => 5000 + at).filter(left)
  let states: IndexState[] = []
  for (let epoch = 15; epoch <= 20; epoch++) {
    await put(halves[0]!, [more[epoch]!], epoch)
    states = []
    for (const half of halves) states.push((await half.prepare(epoch)).data)
  }
  expect(states[0]!.deltas.some(({ level }) => level > 0)).toBe(true)
  const again = await openRange(0, SEGMENTS, states)
  expect(find(again, keys)).toEqual(find(whole, keys))
})

// The right writer still has the delta that put the key, for the sake of another table.
test('a deleted key does not come back from a delta that another writer still needs', async () => {
  const openRange = ranges(memoryStore(), 10_000)
  const whole = await openRange(0, SEGMENTS, [])
  await write(whole, 'left', [low, 1], Op.insert)
  await write(whole, 'right', [high, 1], Op.insert)
  const { data } = await whole.prepare(1)
  const left = await openRange(0, SEGMENTS / 2, [data])
  const right = await openRange(SEGMENTS / 2, SEGMENTS, [data])
  await write(left, 'left', [low, 1], Op.delete)
  await left.prepare(2)
  await right.prepare(2)
  // More than the budget: everything is folded, the table without keys too.
  const many = Int32Array.from({ length: 2000 }, (_, at) => (at % 2 === 0 ? low + at : 2))
  const other = left.table('other', 2)
  other.apply(many, new Uint8Array(1000).fill(Op.insert), null, 1000, 2, 0)
  await left.afterApply(other)
  const states = [(await left.prepare(3)).data, (await right.prepare(3)).data]
  const again = await openRange(0, SEGMENTS, states)
  expect(again.isEmpty('left')).toBe(true)
  expect(again.isEmpty('right')).toBe(false)
})

test('a writer without rows since the key changed does not hide those of another', async () => {
  const openRange = ranges(memoryStore(), 1)
  const left = await openRange(0, SEGMENTS / 2, [])
  const right = await openRange(SEGMENTS / 2, SEGMENTS, [])
  const writers = [left, right]
  await write(left, 't', [low, 1], Op.insert)
  await write(right, 't', [high, 1], Op.insert)
  for (const writer of writers) await writer.prepare(1)
  for (const writer of writers) writer.reset('t')
  await write(right, 't', [high, 1, 2, 3], Op.insert)
  let states: IndexState[] = []
  for (let epoch = 2; epoch <= 4; epoch++) {
    states = []
    for (const writer of writers) states.push((await writer.prepare(epoch)).data)
  }
  const again = await openRange(0, SEGMENTS, states)
  expect([...again.table('t', 4).collect()]).toEqual([high, 1, 2, 3, 1, 0])
})

test('an epoch over 2,000 tables writes one object, and one without changes none', async () => {
  const store = memoryStore()
  const index = await open(store, 64 * 1024 * 1024, null)
  for (let table = 0; table < 2000; table++) {
    const target = index.table(`shop.t${table}`, 2)
    target.apply(longHashes([table]), Uint8Array.of(Op.insert), null, 1, 1, 0)
    await index.afterApply(target)
  }
  const first = await index.prepare(1)
  expect(first.files).toHaveLength(1)
  expect(JSON.stringify(first.data).length).toBeLessThan(300)
  expect(await index.prepare(2)).toBe(first)
  expect(store.objects.size).toBe(1)
})

test('a state file that is cut or missing is damage, not a failing disk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-index-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const store of [memoryStore(), localStore(folder)]) {
    let index = await open(store, 20_000, null)
    let last: IndexCheckpoint | null = null
    const keys = Array.from({ length: 1000 }, (_, at) => at)
    for (let epoch = 1; epoch <= 3; epoch++) {
      await put(index, keys, epoch)
      last = await index.prepare(epoch)
    }
    await index.close()
    for (const path of last!.files) {
      const bytes = await store.get(path)
      for (const length of [null, 0, 3, bytes.length >> 1]) {
        if (length === null) await store.delete(path)
        else await store.put(path, bytes.subarray(0, length))
        const answers = async (): Promise<string[]> => {
          index = await open(store, 20_000, last)
          return find(index, keys)
        }
        const wanted = { error: 'CHECKPOINT_CORRUPT' }
        await expect(answers(), `${path} of ${length}`).rejects.toMatchObject(wanted)
      }
      await store.put(path, bytes)
    }
  }
})

test('a hundred epochs leave a handful of deltas', async () => {
  const store = memoryStore()
  const index = await open(store, 64 * 1024 * 1024, null)
  let last: IndexCheckpoint | null = null
  for (let epoch = 1; epoch <= 100; epoch++) {
    await put(index, [epoch, epoch % 10], epoch)
    last = await index.prepare(epoch)
    expect(last.files.length).toBeLessThanOrEqual(32)
  }
  const again = await open(store, 64 * 1024 * 1024, last)
  const keys = Array.from({ length: 101 }, (_, at) => at)
  expect(find(again, keys)).toEqual(find(index, keys))
})

test('keys are ordered by all their words, as unsigned numbers', () => {
  const words = [0, 1, -1, 0x7fffffff, -0x80000000, 5]
  const rows = words.flatMap((a) => words.flatMap((b) => words.map((c) => [a, b, c, a ^ c])))
  const keys = Int32Array.from(rows.reverse().flat())
  const order = orderByHash(keys, 4, 4, null, rows.length)
  for (let rank = 1; rank < order.length; rank++) {
    expect(compareKeys(keys, order[rank - 1]!, keys, order[rank]!, 4)).toBeLessThanOrEqual(0)
  }
  expect(new Set(order).size).toBe(rows.length)
})

test('a chain links each row to the one before it with its key', () => {
  const chain = new KeyChain()
  for (const words of [2, 4] as const) {
    for (const count of [40, 20_000]) {
      const ids = Array.from({ length: count }, (_, row) => (row * 7919) % Math.ceil(count / 3))
      const hashes = Int32Array.from(ids.flatMap((id) => [id, id & 3, id >> 2, 0].slice(0, words)))
      const last = new Map<string, number>()
      const expected = ids.map((_, row) => {
        const key = hashes.subarray(row * words, row * words + words).join()
        const before = last.get(key) ?? -1
        last.set(key, row)
        return before
      })
      const repeats = chain.link(hashes, words, count)
      expect([...chain.previous.subarray(0, count)]).toEqual(expected)
      expect([...chain.lastRows(count, repeats)]).toEqual([...last.values()].sort((a, b) => a - b))
    }
  }
})
