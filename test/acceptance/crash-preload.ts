// Loaded into the product's process before the product (`node --import`): SIGKILL at one operation
// on a file or on the catalog, just before it, in the middle of it, or just after; or a disk that
// is full from there on. The product has no switch for this, so what dies here is exactly what
// users run. Worker threads inherit it.
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { appendFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { CrashPoint, FailPoint } from './crash-point.ts'

const { CRASH_AT, CRASH_TRACE } = process.env
const point = CRASH_AT === undefined ? null : (JSON.parse(CRASH_AT) as CrashPoint | FailPoint)
const pattern = point === null ? null : new RegExp(point.path)
let hits = 0

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // Nothing more may happen in this thread while the signal is on its way.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  throw new Error('SIGKILL did not come')
}

function isHit(operation: string, path: string): boolean {
  if (CRASH_TRACE !== undefined) appendFileSync(CRASH_TRACE, `${operation} ${path}\n`)
  if (point === null || operation !== point.operation || !pattern?.test(path)) return false
  hits++
  // A disk that is full stays full.
  if (point.when === 'fails' && hits >= point.hit) throw failure(point.code, operation, path)
  return hits === point.hit
}

function failure(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${operation} '${path}'`), {
    code,
    syscall: operation,
    path,
  })
}

function settle(): void {
  if (point?.when === 'fails' || point?.delayMs === undefined) die()
  setTimeout(die, point.delayMs)
}

/** Wraps an asynchronous call so that it may die before it, or after it has succeeded. */
async function around<T>(operation: string, path: string, call: () => Promise<T>): Promise<T> {
  if (point?.when !== 'after' && isHit(operation, path)) die()
  const result = await call()
  if (point?.when === 'after' && isHit(operation, path)) settle()
  return result
}

const { open, link, rename, unlink, readFile } = fs
const writes = /[wxa+]/

fs.open = async (path, flags, mode) => {
  const name = String(path)
  const isWrite = writes.test(String(flags ?? 'r'))
  const handle = isWrite
    ? await around('open', name, async () => open(path, flags, mode))
    : await open(path, flags, mode)
  if (isWrite) watchHandle(handle, name)
  return handle
}
fs.link = async (from, to) => around('place', String(to), async () => link(from, to))
fs.rename = async (from, to) => around('place', String(to), async () => rename(from, to))
fs.unlink = async (path) => around('unlink', String(path), async () => unlink(path))
fs.readFile = (async (path: never, options: never) =>
  around('read', String(path), async () => readFile(path, options))) as typeof readFile

/** Half of the bytes and then the end: what a write leaves that is cut off. */
function watchHandle(handle: fs.FileHandle, name: string): void {
  const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<unknown>
  const sync = handle.sync.bind(handle)
  const watched = async (
    bytes: Uint8Array,
    offset = 0,
    length = bytes.length - offset,
    position: number | null = null,
  ): Promise<unknown> => {
    if (!isHit('write', name)) return write(bytes, offset, length, position)
    await write(bytes, offset, Math.floor(length / 2), position)
    return die()
  }
  Object.assign(handle, {
    write: watched,
    sync: async () => around('sync', name, sync),
  })
}

// eslint-disable-next-line typescript/unbound-method -- called with its object below
const exec = DatabaseSync.prototype.exec
DatabaseSync.prototype.exec = function execOrDie(this: DatabaseSync, sql: string): void {
  const hit = /^\s*COMMIT/i.test(sql) && isHit('commit', String(this.location()))
  if (hit && point?.when === 'before') die()
  exec.call(this, sql)
  if (hit) settle()
}

syncBuiltinESMExports()
