// A clock that stands still until a test moves it.

import type { Clock } from '../../runtime/base/clock.ts'

interface Alarm {
  readonly atMs: number
  ring(): void
}

export class ManualClock implements Clock {
  private atMs = Date.UTC(2026, 10, 20)
  private alarms: Alarm[] = []

  nowMs(): number {
    return this.atMs
  }

  nowUs(): bigint {
    return BigInt(this.atMs) * 1000n
  }

  elapsedMs(): number {
    return this.atMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (signal?.aborted === true) return Promise.reject(new Error('aborted'))
    const cancel = this.after(ms, resolve)
    signal?.addEventListener('abort', () => {
      cancel()
      reject(new Error('aborted'))
    })
    return promise
  }

  after(ms: number, task: () => void): () => void {
    const alarm = { atMs: this.atMs + ms, ring: task }
    this.alarms.push(alarm)
    return () => {
      this.alarms = this.alarms.filter((one) => one !== alarm)
    }
  }

  every(): () => void {
    return () => undefined
  }

  /** Lets `ms` pass; whoever waited for a time in between has gone on when it resolves. */
  async pass(ms: number): Promise<void> {
    const end = this.atMs + ms
    await settled()
    for (;;) {
      const next = this.alarms
        .filter(({ atMs }) => atMs <= end)
        .sort((left, right) => left.atMs - right.atMs)[0]
      if (next === undefined) break
      this.atMs = next.atMs
      this.alarms = this.alarms.filter((one) => one !== next)
      next.ring()
      await settled()
    }
    this.atMs = end
  }
}

/** Promises that were waiting for each other have settled. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}
