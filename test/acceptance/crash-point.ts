// Where a process dies, and how a test makes it die there.
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child, ChildOptions } from './pipeline.ts'

export interface CrashPoint {
  /** `write` is cut off in its middle; `place` gives a file its name, by link or by rename. */
  operation: 'open' | 'write' | 'sync' | 'place' | 'unlink' | 'read' | 'commit'
  /** Regular expression of the path; for `place` that of the new name. */
  path: string
  /** Which of the operations that match, 1 and up, counted by thread. */
  hit: number
  when: 'before' | 'after'
  /** After this time instead of at once; only with `after`. */
  delayMs?: number
}

/** An operation that fails as the disk would make it fail; the process lives on. */
export interface FailPoint extends Omit<CrashPoint, 'when' | 'delayMs'> {
  when: 'fails'
  code: 'ENOSPC' | 'EIO' | 'EACCES'
}

const PRELOAD = fileURLToPath(new URL('./crash-preload.ts', import.meta.url))

/** For `Pipeline.start`: the process dies, or its disk fails, at this point. */
export function brokenAt(point: CrashPoint | FailPoint): ChildOptions {
  return { node: ['--import', PRELOAD], env: { CRASH_AT: JSON.stringify(point) } }
}

/** Changes at full speed; on a fast machine the process is not even up by then. */
const CHANGES_AT_ONCE = 100
const CHANGES_MAX = 2000
const PAUSE_MS = 15
const KILLED_MS_MAX = 30_000

/**
 * Changes rows until the process has died at its point, which may be in its second epoch: so there
 * are changes until then, however fast they go.
 *
 * @param name  of the point
 * @throws Error when it has not died there
 */
export async function changeUntilKilled(
  child: Child,
  name: string,
  change: () => Promise<void>,
): Promise<void> {
  for (let count = 0; !child.hasEnded() && count < CHANGES_MAX; count++) {
    await change()
    if (count >= CHANGES_AT_ONCE) await sleep(PAUSE_MS)
  }
  const end = await Promise.race([child.exit, sleep(KILLED_MS_MAX, null)])
  if (end?.signal !== 'SIGKILL') throw new Error(`${name} was not reached: ${child.output()}`)
}

/** Appends all operations that could be crash points to a file, a line each. */
export function tracing(file: string): ChildOptions {
  return { node: ['--import', PRELOAD], env: { CRASH_TRACE: file } }
}
