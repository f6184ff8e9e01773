// The outside of a command: where it writes, what it is asked, whose environment it sees. Commands
// touch the process through this alone, so that tests can stand in for the user.

import { createInterface } from 'node:readline/promises'
import { isatty } from 'node:tty'
import { type Clock, systemClock } from '../base/clock.ts'
import { STOP_SIGNALS, takeHeldSignal } from './early-signals.ts'

export interface Terminal {
  /** Writes a line, or several, to standard output. */
  out(text: string): void
  /** The same to standard error. */
  err(text: string): void
  /** Writes as it is, without a line feed: cursor movements. */
  draw(text: string): void
  /** Standard output is a terminal that somebody looks at. */
  readonly interactive: boolean
  /** Standard input is a terminal that somebody types at, wherever the output goes. */
  readonly answers: boolean
  columns(): number
  rows(): number
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** @returns what the user typed, without spaces around it */
  ask(question: string): Promise<string>
  /**
   * Calls `listener` at each signal that asks the process to end, and at once when one has come
   * before. @returns how to stop that
   */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void
  /** Ends the process at once. */
  exit(code: number): void
}

const STDIN = 0

export const processTerminal: Terminal = {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
  draw: (text) => process.stdout.write(text),
  interactive: process.stdout.isTTY,
  answers: isatty(STDIN),
  columns: () => process.stdout.columns || 80,
  rows: () => process.stdout.rows || 24,
  env: process.env,
  clock: systemClock,
  ask: async (question) => {
    const reader = createInterface({ input: process.stdin, output: process.stderr })
    try {
      return (await reader.question(question)).trim()
    } finally {
      reader.close()
    }
  },
  onSignal: (listener) => {
    for (const signal of STOP_SIGNALS) process.on(signal, listener)
    const early = takeHeldSignal()
    if (early !== null) listener(early)
    return () => {
      for (const signal of STOP_SIGNALS) process.off(signal, listener)
    }
  },
  exit: (code) => process.exit(code),
}
