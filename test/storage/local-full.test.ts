// A disk without space, by a file handle whose writes end as the kernel ends them: a part is
// written, then ENOSPC.

import type * as files from 'node:fs/promises'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof files>()
  const open: typeof real.open = async (path, flags) => {
    const handle = await real.open(path, flags)
    if (flags !== 'wx') return handle
    let space = 10
    const write = handle.write.bind(handle) as (
      b: Uint8Array,
      at: number,
      n: number,
    ) => Promise<object>
    const limited = async (bytes: Uint8Array, at: number, length: number): Promise<object> => {
      if (space === 0) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
      const part = Math.min(space, length)
      space -= part
      return write(bytes, at, part)
    }
    return Object.assign(handle, { write: limited })
  }
  return { ...real, open }
})

test('a full disk is told from a broken one, and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-full-'))
  const store = localStore(folder)
  await store.put('small', new Uint8Array(10))
  for (const write of ['put', 'putIfAbsent'] as const) {
    const failed = store[write]('large', new Uint8Array(11))
    await expect(failed).rejects.toMatchObject({ error: 'STORAGE_FULL' })
  }
  const writer = await store.create('large')
  await expect(writer.write(new Uint8Array(11))).rejects.toMatchObject({ error: 'STORAGE_FULL' })
  await writer.abort()
  expect(await readdir(folder)).toEqual(['small'])
  await rm(folder, { recursive: true })
})
