// Properties that are changed between commits, by a swap of their own.

import { expect, test } from 'vitest'
import { filledLake, lost, table, target, withSwap } from './committer-fixture.ts'
import { checkInvariants } from './invariants.ts'

const READY = 'millrace.ready.ts_hour=1'

test('a change of properties changes nothing else, and commits go on from it', async () => {
  const lake = await filledLake()
  const committer = lake.committer()
  await lake.commit(committer, { table, files: [await lake.hollowFile(table, 0, 2)] })
  const before = await checkInvariants(lake, table)
  const rows = await lake.liveRows(table)
  const asked: string[] = []
  const set = (value: string | null): Promise<boolean> =>
    committer.changeProperties(table, (properties) => {
      asked.push(properties[READY] ?? 'none')
      return { [READY]: value }
    })
  expect(await set('1')).toBe(true)
  const after = await checkInvariants(lake, table)
  expect(after).toMatchObject({
    properties: { ...before.properties, [READY]: '1' },
    currentSnapshotId: before.currentSnapshotId,
    refs: before.refs,
    nextRowId: before.nextRowId,
  })
  expect(after.metadataLog).toHaveLength(before.metadataLog.length + 1)
  // What is so already makes no metadata.
  const location = await lake.catalog.load(target)
  expect(await set('1')).toBe(true)
  expect(await lake.catalog.load(target)).toBe(location)
  expect(asked).toEqual(['none', '1'])
  await lake.commit(committer, { table, deletes: [new Map([[1, [0]]])] })
  expect(await lake.liveRows(table)).toEqual(rows.filter((row) => row !== '1:0'))
  expect((await checkInvariants(lake, table)).properties[READY]).toBe('1')
  await set(null)
  expect((await checkInvariants(lake, table)).properties[READY]).toBeUndefined()
})

test('a change whose answer is lost is found, and a table that is not there is told', async () => {
  const lake = await filledLake()
  let swaps = 0
  const options = withSwap(lake, (real) => async (list) => {
    const result = await real(list)
    return swaps++ === 0 ? lost() : result
  })
  const committer = lake.committer(options)
  expect(await committer.changeProperties(table, () => ({ [READY]: '1' }))).toBe(true)
  expect(swaps).toBe(1)
  expect((await checkInvariants(lake, table)).properties[READY]).toBe('1')
  expect(await committer.changeProperties('public.nothing', () => ({ [READY]: '1' }))).toBe(false)
})
