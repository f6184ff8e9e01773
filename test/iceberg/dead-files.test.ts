// Data files all of whose rows are deleted: they leave the table, so that one whose rows change all
// the time does not grow without end, and no position of theirs ever stops a commit.

import { RoaringBitmap32 } from 'roaring-wasm'
import { expect, test } from 'vitest'
import { randomId63, randomUuid } from '../../runtime/base/clock.ts'
import { PositionSet } from '../../connectors/iceberg/deletion-vector.ts'
import { encodeAdded, vectorRecord } from '../../connectors/iceberg/manifest.ts'
import { findOrphans } from '../../connectors/iceberg/orphans.ts'
import { encodePuffin } from '../../connectors/iceberg/puffin.ts'
import { schemaWithId } from '../../connectors/iceberg/schema.ts'
import { SnapshotDraft } from '../../connectors/iceberg/snapshot-draft.ts'
import { filledLake, openLake, table, target, withSwap } from './committer-fixture.ts'
import { foreignAppend, foreignUpdate } from './foreign.ts'
import { checkInvariants } from './invariants.ts'
import { handClock, ORDERS, schemaOf, type Lake } from './lake.ts'

const rowsUpTo = (end: number): number[] => Array.from({ length: end }, (_, row) => row)

/** Foreign files count as 0. */
async function fileIds(lake: Lake): Promise<number[]> {
  const ids = (await lake.scan(table)).files.map(({ fileId }) => fileId ?? 0)
  return ids.toSorted((left, right) => left - right)
}

test('a data file leaves the table with its last row, and its vector with it', async () => {
  for (const restart of [false, true]) {
    const lake = await filledLake()
    const options = { historyKeep: 2, historyKeepMs: 0 }
    let committer = lake.committer(options)
    const deleteFreed = async (): Promise<void> => {
      for (const path of committer.takeGarbage()) await lake.warehouse.delete(path)
      if (restart) committer = lake.committer(options)
    }
    await lake.commit(committer, { table, deletes: [new Map([[1, rowsUpTo(9)]])] })
    expect(await fileIds(lake)).toEqual([1])
    await deleteFreed()
    await lake.commit(committer, { table, deletes: [new Map([[1, [9]]])] })
    expect(await fileIds(lake)).toEqual([])
    let { snapshots } = await checkInvariants(lake, table)
    expect(snapshots.at(-1)!.summary).toMatchObject({
      operation: 'delete',
      'deleted-data-files': '1',
      'deleted-records': '10',
      'removed-dvs': '1',
      'removed-position-deletes': '9',
      'total-data-files': '0',
      'total-delete-files': '0',
      'total-records': '0',
    })
    expect(snapshots.at(-1)!.summary).not.toHaveProperty('added-dvs')
    // A file in one commit that takes the place of another, which never had a vector.
    const next = await lake.hollowFile(table, 0, 3)
    await lake.commit(committer, { table, files: [next] })
    await deleteFreed()
    const last = await lake.hollowFile(table, 0, 1)
    const deletes = [new Map([[next.fileId, [0, 1]]]), new Map([[next.fileId, [2]]])]
    await lake.commit(committer, { table, files: [last], deletes })
    expect(await fileIds(lake)).toEqual([last.fileId])
    ;({ snapshots } = await checkInvariants(lake, table))
    expect(snapshots.at(-1)!.summary).toMatchObject({
      operation: 'overwrite',
      'added-data-files': '1',
      'deleted-data-files': '1',
      'deleted-records': '3',
      'total-records': '1',
    })
    // What left goes from the disk when the last snapshot with it has expired.
    for (let epoch = 0; epoch < 3; epoch++) {
      await lake.commit(committer, { table, files: [await lake.hollowFile(table, 0, 1)] })
      await deleteFreed()
      await checkInvariants(lake, table)
    }
    const data = await lake.warehouse.list('public/orders/data')
    expect(data).not.toContain(next.path)
    expect(data).toHaveLength(4)
    expect(await findOrphans(lake, target, new Set())).toEqual([])
  }
})

test('a file that dies before it is committed is in no snapshot, and goes', async () => {
  const lake = await filledLake()
  const committer = lake.committer()
  const dead = await lake.hollowFile(table, 0, 2)
  const kept = await lake.hollowFile(table, 0, 2)
  const intents = [
    await lake.intent([{ table, files: [dead, kept], deletes: [new Map([[dead.fileId, [0]]])] }]),
    await lake.intent([{ table, deletes: [new Map([[dead.fileId, [1]]]), new Map([[1, [3]]])] }]),
  ]
  const [commit] = await committer.commit(intents)
  expect(commit!.outcome).toBe('committed')
  expect(await fileIds(lake)).toEqual([1, kept.fileId])
  const { snapshots } = await checkInvariants(lake, table)
  expect(snapshots).toHaveLength(2)
  expect(snapshots.at(-1)!.summary).toMatchObject({ 'added-data-files': '1', 'added-dvs': '1' })
  expect(committer.takeGarbage()).toContain(dead.path)
  expect(await lake.committer().commit(intents)).toMatchObject([{ outcome: 'already-committed' }])
})

test('an epoch with DDL, and a commit that has to be made anew, drop dead files, too', async () => {
  const lake = await filledLake()
  const wider = schemaOf(
    table,
    ['a!', 'b', 'c'].map((name) => [name, { kind: 'long' }] as const),
    1,
  )
  const deletes = [new Map([[1, rowsUpTo(10)]])]
  const files = [await lake.hollowFile(table, 0, 1), await lake.hollowFile(table, 1, 1)]
  let swaps = 0
  const options = withSwap(lake, (real) => async (list) => {
    swaps++
    if (swaps === 1) await foreignAppend(lake, table)
    return real(list)
  })
  const committer = lake.committer({ ...options, clock: handClock() })
  await lake.commit(committer, { table, schemas: [wider], files, deletes })
  expect(swaps).toBe(2)
  expect(await fileIds(lake)).toEqual([0, 2, 3])
  await checkInvariants(lake, table)
})

/** Another engine deletes rows of a file that has no vector yet. */
async function foreignDelete(lake: Lake, fileId: number, rows: readonly number[]): Promise<void> {
  await foreignUpdate(lake, table, async ({ metadata, manifests }, files) => {
    const dataFile = (await lake.scan(table)).files.find((file) => file.fileId === fileId)!.uri
    const draft = new SnapshotDraft(files, `${files.path(metadata.location)}/metadata`, {
      spec: [],
      parent: metadata.snapshots.at(-1)!,
      manifests,
      lastSequenceNumber: metadata.lastSequenceNumber,
      nextRowId: metadata.nextRowId,
      timestampMs: metadata.lastUpdatedMs,
    })
    const set = PositionSet.of(new RoaringBitmap32(rows))
    const { bytes, places } = encodePuffin([
      { dataFile, cardinality: set.cardinality, blob: set.encode() },
    ])
    set.dispose()
    const uri = files.uri(`public/orders/data/00000-9-${randomUuid()}-00001-deletes.puffin`)
    await lake.warehouse.put(files.path(uri), bytes)
    const snapshotId = randomId63()
    const schema = schemaWithId(metadata.schemas, metadata.currentSchemaId)
    const vector = { ...places[0]!, path: uri, fileBytes: bytes.length }
    const format = draft.format(schema)
    const encoded = encodeAdded(format, snapshotId, vectorRecord(vector), [])
    const added = [{ encoded, rows: rows.length, partition: [] }]
    draft.writeManifest(snapshotId, schema, {
      content: 'deletes',
      format,
      added,
      existing: [],
      deleted: [],
    })
    draft.changes.addedVectors++
    draft.changes.addedPositions += BigInt(rows.length)
    draft.changes.addedBytes += BigInt(vector.bytes)
    draft.close(snapshotId, schema.schemaId, {})
    for (const write of draft.writes) await lake.warehouse.put(files.path(write.uri), write.bytes)
    return {
      ...metadata,
      lastSequenceNumber: draft.sequenceNumber - 1n,
      currentSnapshotId: snapshotId,
      snapshots: [...metadata.snapshots, ...draft.snapshots],
      refs: { ...metadata.refs, main: { ...metadata.refs['main']!, snapshotId } },
    }
  })
}

test('rows that somebody else deleted may come again, so their file stays', async () => {
  for (const restart of [false, true]) {
    const lake = await filledLake()
    let committer = lake.committer()
    const other = await lake.hollowFile(table, 0, 2)
    await lake.commit(committer, { table, files: [other] })
    await foreignDelete(lake, 1, rowsUpTo(5))
    // The index knows nothing of it: rows 0 to 4 are still the current ones of their keys.
    const both = new Map([
      [1, [5, 6]],
      [other.fileId, [0]],
    ])
    await lake.commit(committer, { table, deletes: [both] })
    if (restart) committer = lake.committer()
    await lake.commit(committer, { table, deletes: [new Map([[1, [7, 8, 9]]])] })
    expect(await lake.liveRows(table)).toEqual([`${other.fileId}:1`])
    expect(await fileIds(lake)).toEqual([1, other.fileId])
    if (restart) committer = lake.committer()
    const late = new Map([
      [1, [2]],
      [other.fileId, [1]],
    ])
    const [commit] = await lake.commit(committer, { table, deletes: [late] })
    expect(commit!.outcome).toBe('committed')
    // The vector of the other file was written in the same commits, and is all ours.
    expect(await fileIds(lake)).toEqual([1])
    await checkInvariants(lake, table)
  }
})

test.for([
  { keys: 40, restartEvery: 1000 },
  { keys: 40, restartEvery: 9 },
  { keys: 400, restartEvery: 1000 },
])(
  'a table of $keys keys that change all the time has few files for ever ($restartEvery)',
  { timeout: 120_000 },
  async ({ keys, restartEvery }) => {
    const lake = await openLake()
    const options = { historyKeep: 1, historyKeepMs: 0 }
    let committer = lake.committer(options)
    await lake.commit(committer, { table, schemas: [ORDERS] })
    const places = new Map<number, { fileId: number; row: number }>()
    let seed = 1
    for (let epoch = 0; epoch < 300; epoch++) {
      if (epoch % restartEvery === restartEvery - 1) committer = lake.committer(options)
      const changed = new Set<number>()
      while (changed.size < 5) changed.add((seed = (seed * 48_271) % 0x7fff_ffff) % keys)
      const file = await lake.hollowFile(table, 0, changed.size)
      const deletes = new Map<number, number[]>()
      for (const [row, key] of [...changed].entries()) {
        const { fileId, row: position } = places.get(key) ?? { fileId: 0, row: 0 }
        if (fileId > 0) deletes.set(fileId, [...(deletes.get(fileId) ?? []), position])
        places.set(key, { fileId: file.fileId, row })
      }
      for (const positions of deletes.values()) positions.sort((a, b) => a - b)
      await lake.commit(committer, { table, files: [file], deletes: [deletes] })
      for (const path of committer.takeGarbage()) await lake.warehouse.delete(path)
    }
    const live = [...places.values()].map(({ fileId, row }) => `${fileId}:${row}`)
    expect(await lake.liveRows(table)).toEqual(live.toSorted())
    const needed = new Set([...places.values()].map(({ fileId }) => fileId)).size
    const { metadata, files } = await lake.scan(table)
    expect(files.length).toBeLessThanOrEqual(needed * 1.2 + 5)
    const kept = Number(metadata.snapshots.at(-1)!.summary['manifests-kept'])
    expect(kept).toBeLessThan(50)
    expect((await lake.warehouse.list('public/orders/data')).length).toBeLessThan(needed * 1.2 + 25)
    await checkInvariants(lake, table)
  },
)
