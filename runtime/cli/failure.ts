// How an error is shown: its code and what happened, the facts, and the command that repairs it.
// A stack only for those who ask for it: it says nothing to whoever runs a pipeline.

import { errorCodes } from '../base/error-codes.ts'
import { type ErrorName, PipelineError, recordOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { shellWord } from './query-hints.ts'
import type { Terminal } from './terminal.ts'

export interface FailureFormat {
  readonly json: boolean
  /** Adds the stack and those of the causes. */
  readonly verbose: boolean
  /** Takes the place of FILE in hints, so that their commands can be pasted. */
  readonly file?: string | null
}

interface Failure {
  readonly code: string
  readonly name: ErrorName
  readonly message: string
  readonly detail: string | null
  readonly hint: string
  readonly exit: number
  /** Missing unless it is asked for. */
  readonly stack?: string
}

/** Prints an error. @returns the exit code for it */
export function printFailure(error: unknown, terminal: Terminal, format: FailureFormat): number {
  const failure = failureOf(error, format)
  const { code, message, detail, hint, exit, stack } = failure
  if (format.json) {
    terminal.out(JSON.stringify({ error: failure }))
    return exit
  }
  terminal.err(formatFailure(code, message, detail, hint))
  if (stack !== undefined) terminal.err(indent(stack))
  else if (!isOurs(error)) terminal.err('  more   : set MILLRACE_DEBUG=1 to see where it happened')
  return exit
}

/** The same as a line of a log. */
export function logFailure(error: unknown, log: Log, format: FailureFormat): number {
  const { message, name, ...facts } = failureOf(error, format)
  log.error(message, { ...facts, error: name })
  return facts.exit
}

function failureOf(error: unknown, { verbose, file }: FailureFormat): Failure {
  const record = recordOf(error)
  const known = isOurs(error)
  const { code, exit } = errorCodes[record.error]
  const hint = file == null ? record.hint : record.hint.replace(/\bFILE\b/g, () => shellWord(file))
  // The stack of an error that is not ours is its detail; it is shown where stacks are.
  const detail = known && record.detail !== null ? withFile(record.detail, file) : null
  const failure = { code, name: record.error, message: record.message, detail, hint, exit }
  if (!verbose) return failure
  return { ...failure, stack: known ? stackOf(error) : (record.detail ?? stackOf(error)) }
}

/** A detail quotes commands among other words, which may be the user's own. */
function withFile(detail: string, file: string | null | undefined): string {
  if (file == null) return detail
  return detail.replace(/`millrace [^`]*`/g, (command) =>
    command.replace(/\bFILE\b/, () => shellWord(file)),
  )
}

/** An INTERNAL error of another thread comes as one of ours, with its stack as detail. */
function isOurs(error: unknown): boolean {
  return error instanceof PipelineError && error.error !== 'INTERNAL'
}

/**
 * @returns lines as
 *
 *     MR-3012 the log no longer reaches back to the checkpoint
 *       needed : ...
 *       fix    : millrace resync shop.yaml --all
 */
export function formatFailure(
  code: string,
  message: string,
  detail: string | null,
  hint: string,
): string {
  const lines = [`${code} ${printable(message)}`]
  if (detail !== null && detail !== '') lines.push(indent(detail))
  lines.push(`  fix    : ${hint}`)
  return lines.join('\n')
}

function stackOf(error: unknown): string {
  const stacks: string[] = []
  for (let at = error; at instanceof Error && stacks.length < 5; at = at.cause) {
    stacks.push(at.stack ?? at.message)
  }
  return stacks.join('\ncaused by ')
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${printable(line)}`)
    .join('\n')
}

/** Servers and files have a say in messages; they must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => (character === '\n' ? '\n' : '?'))
}
