// The grammar of expressions, by precedence climbing (Pratt 1973):
//
//   OR < AND < NOT < predicate < || < + - < * / % < unary < postfix
//
// A predicate takes one comparison, IS, BETWEEN, IN or LIKE; `a < b < c` is refused, since its
// meaning differs between databases. The grammar knows no column: `user`, `order` and `date` are
// names wherever a name can stand.

import type { SourceText, Span } from '../place.ts'
import type { Arithmetic, Ast, CallAst, Comparison, NameAst, ProjectionItem } from './ast.ts'
import type { Token } from './lexer.ts'
import { TokenStream } from './token-stream.ts'
import { parseType } from './type-name.ts'

/** Operands of one chain of operators, as in `a + b + c`. */
const CHAIN_MAX = 1000

/** @throws PipelineError EXPRESSION_INVALID */
export function parseExpression(source: SourceText): Ast {
  const stream = new TokenStream(source)
  const expression = parseOr(stream)
  stream.expectEnd()
  return expression
}

/** @throws PipelineError EXPRESSION_INVALID */
export function parseProjection(source: SourceText): ProjectionItem[] {
  const stream = new TokenStream(source)
  const items = parseList(stream, parseItem)
  stream.expectEnd()
  return items
}

function parseList<T>(stream: TokenStream, parse: (stream: TokenStream) => T): T[] {
  const items = [parse(stream)]
  while (stream.accept(',')) items.push(parse(stream))
  return items
}

function parseItem(stream: TokenStream): ProjectionItem {
  const { start } = stream.peek()
  if (stream.accept('*')) {
    const except: NameAst[] = []
    if (stream.accept('EXCEPT')) {
      stream.expect('(')
      except.push(...parseList(stream, parseName))
      stream.expect(')')
    }
    return { kind: 'star', except, start, end: stream.end }
  }
  const value = parseOr(stream)
  const named = stream.accept('AS')
  const alias = named || stream.seesName() ? stream.expectName('a name').text : null
  return { kind: 'item', value, alias, start, end: stream.end }
}

function parseName(stream: TokenStream): NameAst {
  const { text: name, start, end } = stream.expectName('the name of a column')
  return { name, start, end }
}

function parseOr(stream: TokenStream): Ast {
  return parseChain(stream, 'or', 'OR', parseAnd)
}

function parseAnd(stream: TokenStream): Ast {
  return parseChain(stream, 'and', 'AND', parseNot)
}

/** Operators that associate: flat, so that thousands of them do not nest. */
function parseChain(
  stream: TokenStream,
  kind: 'or' | 'and' | 'concat',
  word: string,
  operand: (stream: TokenStream) => Ast,
): Ast {
  const first = operand(stream)
  if (!stream.sees(word)) return first
  const operands = [first]
  while (stream.accept(word)) {
    operands.push(operand(stream))
    checkChain(stream, operands.length)
  }
  return { kind, operands, start: first.start, end: stream.end }
}

function checkChain(stream: TokenStream, length: number): void {
  if (length <= CHAIN_MAX) return
  throw stream.error(stream.peek(), `a chain has more than ${CHAIN_MAX} operators`)
}

function parseNot(stream: TokenStream): Ast {
  const { start } = stream.peek()
  if (!stream.accept('NOT')) return parsePredicate(stream)
  const operand = stream.nested(() => parseNot(stream))
  return { kind: 'not', operand, start, end: stream.end }
}

const COMPARISONS: ReadonlyMap<string, Comparison> = new Map([
  ['=', '='],
  ['<>', '<>'],
  ['!=', '<>'],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
])

function parsePredicate(stream: TokenStream): Ast {
  const left = parseConcat(stream)
  const predicate = parseTest(stream, left)
  if (predicate !== left && seesTest(stream)) {
    const hint = 'Put the first comparison in parentheses, or join the two with AND.'
    throw stream.error(stream.peek(), 'comparisons do not chain', hint)
  }
  return predicate
}

function seesTest(stream: TokenStream): boolean {
  const { kind, text } = stream.peek()
  if (kind === 'symbol') return COMPARISONS.has(text)
  const at = stream.sees('NOT') ? 1 : 0
  const word = stream.peek(at)
  if (word.kind !== 'name') return false
  return /^(?:is|between|in|like|ilike)$/i.test(word.text)
}

function parseTest(stream: TokenStream, left: Ast): Ast {
  const { kind, text } = stream.peek()
  const op = kind === 'symbol' ? COMPARISONS.get(text) : undefined
  if (op !== undefined) {
    stream.next()
    return { kind: 'compare', op, left, right: parseConcat(stream), ...spanFrom(stream, left) }
  }
  if (!seesTest(stream)) return left
  if (stream.accept('IS')) return parseIs(stream, left)
  const negated = stream.accept('NOT')
  if (stream.accept('BETWEEN')) {
    const low = parseConcat(stream)
    stream.expect('AND')
    const high = parseConcat(stream)
    return { kind: 'between', negated, operand: left, low, high, ...spanFrom(stream, left) }
  }
  if (stream.accept('IN')) {
    stream.expect('(')
    const items = stream.nested(() => parseList(stream, parseOr))
    stream.expect(')')
    return { kind: 'in', negated, operand: left, items, ...spanFrom(stream, left) }
  }
  const ignoreCase = stream.next().text.toLowerCase() === 'ilike'
  const pattern = parseConcat(stream)
  const escape = stream.accept('ESCAPE') ? parseEscape(stream) : null
  const span = spanFrom(stream, left)
  return { kind: 'like', negated, ignoreCase, operand: left, pattern, escape, ...span }
}

function parseEscape(stream: TokenStream): string {
  const token = stream.expectString('a text of one character')
  if (Array.from(token.text).length > 1)
    throw stream.error(token, 'ESCAPE takes one character, or none')
  return token.text
}

function spanFrom(stream: TokenStream, left: Span): Span {
  return { start: left.start, end: stream.end }
}

function parseIs(stream: TokenStream, operand: Ast): Ast {
  const negated = stream.accept('NOT')
  if (stream.accept('DISTINCT', 'FROM')) {
    const right = parseConcat(stream)
    return { kind: 'distinct', negated, left: operand, right, ...spanFrom(stream, operand) }
  }
  for (const test of ['null', 'true', 'false', 'unknown'] as const) {
    if (stream.accept(test.toUpperCase())) {
      return { kind: 'is', test, negated, operand, ...spanFrom(stream, operand) }
    }
  }
  throw stream.unexpected('NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM')
}

function parseConcat(stream: TokenStream): Ast {
  return parseChain(stream, 'concat', '||', parseSum)
}

function parseSum(stream: TokenStream): Ast {
  return parseArithmetic(stream, ['+', '-'], parseProduct)
}

function parseProduct(stream: TokenStream): Ast {
  return parseArithmetic(stream, ['*', '/', '%'], parseUnary)
}

function parseArithmetic(
  stream: TokenStream,
  operators: readonly Arithmetic[],
  operand: (stream: TokenStream) => Ast,
): Ast {
  let left = operand(stream)
  for (let length = 2; ; length++) {
    const op = operators.find((candidate) => stream.accept(candidate))
    if (op === undefined) return left
    checkChain(stream, length)
    const right = operand(stream)
    left = { kind: 'arithmetic', op, left, right, start: left.start, end: stream.end }
  }
}

function parseUnary(stream: TokenStream): Ast {
  const { start } = stream.peek()
  if (stream.accept('+')) return stream.nested(() => parseUnary(stream))
  if (!stream.accept('-')) return parsePostfix(stream)
  const operand = stream.nested(() => parseUnary(stream))
  return { kind: 'negate', operand, start, end: stream.end }
}

function parsePostfix(stream: TokenStream): Ast {
  let operand = parsePrimary(stream)
  for (let length = 1; ; length++) {
    const next = parseSuffix(stream, operand)
    if (next === null) return operand
    if (length > DEPTH_OF_SUFFIXES) throw stream.error(next, 'an expression has too many suffixes')
    operand = next
  }
}

const DEPTH_OF_SUFFIXES = 100

function parseSuffix(stream: TokenStream, operand: Ast): Ast | null {
  const { start } = operand
  if (stream.accept('[')) {
    const index = stream.nested(() => parseOr(stream))
    stream.expect(']')
    return { kind: 'element', operand, index, start, end: stream.end }
  }
  if (stream.accept('::')) {
    const type = parseType(stream)
    return { kind: 'cast', tried: false, operand, type, start, end: stream.end }
  }
  if (stream.accept('AT', 'TIME', 'ZONE')) {
    const zone = parsePrimary(stream)
    return { kind: 'zone', operand, zone, start, end: stream.end }
  }
  for (const [word, text] of [['->>', true] as const, ['->', false] as const]) {
    if (stream.accept(word)) {
      const step = parseStep(stream)
      return { kind: 'arrow', operand, step, text, start, end: stream.end }
    }
  }
  return null
}

/** A name in an object, or a place in an array, from the end if negative. */
function parseStep(stream: TokenStream): string | number {
  if (stream.peek().kind === 'string') return stream.next().text
  const negative = stream.accept('-')
  const token = stream.peek()
  if (token.kind !== 'number' || !/^\d{1,9}$/.test(token.text)) {
    throw stream.unexpected('a text or an integer')
  }
  stream.next()
  return negative ? -Number(token.text) : Number(token.text)
}

function parsePrimary(stream: TokenStream): Ast {
  const token = stream.peek()
  const { start, end, kind, text } = token
  switch (kind) {
    case 'number':
    case 'string':
      stream.next()
      return { kind, text, start, end }
    case 'symbol':
      return parseParentheses(stream)
    case 'quoted':
      return parseNamed(stream)
    case 'name':
      return parseWord(stream, token)
    case 'end':
      throw stream.unexpected('an expression')
  }
}

function parseParentheses(stream: TokenStream): Ast {
  const { start } = stream.peek()
  if (!stream.accept('(')) throw stream.unexpected('an expression')
  const inner = stream.nested(() => parseOr(stream))
  stream.expect(')')
  return { ...inner, start, end: stream.end }
}

function parseWord(stream: TokenStream, { start, end, text }: Token): Ast {
  const before = stream.peek(1)
  const word = text.toUpperCase()
  if (before.kind === 'string') {
    const typed = parseTyped(stream, word)
    if (typed !== null) return typed
  }
  if (before.kind === 'symbol' && before.text === '(') {
    if (word === 'CAST' || word === 'TRY_CAST') return parseCast(stream, word === 'TRY_CAST')
    if (word === 'EXTRACT') return parseExtract(stream)
  }
  if (word === 'CASE') return stream.nested(() => parseCase(stream))
  if (word === 'NULL' || word === 'TRUE' || word === 'FALSE') {
    stream.next()
    if (word === 'NULL') return { kind: 'null', start, end }
    return { kind: 'boolean', value: word === 'TRUE', start, end }
  }
  return parseNamed(stream)
}

function parseTyped(stream: TokenStream, word: string): Ast | null {
  const { start } = stream.peek()
  if (word === 'INTERVAL') {
    stream.next()
    const { text } = stream.next()
    const unit = stream.expectName('a unit, as DAY or MINUTE').text.toLowerCase()
    return { kind: 'interval', text, unit, start, end: stream.end }
  }
  const kind = word.toLowerCase()
  if (kind !== 'date' && kind !== 'time' && kind !== 'timestamp' && kind !== 'timestamptz') {
    return null
  }
  stream.next()
  const { text } = stream.next()
  return { kind: 'typed', type: { kind }, text, start, end: stream.end }
}

function parseCast(stream: TokenStream, tried: boolean): Ast {
  const { start } = stream.next()
  stream.expect('(')
  const operand = stream.nested(() => parseOr(stream))
  stream.expect('AS')
  const type = parseType(stream)
  stream.expect(')')
  return { kind: 'cast', tried, operand, type, start, end: stream.end }
}

function parseExtract(stream: TokenStream): Ast {
  const { start } = stream.next()
  stream.expect('(')
  const unit = stream.expectName('a unit, as YEAR').text.toLowerCase()
  stream.expect('FROM')
  const operand = stream.nested(() => parseOr(stream))
  stream.expect(')')
  return { kind: 'extract', unit, operand, start, end: stream.end }
}

function parseCase(stream: TokenStream): Ast {
  const { start } = stream.next()
  const operand = stream.sees('WHEN') ? null : parseOr(stream)
  const branches: { when: Ast; result: Ast }[] = []
  while (stream.accept('WHEN')) {
    const when = parseOr(stream)
    stream.expect('THEN')
    branches.push({ when, result: parseOr(stream) })
  }
  if (branches.length === 0) throw stream.unexpected('"WHEN"')
  const otherwise = stream.accept('ELSE') ? parseOr(stream) : null
  stream.expect('END')
  return { kind: 'case', operand, branches, otherwise, start, end: stream.end }
}

function parseNamed(stream: TokenStream): Ast {
  const { text: name, start, end, kind } = stream.expectName('an expression')
  if (kind === 'name' && stream.sees('(')) return parseCall(stream, name, start)
  if (stream.sees('.')) {
    const hint = 'Write the column alone: an expression sees the columns of one table.'
    throw stream.error(stream.peek(), 'a name has no qualifier', hint)
  }
  return { kind: 'name', name, start, end }
}

function parseCall(stream: TokenStream, name: string, start: number): CallAst {
  const nameEnd = stream.end
  stream.expect('(')
  const star = stream.accept('*')
  const distinct = !star && stream.accept('DISTINCT')
  const args = star || stream.sees(')') ? [] : stream.nested(() => parseList(stream, parseOr))
  if (distinct && args.length === 0) throw stream.unexpected('an expression')
  stream.expect(')')
  let filter: Ast | null = null
  if (stream.accept('FILTER', '(')) {
    stream.expect('WHERE')
    filter = stream.nested(() => parseOr(stream))
    stream.expect(')')
  }
  return { kind: 'call', name, nameEnd, args, distinct, star, filter, start, end: stream.end }
}
