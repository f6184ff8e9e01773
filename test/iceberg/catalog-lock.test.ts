// A catalog whose lock another process holds: nothing of ours waits for it in a way that holds up
// anything else, and nothing is left behind.

import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import type { ErrorRecord } from '../../runtime/base/errors.ts'
import { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import { PendingIntent } from '../../runtime/checkpoint/pending-intent.ts'
import { sqliteCatalog } from '../../connectors/iceberg/catalog-sqlite.ts'
import type { IcebergIntent } from '../../connectors/iceberg/commit-work.ts'
import type { IcebergCommitter } from '../../connectors/iceberg/committer.ts'
import { filledLake, lost, table, target, withSwap } from './committer-fixture.ts'
import { foreignAppend } from './foreign.ts'
import { checkInvariants } from './invariants.ts'
import { handClock, type Lake } from './lake.ts'

/** Takes the catalog's write lock. @returns what gives it back */
function holdLock(lake: Lake): () => void {
  const other = new DatabaseSync(lake.catalogPath)
  other.exec('BEGIN IMMEDIATE')
  return () => {
    other.exec('ROLLBACK')
    other.close()
  }
}

/** Runs `work` and measures for how long this thread did nothing else at a time. */
async function longestBlockMs(work: () => Promise<void>): Promise<number> {
  let last = performance.now()
  let longest = 0
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }, 5)
  await work()
  clearInterval(timer)
  return Math.max(longest, performance.now() - last)
}

function queueOf(
  lake: Lake,
  committer: IcebergCommitter,
  intent: IcebergIntent,
): { queue: CommitQueue; retries: ErrorRecord[] } {
  const retries: ErrorRecord[] = []
  const known = lake.known.get(table)!
  const state = {
    table,
    tableUuid: known.uuid,
    lastIntent: known.lastIntent,
    metadataLocation: null,
    schemaVersion: 0,
    committedEpoch: null,
    committedTimeUs: null,
  }
  const content = { intents: [PendingIntent.of(intent)], lake: [state] }
  const queue = new CommitQueue(committer, content, systemClock, {
    onRetry: (error) => retries.push(error),
    onCommitted: () => undefined,
    onCancelled: () => undefined,
    onDiverged: (_table, reason) => retries.push(reason),
    onFatal: (error) => {
      throw error
    },
  })
  return { queue, retries }
}

test('a swap on a held catalog changes nothing, says so, and blocks no other work', async () => {
  const lake = await filledLake()
  const location = (await lake.catalog.load(target))!
  const release = holdLock(lake)
  const swap = { table: target, expected: location, next: `${location}.next` }
  let outcome: unknown = null
  const block = await longestBlockMs(async () => {
    outcome = await lake.catalog.swap([swap])
  })
  expect(outcome).toBe('busy')
  expect(block).toBeLessThan(1000)
  // Writers are not in the way of readers, nor of who opens the catalog.
  expect(await lake.catalog.load(target)).toBe(location)
  const options = { uri: `sqlite:///${lake.catalogPath}`, name: 'lake', clock: handClock() }
  const again = sqliteCatalog(options)
  expect(await again.load(target)).toBe(location)
  await expect(again.createNamespace('other')).rejects.toMatchObject({
    error: 'CATALOG_UNAVAILABLE',
  })
  await again.close()
  release()
})

test('a lock that is soon given back delays a commit and nothing else', async () => {
  const lake = await filledLake()
  const release = holdLock(lake)
  const files = [await lake.hollowFile(table, 0, 3)]
  const before = await lake.warehouse.list('public/orders/metadata')
  const commit = lake.commit(lake.committer(), { table, files })
  await sleep(250)
  release()
  expect((await commit)[0]!.outcome).toBe('committed')
  // One attempt: a manifest, a list and a metadata file.
  expect(await lake.warehouse.list('public/orders/metadata')).toHaveLength(before.length + 3)
  await checkInvariants(lake, table)
})

test('a stop under a held lock is prompt and leaves no files, and the commit follows', async () => {
  const lake = await filledLake()
  const names = (await lake.warehouse.list('public/orders')).toSorted()
  const file = await lake.hollowFile(table, 0, 3)
  const intent = await lake.intent([{ table, files: [file], deletes: [new Map([[1, [0]]])] }])
  const release = holdLock(lake)
  const { queue, retries } = queueOf(lake, lake.committer(), intent)
  const block = await longestBlockMs(async () => {
    const start = performance.now()
    expect(await queue.drain(3500)).toBe(false)
    expect(performance.now() - start).toBeLessThan(6000)
    const stop = performance.now()
    await queue.stop()
    // One swap has patience for five seconds; nothing comes after it.
    expect(performance.now() - stop).toBeLessThan(8000)
  })
  expect(block).toBeLessThan(1000)
  expect(retries.length).toBeGreaterThan(0)
  expect(new Set(retries.map(({ error }) => error))).toEqual(new Set(['CATALOG_UNAVAILABLE']))
  expect(await queue.pending()[0]!.read()).toEqual(intent)
  const left = await lake.warehouse.list('public/orders')
  expect(left.toSorted()).toEqual([...names, file.path].toSorted())
  release()
  const next = queueOf(lake, lake.committer(), intent)
  expect(await next.queue.drain(10_000)).toBe(true)
  expect(await lake.liveRows(table)).toHaveLength(9 + 3)
  await checkInvariants(lake, table)
})

test('a stop ends the retries of a commit that others are always ahead of', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 1)] }])
  const stopped = new AbortController()
  let swaps = 0
  const options = withSwap(lake, (real) => async (list) => {
    swaps++
    if (swaps === 2) stopped.abort()
    await foreignAppend(lake, table)
    return real(list)
  })
  const commit = lake.committer(options).commit([intent], stopped.signal)
  await expect(commit).rejects.toMatchObject({ error: 'CATALOG_CONFLICT' })
  expect(swaps).toBe(2)
})

test('answers that are always lost are an outage, not a conflict', async () => {
  const lake = await filledLake()
  const intent = await lake.intent([{ table, files: [await lake.hollowFile(table, 0, 1)] }])
  const options = withSwap(lake, () => async () => lost())
  const committer = lake.committer({ ...options, clock: handClock() })
  const commit = committer.commit([intent])
  await expect(commit).rejects.toMatchObject({ error: 'CATALOG_UNAVAILABLE' })
})
