import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { PipelineError, type ErrorRecord } from '../../runtime/base/errors.ts'
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type Checkpoint,
  type CheckpointRecord,
} from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { checkpointOf } from './checkpoints.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

async function newStore(): Promise<{ folder: string; store: CheckpointStore }> {
  const folder = await mkdtemp(join(tmpdir(), 'checkpoints-'))
  folders.push(folder)
  return { folder, store: new CheckpointStore(localStore(folder)) }
}

function checkpoint(epoch: number): Checkpoint {
  const position = { split: 'log', order: (1n << 100n) + 5n, token: '0/1' }
  const data = { nan: Number.NaN, zero: -0, bytes: Uint8Array.of(1, 2) }
  return checkpointOf(epoch, {
    source: { position, sourceTimeUs: 1_700_000_000_000_000n, state: '', tables: [] },
    writers: [{ data, files: [], nextFileId: 9 }],
    savedAtMs: 5,
  })
}

function record(epoch: number): CheckpointRecord {
  const { intents: _, ...parts } = checkpoint(epoch)
  return { ...parts, intent: null, older: null }
}

function path(folder: string, epoch: number, copy: 'a' | 'b'): string {
  return join(folder, 'checkpoints', `${String(epoch).padStart(12, '0')}-${copy}`)
}

test('a checkpoint comes back with its 64-bit integers, NaN, -0 and bytes', () => {
  const written = record(3)
  expect(decodeCheckpoint(encodeCheckpoint(written), 'three')).toEqual(written)
})

test('every flipped bit of a checkpoint is found', () => {
  const bytes = encodeCheckpoint(record(3))
  for (let bit = 0; bit < bytes.length * 8; bit += 13) {
    const damaged = Uint8Array.from(bytes)
    damaged[bit >> 3]! ^= 1 << (bit & 7)
    expect(() => decodeCheckpoint(damaged, 'three'), `bit ${bit}`).toThrow('fails its checksum')
  }
})

test('the newest checkpoint is loaded, and one damaged copy does not matter', async () => {
  const { folder, store } = await newStore()
  await store.save(checkpoint(1))
  await store.save(checkpoint(2))
  await writeFile(path(folder, 2, 'a'), 'torn')
  expect((await store.loadNewest())?.epoch).toBe(2)
  // Both copies are whole again, so that losing the other one does not matter either.
  expect(await readFile(path(folder, 2, 'a'))).toEqual(await readFile(path(folder, 2, 'b')))
})

test('a torn first copy without a second was no checkpoint: the one before goes on', async () => {
  const { folder, store } = await newStore()
  await store.save(checkpoint(1))
  await writeFile(path(folder, 2, 'a'), 'torn')
  expect((await store.loadNewest())?.epoch).toBe(1)
  // Its epoch can be written now.
  await store.save(checkpoint(2))
  expect((await store.loadNewest())?.epoch).toBe(2)
})

test('two damaged copies of the newest checkpoint stop, since it may have been acknowledged', async () => {
  const { folder, store } = await newStore()
  await store.save(checkpoint(1))
  await store.save(checkpoint(2))
  for (const copy of ['a', 'b'] as const) await writeFile(path(folder, 2, copy), 'torn')
  await expect(store.loadNewest()).rejects.toMatchObject({
    error: 'CHECKPOINT_CORRUPT',
    hint: expect.stringContaining('resync FILE --all') as string,
  })
})

/** A disk that fails to read paths that end so. */
function failingDisk(folder: string, suffixes: readonly string[]): ObjectStore {
  const state = localStore(folder)
  const get = (name: string): Promise<Uint8Array> => {
    if (!suffixes.some((suffix) => name.endsWith(suffix))) return state.get(name)
    return Promise.reject(new PipelineError('STORAGE_FAILED', `cannot read ${name}: EIO`))
  }
  return { ...state, get }
}

test('a copy that the disk cannot read does not matter while the other is valid', async () => {
  const { folder, store } = await newStore()
  await store.save(checkpoint(1))
  const notices: ErrorRecord[] = []
  for (const copy of ['-a', '-b']) {
    const disk = failingDisk(folder, [copy])
    const failing = new CheckpointStore(disk, 3, (record) => notices.push(record))
    expect((await failing.loadNewest())?.epoch).toBe(1)
    expect((await failing.peekNewest())?.epoch).toBe(1)
  }
  expect(notices.map(({ message }) => message)).toEqual([
    'cannot read checkpoints/000000000001-a: EIO',
    'cannot read checkpoints/000000000001-b: EIO',
  ])
  // The disk may recover: nothing was moved.
  expect((await readdir(join(folder, 'checkpoints'))).length).toBe(2)
})

test('a copy that the disk cannot read may be the valid one, so no older one is used', async () => {
  const { folder, store } = await newStore()
  await store.save(checkpoint(1))
  await store.save(checkpoint(2))
  const both = new CheckpointStore(failingDisk(folder, ['2-a', '2-b']))
  await expect(both.loadNewest()).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
  await writeFile(path(folder, 2, 'a'), 'torn')
  const other = new CheckpointStore(failingDisk(folder, ['2-b']))
  await expect(other.loadNewest()).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
  await rm(path(folder, 2, 'a'))
  await expect(other.loadNewest()).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
  expect((await store.loadNewest())?.epoch).toBe(2)
})

test('a resync of everything begins with the newest valid checkpoint, above what was lost', async () => {
  const { folder, store } = await newStore()
  expect(await store.loadForResync()).toBeNull()
  const parts = { ...checkpoint(1), held: { a: 1 }, waiting: { a: 1 }, cancelled: { a: 1 } }
  await store.save(parts)
  expect(await store.loadForResync()).toMatchObject({ epoch: 1, nextFileId: 1 })
  await store.save({ ...parts, epoch: 2 })
  for (const copy of ['a', 'b'] as const) await writeFile(path(folder, 2, copy), 'torn')
  const found = (await store.loadForResync())!
  const nothing = { writers: [], intents: [], held: {}, waiting: {}, cancelled: {} }
  expect(found).toMatchObject({ epoch: 2, source: parts.source, ...nothing })
  expect(found.nextFileId).toBeGreaterThan(1_000_000)
  // Its next epoch can be saved, and is what comes after it.
  await store.save({ ...parts, epoch: 3 })
  expect((await store.loadNewest())?.epoch).toBe(3)
})

test('a checkpoint of another version is refused with its version', async () => {
  const { folder, store } = await newStore()
  await store.save(checkpoint(1))
  const other = encodeCheckpoint({ ...record(2), format: 77 as never })
  for (const copy of ['a', 'b'] as const) await writeFile(path(folder, 2, copy), other)
  const error = await store.loadNewest().catch((caught: unknown) => caught)
  expect(error).toMatchObject({ error: 'CHECKPOINT_CORRUPT' })
  expect((error as PipelineError).detail).toContain('format 77')
  expect((await store.epochs()).length).toBe(2)
})

test('without a valid checkpoint no command is promised to repair', async () => {
  const { folder, store } = await newStore()
  await store.save(checkpoint(1))
  for (const copy of ['a', 'b'] as const) await writeFile(path(folder, 1, copy), 'torn')
  for (const load of [() => store.loadNewest(), () => store.loadForResync()]) {
    const error = await load().catch((caught: unknown) => caught)
    expect(error).toMatchObject({ error: 'CHECKPOINT_CORRUPT' })
    expect((error as PipelineError).hint).not.toContain('resync')
  }
})

test('a checkpoint is never replaced: the second writer of an epoch is fenced', async () => {
  const { store } = await newStore()
  await store.save(checkpoint(1))
  await expect(store.save(checkpoint(1))).rejects.toMatchObject({ error: 'FENCED' })
})

test('the last three checkpoints are kept', async () => {
  const { store } = await newStore()
  for (let epoch = 1; epoch <= 5; epoch++) await store.save(checkpoint(epoch))
  expect(await store.prune()).toEqual([3, 4, 5])
  expect(await store.epochs()).toEqual([3, 4, 5])
})

test('as many checkpoints are kept as the configuration says, the newest ones', async () => {
  const { folder } = await newStore()
  for (const kept of [2, 5]) {
    const store = new CheckpointStore(localStore(join(folder, String(kept))), kept)
    for (let epoch = 1; epoch <= 7; epoch++) {
      await store.save(checkpoint(epoch))
      await store.prune()
    }
    expect(await store.epochs()).toEqual([3, 4, 5, 6, 7].slice(-kept))
  }
})

test('an instance that was away for longer than checkpoints are kept is fenced too', async () => {
  const { store } = await newStore()
  for (let epoch = 1; epoch <= 8; epoch++) await store.save(checkpoint(epoch))
  expect(await store.prune()).toEqual([6, 7, 8])
  await expect(store.save(checkpoint(3))).rejects.toMatchObject({ error: 'FENCED' })
  expect(await store.epochs()).toEqual([6, 7, 8])
})
