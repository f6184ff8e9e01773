// Where a process dies, and how a test makes it die there.
import { fileURLToPath } from 'node:url'
import type { ChildOptions } from './pipeline.ts'

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

/** Appends all operations that could be crash points to a file, a line each. */
export function tracing(file: string): ChildOptions {
  return { node: ['--import', PRELOAD], env: { CRASH_TRACE: file } }
}
