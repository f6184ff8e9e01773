// What `lint` prints: findings with their place in the file, all of them in one go.

import { errorCodes } from '../../base/error-codes.ts'
import type { ErrorName } from '../../base/errors.ts'

/**
 * A warning does not keep the pipeline from running. info: another tool's spelling, which means the
 * same.
 */
export type Severity = 'error' | 'warning' | 'info'

export interface FilePlace {
  /** As the caller named the file, or as another file includes it. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1, in characters. */
  readonly column: number
}

export interface LintMessage extends FilePlace {
  readonly error: ErrorName
  readonly code: string
  readonly severity: Severity
  /** Lowercase, without a full stop. */
  readonly message: string
  /** The nearest name, or a value that would do. */
  readonly suggestion: string | null
}

/** Keys and list indexes from the top of the file. */
export type Path = readonly (string | number)[]

export interface Problem {
  readonly error: ErrorName
  readonly message: string
  readonly suggestion?: string | null
  /** Default: error. */
  readonly severity?: Severity
  /** Points to the key instead of its value. */
  readonly atKey?: boolean
}

/** Takes a problem with the value (or key) at `path`. */
export type Report = (path: Path, problem: Problem) => void

/** @returns `file:line:column CODE message (did you mean "...")` */
export function formatLintMessage(message: LintMessage): string {
  const { file, line, column, code, severity, suggestion } = message
  const warning = severity === 'error' ? '' : `${severity}: `
  const hint = suggestion === null ? '' : ` (did you mean "${suggestion}"?)`
  return `${file}:${line}:${column} ${code} ${warning}${message.message}${hint}`
}

export function lintMessage(place: FilePlace, problem: Problem): LintMessage {
  const { file, line, column } = place
  const { error, message, suggestion = null, severity = 'error' } = problem
  return { file, line, column, error, code: errorCodes[error].code, severity, message, suggestion }
}

/** @returns `source.tables[2]`; the top of the file is `the file` */
export function formatPath(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += text === '' ? step : `.${step}`
  }
  return text === '' ? 'the file' : text
}
