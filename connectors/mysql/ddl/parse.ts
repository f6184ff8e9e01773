// The statement of a QUERY event: what it does to tables, or that it does nothing to them. A
// tolerant parser: it knows what changes columns, keys, names and rows, and passes over the rest.
// What it cannot read is said, with the tables that the statement surely names.

import { readAlterTable, readCreateIndex, readDropIndex } from './alter-table.ts'
import { charsetOfCollationName, readWord } from './column-definition.ts'
import { readCreateTable } from './create-table.ts'
import { LexerError, tokenize } from './lexer.ts'
import { readDml } from './dml.ts'
import type { Statement, StatementOptions, TableName } from './statement.ts'
import { SyntaxFailure, TokenStream } from './token-stream.ts'
import { readXa } from './xa.ts'

const BEGIN: Statement = { kind: 'begin' }
const COMMIT: Statement = { kind: 'commit' }

/** @returns what `text` does; `unreadable` instead of an error */
export function parseStatement(text: string, options: StatementOptions): Statement {
  // Nearly every statement of a log in ROW format is one of these two.
  if (text === 'BEGIN') return BEGIN
  if (text === 'COMMIT') return COMMIT
  let tokens: TokenStream
  try {
    tokens = new TokenStream(tokenize(text, options), options.mariadb)
  } catch (error) {
    if (!(error instanceof LexerError)) throw error
    return { kind: 'unreadable', tables: [], reason: `The statement is no SQL: ${error.message}.` }
  }
  return parseTokens(tokens)
}

function parseTokens(tokens: TokenStream): Statement {
  const named: TableName[] = []
  try {
    return readStatement(tokens, named)
  } catch (error) {
    if (!(error instanceof SyntaxFailure)) throw error
    return {
      kind: 'unreadable',
      tables: named,
      reason: `The statement cannot be read: ${error.message}.`,
    }
  }
}

function noEffect(what: string): Statement {
  return { kind: 'no-effect', what }
}

function readStatement(tokens: TokenStream, named: TableName[]): Statement {
  if (tokens.ended) return noEffect('empty')
  const keyword = tokens.next().keyword
  switch (keyword) {
    case 'BEGIN':
      return BEGIN
    case 'START':
      return tokens.accept('TRANSACTION') ? BEGIN : noEffect('START')
    case 'COMMIT':
      return COMMIT
    case 'ROLLBACK':
      tokens.accept('WORK')
      return tokens.accept('TO') ? { kind: 'savepoint' } : { kind: 'rollback' }
    case 'SAVEPOINT':
    case 'RELEASE':
      return { kind: 'savepoint' }
    case 'XA':
      return readXa(tokens)
    case 'SET':
      return readSet(tokens, named)
    case 'CREATE':
      return readCreate(tokens, named)
    case 'ALTER':
      return readAlter(tokens, named)
    case 'DROP':
      return readDrop(tokens, named)
    case 'RENAME':
      return readRenameTable(tokens, named)
    case 'TRUNCATE':
      tokens.accept('TABLE')
      return { kind: 'truncate', table: tokens.tableName() }
    default:
      return readDml(keyword, tokens) ?? readOther(keyword)
  }
}

/** Statements that change no table, or only what is not replicated. */
const NO_EFFECT = new Set(
  (
    'GRANT REVOKE FLUSH ANALYZE OPTIMIZE REPAIR CHECK CHECKSUM USE LOCK UNLOCK INSTALL UNINSTALL ' +
    'KILL RESET PURGE SHUTDOWN CLONE CACHE SIGNAL RESIGNAL HANDLER PREPARE EXECUTE DEALLOCATE HELP ' +
    'SHOW DESCRIBE EXPLAIN CHANGE STOP BACKUP BINLOG'
  ).split(' '),
)

function readOther(keyword: string): Statement {
  if (NO_EFFECT.has(keyword)) return noEffect(keyword)
  throw new SyntaxFailure(`it begins with "${keyword}"`)
}

/**
 * `SET STATEMENT max_statement_time=1 FOR ALTER TABLE ...` of MariaDB; or SET PASSWORD, SET ROLE.
 */
function readSet(tokens: TokenStream, named: TableName[]): Statement {
  if (!tokens.accept('STATEMENT')) return noEffect('SET')
  while (!tokens.accept('FOR')) tokens.skipOne()
  return readStatement(tokens, named)
}

function readCreate(tokens: TokenStream, named: TableName[]): Statement {
  const orReplace = tokens.accept('OR', 'REPLACE')
  const temporary = tokens.accept('TEMPORARY')
  if (tokens.accept('TABLE')) {
    noteTable(tokens, named)
    return readCreateTable(tokens, orReplace, temporary)
  }
  if (tokens.acceptOne('DATABASE', 'SCHEMA')) {
    tokens.ifNotExists()
    const database = tokens.name()
    return { kind: 'create-database', database, charset: readDatabaseCharset(tokens), orReplace }
  }
  tokens.acceptOne('ONLINE', 'OFFLINE')
  const kind = tokens.acceptOne('UNIQUE', 'FULLTEXT', 'SPATIAL', 'VECTOR')
  if (tokens.accept('INDEX')) return readCreateIndex(tokens, kind === 'UNIQUE')
  return noEffect('CREATE')
}

/** The table behind [IF [NOT] EXISTS], for the case that the rest cannot be read. */
function noteTable(tokens: TokenStream, named: TableName[]): void {
  const skipped = tokens.ifNotExists() ? 3 : tokens.ifExists() ? 2 : 0
  const table = tokens.tableName()
  named.push(table)
  tokens.back(skipped + (table.database === null ? 1 : 3))
}

function readAlter(tokens: TokenStream, named: TableName[]): Statement {
  let ignore = false
  for (;;) {
    const option = tokens.acceptOne('ONLINE', 'OFFLINE', 'IGNORE')
    if (option === null) break
    ignore ||= option === 'IGNORE'
  }
  if (tokens.accept('TABLE')) {
    noteTable(tokens, named)
    return readAlterTable(tokens, ignore)
  }
  if (tokens.acceptOne('DATABASE', 'SCHEMA')) {
    const first = tokens.peek()
    const unnamed = first === null || OPTION_WORDS.has(first.keyword)
    const database = unnamed ? null : tokens.name()
    return { kind: 'alter-database', database, charset: readDatabaseCharset(tokens) }
  }
  return noEffect('ALTER')
}

const OPTION_WORDS = new Set([
  'DEFAULT',
  'CHARACTER',
  'CHARSET',
  'COLLATE',
  'READ',
  'COMMENT',
  'ENCRYPTION',
])

function readDatabaseCharset(tokens: TokenStream): string | null {
  let charset: string | null = null
  while (!tokens.ended) {
    if (tokens.accept('CHARACTER', 'SET') || tokens.accept('CHARSET')) {
      tokens.acceptSymbol('=')
      const word = readWord(tokens)
      charset = word === 'utf8' ? 'utf8mb3' : word
    } else if (tokens.accept('COLLATE')) {
      tokens.acceptSymbol('=')
      charset ??= charsetOfCollationName(readWord(tokens))
    } else tokens.skipOne()
  }
  return charset
}

function readDrop(tokens: TokenStream, named: TableName[]): Statement {
  const temporary = tokens.accept('TEMPORARY')
  if (tokens.acceptOne('TABLE', 'TABLES')) {
    tokens.ifExists()
    do named.push(tokens.tableName())
    while (tokens.acceptSymbol(','))
    return { kind: 'drop-table', tables: [...named], temporary }
  }
  if (tokens.acceptOne('DATABASE', 'SCHEMA')) {
    tokens.ifExists()
    return { kind: 'drop-database', database: tokens.name() }
  }
  tokens.acceptOne('ONLINE', 'OFFLINE')
  if (tokens.accept('INDEX')) return readDropIndex(tokens)
  return noEffect('DROP')
}

function readRenameTable(tokens: TokenStream, named: TableName[]): Statement {
  if (!tokens.acceptOne('TABLE', 'TABLES')) return noEffect('RENAME')
  tokens.ifExists()
  const renames: { from: TableName; to: TableName }[] = []
  do {
    const from = tokens.tableName()
    if (tokens.accept('WAIT')) tokens.next()
    else tokens.accept('NOWAIT')
    tokens.expect('TO')
    const to = tokens.tableName()
    named.push(from, to)
    renames.push({ from, to })
  } while (tokens.acceptSymbol(','))
  return { kind: 'rename-table', renames }
}

/** @returns the table with the event's default database filled in */
export function inDatabase(
  { database, name }: TableName,
  defaultDatabase: string,
): { readonly database: string; readonly name: string } {
  return { database: database ?? defaultDatabase, name }
}
