// The two signals of a stop: the first asks for a last checkpoint, the second ends at once. A
// signal to a process group arrives twice within a millisecond, through npm and directly, so only
// one that comes half a second later counts as second.

import type { Terminal } from './terminal.ts'

export const SECOND_SIGNAL_MS = 500
/** What a stop may take: longer, and the supervisor would kill us in the middle anyway. */
export const STOP_MS_MAX = 30_000
export const EXIT_SECOND_SIGNAL = 130

export interface Shutdown {
  readonly signal: AbortSignal
  /** Forgets the signals. */
  release(): void
}

export interface ShutdownEvents {
  onFirst(): void
  /** The stop takes longer than STOP_MS_MAX. */
  onOverdue(): void
}

export function listenForShutdown(terminal: Terminal, events: ShutdownEvents): Shutdown {
  const controller = new AbortController()
  let firstMs = 0
  let cancel = (): void => undefined
  const stopListening = terminal.onSignal(() => {
    const nowMs = terminal.clock.elapsedMs()
    if (!controller.signal.aborted) {
      firstMs = nowMs
      cancel = terminal.clock.after(STOP_MS_MAX, () => events.onOverdue())
      events.onFirst()
      controller.abort()
    } else if (nowMs - firstMs >= SECOND_SIGNAL_MS) terminal.exit(EXIT_SECOND_SIGNAL)
  })
  return {
    signal: controller.signal,
    release: () => {
      cancel()
      stopListening()
    },
  }
}
