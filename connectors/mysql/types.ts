// The mapping of MySQL and MariaDB column types to the types of the lake. Backfill and log both
// read it, so that one value never has two forms.

import type { ColumnType } from '../../runtime/data/type.ts'
import { isDecodableCharset } from './decode/charset.ts'

/** A column type as the server declares it; DDL and information_schema both parse to it. */
export interface MysqlType {
  /** Lowercase, one name a type: `int` for INTEGER, `decimal` for NUMERIC, `uuid`, ... */
  readonly base: string
  readonly unsigned: boolean
  /** Characters (char), bytes (binary), bits (bit), digits (decimal); `null`: not given. */
  readonly length: number | null
  /** Digits behind the point (decimal); of a second (time, datetime, timestamp): 0...6. */
  readonly scale: number
  /** Labels of enum and set, in order. */
  readonly labels: readonly string[]
  /** Lowercase (`utf8mb4`, `utf8mb3`, `latin1`, ...); `null` for types without one. */
  readonly charset: string | null
}

export interface TypeOptions {
  /**
   * tinyint(1) becomes boolean instead of int. A value other than 0 and 1 then has no place and
   * parks the table.
   */
  readonly tinyint1AsBoolean: boolean
}

export type TypeMapping =
  | { readonly type: ColumnType; readonly note: string | null }
  | { readonly type: null; readonly note: string }

/** Types whose values carry a charset. */
const TEXT_TYPES = new Set('char varchar tinytext text mediumtext longtext enum set'.split(' '))

const SYNONYMS: Readonly<Record<string, string>> = {
  integer: 'int',
  int1: 'tinyint',
  int2: 'smallint',
  int3: 'mediumint',
  int4: 'int',
  int8: 'bigint',
  middleint: 'mediumint',
  dec: 'decimal',
  numeric: 'decimal',
  fixed: 'decimal',
  number: 'decimal',
  real: 'double',
  float8: 'double',
  float4: 'float',
  bool: 'tinyint',
  boolean: 'tinyint',
  serial: 'bigint',
  character: 'char',
  nchar: 'char',
  nvarchar: 'varchar',
  varcharacter: 'varchar',
  varchar2: 'varchar',
  long: 'mediumtext',
  geomcollection: 'geometrycollection',
}

/** Iceberg's own limit; longer decimals travel as their canonical text. */
export const DECIMAL_PRECISION_MAX = 38

/**
 * Parses a type as `information_schema.columns.column_type` and SHOW CREATE TABLE print it, for
 * example `int(10) unsigned`, `decimal(12,2)`, `enum('a','it''s')`, `varchar(16)`.
 *
 * @param charset  of the column, `null` where it has none
 */
export function parseColumnType(text: string, charset: string | null): MysqlType {
  const match =
    /^\s*([a-z_0-9]+)(?:\s+(?:precision|varying)\b)?\s*(?:\(([\s\S]*)\))?([^)]*)$/i.exec(text)
  const base = match?.[1]?.toLowerCase() ?? text.trim().toLowerCase()
  const inner = match?.[2] ?? null
  const attributes = (match?.[3] ?? '').toLowerCase()
  if (base === 'enum' || base === 'set') {
    return makeType(base, { labels: parseLabels(inner ?? ''), charset })
  }
  const [length, scale] = (inner ?? '').split(',').map((part) => Number.parseInt(part, 10))
  return makeType(base, {
    length: length === undefined || Number.isNaN(length) ? null : length,
    ...(scale === undefined || Number.isNaN(scale) ? {} : { scale }),
    unsigned: /\b(unsigned|zerofill)\b/.test(attributes),
    charset,
  })
}

/**
 * Completes a type: synonyms resolved, lengths that the server would assume filled in, and the
 * charset kept only where the type has one.
 */
export function makeType(name: string, parts: Partial<MysqlType>): MysqlType {
  let base = SYNONYMS[name] ?? name
  let { length = null, scale = 0, unsigned = false } = parts
  const { labels = [], charset = null } = parts
  if (name === 'serial') unsigned = true
  if (name === 'bool' || name === 'boolean') length = 1
  if (base === 'decimal' && length === null) length = 10
  if (base === 'bit' && length === null) length = 1
  if ((base === 'char' || base === 'binary') && length === null) length = 1
  // FLOAT(p) names a size in bits; FLOAT(m,d) is rounded by the server before it is stored.
  if (base === 'float' && length !== null && length > 24 && parts.scale === undefined) {
    base = 'double'
  }
  if (base === 'time' || base === 'datetime' || base === 'timestamp') {
    scale = length ?? scale
    length = null
  }
  // With the charset `binary` the server itself turns these types into their binary twins.
  if (charset === 'binary') base = BINARY_TWINS[base] ?? base
  return { base, unsigned, length, scale, labels, charset: TEXT_TYPES.has(base) ? charset : null }
}

const BINARY_TWINS: Readonly<Record<string, string>> = {
  char: 'binary',
  varchar: 'varbinary',
  tinytext: 'tinyblob',
  text: 'blob',
  mediumtext: 'mediumblob',
  longtext: 'longblob',
}

/** Parses `'a','it''s'` to its labels; backslashes stand for themselves there. */
function parseLabels(text: string): string[] {
  return [...text.matchAll(/'((?:[^']|'')*)'/g)].map(([, label]) =>
    (label ?? '').replaceAll("''", "'"),
  )
}

/** @returns the type in the lake, or `null` and the reason why the column is refused */
export function mapType(type: MysqlType, options: TypeOptions): TypeMapping {
  if (type.charset !== null && !isDecodableCharset(type.charset)) {
    return refused(`text in the charset ${type.charset} cannot be converted exactly`)
  }
  switch (type.base) {
    case 'tinyint':
      if (options.tinyint1AsBoolean && type.length === 1 && !type.unsigned) {
        return mapped({ kind: 'boolean' })
      }
      return mapped({ kind: 'int' })
    case 'smallint':
    case 'mediumint':
    case 'year':
      return mapped({ kind: 'int' })
    case 'int':
      return mapped({ kind: type.unsigned ? 'long' : 'int' })
    case 'bigint':
      if (type.unsigned) return mapped({ kind: 'decimal', precision: 20, scale: 0 })
      return mapped({ kind: 'long' })
    case 'decimal':
      return mapDecimal(type)
    case 'float':
      return mapped({ kind: 'float' })
    case 'double':
      return mapped({ kind: 'double' })
    case 'bit':
      return mapped(
        { kind: 'long' },
        type.length === 64 ? 'a value with the highest bit set parks the table' : null,
      )
    case 'date':
      return mapped({ kind: 'date' }, ZERO_DATES)
    case 'time':
      return mapped({ kind: 'long' }, 'microseconds, because it ranges over +-838:59:59')
    case 'datetime':
      return mapped({ kind: 'timestamp' }, ZERO_DATES)
    case 'timestamp':
      return mapped({ kind: 'timestamptz' }, ZERO_DATES)
    case 'json':
      return mapped({ kind: 'string', json: true })
    case 'uuid':
      return mapped({ kind: 'uuid' })
    default:
      return mapBytes(type)
  }
}

const ZERO_DATES = 'a zero or impossible date parks the table'

function mapDecimal(type: MysqlType): TypeMapping {
  const precision = type.length ?? 10
  if (precision > DECIMAL_PRECISION_MAX) {
    return mapped(
      { kind: 'string' },
      `text, because Iceberg stops at ${DECIMAL_PRECISION_MAX} digits`,
    )
  }
  return mapped({ kind: 'decimal', precision, scale: type.scale })
}

function mapBytes(type: MysqlType): TypeMapping {
  switch (type.base) {
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
    case 'enum':
    case 'set':
      return mapped({ kind: 'string' })
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return mapped({ kind: 'binary' })
    default:
      return refused(`type ${type.base} has no exact form in the lake`)
  }
}

function mapped(type: ColumnType, note: string | null = null): TypeMapping {
  return { type, note }
}

function refused(note: string): TypeMapping {
  return { type: null, note }
}

/** @returns the type in the server's words, as SHOW CREATE TABLE prints it */
export function formatMysqlType(type: MysqlType): string {
  const { base, unsigned, length, scale, labels } = type
  if (labels.length > 0 || base === 'enum' || base === 'set') {
    return `${base}(${labels.map((label) => `'${label.replaceAll("'", "''")}'`).join(',')})`
  }
  let text = base
  if (base === 'decimal') text += `(${length},${scale})`
  else if (length !== null) text += `(${length})`
  else if (scale > 0) text += `(${scale})`
  return unsigned ? `${text} unsigned` : text
}
