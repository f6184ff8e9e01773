// Which replaced files may go: those that no retained snapshot refers to, on whatever branch it is,
// and all of them.

import { expect, test } from 'vitest'
import { branchAt } from '../../connectors/iceberg/metadata.ts'
import { findOrphans } from '../../connectors/iceberg/orphans.ts'
import { openLake, table, target } from './committer-fixture.ts'
import { foreignAppend, foreignUpdate } from './foreign.ts'
import { checkInvariants } from './invariants.ts'
import { handClock, ORDERS, schemaOf, type Lake } from './lake.ts'

type IcebergCommitter = ReturnType<Lake['committer']>

async function deleteFreed(lake: Lake, committer: IcebergCommitter): Promise<readonly string[]> {
  const freed = committer.takeGarbage()
  for (const path of freed) await lake.warehouse.delete(path)
  return freed
}

const OPTIONS = { historyKeep: 3, historyKeepMs: 10_000 }
const RESTARTS = [
  { restarts: 'never', every: 1000 },
  { restarts: 'before each commit', every: 1 },
]

test.for(
  RESTARTS.flatMap((restart) => [
    { ...restart, what: 'a branch', branch: 'audit' },
    { ...restart, what: 'a staged snapshot', branch: null },
  ]),
)('$what keeps what main has replaced ($restarts restarted)', async ({ every, branch }) => {
  const clock = handClock()
  const { lake, step } = await steppingLake(clock, every)
  await step(0)
  const forked = (await lake.scan(table)).snapshotId!
  await step(1)
  // Newer than the commit that replaced the vector and the manifest which it goes on from.
  const { snapshots } = await foreignAppend(lake, table, { parent: forked, branch, keep: 1 })
  const side = snapshots.at(-1)!.snapshotId
  const rows = await lake.liveRows(table, side)
  for (let row = 2; row < 10; row++) await step(row)
  const { metadata } = await lake.scan(table)
  expect(metadata.snapshots.map(({ snapshotId }) => snapshotId)).not.toContain(forked)
  expect(await lake.liveRows(table, side)).toEqual(rows)
})

/** A lake of ten rows, and a commit that deletes one, every five seconds. */
async function steppingLake(
  clock: ReturnType<typeof handClock>,
  every: number,
): Promise<{ lake: Lake; step: (row: number) => Promise<void> }> {
  const lake = await openLake()
  let committer = lake.committer({ clock, ...OPTIONS })
  const files = [await lake.hollowFile(table, 0, 10)]
  await lake.commit(committer, { table, schemas: [ORDERS], files })
  const step = async (row: number): Promise<void> => {
    if (row % every === 0) committer = lake.committer({ clock, ...OPTIONS })
    clock.nowMsValue += 5000
    await lake.commit(committer, { table, deletes: [new Map([[1, [row]]])] })
    await deleteFreed(lake, committer)
    await checkInvariants(lake, table)
  }
  return { lake, step }
}

test.for(RESTARTS)(
  'a tag keeps its own files and nothing else, and they go with it ($restarts restarted)',
  async ({ every }) => {
    const clock = handClock()
    const { lake, step } = await steppingLake(clock, every)
    await step(0)
    const tagged = (await lake.scan(table)).snapshotId!
    await foreignUpdate(lake, table, ({ metadata }) => ({
      ...metadata,
      refs: { ...metadata.refs, audit: { ...branchAt(tagged), type: 'tag' } },
    }))
    for (let row = 1; row < 7; row++) await step(row)
    // Three snapshots of main and the tagged one: a list, a vector and its manifest each, and the
    // manifest of the data file.
    expect(await countFiles(lake)).toEqual({ lists: 4, manifests: 4 + 1, vectors: 4 })
    await foreignUpdate(lake, table, ({ metadata: { refs, ...metadata } }) => {
      const { audit: _, ...others } = refs
      return { ...metadata, refs: others }
    })
    await step(7)
    expect(await countFiles(lake)).toEqual({ lists: 4, manifests: 4 + 1, vectors: 4 })
    // On no branch it counts as staged, and stays for five days.
    clock.nowMsValue += 6 * 86_400_000
    await step(8)
    expect(await countFiles(lake)).toEqual({ lists: 3, manifests: 3 + 1, vectors: 3 })
  },
)

async function countFiles(lake: Lake): Promise<Record<string, number>> {
  const names = await lake.warehouse.list('public/orders/metadata')
  const count = (pattern: RegExp): number => names.filter((name) => pattern.test(name)).length
  return { lists: count(/\/snap-/), manifests: count(/-[md]\.avro/), vectors: count(/\.puffin/) }
}

test.for(RESTARTS)(
  'nothing is left of what no snapshot refers to ($restarts restarted)',
  async ({ every }) => {
    const lake = await openLake()
    const options = { historyKeep: 6, historyKeepMs: 0 }
    let committer = lake.committer(options)
    const wider = (version: number): typeof ORDERS =>
      schemaOf(
        table,
        Array.from({ length: version + 2 }, (_, index) => [`c${index}`, { kind: 'long' }] as const),
        version,
      )
    let version = 0
    await lake.commit(committer, { table, schemas: [ORDERS] })
    for (let epoch = 1; epoch < 30; epoch++) {
      if (epoch % every === 0) committer = lake.committer(options)
      const truncated = epoch % 7 === 0
      const before = await lake.hollowFile(table, version, 3)
      const schemas = epoch % 5 === 0 ? [wider(++version), wider(++version)] : []
      const after = await lake.hollowFile(table, version, 3)
      const deletes = [
        new Map([
          [before.fileId, [0]],
          [after.fileId, [1]],
        ]),
      ]
      await lake.commit(committer, { table, truncated, schemas, files: [before, after], deletes })
      await deleteFreed(lake, committer)
      await checkInvariants(lake, table)
    }
    for (let epoch = 0; epoch < 7; epoch++) {
      await lake.commit(committer, { table, files: [await lake.hollowFile(table, version, 1)] })
      await deleteFreed(lake, committer)
    }
    expect(await findOrphans(lake, target, new Set())).toEqual([])
  },
)
