// Which state files the sweeping of old checkpoints leaves.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import type { Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { StateGarbage } from '../../runtime/job/garbage.ts'
import { checkpointOf } from '../checkpoint/checkpoints.ts'

/** A checkpoint whose one writer names these files. */
function checkpoint(epoch: number, files: readonly string[]): Checkpoint {
  return checkpointOf(epoch, { writers: [{ data: null, files, nextFileId: 1 }] })
}

for (const kept of [2, 4]) {
  test(`a file goes when none of the ${kept} kept checkpoints names it`, async () => {
    const state = localStore(mkdtempSync(join(tmpdir(), 'millrace-garbage-')))
    const store = new CheckpointStore(state, kept)
    const garbage = new StateGarbage(state, store)
    const base = 'index/base'
    await state.put(base, Buffer.from('b'))
    await garbage.sweep(null)
    await state.put(base, Buffer.from('b'))
    for (let epoch = 1; epoch <= 8; epoch++) {
      const delta = `index/delta-${epoch}`
      await state.put(delta, Buffer.from('d'))
      const next = checkpoint(epoch, [base, delta])
      await store.save(next)
      await garbage.collect(next)
      const epochs = Array.from({ length: Math.min(epoch, kept) }, (_, at) => epoch - at)
      const deltas = epochs.map((one) => `index/delta-${one}`)
      expect((await state.list('index')).toSorted()).toEqual([base, ...deltas.toSorted()])
      expect(await store.epochs()).toEqual(epochs.toSorted((left, right) => left - right))
    }
  })
}
