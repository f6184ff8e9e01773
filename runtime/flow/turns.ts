// How the readers of a hand-over wait for each other, for the log and for the server.

import type { Clock } from '../base/clock.ts'

export class Turns {
  private readonly clock: Clock
  private waiting = Promise.withResolvers<void>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** There may be something to do: ends every `rest`. */
  wake(): void {
    this.waiting.resolve()
    this.waiting = Promise.withResolvers<void>()
  }

  /**
   * Sleeps, whatever happens. A reader that gives up its range wakes the others, so two that cannot
   * go on would wake each other without end if they rested: no socket would be served any more.
   */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.clock.sleep(ms, signal).catch(() => undefined)
  }

  /** Sleeps until there may be something to do, at most `ms`. */
  async rest(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const woken = this.waiting.promise
    const cancel = this.clock.after(ms, () => this.wake())
    const abort = (): void => this.wake()
    signal.addEventListener('abort', abort, { once: true })
    try {
      await woken
    } finally {
      cancel()
      signal.removeEventListener('abort', abort)
    }
  }
}
