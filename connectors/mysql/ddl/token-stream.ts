// Reads tokens one after the other. Parsers ask for what they know and pass over the rest, commas
// and parentheses in balance: a clause that does not touch rows or columns need not be understood.

import type { TableName } from './statement.ts'
import type { Token } from './lexer.ts'

/** The text is not what a parser must understand; its table becomes `unreadable`. */
export class SyntaxFailure extends Error {}

export class TokenStream {
  /** The server is MariaDB: some words mean something else there. */
  readonly mariadb: boolean
  private readonly tokens: readonly Token[]
  private at = 0

  constructor(tokens: readonly Token[], mariadb: boolean) {
    this.tokens = tokens
    this.mariadb = mariadb
  }

  peek(ahead = 0): Token | null {
    return this.tokens[this.at + ahead] ?? null
  }

  get ended(): boolean {
    return this.at >= this.tokens.length
  }

  next(): Token {
    const token = this.tokens[this.at]
    if (token === undefined) throw new SyntaxFailure('the statement ends too early')
    this.at++
    return token
  }

  back(count = 1): void {
    this.at -= count
  }

  isKeyword(keyword: string, ahead = 0): boolean {
    return this.peek(ahead)?.keyword === keyword
  }

  isSymbol(symbol: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token?.kind === 'symbol' && token.text === symbol
  }

  /** Passes over these keywords if they are next, all or none. */
  accept(...keywords: readonly string[]): boolean {
    if (!keywords.every((keyword, ahead) => this.isKeyword(keyword, ahead))) return false
    this.at += keywords.length
    return true
  }

  /** Passes over one of these keywords. @returns which; `null` when none is next */
  acceptOne<K extends string>(...keywords: readonly K[]): K | null {
    const found = keywords.find((keyword) => this.isKeyword(keyword))
    if (found !== undefined) this.at++
    return found ?? null
  }

  acceptSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false
    this.at++
    return true
  }

  expectSymbol(symbol: string): void {
    if (!this.acceptSymbol(symbol)) throw new SyntaxFailure(`"${symbol}" is missing`)
  }

  expect(keyword: string): void {
    if (!this.accept(keyword)) throw new SyntaxFailure(`${keyword} is missing`)
  }

  /** A name, quoted or bare. */
  name(): string {
    const token = this.next()
    if (token.kind !== 'word' && token.kind !== 'name') {
      throw new SyntaxFailure(`a name is missing before "${token.text}"`)
    }
    return token.text
  }

  /** `name` or `database.name`. */
  tableName(): TableName {
    const first = this.name()
    if (!this.acceptSymbol('.')) return { database: null, name: first }
    return { database: first, name: this.name() }
  }

  /** A string; several in a row are one. */
  string(): string {
    let text = ''
    const first = this.next()
    if (first.kind !== 'string') throw new SyntaxFailure(`a string is missing at "${first.text}"`)
    text = first.text
    while (this.peek()?.kind === 'string') text += this.next().text
    return text
  }

  /** `IF EXISTS`. */
  ifExists(): boolean {
    return this.accept('IF', 'EXISTS')
  }

  ifNotExists(): boolean {
    return this.accept('IF', 'NOT', 'EXISTS')
  }

  /** Behind an opening parenthesis: passes over everything up to the one that closes it. */
  skipGroup(): void {
    for (let depth = 1; depth > 0;) {
      const token = this.next()
      if (token.kind !== 'symbol') continue
      if (token.text === '(') depth++
      else if (token.text === ')') depth--
    }
  }

  /** One token, or a group when it is an opening parenthesis. */
  skipOne(): void {
    const token = this.next()
    if (token.kind === 'symbol' && token.text === '(') this.skipGroup()
  }

  /** Up to a comma or a closing parenthesis that belongs to the outside, or the end. */
  skipClause(): void {
    while (!this.ended && !this.isSymbol(',') && !this.isSymbol(')')) this.skipOne()
  }
}
