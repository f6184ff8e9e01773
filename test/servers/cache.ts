// The folder outside the tree that keeps what tests download or prepare once. An entry appears
// whole or not at all: it is built beside its place and renamed, under a lock of its own.
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

const LOCK_WAIT_MS = 900_000
const LOCK_POLL_MS = 200

export function cacheFolder(): string {
  return process.env['MILLRACE_CACHE'] ?? join(homedir(), '.cache', 'millrace')
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/**
 * Gives the folder of a cache entry, building it first if nobody has.
 *
 * @param name   entry and folder name; put a version in it, for an entry is never built twice
 * @param build  fills the given empty folder; it is later renamed, so no absolute path of it
 *               may stay in the content (pass `finalFolder` to content that must know its place)
 */
export async function cached(
  name: string,
  build: (folder: string, finalFolder: string) => Promise<void>,
): Promise<string> {
  const place = join(cacheFolder(), name)
  if (await exists(place)) return place
  return locked(name, async () => {
    if (await exists(place)) return place
    const folder = await mkdtemp(join(cacheFolder(), `.${name}-`))
    try {
      await build(folder, place)
      await rename(folder, place)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    return place
  })
}

/**
 * Runs `work` while no other process or thread runs work of the same name. The lock is SQLite's
 * file lock: the kernel releases it when its process dies, so a stale lock cannot exist.
 */
export async function locked<T>(name: string, work: () => Promise<T>): Promise<T> {
  await mkdir(cacheFolder(), { recursive: true })
  const database = new DatabaseSync(join(cacheFolder(), `.${name}.lock`))
  try {
    await acquire(database, name)
    return await work()
  } finally {
    database.close()
  }
}

async function acquire(database: DatabaseSync, name: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += LOCK_POLL_MS) {
    try {
      database.exec('BEGIN EXCLUSIVE')
      return
    } catch (error) {
      if (!String(error).includes('locked')) throw error
      if (waitedMs > LOCK_WAIT_MS) {
        throw new Error(`cache entry "${name}" stayed locked`, { cause: error })
      }
    }
    await sleep(LOCK_POLL_MS)
  }
}
