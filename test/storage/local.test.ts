import { chmod, link, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { localStore, PRIVATE_MODE } from '../../connectors/storage/local.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { testObjectStore } from '../conformance/object-store.ts'

const made: string[] = []

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  made.push(folder)
  return folder
}

afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true })
})

testObjectStore('local folder', async () => localStore(join(await emptyFolder(), 'new/root')))

const NOBODY = 65_534

test('the folder of an object may be removed behind our back', async () => {
  const folder = await emptyFolder()
  const store = localStore(folder)
  await store.put('a/b/x', Uint8Array.of(1))
  await rm(join(folder, 'a'), { recursive: true })
  await store.put('a/b/y', Uint8Array.of(2))
  expect(await store.list('')).toEqual(['a/b/y'])
})

test('objects get other names, also where a crash came between two steps', async () => {
  const folder = await emptyFolder()
  const store = localStore(folder)
  const moves = ['1', '2', '3'].map((name) => ({ from: `staged/${name}`, to: `a/b=${name}/x` }))
  for (const { from } of moves) await store.put(from, Buffer.from(from))
  // A call of before came as far as both names of one, and the new name alone of another.
  await mkdir(join(folder, 'a/b=1'), { recursive: true })
  await mkdir(join(folder, 'a/b=2'))
  await link(join(folder, 'staged/1'), join(folder, 'a/b=1/x'))
  await rename(join(folder, 'staged/2'), join(folder, 'a/b=2/x'))
  await store.publish(moves)
  await store.publish(moves)
  expect([...(await store.list(''))].sort()).toEqual(moves.map(({ to }) => to))
  for (const { from, to } of moves) expect((await store.get(to)).toString()).toBe(from)
})

test('a new name replaces nothing, and an object that is nowhere is an error', async () => {
  const store = localStore(await emptyFolder())
  await store.put('staged/1', Buffer.from('mine'))
  await store.put('x', Buffer.from('other'))
  const failed = { error: 'STORAGE_FAILED' }
  await expect(store.publish([{ from: 'staged/1', to: 'x' }])).rejects.toMatchObject(failed)
  await expect(store.publish([{ from: 'staged/2', to: 'y' }])).rejects.toMatchObject(failed)
  expect([...(await store.list(''))].sort()).toEqual(['staged/1', 'x'])
  expect((await store.get('x')).toString()).toBe('other')
})

test('a write that fails leaves no temporary file and says why', async () => {
  const folder = await emptyFolder()
  const store = localStore(folder)
  await store.put('a/x', Uint8Array.of(1))
  // A folder stands where the object should go: rename fails after the bytes were written.
  await expect(store.put('a', Uint8Array.of(2))).rejects.toMatchObject({
    error: 'STORAGE_FAILED',
    message: expect.stringContaining('cannot write a'),
  })
  expect(await readdir(folder)).toEqual(['a'])
})

test('a folder without permission is named', async () => {
  const folder = await emptyFolder()
  await chmod(folder, 0o500)
  // Root may write everywhere, so it acts as somebody who owns nothing for a moment.
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    const failed = localStore(folder).put('x', Uint8Array.of(1))
    await expect(failed).rejects.toMatchObject({ error: 'STORAGE_FAILED' })
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

test('the URI is what readers of the lake expect', () => {
  expect(localStore('/lake').uri('ns/t/data/x.parquet')).toBe('file:///lake/ns/t/data/x.parquet')
})

test('files of a private store are for their owner alone, whatever the umask allows', async () => {
  const umask = process.umask(0)
  try {
    const folder = await emptyFolder()
    const modes = async (store: ObjectStore, prefix: string): Promise<string[]> => {
      await store.put(`${prefix}/put`, Uint8Array.of(1))
      await store.putIfAbsent(`${prefix}/absent`, Uint8Array.of(1))
      const writer = await store.create(`${prefix}/created`)
      await writer.write(Uint8Array.of(1))
      await writer.finish()
      const paths = await store.list(prefix)
      const found = await Promise.all(paths.map(async (path) => stat(join(folder, path))))
      return found.map(({ mode }) => (mode & 0o777).toString(8))
    }
    expect(await modes(localStore(folder, PRIVATE_MODE), 'state')).toEqual(['600', '600', '600'])
    // Whoever reads the lake is somebody else.
    expect(await modes(localStore(folder), 'lake')).toEqual(['666', '666', '666'])
  } finally {
    process.umask(umask)
  }
})
