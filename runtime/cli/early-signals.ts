// Signals of a stop that come while the program is still being loaded. Without a listener the
// system would end the process as if it had failed, and a supervisor that changes its mind in the
// first second would count a crash.

export const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP']

let held: NodeJS.Signals | null = null
let holding = false

/** Call it before the program is imported, for a command that listens later. */
export function holdSignals(): void {
  holding = true
  for (const signal of STOP_SIGNALS) process.on(signal, hold)
}

/** @returns the first signal that came meanwhile; later ones are for the caller's own listener */
export function takeHeldSignal(): NodeJS.Signals | null {
  if (!holding) return null
  holding = false
  for (const signal of STOP_SIGNALS) process.off(signal, hold)
  return held
}

function hold(signal: NodeJS.Signals): void {
  held ??= signal
}
