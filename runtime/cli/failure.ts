// How an error is shown: its code and what happened, the facts, and the command that repairs it.
// A stack only for those who ask for it: it says nothing to whoever runs a pipeline.

import { errorCodes, PipelineError, recordOf } from '../base/errors.ts'
import type { Terminal } from './terminal.ts'

export interface FailureFormat {
  readonly json: boolean
  /** Adds the stack and those of the causes. */
  readonly verbose: boolean
  /** Takes the place of FILE in hints, so that their commands can be pasted. */
  readonly file?: string | null
}

/** Prints an error. @returns the exit code for it */
export function printFailure(error: unknown, terminal: Terminal, format: FailureFormat): number {
  const record = recordOf(error)
  // An INTERNAL error of another thread comes as one of ours, with its stack as detail.
  const known = error instanceof PipelineError && record.error !== 'INTERNAL'
  const { code, exit } = errorCodes[record.error]
  const hint = format.file == null ? record.hint : record.hint.replace(/\bFILE\b/g, format.file)
  // The stack of an error that is not ours is its detail; it is shown where stacks are.
  const detail = known ? record.detail : null
  const stack = format.verbose ? (known ? stackOf(error) : (record.detail ?? stackOf(error))) : null
  if (format.json) {
    const { message } = record
    const shown = { code, name: record.error, message, detail, hint, exit }
    terminal.out(JSON.stringify({ error: stack === null ? shown : { ...shown, stack } }, null, 2))
    return exit
  }
  terminal.err(formatFailure(code, record.message, detail, hint))
  if (stack !== null) terminal.err(indent(stack))
  else if (!known) terminal.err('  more   : set MILLRACE_DEBUG=1 to see where it happened')
  return exit
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
