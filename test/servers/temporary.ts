// One folder for all that a run of the tests puts into the temporary folder: a test that is killed
// in the middle, or forgets, leaves nothing behind on the machine of somebody who ran `npm test`.
// It lies in memory where there is much of that: tests kill processes and no machine, and a test of
// 300 commits waits four fifths of its time for a disk to be sure.

import { chmod, mkdtemp, readFile, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serverFolder } from './process.ts'

/** Where Linux has a file system in memory. */
const MEMORY = '/dev/shm'
/** Some times what the servers and lakes of two test files need at once. */
const SPACE_BYTES = 8 * 2 ** 30
/** What is in the folder is not there for the processes. */
const MEMORY_BYTES = 12 * 2 ** 30

/** Vitest calls it once a project, before the workers start that inherit the variable. */
export async function setup(): Promise<() => Promise<void>> {
  const before = process.env['TMPDIR']
  const inMemory = before === undefined && (await hasMemory())
  if (inMemory) process.env['TMPDIR'] = MEMORY
  // Short: a server's socket lies below, and its path may have 107 bytes. What a run that was killed
  // left in memory, the next one takes away.
  const folder = inMemory ? await serverFolder('run') : await mkdtemp(join(tmpdir(), 'millrace-'))
  // PostgreSQL does not run as root: its data, below, belongs to another user then.
  await chmod(folder, 0o755)
  process.env['TMPDIR'] = folder
  return async () => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Not where programs may not be started from it, or a container has little. */
async function hasMemory(): Promise<boolean> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '')
  const mount = mounts.split('\n').find((line) => line.split(' ')[1] === MEMORY)
  const [, , type, options = ''] = mount?.split(' ') ?? []
  if (type !== 'tmpfs' || /\b(?:noexec|ro)\b/.test(options)) return false
  const { bavail, bsize } = await statfs(MEMORY)
  return bavail * bsize >= SPACE_BYTES && process.availableMemory() >= MEMORY_BYTES
}
