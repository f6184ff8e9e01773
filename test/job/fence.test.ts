// An instance that slept while another took over finds its world changed: whatever it stumbles
// over first, it says that it was replaced, for the repair that belongs to the error would be
// wrong.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { recordOf, type ErrorName } from '../../runtime/base/errors.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { checkpointOf } from '../checkpoint/checkpoints.ts'
import { runPipeline } from '../../runtime/job/run.ts'
import { failingParts } from './failing-parts.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

const checkpoint = (epoch: number, fence: string): Checkpoint => checkpointOf(epoch, { fence })

async function endOf(error: ErrorName, replaced: boolean): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-fence-'))
  folders.push(folder)
  const store = new CheckpointStore(localStore(folder))
  await store.save(checkpoint(7, '000000000000001'))
  const before = async (): Promise<void> => {
    if (replaced) await store.save(checkpoint(8, '999999999999999'))
  }
  try {
    return await runPipeline(failingParts(folder, error, before), () => undefined)
  } catch (thrown) {
    return recordOf(thrown).error
  }
}

const errors: readonly ErrorName[] = ['LOG_GAP', 'SLOT_IN_USE', 'TIMELINE_AHEAD', 'STORAGE_FAILED']

for (const error of errors) {
  test(`an instance that was replaced ends as FENCED, though it met ${error}`, async () => {
    expect(await endOf(error, true)).toBe('FENCED')
  })

  test(`${error} stays what it is when nobody took over`, async () => {
    expect(await endOf(error, false)).toBe(error)
  })
}
