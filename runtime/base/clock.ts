// The only door to wall clock, timers and randomness, so that a test can stand in for them.

import { randomBytes, randomUUID } from 'node:crypto'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since 1970, for timestamps that people read. */
  nowMs(): number
  /** Microseconds since 1970. */
  nowUs(): bigint
  /** Milliseconds on a clock that never goes back, for durations. */
  elapsedMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `task` once after `ms`. @returns a function that cancels it */
  after(ms: number, task: () => void): () => void
  /** Calls `task` every `ms`; does not keep the process alive. @returns a function that ends it */
  every(ms: number, task: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowUs: () => BigInt(Date.now()) * 1000n,
  elapsedMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  },
  after: (ms, task) => {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
  every: (ms, task) => {
    const timer = setInterval(task, ms)
    timer.unref()
    return () => clearInterval(timer)
  },
}

/** Resolves once the event loop has turned: what waited outside, such as a signal, is heard. */
export async function nextTurn(): Promise<void> {
  await turn()
}

/** @returns a random integer of 63 bits, never 0: Iceberg's snapshot ids */
export function randomId63(): bigint {
  const id = randomBytes(8).readBigUInt64BE() & 0x7fff_ffff_ffff_ffffn
  return id === 0n ? 1n : id
}

/** @returns a random integer, 1...2^32 - 1 */
export function randomId32(): number {
  return randomBytes(4).readUInt32BE() || 1
}

export function randomUuid(): string {
  return randomUUID()
}
