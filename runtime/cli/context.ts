// What every command is given, and the options that all of them take.

import type { Command } from 'commander'
import type { Terminal } from './terminal.ts'
import type { Wiring } from './wiring.ts'

export interface CommandContext {
  readonly terminal: Terminal
  readonly wiring: Wiring
  /** Ends the command with a code that is neither 0 nor that of an error. */
  readonly setExitCode: (code: number) => void
  /** Names the pipeline in the log line that a failure leaves. */
  readonly setPipeline: (name: string) => void
}

export interface GlobalOptions {
  readonly json: boolean
  readonly verbose: boolean
}

/** Adds a command to the program. */
export type AddCommand = (program: Command, context: CommandContext) => void

/** The program's own options as seen from one of its commands. */
export function globalOptions(command: Command): GlobalOptions {
  const { json, verbose } = command.optsWithGlobals<Partial<GlobalOptions>>()
  return { json: json === true, verbose: verbose === true }
}

/** Prints one line for programs, or calls `human`. */
export function print(
  context: CommandContext,
  command: Command,
  value: unknown,
  human: () => string,
): void {
  const text = globalOptions(command).json ? JSON.stringify(value) : human()
  if (text !== '') context.terminal.out(text)
}
