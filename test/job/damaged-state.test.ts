// A state folder with damage that no start may pass over: what a resync of everything does with it.

import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { PendingIntent } from '../../runtime/checkpoint/pending-intent.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import type { SourceStart } from '../../runtime/job/messages.ts'
import { leaveRequest } from '../../runtime/job/requests.ts'
import type { WriterPlan } from '../../runtime/job/run.ts'
import type { Intent } from '../../runtime/sink.ts'
import { checkpointOf } from '../checkpoint/checkpoints.ts'
import { playRun } from './played-run.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

interface Seen {
  end: string
  start: SourceStart | null
  plan: WriterPlan | null
  committed: number[]
}

/** A run that ends with its first checkpoint, and what its threads and committer were given. */
async function run(folder: string): Promise<Seen> {
  const seen: Seen = { end: '', start: null, plan: null, committed: [] }
  seen.end = await playRun({
    folder,
    onPlan: (plan) => (seen.plan = plan),
    committer: {
      commit: async (intents: readonly Intent<unknown>[]) => {
        seen.committed.push(...intents.map(({ epoch }) => epoch))
        return []
      },
    },
    onCommand: (command, control) => {
      if (command.kind !== 'start') return undefined
      seen.start = command
      control.stop()
      return undefined
    },
  })
  return seen
}

function intentOf(epoch: number): PendingIntent {
  const { pipeline, timeline, fence, source } = checkpointOf(epoch)
  const tables = [
    {
      table: 't',
      snapshotId: 1n,
      schemas: [],
      tableUuid: null,
      lastIntent: null,
      committables: [],
    },
  ]
  return PendingIntent.of({ pipeline, timeline, epoch, fence, ...source, tables })
}

/** Checkpoints 1 to 3; the last two have two intents that wait. */
async function pipelineFolder(): Promise<{ folder: string; newest: Checkpoint }> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-damaged-'))
  folders.push(folder)
  const state = localStore(folder)
  const store = new CheckpointStore(state)
  await state.put('index/old', Buffer.from('a delta'))
  const writers = [{ data: { index: 'old' }, files: ['index/old'], nextFileId: 7 }]
  const parts = { writers, nextFileId: 7, held: { t: 3 } }
  const [one, two] = [intentOf(1), intentOf(2)]
  await store.save(checkpointOf(1, { ...parts, intents: [one] }))
  await store.save(checkpointOf(2, { ...parts, intents: [one, two] }))
  const newest = checkpointOf(3, { ...parts, intents: [one, two] })
  await store.save(newest)
  return { folder, newest }
}

type Damage = (folder: string) => Promise<void>

const damages: readonly (readonly [string, Damage])[] = [
  [
    'both copies of the newest checkpoint are damaged',
    async (folder) => {
      for (const copy of ['a', 'b']) {
        await writeFile(join(folder, `checkpoints/000000000003-${copy}`), 'torn')
      }
    },
  ],
  [
    'an intent that waits is damaged',
    async (folder) => {
      const state = localStore(folder)
      const [first = ''] = [...(await state.list('intents'))].toSorted()
      await state.put(first, Buffer.from('torn'))
    },
  ],
]

for (const [name, damage] of damages) {
  test(`where ${name}, nothing starts but a resync of everything`, async () => {
    const { folder } = await pipelineFolder()
    await damage(folder)
    const refused = await run(folder)
    expect(refused).toMatchObject({ end: 'CHECKPOINT_CORRUPT', start: null, committed: [] })
    await leaveRequest(localStore(folder), { tables: ['t'] })
    expect(await run(folder)).toMatchObject({ end: 'CHECKPOINT_CORRUPT', start: null })

    await leaveRequest(localStore(folder), { tables: null })
    const repaired = await run(folder)
    expect(repaired).toMatchObject({ end: 'stopped', committed: [] })
    expect(repaired.start?.repairs.all).toBe(true)
    expect(repaired.plan?.states).toEqual([])
    const newest = await new CheckpointStore(localStore(folder)).loadNewest()
    expect(newest).toMatchObject({ epoch: 4, intents: [], held: {} })
  })
}

test('a resync of everything looks at no state of the writers, so damage there does not matter', async () => {
  const { folder } = await pipelineFolder()
  const normal = await run(folder)
  expect(normal.plan?.states).toMatchObject([{ data: { index: 'old' } }])
  expect(normal.committed).toEqual([1, 2])
  await leaveRequest(localStore(folder), { tables: null })
  const { end, plan } = await run(folder)
  expect({ end, states: plan?.states }).toEqual({ end: 'stopped', states: [] })
})
