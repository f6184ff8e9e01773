// Files that a crash left behind: which are found, which go, and which nobody may touch.

import { expect, test } from 'vitest'
import type { CatalogSwap } from '../../runtime/catalog.ts'
import { findOrphans } from '../../connectors/iceberg/orphans.ts'
import { filledLake, lost, table, target, withSwap } from './committer-fixture.ts'
import { foreignAppend } from './foreign.ts'
import { checkInvariants } from './invariants.ts'
import { handClock, ORDERS, renameInCatalog, schemaOf, targetOf, type Lake } from './lake.ts'

const GRACE_MS = 3_600_000

test('orphans are the files that neither snapshots nor pending intents name', async () => {
  const lake = await filledLake()
  const committer = lake.committer({ historyKeep: 2, historyKeepMs: 0 })
  for (let row = 0; row < 6; row++) {
    const files = [await lake.hollowFile(table, 0, 1)]
    await lake.commit(committer, { table, files, deletes: [new Map([[1, [row]]])] })
  }
  const pending = await lake.hollowFile(table, 0, 1)
  const orphan = await lake.hollowFile(table, 0, 1)
  const freed = committer.takeGarbage()
  const keep = new Set([pending.path])
  const found = await findOrphans(lake, target, keep)
  expect(found.toSorted()).toEqual([...freed, orphan.path].toSorted())
  expect(await committer.sweep([table], keep)).toBe(found.length)
  expect(committer.takeGarbage()).toEqual(found)
  for (const path of found) await lake.warehouse.delete(path)
  await checkInvariants(lake, table)
  expect(await findOrphans(lake, target, keep)).toEqual([])
  expect(await findOrphans(lake, targetOf('public.none'), keep)).toEqual([])
})

/** Commits until whatever is due at `clock` has been deleted. */
async function deleteDue(
  lake: Lake,
  committer: ReturnType<Lake['committer']>,
  clock: { nowMsValue: number },
): Promise<void> {
  clock.nowMsValue += GRACE_MS + 60_000
  for (let epoch = 0; epoch < 3; epoch++) {
    await lake.commit(committer, { table, files: [await lake.hollowFile(table, 0, 1)] })
  }
}

/** As Iceberg's Java library, pyiceberg and DuckDB name what they write. */
const FOREIGN_NAMES = [
  'data/00000-0-3b9df4bf-5f3f-4f2e-9d9b-02c7a2a6e4a1-00001.parquet',
  'data/00000-7-3b9df4bf-5f3f-4f2e-9d9b-02c7a2a6e4a1-00001-deletes.puffin',
  'data/day=2026-01-01/01999b77-4d3c-7f0e-8b0a-6f0f7d8d2c11.parquet',
  'metadata/9f3a3c0b-8d6e-4b60-a3ea-0b8b6a0d2b11-m0.avro',
  'metadata/snap-4242-1-9f3a3c0b-8d6e-4b60-a3ea-0b8b6a0d2b11.avro',
  'metadata/snap-4242-9f3a3c0b-8d6e-4b60-a3ea-0b8b6a0d2b11.avro',
  'metadata/00002-9f3a3c0b-8d6e-4b60-a3ea-0b8b6a0d2b11.metadata.json',
  'metadata/v3.metadata.json',
  'metadata/version-hint.text',
  'metadata/4242-3b9df4bf.stats',
]

test('what another engine has written and not yet committed is no orphan of ours', async () => {
  const lake = await filledLake()
  const clock = handClock()
  const paths = FOREIGN_NAMES.map((name) => `public/orders/${name}`)
  for (const path of paths) await lake.warehouse.put(path, new Uint8Array(1))
  const committer = lake.committer({ clock, garbageGraceMs: GRACE_MS })
  // Its data file is there when we start again after a crash; its commit comes later.
  const real = lake.warehouse
  const put = real.put.bind(real)
  let found = -1
  Object.assign(real, {
    put: async (path: string, bytes: Uint8Array) => {
      await put(path, bytes)
      if (path.endsWith('.parquet') && found < 0) found = await committer.sweep([table], new Set())
    },
  })
  await foreignAppend(lake, table)
  Object.assign(real, { put })
  expect(found).toBe(0)
  await deleteDue(lake, committer, clock)
  for (const path of paths) expect(await lake.warehouse.exists(path), path).toBe(true)
  await checkInvariants(lake, table)
})

/** The committer of a process that stands still just before the catalog gets its swap. */
async function stalledSwap(lake: Lake): Promise<{
  intent: Awaited<ReturnType<Lake['intent']>>
  swaps: readonly CatalogSwap[]
}> {
  const files = [await lake.hollowFile(table, 0, 2)]
  const intent = await lake.intent([{ table, files, deletes: [new Map([[1, [0]]])] }])
  let swaps: readonly CatalogSwap[] = []
  const { catalog } = withSwap(lake, () => async (list) => {
    swaps = list
    return lost()
  })
  const load: typeof catalog.load = async (t) => (swaps.length > 0 ? lost() : catalog.load(t))
  const stalled = lake.committer({ catalog: { ...catalog, load }, clock: handClock() })
  await expect(stalled.commit([intent])).rejects.toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
  return { intent, swaps }
}

test('files of a crashed commit go after the grace, data and metadata alike', async () => {
  const lake = await filledLake()
  const { intent } = await stalledSwap(lake)
  const clock = handClock()
  const committer = lake.committer({ clock, garbageGraceMs: GRACE_MS })
  const data = intent.tables[0]!.committables[0]!.files[0]!.path
  const found = await findOrphans(lake, target, new Set([data]))
  // A manifest of each kind, a Puffin file, a manifest list and a metadata file.
  expect(found.map((path) => /[^.]*$/.exec(path)![0]).toSorted()).toEqual(
    ['avro', 'avro', 'avro', 'json', 'puffin'].toSorted(),
  )
  expect(await committer.sweep([table], new Set([data]))).toBe(found.length)
  const [commit] = await committer.commit([intent])
  expect(commit!.outcome).toBe('committed')
  lake.learn([commit!])
  for (const path of found) expect(await lake.warehouse.exists(path)).toBe(true)
  await deleteDue(lake, committer, clock)
  for (const path of found) expect(await lake.warehouse.exists(path)).toBe(false)
  await checkInvariants(lake, table)
})

test('a file that was found as an orphan stays when a late swap has made it a part', async () => {
  const lake = await filledLake()
  const { intent, swaps } = await stalledSwap(lake)
  const clock = handClock()
  const committer = lake.committer({ clock, garbageGraceMs: GRACE_MS })
  const { path } = intent.tables[0]!.committables[0]!.files[0]!
  expect(await committer.sweep([table], new Set([path]))).toBe(5)
  // The stalled process wakes up: its request arrives, on a table that has not moved since.
  expect(await lake.catalog.swap(swaps)).toEqual([])
  const [commit] = await committer.commit([intent])
  expect(commit!.outcome).toBe('already-committed')
  lake.learn([commit!])
  await deleteDue(lake, committer, clock)
  await checkInvariants(lake, table)
})

test('a table that was renamed in the catalog keeps its files where a new one has its name', async () => {
  const lake = await filledLake()
  const clock = handClock()
  const options = { clock, garbageGraceMs: GRACE_MS }
  await lake.commit(lake.committer(options), { table, deletes: [new Map([[1, [3]]])] })
  const kept = 'public.orders_2025'
  renameInCatalog(lake, table, kept)
  const rows = await lake.liveRows(kept)
  lake.known.delete(table)
  const files = [await lake.hollowFile(table, 0, 5)]
  const committer = lake.committer(options)
  await lake.commit(committer, { table, schemas: [ORDERS], files })
  const orphan = await lake.hollowFile(table, 0, 1)
  expect(await committer.sweep([table], new Set())).toBe(1)
  await deleteDue(lake, committer, clock)
  expect(await lake.warehouse.exists(orphan.path)).toBe(false)
  expect(await lake.liveRows(kept)).toEqual(rows)
  await checkInvariants(lake, kept)
  await checkInvariants(lake, table)
})

test('a table whose metadata cannot be read keeps its files, and others are still swept', async () => {
  const lake = await filledLake()
  const other = 'public.other'
  const schema = schemaOf(other, [['id!', { kind: 'long' }]])
  const files = [await lake.hollowFile(other, 0, 5)]
  await lake.commit(lake.committer(), { table: other, schemas: [schema], files })
  const orphans = [await lake.hollowFile(table, 0, 1), await lake.hollowFile(other, 0, 1)]
  const { metadataLocation } = await lake.scan(table)
  await lake.warehouse.delete(metadataLocation.slice(lake.warehouse.uri('x').length - 1))
  const committer = lake.committer()
  expect(await committer.sweep([table, other], new Set())).toBe(1)
  expect(committer.takeGarbage()).toEqual([orphans[1]!.path])
})
