// Threads that crash for a reason that nobody foresaw. One crash may be an accident, memory that
// ran out or a race, and nothing of its epoch was acknowledged or committed, so the checkpoint is
// tried again; crashes that keep coming are a bug that somebody must see.

import type { Clock } from '../base/clock.ts'
import { PipelineError } from '../base/errors.ts'

const CRASHES_MAX = 10
const WINDOW_MS = 10 * 60_000

/**
 * True for what ended a thread of ours. A bug of the main thread is no PipelineError: what a new
 * attempt would go on with may be wrong. Rows that do not add up are a bug by which some may get
 * lost: somebody looks at them before anything is tried again.
 */
export function isCrash(error: unknown): boolean {
  return error instanceof PipelineError && error.error === 'INTERNAL'
}

export function isConnectionLost(error: unknown): boolean {
  return error instanceof PipelineError && error.error === 'CONNECT_FAILED'
}

export function isCatalogDown(error: unknown): boolean {
  return error instanceof PipelineError && error.error === 'CATALOG_UNAVAILABLE'
}

export class Crashes {
  private readonly clock: Clock
  private times: number[] = []

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Counts one more. @returns false when there have been too many in too short a time */
  mayGoOn(): boolean {
    const now = this.clock.elapsedMs()
    this.times = [...this.times.filter((at) => at > now - WINDOW_MS), now]
    return this.times.length < CRASHES_MAX
  }
}
