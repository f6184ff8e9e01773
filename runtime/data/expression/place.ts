// Places in the text of an expression, and the error that shows one: line, column, a caret under
// the place, and where possible the name that was meant.

import { PipelineError } from '../../base/errors.ts'

/** Half-open range of UTF-16 offsets in the text. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** What an expression was written as, and where: `filter` of a transform, `--columns`. */
export interface SourceText {
  readonly text: string
  /** For messages: `projection`, `filter`. */
  readonly what: string
}

/** Line and column of an error in its text, from 1; the cause of the PipelineError. */
export interface Place {
  readonly line: number
  readonly column: number
}

const SHOWN_COLUMNS_MAX = 76

/** @returns the error to throw for what stands at `span` */
export function invalid(
  source: SourceText,
  span: Span,
  message: string,
  hint?: string,
): PipelineError {
  const place = placeAt(source.text, span.start)
  const where = `Line ${place.line}, column ${place.column} of the ${source.what}:`
  const detail = `${where}\n${caret(source.text, span)}`
  return new PipelineError('EXPRESSION_INVALID', `${message} (${source.what})`, {
    detail,
    cause: place,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** @returns where in its text an EXPRESSION_INVALID points; `null` for any other error */
export function placeOf(error: unknown): Place | null {
  if (!(error instanceof PipelineError) || error.error !== 'EXPRESSION_INVALID') return null
  return (error.cause ?? null) as Place | null
}

function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: offset - lineStart + 1 }
}

/** The line with the place, cut to what fits, and carets under it. */
function caret(text: string, { start, end }: Span): string {
  const lineStart = text.lastIndexOf('\n', start - 1) + 1
  const lineEnd = text.indexOf('\n', start)
  const line = text.slice(lineStart, lineEnd < 0 ? text.length : lineEnd).replace(/[\t\r]/g, ' ')
  const at = start - lineStart
  const from = Math.max(0, Math.min(at - SHOWN_COLUMNS_MAX / 2, line.length - SHOWN_COLUMNS_MAX))
  const shown = line.slice(from, from + SHOWN_COLUMNS_MAX)
  const width = Math.max(1, Math.min(end - start, shown.length - (at - from)))
  return `  ${shown}\n  ${' '.repeat(at - from)}${'^'.repeat(width)}`
}
