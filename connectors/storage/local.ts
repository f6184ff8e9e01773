// Byte storage in a folder of the local disk. A call that has returned survives a power cut: the
// bytes are fsynced before the name appears, and the folders that hold the name after it. Without
// the latter a checkpoint could name a file that the disk has forgotten.

import type { Move, MovingStore, ObjectWriter } from '../../runtime/object-store.ts'
import type { FileHandle } from 'node:fs/promises'
import { link, mkdir, open, readFile, readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { assert } from '../../runtime/base/assert.ts'
import { randomUuid } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'

/** Objects being written lie beside their final name; `list` does not show them. */
const TEMPORARY = /^\.[0-9a-f-]{36}\.tmp$/

/** Of files that others may read if the umask lets them, and of those for the owner alone. */
const SHARED_MODE = 0o666
export const PRIVATE_MODE = 0o600

/**
 * @param root  the folder; it and folders below are created when something is written
 * @param mode  of new files; the umask takes from it
 * @returns a store whose paths are relative to `root`, with `/` between names
 */
export function localStore(root: string, mode: number = SHARED_MODE): MovingStore {
  const base = resolve(root)
  const folders = new DurableFolders(base)
  const files = { folders, mode }

  function pathOf(path: string): string {
    const names = path.split('/')
    const leaves = names.some((name) => name === '' || name === '.' || name === '..')
    assert(!leaves, 'a path of the store stays below its folder')
    return join(base, path)
  }

  return {
    get: (path) => translated(`read ${path}`, () => readFile(pathOf(path))),

    async put(path, bytes) {
      const target = pathOf(path)
      await translated(`write ${path}`, async () => {
        const temporary = await writeTemporary(files, target, bytes)
        await orRemove(temporary, () => rename(temporary, target))
        await folders.sync(dirname(target))
      })
    },

    putIfAbsent: (path, bytes) =>
      translated(`create ${path}`, async () => {
        const target = pathOf(path)
        return placeNew(folders, await writeTemporary(files, target, bytes), target)
      }),

    create: (path) => translated(`create ${path}`, () => createWriter(files, path, pathOf(path))),

    async list(prefix) {
      const start = prefix === '' ? base : pathOf(prefix)
      return translated(`list ${prefix}`, async () => {
        const paths: string[] = []
        await walk(start, prefix, paths, (name) => !TEMPORARY.test(name))
        return paths
      })
    },

    exists: (path) =>
      translated(`look up ${path}`, async () => {
        const found = await orMissing(stat(pathOf(path)))
        return found !== null && found.isFile()
      }),

    // The folder is not fsynced: an object that comes back after a power cut harms nobody.
    delete: (path) =>
      translated(`delete ${path}`, async () => void (await orMissing(unlink(pathOf(path))))),

    async publish(moves) {
      const places = moves.map(({ from, to }) => ({ from: pathOf(from), to: pathOf(to) }))
      await translated(`publish ${moves[0]?.to ?? 'nothing'}`, () => publishAll(folders, places))
    },

    async removeUnfinished(prefix, keep) {
      const start = prefix === '' ? base : pathOf(prefix)
      return translated(`clear ${prefix}`, async () => {
        const unfinished: string[] = []
        await walk(start, prefix, unfinished, (name) => TEMPORARY.test(name))
        const dead = unfinished.filter((path) => keep?.has(path) !== true)
        for (const path of dead) await orMissing(unlink(join(base, path)))
        return dead.length
      })
    },

    uri: (path) => `file://${join(base, path)}`,
  }
}

/** Creates folders so that they survive a power cut, and remembers those that do. */
class DurableFolders {
  readonly #known = new Set<string>()
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async create(folder: string): Promise<void> {
    if (this.#known.has(folder)) return
    const first = await mkdir(folder, { recursive: true })
    // From the innermost folder up to the parent of the outermost that is new (or the root: an
    // earlier process may have died between its mkdir and its fsync).
    const last = first === undefined ? this.#root : dirname(first)
    for (let at = folder; ; at = dirname(at)) {
      await this.sync(at)
      if (at === last || at === dirname(at)) break
    }
    this.#known.add(folder)
  }

  forget(): void {
    this.#known.clear()
  }

  async sync(folder: string): Promise<void> {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}

/** Where and how files are created. */
interface NewFiles {
  readonly folders: DurableFolders
  readonly mode: number
}

/** Opens a new file beside `target`; creates the folder again where somebody removed it. */
async function openTemporary(
  { folders, mode }: NewFiles,
  target: string,
): Promise<{ path: string; handle: FileHandle }> {
  const folder = dirname(target)
  const path = join(folder, `.${randomUuid()}.tmp`)
  await folders.create(folder)
  try {
    return { path, handle: await open(path, 'wx', mode) }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    folders.forget()
    await folders.create(folder)
    return { path, handle: await open(path, 'wx', mode) }
  }
}

async function writeTemporary(files: NewFiles, target: string, bytes: Uint8Array): Promise<string> {
  const { path, handle } = await openTemporary(files, target)
  await orRemove(path, async () => {
    try {
      await writeAll(handle, bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
  })
  return path
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, offset = 0): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, offset + at)
    at += bytesWritten
  }
}

/**
 * Gives the finished file its name unless the name is taken. `rename` would replace an existing
 * file silently; `link` says EEXIST.
 */
async function placeNew(
  folders: DurableFolders,
  temporary: string,
  target: string,
): Promise<boolean> {
  let created = true
  await orRemove(temporary, async () => {
    try {
      await link(temporary, target)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      created = false
    }
    await unlink(temporary)
  })
  // Also when it was there: the winner may have died between its link and its fsync.
  await folders.sync(dirname(target))
  return created
}

/** All new names are durable before the first old one goes. */
async function publishAll(folders: DurableFolders, moves: readonly Move[]): Promise<void> {
  const targets = new Set<string>()
  for (const { from, to } of moves) {
    const folder = dirname(to)
    await folders.create(folder)
    await linkOnce(from, to)
    targets.add(folder)
  }
  for (const folder of targets) await folders.sync(folder)
  for (const { from } of moves) await orMissing(unlink(from))
}

async function linkOnce(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    const [before, there] = [await orMissing(stat(from)), await orMissing(stat(to))]
    // Only a call of before can have taken the old name away.
    const isDone = there !== null && (before === null || before.ino === there.ino)
    if (!isDone) throw error
  }
}

async function createWriter(files: NewFiles, path: string, target: string): Promise<ObjectWriter> {
  const { path: temporary, handle } = await openTemporary(files, target)
  return new LocalWriter(files, target, {
    temporary,
    unfinished: join(dirname(path), basename(temporary)),
    handle,
  })
}

class LocalWriter implements ObjectWriter {
  readonly unfinished: string
  length = 0
  private readonly files: NewFiles
  private readonly target: string
  private readonly temporary: string
  /** `null`: paused, or at its end. */
  private handle: FileHandle | null
  private isNamed = false

  constructor(
    files: NewFiles,
    target: string,
    opened: { temporary: string; unfinished: string; handle: FileHandle },
  ) {
    this.files = files
    this.target = target
    this.temporary = opened.temporary
    this.unfinished = opened.unfinished
    this.handle = opened.handle
  }

  private async opened(): Promise<FileHandle> {
    this.handle ??= await open(this.temporary, 'r+')
    return this.handle
  }

  async write(bytes: Uint8Array): Promise<void> {
    await translated(`write ${this.target}`, async () => {
      await writeAll(await this.opened(), bytes, this.length)
    })
    this.length += bytes.length
  }

  async sync(): Promise<void> {
    await translated(`write ${this.target}`, async () => {
      await (await this.opened()).sync()
      if (this.isNamed) return
      await this.files.folders.sync(dirname(this.temporary))
      this.isNamed = true
    })
  }

  async pause(): Promise<void> {
    const { handle } = this
    this.handle = null
    await translated(`write ${this.target}`, async () => handle?.close())
  }

  async finish(): Promise<void> {
    const { target, temporary } = this
    await translated(`finish ${target}`, async () => {
      await orRemove(temporary, async () => {
        try {
          await (await this.opened()).sync()
        } finally {
          await this.pause()
        }
      })
      if (await placeNew(this.files.folders, temporary, target)) return
      throw new PipelineError('STORAGE_FAILED', `file ${target} already exists`, {
        detail: 'Objects are created once and never changed, so nothing was replaced.',
      })
    })
  }

  async abort(): Promise<void> {
    await this.pause()
    await translated(`abort ${this.target}`, () => orMissing(unlink(this.temporary)))
  }
}

async function walk(
  folder: string,
  prefix: string,
  paths: string[],
  isWanted: (name: string) => boolean,
): Promise<void> {
  const entries = await orMissing(readdir(folder, { withFileTypes: true }))
  for (const entry of entries ?? []) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (entry.isDirectory()) await walk(join(folder, entry.name), path, paths, isWanted)
    else if (entry.isFile() && isWanted(entry.name)) paths.push(path)
  }
}

/** Runs a step on a temporary file; when it fails, the file is removed as far as that goes. */
async function orRemove(temporary: string, step: () => Promise<void>): Promise<void> {
  try {
    await step()
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw error
  }
}

/** @returns null where the file or a folder of its path is not there */
async function orMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
    throw error
  }
}

async function translated<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = codeOf(error)
    if (code === null) throw error
    const full = code === 'ENOSPC' || code === 'EDQUOT'
    throw new PipelineError(
      full ? 'STORAGE_FULL' : 'STORAGE_FAILED',
      full ? `no space left to ${what}` : `cannot ${what}: ${code}`,
      { detail: error instanceof Error ? `${error.message}.` : '', cause: error },
    )
  }
}

function codeOf(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' ? code : null
}
