// The tokens of one text, read one after the other, and the errors of a grammar: what was expected,
// what stands there, and the keyword that was probably meant.

import { nearestName } from '../../../base/nearest.ts'
import type { PipelineError } from '../../../base/errors.ts'
import { invalid, type SourceText, type Span } from '../place.ts'
import { tokenize, type Token } from './lexer.ts'

/** Nesting of parentheses, operators and calls. */
export const DEPTH_MAX = 100

/** Words that are columns only in quotes; all others are names wherever the grammar takes one. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'and or not is null true false between in like ilike case when then else end as from distinct ' +
    'escape except'
  ).split(' '),
)

export class TokenStream {
  readonly source: SourceText
  private readonly tokens: readonly Token[]
  private at = 0
  private depth = 0

  constructor(source: SourceText) {
    this.source = source
    this.tokens = tokenize(source)
  }

  peek(ahead = 0): Token {
    const token = this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)]
    if (token === undefined) throw invalid(this.source, { start: 0, end: 0 }, 'the text is empty')
    return token
  }

  next(): Token {
    const token = this.peek()
    if (token.kind !== 'end') this.at++
    return token
  }

  /** End of the token before. */
  get end(): number {
    return this.tokens[this.at - 1]?.end ?? 0
  }

  /** True when the tokens ahead are these keywords (in capitals) or symbols. */
  sees(...words: readonly string[]): boolean {
    return words.every((word, ahead) => {
      const token = this.peek(ahead)
      return token.kind === 'symbol'
        ? token.text === word
        : token.kind === 'name' && token.text.toUpperCase() === word
    })
  }

  accept(...words: readonly string[]): boolean {
    if (!this.sees(...words)) return false
    this.at += words.length
    return true
  }

  expect(...words: readonly string[]): void {
    for (const word of words) if (!this.accept(word)) throw this.unexpected(`"${word}"`)
  }

  expectString(what: string): Token {
    if (this.peek().kind !== 'string') throw this.unexpected(what)
    return this.next()
  }

  /** True when a name of the user's can stand here. */
  seesName(): boolean {
    const { kind, text } = this.peek()
    return kind === 'quoted' || (kind === 'name' && !RESERVED.has(text.toLowerCase()))
  }

  expectName(what: string): Token {
    if (this.seesName()) return this.next()
    throw this.unexpected(what)
  }

  /** @throws when something is left */
  expectEnd(): void {
    if (this.peek().kind !== 'end') throw this.unexpected('the end')
  }

  error(span: Span, message: string, hint?: string): PipelineError {
    return invalid(this.source, span, message, hint)
  }

  /** @returns the error of a token that is not what the grammar wants: `what` */
  unexpected(what: string): PipelineError {
    const token = this.peek()
    const { kind, text } = token
    if (kind === 'end') return this.error(token, `${what} is missing at the end`)
    const found = kind === 'string' ? 'a text' : `"${text}"`
    const message = `${what} is expected, not ${found}`
    if (kind !== 'name') return this.error(token, message)
    if (RESERVED.has(text.toLowerCase())) {
      const hint = `A column of this name is written in quotes: "${text}".`
      return this.error(token, message, hint)
    }
    const near = nearestName(text, [...RESERVED])
    return near === null || near.toUpperCase() === text.toUpperCase()
      ? this.error(token, message)
      : this.error(token, message, `Is ${near.toUpperCase()} meant?`)
  }

  /** Runs `body` one level deeper. @throws when the text nests too deep */
  nested<T>(body: () => T): T {
    if (++this.depth > DEPTH_MAX) {
      throw this.error(this.peek(), `the expression nests deeper than ${DEPTH_MAX} levels`)
    }
    const result = body()
    this.depth--
    return result
  }
}
