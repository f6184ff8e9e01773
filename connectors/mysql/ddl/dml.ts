// Statements that change rows: in ROW format they are in the log only when a session switched to
// another format, and then their rows are nowhere else.

import type { Statement, TableName } from './statement.ts'
import type { TokenStream } from './token-stream.ts'

/** @returns `null` when `keyword` begins no such statement */
export function readDml(keyword: string, tokens: TokenStream): Statement | null {
  switch (keyword) {
    case 'INSERT':
      return { kind: 'dml', verb: 'insert', tables: tablesBehind(tokens, ['INTO'], true) }
    case 'REPLACE':
      return { kind: 'dml', verb: 'replace', tables: tablesBehind(tokens, ['INTO'], true) }
    case 'UPDATE':
      return { kind: 'dml', verb: 'update', tables: tableList(tokens) }
    case 'DELETE':
      return { kind: 'dml', verb: 'delete', tables: tablesBehind(tokens, ['FROM', 'USING'], false) }
    case 'WITH':
      return { kind: 'dml', verb: 'update', tables: [] }
    case 'LOAD':
      return { kind: 'dml', verb: 'load', tables: tablesBehind(tokens, ['INTO', 'TABLE'], false) }
    case 'CALL':
      return { kind: 'dml', verb: 'call', tables: [] }
    case 'SELECT':
    case 'DO':
    case 'VALUES':
      // A function that writes.
      return { kind: 'dml', verb: 'select', tables: [] }
    default:
      return null
  }
}

const MODIFIERS = new Set('LOW_PRIORITY DELAYED HIGH_PRIORITY IGNORE QUICK ONLY'.split(' '))
const JOINS = new Set('JOIN INNER LEFT RIGHT CROSS OUTER NATURAL STRAIGHT_JOIN'.split(' '))
const QUERIES = ['SELECT', 'WITH', 'VALUES', 'TABLE']
const LIST_ENDS = new Set('SET WHERE ORDER LIMIT RETURNING VALUES SELECT'.split(' '))

/** Names behind the first of these keywords; behind none of them with `bare`, as in INSERT t. */
function tablesBehind(
  tokens: TokenStream,
  keywords: readonly string[],
  bare: boolean,
): TableName[] {
  while (MODIFIERS.has(tokens.peek()?.keyword ?? '')) tokens.next()
  const found = (): boolean => keywords.some((keyword) => tokens.isKeyword(keyword))
  if (bare) {
    if (found()) tokens.next()
    return [tokens.tableName()]
  }
  const tables: TableName[] = []
  while (!tokens.ended) {
    if (!found()) {
      tokens.skipOne()
      continue
    }
    tokens.next()
    while (found()) tokens.next()
    tables.push(...tableList(tokens))
  }
  return tables
}

/** `a, b AS x JOIN c ON ...`: too many names do no harm, a missing one would. */
function tableList(tokens: TokenStream): TableName[] {
  const tables: TableName[] = []
  let expected = true
  while (!tokens.ended && !LIST_ENDS.has(tokens.peek()?.keyword ?? '')) {
    const token = tokens.peek()
    const keyword = token?.keyword ?? ''
    if (tokens.isSymbol('(') && QUERIES.some((query) => tokens.isKeyword(query, 1))) {
      // Its tables are only read; others may stand behind it.
      tokens.skipOne()
      expected = false
    } else if (keyword === 'PARTITION') {
      tokens.next()
      tokens.skipOne()
    } else if (JOINS.has(keyword) || tokens.isSymbol(',')) {
      tokens.next()
      expected = true
    } else if (MODIFIERS.has(keyword)) {
      tokens.next()
    } else if (expected && (token?.kind === 'word' || token?.kind === 'name')) {
      tables.push(tokens.tableName())
      expected = false
    } else if (expected && tokens.isSymbol('(')) {
      // A list in parentheses.
      tokens.next()
    } else {
      tokens.next()
    }
  }
  return tables
}
