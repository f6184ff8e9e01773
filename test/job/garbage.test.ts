// Which state files the sweeping of old checkpoints leaves.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
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
    await garbage.sweep()
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

test('a start keeps what only an older kept checkpoint names, and nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-garbage-'))
  const state = localStore(folder)
  const store = new CheckpointStore(state, 3)
  for (const name of ['base', 'one', 'two', 'three', 'four', 'orphan']) {
    await state.put(`index/${name}`, Buffer.from(name))
  }
  for (const [at, name] of ['one', 'two', 'three', 'four'].entries()) {
    await store.save(checkpoint(at + 1, ['index/base', `index/${name}`]))
  }
  const left = async (): Promise<string[]> => [...(await state.list('index'))].toSorted()
  await new StateGarbage(state, store).sweep()
  expect(await left()).toEqual(['index/base', 'index/four', 'index/three', 'index/two'])

  // Of a damaged one nobody knows what it names, and nothing can begin from it.
  for (const copy of ['a', 'b']) {
    await state.put(`checkpoints/000000000003-${copy}`, Buffer.from('torn'))
  }
  const garbage = new StateGarbage(state, store)
  await garbage.sweep()
  expect(await left()).toEqual(['index/base', 'index/four', 'index/two'])
  await state.put('index/five', Buffer.from('five'))
  const next = checkpoint(5, ['index/five'])
  await store.save(next)
  await garbage.collect(next)
  expect(await left()).toEqual(['index/base', 'index/five', 'index/four', 'index/two'])
})

test('nothing is swept while the disk does not say what a kept checkpoint names', async () => {
  const state = localStore(mkdtempSync(join(tmpdir(), 'millrace-garbage-')))
  const store = new CheckpointStore(state)
  await state.put('index/one', Buffer.from('one'))
  await store.save(checkpoint(1, ['index/one']))
  await store.save(checkpoint(2, []))
  const get = (path: string): Promise<Uint8Array> => {
    if (!path.includes('000001-')) return state.get(path)
    return Promise.reject(new PipelineError('STORAGE_FAILED', `cannot read ${path}: EIO`))
  }
  const failing = { ...state, get }
  const garbage = new StateGarbage(failing, new CheckpointStore(failing))
  await expect(garbage.sweep()).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
  expect(await state.list('index')).toEqual(['index/one'])
})

test('an attempt that failed leaves only what a checkpoint names', async () => {
  const state = localStore(mkdtempSync(join(tmpdir(), 'millrace-garbage-')))
  const store = new CheckpointStore(state)
  const garbage = new StateGarbage(state, store)
  await garbage.sweep()
  const paths = ['index/mine_w0-1.delta', 'index/mine_w0-2.delta', 'epochs/mine_w1-2.deletes']
  for (const path of [...paths, 'index/other_w0-1.delta']) await state.put(path, Buffer.from('x'))
  // It ended before `collect` was called.
  await store.save(checkpoint(1, ['index/mine_w0-1.delta']))
  await garbage.sweepAttempt('mine')
  expect((await state.list('index')).toSorted()).toEqual([paths[0], 'index/other_w0-1.delta'])
  expect(await state.list('epochs')).toEqual([])
})
