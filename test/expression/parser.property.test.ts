// The grammar against PostgreSQL's own (libpg-query), on what both have: random texts with hardly a
// parenthesis, so that precedence decides, must be the same tree.

import { loadModule, parseSync } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'
import type { Ast } from '../../runtime/data/expression/parse/ast.ts'
import { parseExpression } from '../../runtime/data/expression/parse/parser.ts'
import { randomOf, type Random } from './inputs.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const seed = Number(process.env['PARSER_SEED'] ?? 20_261_128)

beforeAll(async () => {
  await loadModule()
})

// Texts

function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!
}

type Write = (random: Random, depth: number) => string

function chain(operand: Write, operators: readonly string[], share: number): Write {
  return (random, depth) => {
    let text = operand(random, depth)
    for (let rest = depth; rest > 0 && random() < share; rest--) {
      text += ` ${pick(random, operators)} ${operand(random, depth - 1)}`
    }
    return text
  }
}

const or: Write = (random, depth) => chain(and, ['OR', 'or'], 0.3)(random, depth)
const and: Write = (random, depth) => chain(not, ['AND'], 0.3)(random, depth)
const not: Write = (random, depth) =>
  depth > 0 && random() < 0.15 ? `NOT ${not(random, depth - 1)}` : predicate(random, depth)
const concat: Write = (random, depth) => chain(sum, ['||'], 0.15)(random, depth)
const sum: Write = (random, depth) => chain(product, ['+', '-'], 0.3)(random, depth)
const product: Write = (random, depth) => chain(unary, ['*', '/', '%'], 0.3)(random, depth)

const predicate: Write = (random, depth) => {
  const left = concat(random, depth)
  if (depth <= 0 || random() < 0.4) return left
  const right = concat(random, depth - 1)
  const negated = pick(random, ['', 'NOT '])
  return pick(random, [
    () => `${left} ${pick(random, ['=', '<>', '!=', '<', '<=', '>', '>='])} ${right}`,
    () => `${left} IS ${negated}${pick(random, ['NULL', 'TRUE', 'FALSE', 'UNKNOWN'])}`,
    () => `${left} IS ${negated}DISTINCT FROM ${right}`,
    () => `${left} ${negated}BETWEEN ${right} AND ${concat(random, depth - 1)}`,
    () => `${left} ${negated}IN (${right}, ${or(random, depth - 2)})`,
    () => `${left} ${negated}LIKE ${right}`,
    () => `${left} ${negated}ILIKE ${right} ESCAPE '!'`,
  ])()
}

const unary: Write = (random, depth) =>
  depth > 0 && random() < 0.15 ? `- ${unary(random, depth - 1)}` : postfix(random, depth)

const postfix: Write = (random, depth) => {
  let text = primary(random, depth)
  if (random() < 0.1) text += `::${pick(random, ['bigint', 'numeric(10, 2)', 'text', 'real'])}`
  return text
}

const NAMES = ['a', 'b', 'price', '"Mixed Case"', '"end"', 'day', 'date', 'key', 'ts']
const LITERALS = ['1', '0', '42', '1.50', '.5', "'x'", "'it''s'", "''", 'TRUE', 'FALSE', 'NULL']

const primary: Write = (random, depth) => {
  if (depth <= 0 || random() < 0.6) return pick(random, [...NAMES, ...LITERALS])
  const inner = (): string => or(random, depth - 1)
  return pick(random, [
    () => `(${inner()})`,
    () => `upper(${inner()})`,
    () => `f(${inner()}, ${inner()})`,
    () => `f()`,
    () => `coalesce(${inner()}, ${inner()})`,
    () => `CASE WHEN ${inner()} THEN ${inner()} ELSE ${inner()} END`,
    () => `CASE ${inner()} WHEN ${inner()} THEN ${inner()} END`,
    () => `CAST(${inner()} AS ${pick(random, ['integer', 'double precision', 'boolean'])})`,
    () => `EXTRACT(year FROM ${inner()})`,
    () => `((${inner()}) AT TIME ZONE 'UTC')`,
    () => `(${inner()} /* a comment /* nested */ */)`,
  ])()
}

// Trees, as texts

function tree(name: string, ...parts: readonly string[]): string {
  return `(${[name, ...parts].join(' ')})`
}

/** Nested AND and OR of one kind are one. */
function junction(op: string, parts: readonly string[]): string {
  const flat = parts.flatMap((part) => (part.startsWith(`(${op} `) ? splitParts(part) : [part]))
  return tree(op, ...flat)
}

function splitParts(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let quoted = false
  let start = text.indexOf(' ') + 1
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === "'") quoted = !quoted
    if (quoted) continue
    if (character === '(') depth++
    if (character === ')' && depth-- === 0) parts.push(text.slice(start, at))
    if (character === ' ' && depth === 0) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  return parts
}

function text(value: string): string {
  return `'${encodeURIComponent(value).replaceAll("'", '%27')}'`
}

// tidy: table
function ours(ast: Ast): string {
  switch (ast.kind) {
    case 'number':
      return String(Number(ast.text))
    case 'string':
      return text(ast.text)
    case 'boolean':
      return ast.value ? 'true' : 'false'
    case 'null':
      return 'null'
    case 'name':
      return text(ast.name)
    case 'call':
      return tree(`call:${ast.name}`, ...ast.args.map(ours))
    case 'negate': {
      // PostgreSQL folds the sign of a number that follows it.
      const operand = ours(ast.operand)
      if (/^-?[\d.]/.test(operand)) return String(-Number(operand))
      return tree('-', operand)
    }
    case 'arithmetic':
    case 'compare':
      return tree(ast.op, ours(ast.left), ours(ast.right))
    case 'concat':
      return ast.operands.map(ours).reduce((left, right) => tree('||', left, right))
    case 'and':
    case 'or':
      return junction(ast.kind, ast.operands.map(ours))
    case 'not':
      return tree('not', ours(ast.operand))
    case 'is':
      return tree(`is${ast.negated ? '-not' : ''}-${ast.test}`, ours(ast.operand))
    case 'distinct':
      return tree(`${ast.negated ? 'not-' : ''}distinct`, ours(ast.left), ours(ast.right))
    case 'between': {
      const parts = [ast.operand, ast.low, ast.high].map(ours)
      return tree(`${ast.negated ? 'not-' : ''}between`, ...parts)
    }
    case 'in':
      return tree(`${ast.negated ? 'not-' : ''}in`, ours(ast.operand), ...ast.items.map(ours))
    case 'like': {
      const name = `${ast.negated ? 'not-' : ''}${ast.ignoreCase ? 'ilike' : 'like'}`
      return tree(`${name}:${ast.escape ?? ''}`, ours(ast.operand), ours(ast.pattern))
    }
    case 'case':
      return tree(
        'case',
        ast.operand === null ? '_' : ours(ast.operand),
        ...ast.branches.flatMap(({ when, result }) => [ours(when), ours(result)]),
        ast.otherwise === null ? '_' : ours(ast.otherwise),
      )
    case 'cast':
      return tree(`cast:${ast.type.kind}`, ours(ast.operand))
    case 'extract':
      return tree('call:extract', text(ast.unit), ours(ast.operand))
    case 'zone':
      return tree('call:timezone', ours(ast.zone), ours(ast.operand))
    default:
      throw new Error(`${ast.kind} is not PostgreSQL's`)
  }
}

/** What lies at a path of PostgreSQL's tree, which has a hundred shapes; -1 is the last element. */
function at(node: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, step) => {
    if (step === -1) return (inner as unknown[]).at(-1)
    return (inner as Readonly<Record<string, unknown>> | undefined)?.[step]
  }, node)
}

function textAt(node: unknown, ...path: readonly (string | number)[]): string {
  const value = at(node, ...path)
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function treesAt(node: unknown, ...path: readonly (string | number)[]): string[] {
  return ((at(node, ...path) ?? []) as unknown[]).map(theirs)
}

const TYPES: Readonly<Record<string, string>> = {
  int4: 'int',
  int8: 'long',
  numeric: 'decimal',
  text: 'string',
  float4: 'float',
  float8: 'double',
  bool: 'boolean',
}
const TESTS: Readonly<Record<string, string>> = {
  IS_NULL: 'is-null',
  IS_NOT_NULL: 'is-not-null',
  IS_TRUE: 'is-true',
  IS_NOT_TRUE: 'is-not-true',
  IS_FALSE: 'is-false',
  IS_NOT_FALSE: 'is-not-false',
  IS_UNKNOWN: 'is-unknown',
  IS_NOT_UNKNOWN: 'is-not-unknown',
}

function theirs(node: unknown): string {
  const [[kind, body] = ['', {}]] = Object.entries(node as object) as [string, unknown][]
  switch (kind) {
    case 'A_Const':
      return constant(body)
    case 'ColumnRef':
      return text(textAt(body, 'fields', 0, 'String', 'sval'))
    case 'A_Expr':
      return operator(body)
    case 'BoolExpr': {
      const args = treesAt(body, 'args')
      const op = textAt(body, 'boolop')
      if (op === 'NOT_EXPR') return tree('not', ...args)
      return junction(op === 'AND_EXPR' ? 'and' : 'or', args)
    }
    case 'NullTest':
      return tree(TESTS[textAt(body, 'nulltesttype')]!, theirs(at(body, 'arg')))
    case 'BooleanTest':
      return tree(TESTS[textAt(body, 'booltesttype')]!, theirs(at(body, 'arg')))
    case 'FuncCall':
      return tree(
        `call:${textAt(body, 'funcname', -1, 'String', 'sval')}`,
        ...treesAt(body, 'args'),
      )
    case 'CoalesceExpr':
      return tree('call:coalesce', ...treesAt(body, 'args'))
    case 'CaseExpr':
      return caseOf(body)
    case 'TypeCast': {
      const type = textAt(body, 'typeName', 'names', -1, 'String', 'sval')
      return tree(`cast:${TYPES[type]}`, theirs(at(body, 'arg')))
    }
    default:
      throw new Error(`unknown ${kind}`)
  }
}

function caseOf(body: unknown): string {
  const branches = (at(body, 'args') as unknown[]).flatMap((branch) => [
    theirs(at(branch, 'CaseWhen', 'expr')),
    theirs(at(branch, 'CaseWhen', 'result')),
  ])
  const [operand, otherwise] = ['arg', 'defresult'].map((name) => {
    const part = at(body, name)
    return part === undefined ? '_' : theirs(part)
  })
  return tree('case', operand!, ...branches, otherwise!)
}

function constant(body: unknown): string {
  if (at(body, 'isnull') === true) return 'null'
  if (at(body, 'ival') !== undefined) return String(Number(textAt(body, 'ival', 'ival')))
  if (at(body, 'fval') !== undefined) return String(Number(textAt(body, 'fval', 'fval')))
  if (at(body, 'sval') !== undefined) return text(textAt(body, 'sval', 'sval'))
  return String(at(body, 'boolval', 'boolval') === true)
}

function operator(body: unknown): string {
  const name = textAt(body, 'name', 0, 'String', 'sval')
  const operands = ['lexpr', 'rexpr']
    .map((side) => at(body, side))
    .filter((one) => one !== undefined)
  const list = [theirs(operands[0]), ...treesAt(body, 'rexpr', 'List', 'items')]
  switch (textAt(body, 'kind')) {
    case 'AEXPR_OP':
      return tree(name, ...operands.map(theirs))
    case 'AEXPR_DISTINCT':
      return tree('distinct', ...operands.map(theirs))
    case 'AEXPR_NOT_DISTINCT':
      return tree('not-distinct', ...operands.map(theirs))
    case 'AEXPR_BETWEEN':
      return tree('between', ...list)
    case 'AEXPR_NOT_BETWEEN':
      return tree('not-between', ...list)
    case 'AEXPR_IN':
      return tree(name === '=' ? 'in' : 'not-in', ...list)
    default:
      return likeOf(body, name)
  }
}

function likeOf(body: unknown, name: string): string {
  const word = name.endsWith('*') ? 'ilike' : 'like'
  const right = at(body, 'rexpr')
  const escaped = at(right, 'FuncCall', 'funcname', 1, 'String', 'sval') === 'like_escape'
  const pattern = escaped ? at(right, 'FuncCall', 'args', 0) : right
  const character = textAt(right, 'FuncCall', 'args', 1, 'A_Const', 'sval', 'sval')
  const negated = name.startsWith('!') ? 'not-' : ''
  return tree(
    `${negated}${word}:${escaped ? character : ''}`,
    theirs(at(body, 'lexpr')),
    theirs(pattern),
  )
}

test('what both grammars take has one tree', () => {
  const random = randomOf(seed)
  const end = performance.now() + seconds * 1000
  let compared = 0
  for (let count = 0; performance.now() < end || compared < 50; count++) {
    const sql = or(random, 4)
    if (sql.length > 4000) continue
    const mine = ours(parseExpression({ text: sql, what: 'test' }))
    const select = at(parseSync(`SELECT ${sql}`), 'stmts', 0, 'stmt', 'SelectStmt')
    expect(mine, sql).toBe(theirs(at(select, 'targetList', 0, 'ResTarget', 'val')))
    compared++
  }
  expect(compared).toBeGreaterThan(49)
})

test('a text that PostgreSQL refuses for its grammar is refused', () => {
  const wrong = ['a +', '(a', 'a b c', 'CASE END', 'a IN ()', 'f(a,)', 'a BETWEEN 1', 'IS NULL']
  for (const sql of [...wrong, 'a < b < c', "'x", 'a::', 'CAST(a)', '1a', 'a IS 5', ',a', 'AND']) {
    expect(() => parseSync(`SELECT ${sql}`), sql).toThrow()
    expect(() => parseExpression({ text: sql, what: 'test' }), sql).toThrow()
  }
})
