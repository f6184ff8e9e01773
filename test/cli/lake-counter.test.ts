// Commits and files are counted once, and only those of this process.

import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { LakeCounter } from '../../runtime/cli/lake-counter.ts'
import type { Committer, Intent, TableCommit } from '../../runtime/sink.ts'

type Outcome = TableCommit['outcome']

function intentOf(tables: Readonly<Record<string, readonly string[]>>): Intent<unknown> {
  return {
    pipeline: 'shop',
    timeline: 1,
    epoch: 1,
    fence: '1',
    position: { split: '', order: 0n, token: '' },
    sourceTimeUs: 0n,
    tables: Object.entries(tables).map(([table, suffixes]) => ({
      table,
      snapshotId: 1n,
      schemas: [],
      tableUuid: null,
      lastIntent: null,
      committables: [
        { files: suffixes.map((suffix) => ({ path: `x/data/1-${suffix}.parquet`, bytes: 10 })) },
      ],
    })),
  }
}

function committerOf(answer: () => Readonly<Record<string, Outcome>>): Committer<unknown> {
  return {
    commit: async () =>
      Object.entries(answer()).map(([table, outcome]) => ({
        table,
        outcome,
        tableUuid: null,
        snapshotId: null,
        metadataLocation: null,
        reason: null,
      })),
    adopt: async () => null,
    changeProperties: async () => false,
    sweep: async () => 0,
    close: async () => undefined,
  }
}

test('a commit is counted by how it ended, and its files when they are in the lake', async () => {
  const counter = new LakeCounter()
  counter.expect('ours')
  let answer = (): Readonly<Record<string, Outcome>> => ({ a: 'committed', b: 'diverged' })
  const committer = counter.watch(committerOf(() => answer()))
  await committer.commit([
    intentOf({ a: ['ours', 'theirs'], b: ['ours'] }),
    intentOf({ a: ['ours'] }),
  ])
  const counted = { commits: { ok: 1, conflict: 0, unknown_resolved: 0, failed: 0 } }
  expect(counter.counts()).toEqual({ ...counted, files: 2, bytes: 20 })

  // An intent of the process before that its last commit had brought in already.
  answer = () => ({ a: 'already-committed' })
  await committer.commit([intentOf({ a: ['theirs'] })])
  expect(counter.counts()).toMatchObject({ commits: { ok: 1, unknown_resolved: 1 }, files: 2 })

  answer = () => {
    throw new PipelineError('CATALOG_CONFLICT', 'others commit')
  }
  await expect(committer.commit([intentOf({ a: ['ours'] })])).rejects.toThrow('others commit')
  answer = () => {
    throw new PipelineError('CATALOG_UNAVAILABLE', 'it is down')
  }
  await expect(committer.commit([intentOf({ a: ['ours'] })])).rejects.toThrow('it is down')
  answer = () => ({ a: 'unchanged' })
  await committer.commit([intentOf({})])
  expect(counter.counts()).toEqual({
    commits: { ok: 1, conflict: 1, unknown_resolved: 1, failed: 1 },
    files: 2,
    bytes: 20,
  })
})
