// The one error class, and errors as data. What the names of errors mean is in error-codes.ts.

import { errorCodes, type ErrorSpec } from './error-codes.ts'

export type ErrorName = keyof typeof errorCodes

export interface ErrorDetail {
  /** Sentences with the facts: what was needed, what was found, what is lost (usually nothing). */
  readonly detail?: string
  /** Replaces the table's hint where a more exact command is known. */
  readonly hint?: string
  readonly cause?: unknown
}

/**
 * Every error that a user can meet. The message is lowercase, without a full stop, and names the
 * object; `detail` and `hint` are sentences. Dispatch on `name`, never on text.
 */
export class PipelineError extends Error {
  override readonly name = 'PipelineError'
  readonly error: ErrorName
  readonly detail: string | null
  readonly hint: string

  constructor(error: ErrorName, message: string, { detail, hint, cause }: ErrorDetail = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.error = error
    this.detail = detail ?? null
    this.hint = hint ?? errorCodes[error].hint
  }

  get spec(): ErrorSpec {
    return errorCodes[this.error]
  }
}

/** Of AUTH_FAILED where no password was given: the key of the file is what has to be known. */
export const NO_PASSWORD_HINT =
  'The source has no password: set `source.password: { from_env: NAME }` in the pipeline file.'

/** An error as plain data, to cross a thread or to lie in the state store. */
export interface ErrorRecord {
  readonly error: ErrorName
  readonly message: string
  readonly detail: string | null
  readonly hint: string
}

/**
 * @returns the error as data; an error that is not ours becomes INTERNAL with its stack as detail
 */
export function recordOf(error: unknown): ErrorRecord {
  if (error instanceof PipelineError) {
    const { error: name, message, detail, hint } = error
    return { error: name, message, detail, hint }
  }
  const message = error instanceof Error ? error.message : String(error)
  const detail = error instanceof Error ? (error.stack ?? null) : null
  return { error: 'INTERNAL', message, detail, hint: errorCodes.INTERNAL.hint }
}

export function errorOf({ error, message, detail, hint }: ErrorRecord): PipelineError {
  return new PipelineError(error, message, detail === null ? { hint } : { detail, hint })
}
