// The commit protocol: what a commit makes, and what a crash, a lost answer or an outage may not
// change.

import { expect, test } from 'vitest'
import type { Catalog } from '../../runtime/catalog.ts'
import { filledLake, lost, openLake, table, target, withSwap } from './committer-fixture.ts'
import { checkInvariants } from './invariants.ts'
import { foreignAppend } from './foreign.ts'
import { handClock, ORDERS, schemaOf, targetOf } from './lake.ts'

test('the first epoch creates the table with its rows', async () => {
  const lake = await openLake()
  const file = await lake.file(ORDERS, [
    { id: 1, name: 'a' },
    { id: 2, name: null },
  ])
  const committer = lake.committer()
  const [commit] = await lake.commit(committer, { table, schemas: [ORDERS], files: [file] })
  expect(commit).toMatchObject({ table, outcome: 'committed', reason: null })
  expect(await lake.liveRows(table)).toEqual(['1:0', '1:1'])
  const metadata = await checkInvariants(lake, table)
  expect(metadata.currentSnapshotId).toBe(commit!.snapshotId)
  expect(metadata.tableUuid).toBe(commit!.tableUuid)
  expect(metadata.lastColumnId).toBe(2)
  expect(metadata.schemas[0]!.json['identifier-field-ids']).toEqual([1])
  expect(await lake.catalog.load(target)).toBe(commit!.metadataLocation)
})

test('positions of several writers and epochs unite in one vector per data file', async () => {
  const lake = await filledLake()
  const committer = lake.committer()
  await lake.commit(committer, { table, deletes: [new Map([[1, [3]]]), new Map([[1, [5]]])] })
  const files = [await lake.hollowFile(table, 0, 3)]
  const deletes = [
    new Map([
      [1, [0]],
      [2, [1]],
    ]),
  ]
  await lake.commit(committer, { table, files, deletes })
  const live = ['1:1', '1:2', '1:4', '1:6', '1:7', '1:8', '1:9', '2:0', '2:2']
  expect(await lake.liveRows(table)).toEqual(live)
  const metadata = await checkInvariants(lake, table)
  expect(metadata.snapshots.at(-1)!.summary).toMatchObject({
    operation: 'overwrite',
    'added-dvs': '2',
    'removed-dvs': '1',
    'added-position-deletes': '4',
    'removed-position-deletes': '2',
    'total-position-deletes': '4',
  })
})

test('an epoch without changes for a table makes no snapshot', async () => {
  const lake = await filledLake()
  const before = await lake.catalog.load(target)
  const [commit] = await lake.commit(lake.committer(), { table, deletes: [new Map()] })
  expect(commit).toMatchObject({ outcome: 'unchanged', snapshotId: null })
  expect(await lake.catalog.load(target)).toBe(before)
})

test('an intent that is committed again changes nothing', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
  const [first] = await lake.committer().commit([intent])
  const location = await lake.catalog.load(target)
  const [second] = await lake.committer().commit([intent])
  expect(second).toEqual({ ...first, outcome: 'already-committed' })
  expect(await lake.catalog.load(target)).toBe(location)
})

test('a swap whose answer is lost is found, not repeated, and none of its files is deleted', async () => {
  const lake = await filledLake()
  let swaps = 0
  const options = withSwap(lake, (real) => async (list) => {
    const conflicts = await real(list)
    swaps++
    return swaps === 1 ? lost() : conflicts
  })
  const files = [await lake.hollowFile(table, 0, 2)]
  const [commit] = await lake.commit(lake.committer({ ...options, clock: handClock() }), {
    table,
    files,
  })
  expect(commit!.outcome).toBe('committed')
  expect(swaps).toBe(1)
  expect(await lake.liveRows(table)).toHaveLength(12)
  await checkInvariants(lake, table)
})

test('a swap that never reached the catalog is repeated with the same files', async () => {
  const lake = await filledLake()
  const tried: string[] = []
  const options = withSwap(lake, (real) => async (list) => {
    tried.push(...list.map(({ next }) => next))
    return tried.length < 3 ? lost() : real(list)
  })
  const files = [await lake.hollowFile(table, 0, 2)]
  const [commit] = await lake.commit(lake.committer({ ...options, clock: handClock() }), {
    table,
    files,
  })
  expect(commit!.outcome).toBe('committed')
  expect(new Set(tried).size).toBe(1)
  expect(await lake.liveRows(table)).toHaveLength(12)
})

test('a catalog that stays silent is reported, and the next call finds what it had done', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
  const applied = withSwap(lake, (real) => async (list) => {
    await real(list)
    return lost()
  })
  const silent: Catalog = {
    ...applied.catalog,
    load: async () => lost(),
  }
  await expect(lake.committer({ catalog: silent }).commit([intent])).rejects.toMatchObject({
    error: 'CATALOG_UNAVAILABLE',
  })
  let loads = 0
  const dying: Catalog = {
    ...applied.catalog,
    load: async (wanted) => (++loads > 1 ? lost() : lake.catalog.load(wanted)),
  }
  const committer = lake.committer({ catalog: dying, clock: handClock() })
  await expect(committer.commit([intent])).rejects.toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
  const [commit] = await lake.committer().commit([intent])
  expect(commit!.outcome).toBe('already-committed')
  expect(await lake.liveRows(table)).toHaveLength(12)
  await checkInvariants(lake, table)
})

test('all tables of an epoch become visible together', async () => {
  const lake = await openLake()
  const other = { ...ORDERS, table: 'public.items' }
  const seen: (string | null)[] = []
  const options = withSwap(lake, (real) => async (list) => {
    for (const { table: swapped } of list) seen.push(await lake.catalog.load(swapped))
    return real(list)
  })
  const committer = lake.committer(options)
  const specs = [ORDERS, other].map((schema) => ({ table: schema.table, schemas: [schema] }))
  const commits = await lake.commit(committer, ...specs)
  expect(commits.map(({ outcome }) => outcome)).toEqual(['committed', 'committed'])
  expect(seen).toEqual([null, null])
  // A conflict on one holds back the other, too.
  let first = true
  const held = withSwap(lake, (real) => async (list) => {
    if (first) {
      first = false
      await foreignAppend(lake, other.table)
      expect(list).toHaveLength(2)
      const conflicts = await real(list)
      expect(conflicts).toEqual([targetOf(other.table)])
      expect(await lake.liveRows(table)).toEqual([])
      return conflicts
    }
    return real(list)
  })
  const files = [await lake.hollowFile(table, 0, 1), await lake.hollowFile(other.table, 0, 1)]
  await lake.commit(
    lake.committer({ ...held, clock: handClock() }),
    { table, files: files.slice(0, 1) },
    { table: other.table, files: files.slice(1) },
  )
  expect(await lake.liveRows(table)).toHaveLength(1)
  expect(await lake.liveRows(other.table)).toHaveLength(3)
})

test('several pending epochs become one snapshot that says so, DDL and truncate stay apart', async () => {
  const lake = await filledLake()
  const file = (): Promise<Parameters<typeof lake.intent>[0][0]> =>
    lake.hollowFile(table, 0, 1).then((record) => ({ table, files: [record] }))
  const intents = [
    await lake.intent([await file()]),
    await lake.intent([await file()]),
    await lake.intent([{ table, truncated: true }]),
    await lake.intent([await file()]),
    await lake.intent([await file()]),
  ]
  const commits = await lake.committer().commit(intents)
  expect(commits).toHaveLength(1)
  expect(commits[0]!.snapshotId).toBe(intents.at(-1)!.tables[0]!.snapshotId)
  const { metadata } = await lake.scan(table)
  const summaries = metadata.snapshots.map(({ summary }) => [
    summary['operation'],
    summary['millrace.epoch'],
    summary['millrace.epochs'],
  ])
  expect(summaries).toEqual([
    ['append', '1', undefined],
    ['append', '3', '2-3'],
    ['delete', '4', undefined],
    ['append', '6', '5-6'],
  ])
  expect(await lake.liveRows(table)).toEqual(['4:0', '5:0'])
  await checkInvariants(lake, table)
})

test('a crash after half of the pending epochs is resumed at the first that is missing', async () => {
  const lake = await filledLake()
  const intents = [
    await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 1)] }]),
    await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 1)] }]),
    await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 1)] }]),
  ]
  await lake.committer().commit(intents.slice(0, 2))
  const [commit] = await lake.committer().commit(intents)
  expect(commit!.outcome).toBe('committed')
  const { metadata } = await lake.scan(table)
  const epochs = metadata.snapshots.map(({ summary }) => summary['millrace.epochs'])
  expect(epochs).toEqual([undefined, '2-3', undefined])
  expect(await lake.liveRows(table)).toHaveLength(13)
})

test('main moves once over an epoch with DDL, and only its last snapshot is a cut', async () => {
  const lake = await filledLake()
  const wider = schemaOf(
    table,
    [
      ['id!', { kind: 'long' }],
      ['name', { kind: 'string' }],
      ['c', { kind: 'int' }],
    ],
    1,
  )
  const files = [await lake.hollowFile(table, 0, 2), await lake.hollowFile(table, 1, 1)]
  const deletes = [
    new Map([
      [1, [0]],
      [2, [0]],
    ]),
  ]
  const [commit] = await lake.commit(lake.committer(), { table, schemas: [wider], files, deletes })
  const { metadata } = await lake.scan(table)
  expect(metadata.snapshots.map(({ schemaId }) => schemaId)).toEqual([0, 0, 1])
  expect(metadata.snapshotLog.map(({ snapshotId }) => snapshotId)).toEqual([
    metadata.snapshots[0]!.snapshotId,
    commit!.snapshotId,
  ])
  const cuts = metadata.snapshots.map(({ summary }) => summary['millrace.source-position'])
  expect(cuts).toEqual(['0/1', undefined, '0/2'])
  expect(await lake.liveRows(table)).toHaveLength(9 + 1 + 1)
  await checkInvariants(lake, table)
})
