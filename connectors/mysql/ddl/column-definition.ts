// A column in CREATE and ALTER TABLE: its type, and the attributes that decide what its values are.

import { makeType, type MysqlType } from '../types.ts'
import { sizedType } from './capacity.ts'
import type { ColumnDefault } from './state.ts'
import type { ColumnDefinition, ColumnPlace } from './statement.ts'
import { SyntaxFailure, type TokenStream } from './token-stream.ts'

interface Draft {
  unsigned: boolean
  charset: string | null
  nullable: boolean
  default: ColumnDefault
  generated: 'stored' | 'virtual' | null
  autoIncrement: boolean
  comment: string | null
  nullUnsaid: boolean
  key: 'primary' | 'unique' | null
}

/** From the type on; `name` has been read. Ends before FIRST, AFTER, a comma or a parenthesis. */
export function readColumn(name: string, tokens: TokenStream): ColumnDefinition {
  const parts = readType(tokens)
  const draft: Draft = {
    unsigned: false,
    charset: parts.charset,
    nullable: true,
    default: { kind: 'none' },
    generated: null,
    autoIncrement: false,
    comment: null,
    nullUnsaid: true,
    key: null,
  }
  if (parts.name === 'serial') readSerial(draft)
  while (!tokens.ended && !tokens.isSymbol(',') && !tokens.isSymbol(')')) {
    if (tokens.isKeyword('FIRST') || tokens.isKeyword('AFTER')) break
    readAttribute(tokens, draft)
  }
  const { unsigned, charset, ...column } = draft
  const type = makeType(parts.name, {
    length: parts.length,
    ...(parts.scale === null ? {} : { scale: parts.scale }),
    labels: parts.labels,
    unsigned,
    charset: charset === 'utf8' ? 'utf8mb3' : charset,
  })
  if (column.key === 'primary' || column.autoIncrement) column.nullable = false
  // FLOAT(p) is a size in bits; only FLOAT(M,D) has digits.
  const size = (type.base === 'float' || type.base === 'double') && parts.scale === null
  return { name, type: size ? { ...type, length: null } : type, ...column }
}

/** FIRST or AFTER behind a column; `null` when neither is there. */
export function readPlace(tokens: TokenStream): ColumnPlace | null {
  if (tokens.accept('FIRST')) return { at: 'first' }
  if (tokens.accept('AFTER')) return { at: 'after', column: tokens.name() }
  return null
}

interface TypeParts {
  readonly name: string
  readonly length: number | null
  readonly scale: number | null
  readonly labels: readonly string[]
  readonly charset: string | null
}

function readType(tokens: TokenStream): TypeParts {
  const first = tokens.next()
  if (first.kind !== 'word') throw new SyntaxFailure(`a type is missing at "${first.text}"`)
  const named = readTypeName(first.keyword, tokens)
  let name = named.name
  let length: number | null = null
  let scale: number | null = null
  const labels: string[] = []
  if (tokens.acceptSymbol('(')) {
    if (name === 'enum' || name === 'set') {
      do labels.push(readLabel(tokens))
      while (tokens.acceptSymbol(','))
    } else if (tokens.peek()?.kind === 'number') {
      length = readCount(tokens)
      if (tokens.acceptSymbol(',')) scale = readCount(tokens)
    }
    // Anything else in the parentheses belongs to a type that is refused anyway.
    tokens.skipGroup()
  }
  if (tokens.accept('VARYING')) name = VARYING[name] ?? name
  return { name, length, scale, labels, charset: named.charset }
}

const VARYING: Readonly<Record<string, string>> = { char: 'varchar', character: 'varchar' }

/** Types of more than one word. */
function readTypeName(
  keyword: string,
  tokens: TokenStream,
): { readonly name: string; readonly charset: string | null } {
  const charset = null
  switch (keyword) {
    case 'DOUBLE':
      tokens.accept('PRECISION')
      return { name: 'double', charset }
    case 'LONG':
      if (tokens.accept('VARBINARY')) return { name: 'mediumblob', charset }
      if (tokens.accept('VARCHAR') || tokens.accept('CHAR', 'VARYING')) {
        return { name: 'mediumtext', charset }
      }
      return { name: 'mediumtext', charset }
    case 'NATIONAL':
      return { name: readTypeName(tokens.next().keyword, tokens).name, charset: 'utf8mb3' }
    case 'NCHAR':
      if (tokens.accept('VARCHAR')) return { name: 'varchar', charset: 'utf8mb3' }
      return { name: tokens.accept('VARYING') ? 'varchar' : 'char', charset: 'utf8mb3' }
    case 'JSON':
      // MariaDB keeps the text as it is given, and calls the column a LONGTEXT ever after.
      return tokens.mariadb ? { name: 'longtext', charset: 'utf8mb4' } : { name: 'json', charset }
    case 'NVARCHAR':
      return { name: 'varchar', charset: 'utf8mb3' }
    case 'CHAR':
    case 'CHARACTER':
      return { name: tokens.accept('VARYING') ? 'varchar' : 'char', charset }
    default:
      return { name: keyword.toLowerCase(), charset }
  }
}

function readLabel(tokens: TokenStream): string {
  const token = tokens.peek()
  if (token?.kind === 'hex') return Buffer.from(tokens.next().text, 'hex').toString('utf8')
  // A charset introducer in front of it changes nothing about what the text says.
  if (token?.kind === 'word' && token.text.startsWith('_')) tokens.next()
  return tokens.string()
}

function readCount(tokens: TokenStream): number {
  const count = Number.parseInt(tokens.next().text, 10)
  if (Number.isNaN(count)) throw new SyntaxFailure('a length is no number')
  return count
}

function readAttribute(tokens: TokenStream, draft: Draft): void {
  if (readCharset(tokens, draft) || readValueSource(tokens, draft)) return
  if (tokens.acceptOne('UNSIGNED', 'ZEROFILL')) draft.unsigned = true
  else if (tokens.accept('NOT', 'NULL')) sayNull(draft, false)
  else if (tokens.accept('NULL')) sayNull(draft, true)
  else if (tokens.accept('AUTO_INCREMENT')) draft.autoIncrement = true
  else if (tokens.accept('SERIAL', 'DEFAULT', 'VALUE')) readSerial(draft)
  else if (tokens.accept('COMMENT')) {
    tokens.acceptSymbol('=')
    const comment = tokens.string()
    draft.comment = comment === '' ? null : comment
  } else if (tokens.accept('UNIQUE')) {
    tokens.accept('KEY')
    draft.key ??= 'unique'
  } else if (tokens.accept('PRIMARY')) {
    tokens.accept('KEY')
    draft.key = 'primary'
  } else if (tokens.accept('KEY')) {
    draft.key = 'primary'
  } else if (tokens.accept('REFERENCES')) {
    tokens.tableName()
  } else if (tokens.acceptOne('COLUMN_FORMAT', 'STORAGE', 'CONSTRAINT', 'SRID')) {
    tokens.skipOne()
  } else {
    // CHECK (...), ON DELETE CASCADE, INVISIBLE, COMPRESSED and the like: not about the values.
    tokens.skipOne()
  }
}

function sayNull(draft: Draft, nullable: boolean): void {
  draft.nullable = nullable
  draft.nullUnsaid = false
}

/** SERIAL, as a type or behind one: a number that the server gives. */
function readSerial(draft: Draft): void {
  draft.nullable = false
  draft.autoIncrement = true
  draft.key ??= 'unique'
}

function readCharset(tokens: TokenStream, draft: Draft): boolean {
  if (
    tokens.accept('CHARACTER', 'SET') ||
    tokens.accept('CHAR', 'SET') ||
    tokens.accept('CHARSET')
  ) {
    tokens.acceptSymbol('=')
    draft.charset = readWord(tokens)
    return true
  }
  if (tokens.accept('COLLATE')) {
    tokens.acceptSymbol('=')
    const collation = readWord(tokens)
    draft.charset ??= charsetOfCollationName(collation)
    return true
  }
  const short = tokens.acceptOne('ASCII', 'UNICODE', 'BYTE')
  if (short !== null) draft.charset = { ASCII: 'latin1', UNICODE: 'ucs2', BYTE: 'binary' }[short]
  return short !== null
}

/** A name that may stand in quotes. */
export function readWord(tokens: TokenStream): string {
  return tokens.next().text.toLowerCase()
}

/**
 * `utf8mb4_0900_ai_ci` is of utf8mb4. @returns `null` for a name without its charset (MariaDB's
 * `uca1400_ai_ci`), which keeps the charset that holds otherwise
 */
export function charsetOfCollationName(collation: string): string | null {
  const charset = collation.split('_')[0] ?? collation
  if (charset === 'uca1400') return null
  return charset === 'utf8' ? 'utf8mb3' : charset
}

function readValueSource(tokens: TokenStream, draft: Draft): boolean {
  if (tokens.accept('DEFAULT')) {
    if (tokens.accept('VALUE')) return true
    draft.default = readDefault(tokens)
    return true
  }
  if (tokens.accept('ON', 'UPDATE')) {
    tokens.skipOne()
    if (tokens.acceptSymbol('(')) tokens.skipGroup()
    return true
  }
  tokens.accept('GENERATED', 'ALWAYS')
  if (!tokens.accept('AS')) return false
  // MariaDB's row start and end of system versioning are stored columns too.
  if (tokens.acceptSymbol('(')) tokens.skipGroup()
  else tokens.accept('ROW')
  const kind = tokens.acceptOne('VIRTUAL', 'STORED', 'PERSISTENT', 'START', 'END')
  draft.generated = kind === null || kind === 'VIRTUAL' ? 'virtual' : 'stored'
  return true
}

/** Behind DEFAULT. Only a constant tells what rows hold that do not say otherwise. */
export function readDefault(tokens: TokenStream): ColumnDefault {
  if (tokens.acceptSymbol('(')) {
    const inner = readConstant(tokens)
    if (inner !== null && tokens.acceptSymbol(')')) return inner
    tokens.skipGroup()
    return { kind: 'expression', text: '(...)' }
  }
  const constant = readConstant(tokens)
  if (constant !== null) return constant
  const text = tokens.next().text
  if (tokens.acceptSymbol('(')) tokens.skipGroup()
  return { kind: 'expression', text: text.toLowerCase() }
}

function readConstant(tokens: TokenStream): ColumnDefault | null {
  const sign = tokens.isSymbol('-') || tokens.isSymbol('+') ? tokens.next().text : ''
  const token = tokens.peek()
  if (token?.kind === 'number') return unquoted(`${sign === '-' ? '-' : ''}${tokens.next().text}`)
  if (sign !== '') return null
  if (token?.kind === 'string') return quoted(tokens.string())
  if (token?.kind === 'hex') return { kind: 'literal', text: tokens.next().text, hex: true }
  if (token?.kind === 'bits') {
    return { kind: 'literal', text: hexOfBits(tokens.next().text), hex: true }
  }
  if (tokens.accept('NULL')) return { kind: 'null' }
  const truth = tokens.acceptOne('TRUE', 'FALSE')
  if (truth !== null) return unquoted(truth === 'TRUE' ? '1' : '0')
  return token?.kind === 'word' && tokens.peek(1)?.kind === 'string' ? readIntroduced(tokens) : null
}

/** Charsets whose first half is ASCII. */
const ASCII_INTRODUCERS = new Set(['_UTF8MB4', '_UTF8MB3', '_UTF8', '_LATIN1', '_ASCII', '_BINARY'])

/** DATE'...', N'...', or _latin1'...': bytes of the client's charset taken for another. */
function readIntroduced(tokens: TokenStream): ColumnDefault | null {
  if (tokens.acceptOne('DATE', 'TIME', 'TIMESTAMP')) return unquoted(tokens.string())
  if (tokens.accept('N')) return quoted(tokens.string())
  if (!ASCII_INTRODUCERS.has(tokens.peek()?.keyword ?? '')) return null
  const text = tokens.peek(1)?.text ?? ''
  if (!/^[\0-\x7f]*$/.test(text)) return null
  tokens.next()
  return quoted(tokens.string())
}

function quoted(text: string): ColumnDefault {
  return { kind: 'literal', text, hex: false }
}

function unquoted(text: string): ColumnDefault {
  return { kind: 'literal', text, hex: false, unquoted: true }
}

function hexOfBits(bits: string): string {
  const hex = bits === '' ? '' : BigInt(`0b${bits}`).toString(16)
  return hex.length % 2 === 0 ? hex : `0${hex}`
}

/** Fills in the charset that the table gives to text columns without one. */
export function withCharset(type: MysqlType, charset: string): MysqlType {
  return sizedType(makeType(type.base, { ...type, charset: type.charset ?? charset }))
}
