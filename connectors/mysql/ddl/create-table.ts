// CREATE TABLE: columns, keys, and the options that give columns their charset.

import { charsetOfCollationName, readColumn, readWord } from './column-definition.ts'
import type { ColumnDefinition, IndexDefinition, Statement, TableDefinition } from './statement.ts'
import { SyntaxFailure, type TokenStream } from './token-stream.ts'

export const PRIMARY_NAME = 'PRIMARY'

/** Behind CREATE [OR REPLACE] [TEMPORARY] TABLE. */
export function readCreateTable(
  tokens: TokenStream,
  orReplace: boolean,
  temporary: boolean,
): Statement {
  const ifNotExists = tokens.ifNotExists()
  const table = tokens.tableName()
  const base = { kind: 'create-table', table, temporary, ifNotExists, orReplace } as const
  if (tokens.accept('LIKE')) return { ...base, like: tokens.tableName(), definition: null }
  if (!tokens.acceptSymbol('(')) throw new SyntaxFailure('its columns come from a query')
  if (tokens.accept('LIKE')) {
    return { ...base, like: tokens.tableName(), definition: null }
  }
  const columns: ColumnDefinition[] = []
  const indexes: IndexDefinition[] = []
  do readElement(tokens, columns, indexes)
  while (tokens.acceptSymbol(','))
  tokens.expectSymbol(')')
  const options = readOptions(tokens)
  return { ...base, like: null, definition: { columns, indexes, ...options } }
}

function readElement(
  tokens: TokenStream,
  columns: ColumnDefinition[],
  indexes: IndexDefinition[],
): void {
  if (isConstraint(tokens)) {
    const index = readConstraint(tokens)
    if (index !== null) indexes.push(index)
    return
  }
  columns.push(readColumn(tokens.name(), tokens))
}

const CONSTRAINTS = 'CONSTRAINT PRIMARY UNIQUE FOREIGN CHECK INDEX KEY FULLTEXT SPATIAL VECTOR'
const CONSTRAINT_WORDS = new Set(CONSTRAINTS.split(' '))

/** Is a constraint or an index next, and not a column? All these words are reserved but two. */
export function isConstraint(tokens: TokenStream): boolean {
  const keyword = tokens.peek()?.keyword ?? ''
  if (keyword === 'PERIOD') return tokens.isKeyword('FOR', 1)
  if (keyword === 'VECTOR') return tokens.isKeyword('INDEX', 1) || tokens.isKeyword('KEY', 1)
  return CONSTRAINT_WORDS.has(keyword)
}

/** @returns `null` for what is no unique index */
export function readConstraint(tokens: TokenStream): IndexDefinition | null {
  let name: string | null = null
  if (tokens.accept('CONSTRAINT') && !CONSTRAINT_WORDS.has(tokens.peek()?.keyword ?? '')) {
    name = tokens.name()
  }
  if (tokens.accept('PRIMARY')) {
    tokens.expect('KEY')
    return { name: PRIMARY_NAME, unique: true, columns: readIndexColumns(tokens) }
  }
  if (!tokens.accept('UNIQUE')) {
    tokens.skipClause()
    return null
  }
  tokens.acceptOne('INDEX', 'KEY')
  tokens.ifNotExists()
  if (!tokens.isSymbol('(') && !tokens.isKeyword('USING')) name = tokens.name()
  return { name, unique: true, columns: readIndexColumns(tokens) }
}

/** From USING or the parenthesis on; options behind it are passed over. */
export function readIndexColumns(tokens: TokenStream): (string | null)[] {
  while (!tokens.isSymbol('(')) tokens.next()
  tokens.expectSymbol('(')
  const columns: (string | null)[] = []
  do columns.push(readIndexPart(tokens))
  while (tokens.acceptSymbol(','))
  tokens.expectSymbol(')')
  tokens.skipClause()
  return columns
}

/** `null` for an expression, and for a prefix: rows that differ behind it are the same to it. */
function readIndexPart(tokens: TokenStream): string | null {
  if (tokens.acceptSymbol('(')) {
    tokens.skipGroup()
    tokens.skipClause()
    return null
  }
  const name = tokens.name()
  const prefix = tokens.isSymbol('(')
  // ASC, DESC, WITHOUT OVERLAPS.
  tokens.skipClause()
  return prefix ? null : name
}

interface TableOptions {
  charset: string | null
  comment: string | null
}

function readOptions(tokens: TokenStream): TableOptions {
  const options: TableOptions = { charset: null, comment: null }
  while (!tokens.ended) {
    if (tokens.accept('PARTITION', 'BY')) break
    if (
      tokens.isKeyword('SELECT') ||
      (tokens.isKeyword('WITH') && tokens.isKeyword('RECURSIVE', 1))
    ) {
      throw new SyntaxFailure('some of its columns come from a query')
    }
    if (!readTableOption(tokens, options)) tokens.skipOne()
  }
  return options
}

/** @returns false when the next option is not about charset or comment */
export function readTableOption(tokens: TokenStream, options: TableOptions): boolean {
  if (tokens.isKeyword('DEFAULT') && !CHARSET_WORDS.has(tokens.peek(1)?.keyword ?? '')) return false
  tokens.accept('DEFAULT')
  if (
    tokens.accept('CHARACTER', 'SET') ||
    tokens.accept('CHAR', 'SET') ||
    tokens.accept('CHARSET')
  ) {
    tokens.acceptSymbol('=')
    const charset = readWord(tokens)
    options.charset = charset === 'utf8' ? 'utf8mb3' : charset
    return true
  }
  if (tokens.accept('COLLATE')) {
    tokens.acceptSymbol('=')
    const collation = readWord(tokens)
    options.charset ??= charsetOfCollationName(collation)
    return true
  }
  if (tokens.accept('COMMENT')) {
    tokens.acceptSymbol('=')
    const comment = tokens.string()
    options.comment = comment === '' ? null : comment
    return true
  }
  return false
}

const CHARSET_WORDS = new Set(['CHARACTER', 'CHAR', 'CHARSET', 'COLLATE'])

export type { TableOptions }

/** A definition without columns of its own, for CREATE TABLE ... LIKE. */
export type { TableDefinition }
