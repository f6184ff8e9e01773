// ALTER TABLE, CREATE INDEX and DROP INDEX as actions on one table. All actions of a statement name
// columns as they were before it, so `RENAME a TO b, RENAME b TO a` swaps.

import {
  readColumn,
  readDefault,
  readPlace,
  readWord,
  charsetOfCollationName,
} from './column-definition.ts'
import { isConstraint, PRIMARY_NAME, readConstraint, readIndexColumns } from './create-table.ts'
import { readTableOption, type TableOptions } from './create-table.ts'
import type { AlterAction, Statement } from './statement.ts'
import type { TokenStream } from './token-stream.ts'

/** Behind ALTER ... TABLE. @param ignore  the statement is ALTER IGNORE */
export function readAlterTable(tokens: TokenStream, ignore: boolean): Statement {
  tokens.ifExists()
  const table = tokens.tableName()
  if (tokens.accept('WAIT')) tokens.next()
  else tokens.accept('NOWAIT')
  const actions: AlterAction[] = ignore ? [{ kind: 'ignore' }] : []
  while (!tokens.ended) {
    readAction(tokens, actions)
    // What is left of the clause is not about columns or rows; PARTITION BY has commas of its own.
    tokens.skipClause()
    if (!tokens.acceptSymbol(',')) break
  }
  return { kind: 'alter-table', table, actions }
}

function readAction(tokens: TokenStream, actions: AlterAction[]): void {
  const options: TableOptions = { charset: null, comment: null }
  if (tokens.accept('ADD')) return readAdd(tokens, actions)
  if (tokens.accept('DROP')) return void actions.push(readDrop(tokens))
  if (tokens.accept('CHANGE')) return void actions.push(readChange(tokens, true))
  if (tokens.accept('MODIFY')) return void actions.push(readChange(tokens, false))
  if (tokens.accept('ALTER')) return void actions.push(readAlterColumn(tokens))
  if (tokens.accept('RENAME')) return void actions.push(readRename(tokens))
  if (tokens.accept('CONVERT')) return void actions.push(readConvert(tokens))
  if (readTableOption(tokens, options)) return readDefaults(tokens, options, actions)
  const verb = tokens.acceptOne('TRUNCATE', 'EXCHANGE', 'DISCARD', 'IMPORT')
  if (verb !== null) return void actions.push(readPartitionRows(tokens, verb))
  actions.push({ kind: 'no-effect', what: tokens.peek()?.text ?? '' })
  if (tokens.accept('PARTITION', 'BY')) while (!tokens.ended) tokens.next()
}

/** Table options may follow each other without commas: CHARACTER SET x COLLATE y. */
function readDefaults(tokens: TokenStream, options: TableOptions, actions: AlterAction[]): void {
  const commented = { ...options }
  while (readTableOption(tokens, options)) Object.assign(commented, options)
  if (options.charset !== null) actions.push({ kind: 'default-charset', charset: options.charset })
  if (options.charset === null || options.comment !== null) {
    actions.push({ kind: 'comment', comment: options.comment })
  }
}

function readAdd(tokens: TokenStream, actions: AlterAction[]): void {
  if (isConstraint(tokens)) {
    const index = readConstraint(tokens)
    if (index !== null) actions.push({ kind: 'add-index', index, ifNotExists: false })
    else actions.push({ kind: 'no-effect', what: 'ADD INDEX' })
    return
  }
  if (tokens.isKeyword('PARTITION') || tokens.accept('SYSTEM', 'VERSIONING')) {
    actions.push({ kind: 'no-effect', what: 'ADD PARTITION' })
    return
  }
  tokens.accept('COLUMN')
  const ifNotExists = tokens.ifNotExists()
  if (!tokens.acceptSymbol('(')) {
    const column = readColumn(tokens.name(), tokens)
    const place = readPlace(tokens) ?? { at: 'last' }
    actions.push({ kind: 'add-column', column, place, ifNotExists })
    return
  }
  do {
    if (isConstraint(tokens)) {
      const index = readConstraint(tokens)
      if (index !== null) actions.push({ kind: 'add-index', index, ifNotExists: false })
      continue
    }
    const column = readColumn(tokens.name(), tokens)
    actions.push({ kind: 'add-column', column, place: { at: 'last' }, ifNotExists })
  } while (tokens.acceptSymbol(','))
  tokens.expectSymbol(')')
}

function readDrop(tokens: TokenStream): AlterAction {
  if (tokens.accept('PRIMARY', 'KEY')) {
    return { kind: 'drop-index', name: PRIMARY_NAME, ifExists: false }
  }
  // MySQL takes PERIOD for the name of a column.
  const period = tokens.accept('PERIOD', 'FOR')
  if (period || tokens.accept('FOREIGN', 'KEY') || tokens.accept('CHECK')) {
    return { kind: 'no-effect', what: 'DROP CONSTRAINT' }
  }
  if (tokens.accept('PARTITION')) return { kind: 'partition-rows', verb: 'DROP', with: null }
  if (tokens.accept('SYSTEM', 'VERSIONING')) {
    return { kind: 'no-effect', what: 'DROP SYSTEM VERSIONING' }
  }
  if (tokens.acceptOne('INDEX', 'KEY')) {
    const ifExists = tokens.ifExists()
    return { kind: 'drop-index', name: tokens.name(), ifExists }
  }
  if (tokens.accept('CONSTRAINT')) {
    // It may name a unique index, a foreign key or a check.
    tokens.ifExists()
    return { kind: 'drop-index', name: tokens.name(), ifExists: true }
  }
  tokens.accept('COLUMN')
  const ifExists = tokens.ifExists()
  return { kind: 'drop-column', name: tokens.name(), ifExists }
}

function readChange(tokens: TokenStream, renames: boolean): AlterAction {
  tokens.accept('COLUMN')
  const ifExists = tokens.ifExists()
  const from = tokens.name()
  const column = readColumn(renames ? tokens.name() : from, tokens)
  return { kind: 'change-column', from, column, place: readPlace(tokens), ifExists }
}

function readAlterColumn(tokens: TokenStream): AlterAction {
  if (tokens.acceptOne('INDEX', 'KEY', 'CHECK', 'CONSTRAINT')) {
    return { kind: 'no-effect', what: 'ALTER INDEX' }
  }
  tokens.accept('COLUMN')
  const ifExists = tokens.ifExists()
  const name = tokens.name()
  if (tokens.accept('SET', 'DEFAULT')) {
    return { kind: 'set-default', name, default: readDefault(tokens), ifExists }
  }
  if (tokens.accept('DROP', 'DEFAULT')) {
    return { kind: 'set-default', name, default: { kind: 'none' }, ifExists }
  }
  return { kind: 'no-effect', what: 'ALTER COLUMN' }
}

function readRename(tokens: TokenStream): AlterAction {
  if (tokens.accept('COLUMN')) {
    const ifExists = tokens.ifExists()
    const from = tokens.name()
    tokens.expect('TO')
    return { kind: 'rename-column', from, to: tokens.name(), ifExists }
  }
  // An index may be called so, but not without quotes: the words are reserved.
  if (tokens.acceptOne('INDEX', 'KEY')) {
    tokens.ifExists()
    const from = tokens.name()
    tokens.expect('TO')
    return { kind: 'rename-index', from, to: tokens.name() }
  }
  if (!tokens.accept('TO') && !tokens.accept('AS')) tokens.acceptSymbol('=')
  return { kind: 'rename-table', to: tokens.tableName() }
}

function readConvert(tokens: TokenStream): AlterAction {
  if (tokens.isKeyword('PARTITION') || tokens.isKeyword('TABLE')) {
    return readPartitionRows(tokens, 'CONVERT')
  }
  tokens.expect('TO')
  if (!tokens.accept('CHARSET')) {
    tokens.acceptOne('CHARACTER', 'CHAR')
    tokens.expect('SET')
  }
  let charset = readWord(tokens)
  if (tokens.accept('COLLATE')) {
    const collation = readWord(tokens)
    if (charset === 'default') charset = charsetOfCollationName(collation) ?? charset
  }
  return { kind: 'convert-charset', charset: charset === 'utf8' ? 'utf8mb3' : charset }
}

/** Rows come or go with a partition or a tablespace, and the log has no row of them. */
function readPartitionRows(tokens: TokenStream, verb: string): AlterAction {
  let table = null
  while (!tokens.ended && !tokens.isSymbol(',')) {
    if (tokens.accept('WITH', 'TABLE') || tokens.accept('TO', 'TABLE')) table = tokens.tableName()
    else if (verb === 'CONVERT' && tokens.accept('TABLE')) table = tokens.tableName()
    else tokens.skipOne()
  }
  return { kind: 'partition-rows', verb, with: table }
}

/** Behind CREATE, at [OR REPLACE] [ONLINE | UNIQUE | FULLTEXT | SPATIAL] INDEX. */
export function readCreateIndex(tokens: TokenStream, unique: boolean): Statement {
  const ifNotExists = tokens.ifNotExists()
  const name = tokens.name()
  while (!tokens.accept('ON')) tokens.next()
  const table = tokens.tableName()
  if (!unique) {
    return { kind: 'alter-table', table, actions: [{ kind: 'no-effect', what: 'CREATE INDEX' }] }
  }
  const index = { name, unique: true, columns: readIndexColumns(tokens) }
  return { kind: 'alter-table', table, actions: [{ kind: 'add-index', index, ifNotExists }] }
}

/** Behind DROP INDEX. */
export function readDropIndex(tokens: TokenStream): Statement {
  const ifExists = tokens.ifExists()
  const quoted = tokens.peek()?.kind === 'name'
  const name = tokens.name()
  tokens.expect('ON')
  const table = tokens.tableName()
  // DROP INDEX `PRIMARY` ON t.
  const drops = quoted && name.toUpperCase() === PRIMARY_NAME ? PRIMARY_NAME : name
  return { kind: 'alter-table', table, actions: [{ kind: 'drop-index', name: drops, ifExists }] }
}
