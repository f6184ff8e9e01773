// One instance of a pipeline at a time: an exclusive transaction on a small SQLite file that stays
// open as long as the process lives. The kernel frees it on kill -9, so there is no stale lock and
// no lease to wait for. Each start has a higher fence than all before it: the time, or one more
// than the last where the clock went back. So a start whose state folder was lost is still told
// apart.

import { chmodSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'

/** A killed instance needs a moment to be gone; a running one never goes. */
export const LOCK_WAIT_MS = 30_000
const RETRY_MS = 100
const SQLITE_BUSY = 5

export interface InstanceLock {
  /** Grows with every start: what a former instance still tries is told apart by it. */
  readonly fence: string
  release(): void
}

/**
 * @param path  of the lock file, in the state folder
 * @throws PipelineError ALREADY_RUNNING after LOCK_WAIT_MS
 */
export async function acquireLock(
  path: string,
  clock: Clock,
  waitMs: number = LOCK_WAIT_MS,
): Promise<InstanceLock> {
  const deadline = clock.elapsedMs() + waitMs
  for (;;) {
    const lock = tryAcquire(path, clock.nowMs())
    if (lock !== null) return lock
    if (clock.elapsedMs() >= deadline) {
      throw new PipelineError('ALREADY_RUNNING', `the state folder is locked: ${dirname(path)}`, {
        detail: 'Another instance of this pipeline is running. Nothing was read or written.',
      })
    }
    await clock.sleep(RETRY_MS)
  }
}

/** @returns true when no instance holds the lock now */
export function lockIsFree(path: string): boolean {
  const database = openLockFile(path)
  try {
    database.exec('BEGIN EXCLUSIVE')
    database.exec('ROLLBACK')
    return true
  } catch (error) {
    if (isBusy(error)) return false
    throw stateUnusable(path, error)
  } finally {
    database.close()
  }
}

function tryAcquire(path: string, nowMs: number): InstanceLock | null {
  const database = openLockFile(path)
  try {
    database.exec('BEGIN EXCLUSIVE')
    database.exec('CREATE TABLE IF NOT EXISTS instance (fence INTEGER NOT NULL)')
    database.exec('INSERT INTO instance SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM instance)')
    database.prepare('UPDATE instance SET fence = max(fence + 1, ?)').run(nowMs)
    database.exec('COMMIT')
    // Whoever slips in between has a fence of its own: ours is read under the lock.
    database.exec('BEGIN EXCLUSIVE')
    const row = database.prepare('SELECT fence FROM instance').get()
    const fence = String(row?.['fence']).padStart(15, '0')
    return { fence, release: () => database.close() }
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw stateUnusable(path, error)
  }
}

/** @throws PipelineError STORAGE_FULL, STORAGE_FAILED */
function openLockFile(path: string): DatabaseSync {
  try {
    createFolder(dirname(path))
    return new DatabaseSync(path, { timeout: 0 })
  } catch (cause) {
    throw stateUnusable(path, cause)
  }
}

/** Keys of rows lie in it: it is nobody else's, whatever the umask says. */
function createFolder(folder: string): void {
  mkdirSync(dirname(folder), { recursive: true })
  // `undefined`: it was there, and whoever made it has chosen who may read it.
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(folder, 0o700)
}

function stateUnusable(path: string, cause: unknown): PipelineError {
  const full = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC'
  const reason = cause instanceof Error ? cause.message : String(cause)
  const error = full ? 'STORAGE_FULL' : 'STORAGE_FAILED'
  return new PipelineError(error, `the state folder ${dirname(path)} cannot be used`, {
    detail: `The system says: ${reason}. Nothing was read or written.`,
    cause,
  })
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
