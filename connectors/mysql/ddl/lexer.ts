// Cuts a statement into tokens as the servers do: quoted names, strings with their escapes,
// comments, and version comments, whose inside is code.
// Source: MySQL 9.7 manual, "Comments" and "String Literals"; MariaDB knowledge base, "Comment
// Syntax".

import type { StatementOptions } from './statement.ts'

export interface Token {
  /**
   * `word`: keyword or bare name · `name`: quoted name · `string`: text, unescaped · `hex`: digits
   * of x'..' and 0x.. in lowercase · `bits`: of b'..' and 0b.. · `number`: as written · `symbol`:
   * one character.
   */
  readonly kind: 'word' | 'name' | 'string' | 'hex' | 'bits' | 'number' | 'symbol'
  readonly text: string
  /** Uppercase of a `word`, else `''`: a quoted name is never a keyword. */
  readonly keyword: string
}

/** A statement that is no SQL of these servers: an open string or comment. */
export class LexerError extends Error {}

const BLANK = /\s+/y
const LINE_COMMENT = /(?:--(?=[\s\0]|$)|#)[^\n]*/y
const VERSION_COMMENT = /\/\*(M?)!(\d{5,6})?/y
const NUMBER = /(?:\d+\.\d*|\.\d+|\d+)(?:e[+-]?\d+)?(?![\p{L}\p{N}_$])/iuy
const HEX_NUMBER = /0x([0-9a-f]+)(?![\p{L}\p{N}_$])/iuy
const BIT_NUMBER = /0b([01]+)(?![\p{L}\p{N}_$])/iuy
const HEX_STRING = /x'([0-9a-f]*)'/iy
const BIT_STRING = /b'([01]*)'/iy
const WORD = /[\p{L}\p{N}_$@\u0080-\uffff]+/uy

/** MariaDB takes version comments for MySQL 5.7 and later as comments: it is no such server. */
const MYSQL_ONLY = { first: 50_700, last: 99_999 }
const NEVER = 99_999

/** @throws LexerError */
export function tokenize(text: string, options: StatementOptions): Token[] {
  return new Lexer(text, options).run()
}

class Lexer {
  private readonly text: string
  private readonly options: StatementOptions
  private readonly tokens: Token[] = []
  private at = 0
  /** Inside how many version comments that are code. */
  private depth = 0

  constructor(text: string, options: StatementOptions) {
    this.text = text
    this.options = options
  }

  run(): Token[] {
    while (this.at < this.text.length) this.step()
    return this.tokens
  }

  private step(): void {
    if (this.match(BLANK) !== null || this.match(LINE_COMMENT) !== null) return
    const char = this.text[this.at] ?? ''
    if (char === '\0') {
      this.at++
    } else if (char === '/' && this.text[this.at + 1] === '*') {
      this.comment()
    } else if (this.depth > 0 && this.text.startsWith('*/', this.at)) {
      this.depth--
      this.at += 2
    } else if (char === '`' || (char === '"' && this.options.ansiQuotes)) {
      this.push('name', this.quoted(char, false))
    } else if (char === "'" || char === '"') {
      this.push('string', this.quoted(char, !this.options.noBackslashEscapes))
    } else {
      this.plain()
    }
  }

  private plain(): void {
    const hex = this.match(HEX_STRING) ?? this.match(HEX_NUMBER)
    if (hex !== null) return this.push('hex', (hex[1] ?? '').toLowerCase())
    const bits = this.match(BIT_STRING) ?? this.match(BIT_NUMBER)
    if (bits !== null) return this.push('bits', bits[1] ?? '')
    const number = this.match(NUMBER)
    if (number !== null) return this.push('number', number[0])
    const word = this.match(WORD)
    if (word !== null) return this.push('word', word[0])
    this.push('symbol', this.text[this.at] ?? '')
    this.at++
  }

  private push(kind: Token['kind'], text: string): void {
    this.tokens.push({ kind, text, keyword: kind === 'word' ? text.toUpperCase() : '' })
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match !== null) this.at = pattern.lastIndex
    return match
  }

  private comment(): void {
    const version = this.match(VERSION_COMMENT)
    if (version !== null && this.isCode(version[1] === 'M', Number(version[2] ?? 0))) {
      this.depth++
      return
    }
    const end = this.text.indexOf('*/', this.at + (version === null ? 2 : 0))
    if (end === -1) throw new LexerError('a comment does not end')
    this.at = end + 2
  }

  private isCode(forMariadb: boolean, version: number): boolean {
    if (!this.options.mariadb) return !forMariadb && version < NEVER
    return forMariadb || version < MYSQL_ONLY.first || version > MYSQL_ONLY.last
  }

  /** Behind its opening quote. A doubled quote stands for itself. */
  private quoted(quote: string, escapes: boolean): string {
    let value = ''
    let at = this.at + 1
    for (;;) {
      const char = this.text[at]
      if (char === undefined) throw new LexerError('a string or a name does not end')
      if (char === '\\' && escapes) {
        const next = this.text[at + 1] ?? ''
        value += ESCAPES[next] ?? next
        at += 2
      } else if (char === quote && this.text[at + 1] === quote) {
        value += quote
        at += 2
      } else if (char === quote) {
        this.at = at + 1
        return value
      } else {
        value += char
        at++
      }
    }
  }
}

/** `\%` and `\_` keep their backslash; any other character stands for itself. */
const ESCAPES: Readonly<Record<string, string>> = {
  '0': '\0',
  b: '\b',
  n: '\n',
  r: '\r',
  t: '\t',
  Z: '\x1a',
  '%': '\\%',
  _: '\\_',
}
