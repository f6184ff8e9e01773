// How long files stay that nothing refers to any more, and that deleting them keeps pace.

import { expect, test } from 'vitest'
import { openLake, table } from './committer-fixture.ts'
import { checkInvariants } from './invariants.ts'
import { handClock, ORDERS, type Lake } from './lake.ts'

const GRACE_MS = 3_600_000

async function count(lake: Lake, ending: string): Promise<number> {
  const names = await lake.warehouse.list('public/orders/metadata')
  return names.filter((name) => name.endsWith(ending)).length
}

/** Commits one deleted row every `everyMs`; the oldest snapshots expire at once. */
async function commitRows(commits: number, everyMs: number): Promise<Lake> {
  const lake = await openLake()
  const clock = handClock()
  const options = { clock, historyKeep: 1, historyKeepMs: 0, garbageGraceMs: GRACE_MS }
  const committer = lake.committer(options)
  const files = [await lake.hollowFile(table, 0, commits)]
  await lake.commit(committer, { table, schemas: [ORDERS], files })
  for (let row = 0; row < commits - 1; row++) {
    clock.nowMsValue += everyMs
    await lake.commit(committer, { table, deletes: [new Map([[1, [row]]])] })
  }
  await checkInvariants(lake, table)
  return lake
}

test('superseded metadata files go after a minute, all else after the grace', async () => {
  const lake = await commitRows(250, 1000)
  // Those of a minute, those that are not written down yet, 20 in the log and the current one.
  expect(await count(lake, '.metadata.json')).toBeLessThanOrEqual(60 + 30 + 20 + 2)
  expect(await count(lake, '.metadata.json')).toBeGreaterThanOrEqual(60 + 20 + 1)
  expect(await count(lake, '.puffin')).toBe(249)
})

test('deleting keeps pace with commits that are rarer than the lists of what to delete', async () => {
  const everyMs = 60_000
  const lake = await commitRows(200, everyMs)
  // Those of the last hour, and a few for the time until they are noted and their turn comes.
  expect(await count(lake, '.puffin')).toBeLessThanOrEqual(GRACE_MS / everyMs + 4)
  expect(await count(lake, '.metadata.json')).toBeLessThanOrEqual(20 + 4)
})
