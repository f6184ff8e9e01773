import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
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
