// What a commit leaves behind: manifests that are merged, snapshots that expire, files that go.

import { expect, test } from 'vitest'
import type { DataFileRecord } from '../../connectors/parquet/table/data-file-record.ts'
import { LakeFiles } from '../../connectors/iceberg/lake-files.ts'
import { dataFilePath } from '../../connectors/iceberg/layout.ts'
import { decodeManifestList } from '../../connectors/iceberg/manifest-list.ts'
import { branchAt } from '../../connectors/iceberg/metadata.ts'
import { filledLake, openLake, table, target } from './committer-fixture.ts'
import { checkInvariants } from './invariants.ts'
import { foreignUpdate } from './foreign.ts'
import { handClock, ORDERS } from './lake.ts'

test.for([
  { restarts: 'never', every: 1000 },
  { restarts: 'now and then', every: 7 },
  { restarts: 'before each commit', every: 1 },
])(
  'what falls out of history is named once, and nothing else is left ($restarts restarted)',
  async ({ every }) => {
    const lake = await openLake()
    const clock = handClock()
    const options = { clock, historyKeep: 3, historyKeepMs: 60_000 }
    let committer = lake.committer(options)
    const first = await lake.hollowFile(table, 0, 100)
    await lake.commit(committer, { table, schemas: [ORDERS], files: [first] })
    const dead = new Set<string>()
    for (let epoch = 0; epoch < 30; epoch++) {
      if (epoch % every === 0) committer = lake.committer(options)
      clock.nowMsValue += 10_000
      await lake.commit(committer, { table, deletes: [new Map([[1, [epoch]]])] })
      for (const path of committer.takeGarbage()) {
        expect(dead.has(path)).toBe(false)
        dead.add(path)
        expect(path).not.toContain('/data/')
        await lake.warehouse.delete(path)
      }
      const { snapshots } = await checkInvariants(lake, table)
      // Six of the last minute and the head, since those are more than three.
      expect(snapshots.length).toBe(Math.min(epoch + 2, 6))
    }
    const left = await lake.warehouse.list('public/orders/metadata')
    // 20 older metadata files and the current one; 6 lists, vectors and manifests, and the first's.
    expect(left.filter((path) => path.endsWith('.json'))).toHaveLength(21)
    expect(left.filter((path) => path.includes('/snap-'))).toHaveLength(6)
    expect(left.filter((path) => path.endsWith('.puffin'))).toHaveLength(6)
    expect(left).toHaveLength(21 + 6 + 6 + 6 + 1)
  },
)

test('history stays short after the clock was a day ahead for a while', async () => {
  const lake = await filledLake()
  const clock = handClock()
  const committer = lake.committer({ clock, historyKeep: 3, historyKeepMs: 60_000 })
  const commit = async (row: number): Promise<readonly { timestampMs: number }[]> => {
    clock.nowMsValue += 10_000
    await lake.commit(committer, { table, deletes: [new Map([[1, [row]]])] })
    return (await checkInvariants(lake, table)).snapshots
  }
  await commit(0)
  clock.nowMsValue += 86_400_000
  const last = (await commit(1)).at(-1)
  clock.nowMsValue -= 86_400_000
  for (let row = 2; row < 9; row++) {
    const snapshots = await commit(row)
    // Readers travel in time by them, so they never go back.
    expect(snapshots.at(-1)?.timestampMs).toBe(last?.timestampMs)
    expect(snapshots.length).toBeLessThanOrEqual(4)
  }
})

test('files that a truncate removed go when the last snapshot with them has expired', async () => {
  for (const restart of [false, true]) {
    const lake = await filledLake()
    const options = { historyKeep: 2, historyKeepMs: 0 }
    let committer = lake.committer(options)
    await lake.commit(committer, { table, deletes: [new Map([[1, [3]]])] })
    await lake.commit(committer, { table, truncated: true })
    expect(committer.takeGarbage().filter((path) => path.endsWith('.parquet'))).toEqual([])
    if (restart) committer = lake.committer(options)
    await lake.commit(committer, { table, files: [await lake.hollowFile(table, 0, 1)] })
    const freed = committer.takeGarbage()
    expect(freed.filter((path) => path.endsWith('.parquet'))).toHaveLength(1)
    for (const path of freed) await lake.warehouse.delete(path)
    await checkInvariants(lake, table)
  }
})

test('the committer deletes what is free after the grace, over restarts', async () => {
  const lake = await openLake()
  const clock = handClock()
  const options = { clock, historyKeep: 1, historyKeepMs: 0, garbageGraceMs: 100_000 }
  let committer = lake.committer(options)
  const first = await lake.hollowFile(table, 0, 100)
  await lake.commit(committer, { table, schemas: [ORDERS], files: [first] })
  const count = async (): Promise<number> => {
    const names = await lake.warehouse.list('public/orders/metadata')
    return names.filter((name) => name.endsWith('.puffin')).length
  }
  for (let epoch = 0; epoch < 20; epoch++) {
    clock.nowMsValue += 1000
    await lake.commit(committer, { table, deletes: [new Map([[1, [epoch]]])] })
  }
  expect(await count()).toBe(20)
  await committer.close()
  committer = lake.committer(options)
  for (let epoch = 20; epoch < 40; epoch++) {
    clock.nowMsValue += 10_000
    await lake.commit(committer, { table, deletes: [new Map([[1, [epoch]]])] })
    await checkInvariants(lake, table)
  }
  // One commit every ten seconds: those of the last 100 seconds and what is not written down yet.
  expect(await count()).toBeLessThanOrEqual(10 + 4)
  expect(await count()).toBeGreaterThanOrEqual(10)
  expect((await lake.state.list('lake-garbage')).length).toBeLessThanOrEqual(5)
})

test('small manifests are merged, and every file keeps its sequence number and row ids', async () => {
  const lake = await openLake()
  const committer = lake.committer()
  await lake.commit(committer, { table, schemas: [ORDERS] })
  for (let epoch = 0; epoch < 40; epoch++) {
    const files = [await lake.hollowFile(table, 0, 3)]
    await lake.commit(committer, { table, files, deletes: [new Map([[files[0]!.fileId, [1]]])] })
  }
  // The invariants compare each file with the snapshot before.
  const { snapshots } = await checkInvariants(lake, table)
  expect(await lake.liveRows(table)).toHaveLength(80)
  const created = snapshots.map(({ summary }) => Number(summary['manifests-created']))
  const kept = snapshots.map(({ summary }) => Number(summary['manifests-kept']))
  expect(Math.max(...created)).toBeGreaterThanOrEqual(2)
  expect(Math.max(...kept)).toBeLessThanOrEqual(34)
  expect(kept.at(-1)).toBeLessThan(24)
})

test('a joined manifest has at most 4,096 files, so that no commit writes more than that', async () => {
  const lake = await openLake()
  const committer = lake.committer()
  await lake.commit(committer, { table, schemas: [ORDERS] })
  const { metrics } = await lake.hollowFile(table, 0, 1)
  const describe = (): DataFileRecord => {
    const fileId = lake.nextFileId()
    const path = dataFilePath(target, fileId, 'w0')
    return { fileId, path, schemaVersion: 0, rows: 1, bytes: 100, metrics }
  }
  const joined: number[] = []
  for (let epoch = 0; epoch < 34; epoch++) {
    await lake.commit(committer, { table, files: Array.from({ length: 300 }, describe) })
    const { metadata } = await lake.scan(table)
    const head = metadata.snapshots.at(-1)!.manifestList!
    const list = decodeManifestList(await new LakeFiles(lake.warehouse).read(head), head)
    for (const { existingFiles } of list) if (existingFiles > 0) joined.push(existingFiles)
  }
  expect(Math.max(...joined)).toBeLessThanOrEqual(4096)
  expect(Math.min(...joined)).toBeGreaterThan(3000)
  expect((await lake.scan(table)).files).toHaveLength(34 * 300)
})

test('a tag that somebody sets keeps its snapshot and every file of it', async () => {
  const lake = await filledLake()
  const committer = lake.committer({ historyKeep: 2, historyKeepMs: 0 })
  await lake.commit(committer, { table, deletes: [new Map([[1, [0]]])] })
  const tagged = (await lake.scan(table)).snapshotId!
  const before = await lake.liveRows(table)
  await foreignUpdate(lake, table, ({ metadata }) => ({
    ...metadata,
    refs: { ...metadata.refs, audit: { ...branchAt(tagged), type: 'tag' } },
  }))
  for (let row = 1; row < 9; row++) {
    await lake.commit(committer, { table, deletes: [new Map([[1, [row]]])] })
    for (const path of committer.takeGarbage()) await lake.warehouse.delete(path)
    await checkInvariants(lake, table)
  }
  expect(await lake.liveRows(table, tagged)).toEqual(before)
})
