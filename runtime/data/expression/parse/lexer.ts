// Tokens of expressions. Keywords are names here: only the grammar knows where one of them has a
// meaning, so that columns may be called `user`, `order` or `date`.

import { invalid, type SourceText, type Span } from '../place.ts'

export type TokenKind = 'name' | 'quoted' | 'string' | 'number' | 'symbol' | 'end'

export interface Token extends Span {
  readonly kind: TokenKind
  /** Of names, strings and symbols what they mean, without quotes; of numbers their text. */
  readonly text: string
}

export const TEXT_BYTES_MAX = 64 * 1024

/** Longer ones first. */
const SYMBOLS = /->>|->|::|<>|!=|<=|>=|\|\||[-+*/%=<>()[\],.]/y
const SPACE = /[\s\uFEFF]+|--[^\n]*/y
const NAME = /[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}$]*/uy
const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const QUOTES: Readonly<Record<string, RegExp>> = {
  "'": /'((?:[^']|'')*)'/y,
  '"': /"((?:[^"]|"")+)"/y,
  '`': /`((?:[^`]|``)+)`/y,
}

/** @throws PipelineError EXPRESSION_INVALID */
export function tokenize(source: SourceText): Token[] {
  const { text } = source
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX) {
    throw invalid(source, { start: 0, end: 1 }, 'the text is longer than 64 KiB')
  }
  const tokens: Token[] = []
  let at = skipSpace(source, 0)
  while (at < text.length) {
    const token = readToken(source, at)
    tokens.push(token)
    at = skipSpace(source, token.end)
  }
  tokens.push({ kind: 'end', text: '', start: text.length, end: text.length })
  return tokens
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

/** White space and comments; those between slash and star nest, as in PostgreSQL. */
function skipSpace(source: SourceText, start: number): number {
  const { text } = source
  let at = start
  while (at < text.length) {
    const space = matchAt(SPACE, text, at)
    if (space !== null) at += space[0].length
    else if (text.startsWith('/*', at)) at = skipComment(source, at)
    else break
  }
  return at
}

function skipComment(source: SourceText, start: number): number {
  const { text } = source
  let depth = 0
  let at = start
  do {
    if (text.startsWith('/*', at)) depth++
    else if (text.startsWith('*/', at)) depth--
    else if (at >= text.length) {
      throw invalid(source, { start, end: start + 2 }, 'a comment does not end')
    } else at--
    at += 2
  } while (depth > 0)
  return at
}

function readToken(source: SourceText, start: number): Token {
  const { text } = source
  const quote = text.charAt(start)
  const pattern = QUOTES[quote]
  if (pattern !== undefined) return readQuoted(source, start, quote, pattern)
  const number = matchAt(NUMBER, text, start)
  if (number !== null) return readNumber(source, start, number[0])
  const name = matchAt(NAME, text, start)
  if (name !== null) return { kind: 'name', text: name[0], start, end: start + name[0].length }
  const symbol = matchAt(SYMBOLS, text, start)
  if (symbol !== null) {
    return { kind: 'symbol', text: symbol[0], start, end: start + symbol[0].length }
  }
  const end = start + String.fromCodePoint(text.codePointAt(start) ?? 0).length
  throw invalid(source, { start, end }, `"${text.slice(start, end)}" means nothing here`)
}

function readQuoted(source: SourceText, start: number, quote: string, pattern: RegExp): Token {
  const match = matchAt(pattern, source.text, start)
  if (match === null) {
    const what = quote === "'" ? 'a text does not end' : 'a quoted name is empty or does not end'
    throw invalid(source, { start, end: start + 1 }, what)
  }
  const text = (match[1] ?? '').replaceAll(quote + quote, quote)
  const kind = quote === "'" ? 'string' : 'quoted'
  return { kind, text, start, end: start + match[0].length }
}

function readNumber(source: SourceText, start: number, text: string): Token {
  const end = start + text.length
  // `1abc` is no number and no name; PostgreSQL refuses it, too.
  const behind = matchAt(NAME, source.text, end)
  if (behind !== null) {
    const span = { start, end: end + behind[0].length }
    throw invalid(source, span, `"${source.text.slice(start, span.end)}" is not a number`)
  }
  return { kind: 'number', text, start, end }
}
