// Commits on tables that somebody else has touched, or that another instance of the pipeline has.

import { expect, test } from 'vitest'
import type { Catalog, CatalogSwap } from '../../runtime/catalog.ts'
import { decodeContainer, encodeContainer } from '../../connectors/iceberg/avro.ts'
import type { IcebergIntent } from '../../connectors/iceberg/commit-work.ts'
import { LakeFiles } from '../../connectors/iceberg/lake-files.ts'
import { branchAt } from '../../connectors/iceberg/metadata.ts'
import { filledLake, lost, table, target, withSwap } from './committer-fixture.ts'
import { checkInvariants } from './invariants.ts'
import { foreignAppend, foreignUpdate } from './foreign.ts'
import { handClock, ORDERS } from './lake.ts'

test('a zombie whose swap arrives between our load and our swap wins once', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
  // The zombie's request is on the wire: it is applied when the new process sends its own.
  let held: readonly CatalogSwap[] = []
  const holding = withSwap(lake, () => async (list) => {
    held = list
    return lost()
  })
  const zombie = lake.committer({
    catalog: {
      ...holding.catalog,
      load: async (t) => (held.length > 0 ? lost() : lake.catalog.load(t)),
    },
    clock: handClock(),
  })
  await expect(zombie.commit([intent])).rejects.toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
  const racing = withSwap(lake, (real) => async (list) => {
    if (held.length > 0) {
      expect(await real(held)).toEqual([])
      held = []
    }
    return real(list)
  })
  const [commit] = await lake.committer({ ...racing, clock: handClock() }).commit([intent])
  expect(commit!.outcome).toBe('already-committed')
  const { metadata } = await lake.scan(table)
  const epochs = metadata.snapshots.map(({ summary }) => summary['millrace.epoch'])
  expect(epochs).toEqual(['1', '2'])
  expect(await lake.liveRows(table)).toHaveLength(12)
  await checkInvariants(lake, table)
})

test('a foreign append in between is kept, and the files of the lost attempt are removed', async () => {
  const lake = await filledLake()
  let attempts: readonly string[] = []
  const options = withSwap(lake, (real) => async (list) => {
    if (attempts.length === 0) await foreignAppend(lake, table)
    attempts = [...attempts, ...list.map(({ next }) => next)]
    return real(list)
  })
  const deletes = [new Map([[1, [4]]])]
  const files = [await lake.hollowFile(table, 0, 2)]
  const committer = lake.committer({ ...options, clock: handClock() })
  const [commit] = await lake.commit(committer, { table, files, deletes })
  expect(commit!.outcome).toBe('committed')
  expect(attempts).toHaveLength(2)
  expect(await lake.liveRows(table)).toHaveLength(9 + 2 + 2)
  const names = await lake.warehouse.list('public/orders/metadata')
  const json = names.filter((name) => name.endsWith('.json'))
  expect(json).toHaveLength(3)
  expect(names.filter((name) => name.endsWith('.puffin'))).toHaveLength(1)
  await checkInvariants(lake, table)
})

test('a marker in the property outlives its snapshot', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
  await lake.committer().commit([intent])
  for (let count = 0; count < 3; count++) await foreignAppend(lake, table)
  await foreignUpdate(lake, table, ({ metadata }) => {
    const head = metadata.snapshots.at(-1)!
    return {
      ...metadata,
      snapshots: [head],
      snapshotLog: metadata.snapshotLog.slice(-1),
      refs: { main: branchAt(head.snapshotId) },
    }
  })
  const [commit] = await lake.committer().commit([intent])
  expect(commit!.outcome).toBe('already-committed')
  lake.learn([commit!])
  const files = [await lake.hollowFile(table, 0, 2)]
  const [next] = await lake.commit(lake.committer(), { table, files })
  expect(next!.outcome).toBe('committed')
  expect(await lake.liveRows(table)).toHaveLength(10 + 2 + 6 + 2)
})

test('without the property the newest summary on main has the marker', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
  await lake.committer().commit([intent])
  await foreignAppend(lake, table)
  await foreignUpdate(lake, table, ({ metadata }) => ({ ...metadata, properties: {} }))
  const [commit] = await lake.committer().commit([intent])
  expect(commit!.outcome).toBe('already-committed')
})

test('a commit that the checkpoint does not know stops the pipeline', async () => {
  const lake = await filledLake()
  const before = structuredClone([...lake.known])
  const files = [await lake.hollowFile(table, 0, 2)]
  await lake.commit(lake.committer(), { table, files })
  for (const [name, value] of before) lake.known.set(name, value)
  const again = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
  await expect(lake.committer().commit([again])).rejects.toMatchObject({ error: 'TIMELINE_AHEAD' })
  // The state folder is lost altogether.
  lake.known.clear()
  const anew = await lake.intent([{ table, schemas: [ORDERS] }])
  await expect(lake.committer().commit([anew])).rejects.toMatchObject({ error: 'TIMELINE_AHEAD' })
  expect(await lake.liveRows(table)).toHaveLength(12)
})

// A long outage is committed in parts. The process may die after the second, with a checkpoint that
// knows of none: the next one begins with the first again.
test('a part of the pending epochs is done when the lake has later ones already', async () => {
  const lake = await filledLake()
  const intents: IcebergIntent[] = []
  for (let epoch = 2; epoch <= 4; epoch++) {
    intents.push(await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 1)] }]))
  }
  await lake.committer().commit(intents)
  const idsOf = (from: number): bigint[] =>
    intents.slice(from).flatMap(({ tables }) => tables.map(({ snapshotId }) => snapshotId))
  const again = lake.committer()
  const begun = intents.slice(0, 1).map((intent) => {
    return { ...intent, tables: intent.tables.map((entry) => ({ ...entry, behind: idsOf(1) })) }
  })
  const [first] = await again.commit(begun)
  expect(first).toMatchObject({ outcome: 'already-committed', snapshotId: idsOf(0)[0] })
  const lastIntent = idsOf(0)[0]!
  const rest = intents.slice(1).map((intent) => {
    return { ...intent, tables: intent.tables.map((entry) => ({ ...entry, lastIntent })) }
  })
  expect(await again.commit(rest)).toMatchObject([{ outcome: 'already-committed' }])
  expect(await lake.liveRows(table)).toHaveLength(13)
})

test('an instance of an older timeline or with an older fence stops', async () => {
  for (const [timeline, fence] of [
    [2, '1'],
    [1, '10'],
  ] as const) {
    const lake = await filledLake()
    const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
    const newer = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
    await lake.committer().commit([{ ...newer, timeline, fence }])
    const stopped = lake.committer().commit([{ ...intent, fence: '9' }])
    // An old copy of the state folder looks the same, and then nobody else runs.
    const hint = expect.stringContaining('`millrace resync FILE --all`') as string
    await expect(stopped).rejects.toMatchObject({ error: 'FENCED', hint })
    expect(await lake.liveRows(table)).toHaveLength(12)
  }
})

test('a table that was dropped or made anew is never written to', async () => {
  const lake = await filledLake()
  const location = await lake.catalog.load(target)
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 2)] }])
  const absent: Catalog = { ...withSwap(lake, (real) => real).catalog, load: async () => null }
  const dropped = lake.committer({ catalog: absent }).commit([intent])
  const hint = `Run \`millrace resync FILE --table ${table}\` to fill it anew.`
  await expect(dropped).rejects.toMatchObject({ error: 'TABLE_IDENTITY_CHANGED', hint })
  await foreignUpdate(lake, table, ({ metadata }) => ({
    ...metadata,
    tableUuid: '00000000-0000-4000-8000-000000000000',
  }))
  const recreated = lake.committer().commit([intent])
  await expect(recreated).rejects.toMatchObject({ error: 'TABLE_IDENTITY_CHANGED', hint })
  expect(await lake.catalog.load(target)).not.toBe(location)
  expect(await lake.liveRows(table)).toHaveLength(10)
})

test('a table of somebody else is left alone, and the other tables go on', async () => {
  const lake = await filledLake()
  await foreignUpdate(lake, table, ({ metadata }) => ({
    ...metadata,
    properties: {},
    snapshots: [],
    refs: {},
    currentSnapshotId: null,
    snapshotLog: [],
  }))
  lake.known.clear()
  const other = { ...ORDERS, table: 'public.items' }
  const commits = await lake.commit(
    lake.committer(),
    { table, schemas: [ORDERS] },
    { table: other.table, schemas: [other] },
  )
  expect(commits).toMatchObject([
    { table, outcome: 'diverged', reason: { error: 'TARGET_DIVERGED' } },
    { table: other.table, outcome: 'committed' },
  ])
})

test('a rolled back table parks', async () => {
  const lake = await filledLake()
  const committer = lake.committer()
  await lake.commit(committer, { table, files: [await lake.hollowFile(table, 0, 2)] })
  await foreignUpdate(lake, table, ({ metadata }) => {
    const first = metadata.snapshots[0]!.snapshotId
    const main = { ...metadata.refs['main']!, snapshotId: first }
    return { ...metadata, currentSnapshotId: first, refs: { ...metadata.refs, main } }
  })
  for (const instance of [committer, lake.committer()]) {
    const files = [await lake.hollowFile(table, 0, 2)]
    const [commit] = await lake.commit(instance, { table, files })
    expect(commit).toMatchObject({ outcome: 'diverged', reason: { error: 'TARGET_DIVERGED' } })
  }
  expect(await lake.liveRows(table)).toHaveLength(10)
})

test('a schema that somebody else changed parks the table with nothing of it committed', async () => {
  const lake = await filledLake()
  await foreignUpdate(lake, table, ({ metadata }) => {
    const json = { ...metadata.schemas[0]!.json, 'schema-id': 1 }
    return {
      ...metadata,
      schemas: [...metadata.schemas, { schemaId: 1, json }],
      currentSchemaId: 1,
    }
  })
  const location = await lake.catalog.load(target)
  const names = await lake.warehouse.list('public/orders/metadata')
  const files = [await lake.hollowFile(table, 0, 2)]
  const [commit] = await lake.commit(lake.committer(), { table, files })
  expect(commit).toMatchObject({ outcome: 'diverged', reason: { error: 'SCHEMA_DIVERGED' } })
  expect(await lake.catalog.load(target)).toBe(location)
  expect(await lake.warehouse.list('public/orders/metadata')).toEqual(names)
})

test('rows in a data file that somebody else removed park the table', async () => {
  const lake = await filledLake()
  await foreignUpdate(lake, table, async (state, files) => {
    // A rewrite: the same history, without the file in the head's manifests.
    const { metadata } = state
    const head = metadata.snapshots.at(-1)!
    const bytes = await files.read(head.manifestList!)
    const empty = emptyList(bytes)
    const path = `${files.path(metadata.location)}/metadata/rewritten.avro`
    await lake.warehouse.put(path, empty)
    const rewritten = { ...head, manifestList: files.uri(path) }
    return { ...metadata, snapshots: [rewritten] }
  })
  const [commit] = await lake.commit(lake.committer(), { table, deletes: [new Map([[1, [4]]])] })
  expect(commit).toMatchObject({ outcome: 'diverged', reason: { error: 'TARGET_DIVERGED' } })
  expect(commit!.reason!.message).toContain('00000001')
})

function emptyList(bytes: Uint8Array): Uint8Array {
  const { metadata } = decodeContainer(bytes, 'list')
  return encodeContainer(metadata['avro.schema']!, {}, [])
}

test('positions to delete that are damaged or missing stop the commit, with the repair', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, deletes: [new Map([[1, [4]]])] }])
  const path = intent.tables[0]!.committables[0]!.deletes!
  const bytes = Uint8Array.from(await lake.state.get(path))
  bytes[bytes.length - 1]! ^= 1
  await lake.state.put(path, bytes)
  const hint = expect.stringContaining('resync FILE --all') as string
  const wanted = { error: 'CHECKPOINT_CORRUPT', hint }
  await expect(lake.committer().commit([intent])).rejects.toMatchObject(wanted)
  await lake.state.delete(path)
  await expect(lake.committer().commit([intent])).rejects.toMatchObject(wanted)
})

test('metadata that is damaged parks its table only', async () => {
  const lake = await filledLake()
  const other = { ...ORDERS, table: 'public.items' }
  const path = (await lake.catalog.load(target))!.slice(lake.warehouse.uri('x').length - 1)
  await lake.warehouse.put(path, Buffer.from('{"format-version":3'))
  const files = [await lake.hollowFile(table, 0, 2)]
  const commits = await lake.commit(
    lake.committer(),
    { table, files },
    { table: other.table, schemas: [other] },
  )
  expect(commits).toMatchObject([
    { outcome: 'diverged', reason: { error: 'LAKE_FORMAT' } },
    { outcome: 'committed' },
  ])
})

test('a table that diverged is adopted as it is, and commits go on from there', async () => {
  const lake = await filledLake()
  const committer = lake.committer()
  await lake.commit(committer, { table, files: [await lake.hollowFile(table, 0, 2)] })
  await foreignUpdate(lake, table, ({ metadata }) => {
    const first = metadata.snapshots[0]!.snapshotId
    const main = { ...metadata.refs['main']!, snapshotId: first }
    const json = { ...metadata.schemas[0]!.json, 'schema-id': 7 }
    return {
      ...metadata,
      schemas: [...metadata.schemas, { schemaId: 7, json }],
      currentSchemaId: 7,
      lastColumnId: 40,
      currentSnapshotId: first,
      refs: { ...metadata.refs, main },
    }
  })
  const [parked] = await lake.commit(committer, { table, deletes: [new Map([[1, [0]]])] })
  expect(parked!.outcome).toBe('diverged')
  const claim = { timeline: 2, epoch: lake.epoch, fence: '1' }
  const adopted = await committer.adopt(table, claim)
  expect(adopted).toMatchObject({ lastSchemaId: 7, lastColumnId: 40 })
  lake.learn([adopted!.commit])
  lake.timeline = 2
  for (const instance of [committer, lake.committer()]) {
    const files = [await lake.hollowFile(table, 7, 1)]
    const row = lake.epoch
    const [commit] = await lake.commit(instance, { table, files, deletes: [new Map([[1, [row]]])] })
    expect(commit!.outcome).toBe('committed')
  }
  const { metadata } = await lake.scan(table)
  const cuts = metadata.snapshots.map(({ summary }) => summary['millrace.source-position'])
  expect(cuts).toEqual(['0/1', '0/2', undefined, '0/4', '0/5'])
  await checkInvariants(lake, table)
  const absent = await committer.adopt('public.none', claim)
  expect(absent).toBeNull()
  // The instance before the adoption is fenced off.
  lake.timeline = 1
  const late = lake.commit(lake.committer(), { table, deletes: [new Map([[1, [9]]])] })
  await expect(late).rejects.toMatchObject({ error: 'FENCED' })
})

test('a table of an older format is not adopted, and must go before a resync', async () => {
  const lake = await filledLake()
  const files = new LakeFiles(lake.warehouse)
  const location = await lake.catalog.load(target)
  const text = Buffer.from(await files.read(location!)).toString()
  const older = text.replace(/"format-version":\s*3/, '"format-version":2')
  expect(older).not.toBe(text)
  await lake.warehouse.put('made/by/another.metadata.json', Buffer.from(older))
  const next = lake.warehouse.uri('made/by/another.metadata.json')
  expect(await lake.catalog.swap([{ table: target, expected: location, next }])).toEqual([])
  const claim = { timeline: 2, epoch: lake.epoch, fence: '1' }
  await expect(lake.committer().adopt(table, claim)).rejects.toMatchObject({
    error: 'TARGET_DIVERGED',
    hint: `Drop or rename the lake table, then run \`millrace resync FILE --table ${table}\`.`,
  })
})

test('a table whose own columns have the ids of a changelog is not adopted as one', async () => {
  const lake = await filledLake()
  const claim = { timeline: 2, epoch: lake.epoch, fence: '1' }
  await expect(lake.committer({ mode: 'changelog' }).adopt(table, claim)).rejects.toMatchObject({
    error: 'TARGET_DIVERGED',
    message: `lake table ${table} was not begun in mode changelog`,
  })
  expect(await lake.committer({ mode: 'append' }).adopt(table, claim)).not.toBeNull()
})

test('adoption survives a lost answer and a commit in between', async () => {
  const lake = await filledLake()
  let swaps = 0
  const options = withSwap(lake, (real) => async (list) => {
    swaps++
    if (swaps === 1) await foreignAppend(lake, table)
    const conflicts = await real(list)
    return swaps === 2 ? lost() : conflicts
  })
  const committer = lake.committer({ ...options, clock: handClock() })
  const adopted = await committer.adopt(table, { timeline: 3, epoch: 1, fence: '1' })
  lake.learn([adopted!.commit])
  lake.timeline = 3
  expect(swaps).toBe(2)
  await lake.commit(committer, { table, deletes: [new Map([[1, [0]]])] })
  expect(await lake.liveRows(table)).toHaveLength(9 + 2)
  await checkInvariants(lake, table)
})
