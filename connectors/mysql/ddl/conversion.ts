// Whether a change of a column's type leaves the values of its rows as the lake has them. An ALTER
// TABLE rewrites rows without row events, so a value that it rounds, cuts or pads would stay as it
// was in the lake. Changes of the lake type itself are the runtime's to judge: they are no concern
// here.

import { isDeepStrictEqual } from 'node:util'
import { mapType, type MysqlType } from '../types.ts'
import type { ColumnState } from './state.ts'

const PLAIN = { tinyint1AsBoolean: false }

/** Bits of the integer types. */
const INTEGER_BITS: Readonly<Record<string, number>> = {
  tinyint: 8,
  smallint: 16,
  mediumint: 24,
  int: 32,
  bigint: 64,
}

/** Bytes that the types without a length of their own may hold. */
export const TEXT_BYTES: Readonly<Record<string, number>> = {
  tinytext: 255,
  tinyblob: 255,
  text: 65_535,
  blob: 65_535,
  mediumtext: 2 ** 24 - 1,
  mediumblob: 2 ** 24 - 1,
  longtext: 2 ** 32 - 1,
  longblob: 2 ** 32 - 1,
}

/** Charsets that hold every character there is. */
const UNICODE = new Set(['utf8mb4', 'utf16', 'utf16le', 'utf32'])

/**
 * @param strict     the statement ran in strict mode: what does not fit made it fail
 * @param keepsZero  sql_mode had NO_AUTO_VALUE_ON_ZERO
 * @returns why values may have changed, as the end of a sentence; `null` when they have not
 */
export function keepsValues(
  from: ColumnState,
  to: ColumnState,
  strict: boolean,
  keepsZero = false,
): string | null {
  if (from.generated !== to.generated) return 'it changed between stored and generated'
  if (to.autoIncrement && !from.autoIncrement) {
    if (from.nullable) return 'nulls became new numbers'
    if (!keepsZero) return 'zeros became new numbers'
  }
  if (from.nullable && !to.nullable && !strict) return 'nulls became the default'
  if (isDeepStrictEqual(from.type, to.type)) return null
  const before = mapType(from.type, PLAIN).type
  const after = mapType(to.type, PLAIN).type
  // Another type in the lake is refused or followed by the runtime, which sees both.
  if (before === null || after === null || before.kind !== after.kind) return null
  return convertedValues(from.type, to.type, strict)
}

function convertedValues(from: MysqlType, to: MysqlType, strict: boolean): string | null {
  if (from.charset !== to.charset && !strict && !UNICODE.has(to.charset ?? '')) {
    return `characters that ${to.charset} lacks became question marks`
  }
  if (from.charset !== to.charset && !labelsSurvive(from, to)) {
    return 'its labels were written in another charset'
  }
  if (from.base in INTEGER_BITS && to.base in INTEGER_BITS) return integers(from, to, strict)
  if (from.base !== to.base) return otherBase(from, to)
  switch (from.base) {
    case 'decimal':
    case 'float':
    case 'double':
    case 'year':
    case 'json':
    case 'uuid':
      return null
    case 'time':
    case 'datetime':
    case 'timestamp':
      return to.scale < from.scale ? 'fractions of seconds were rounded' : null
    case 'enum':
    case 'set':
      return from.labels.every((label) => to.labels.includes(label))
        ? null
        : 'labels were removed or renamed'
    case 'binary':
      return from.length === to.length ? null : 'its values were padded or cut'
    case 'bit':
    case 'char':
    case 'varchar':
    case 'varbinary':
      return capacity(to) < capacity(from) ? 'longer values were cut' : null
    default:
      return null
  }
}

/**
 * CONVERT TO CHARACTER SET takes the bytes of labels for text of the new charset: utf16 joins every
 * two characters of MySQL 9.7's, and MariaDB 10.11's become question marks beyond ASCII.
 */
function labelsSurvive({ labels }: MysqlType, to: MysqlType): boolean {
  const ascii = labels.every((label) => /^[ -~]*$/.test(label))
  return labels.length === 0 || (ascii && /^(utf8|latin|ascii)/.test(to.charset ?? ''))
}

function integers(from: MysqlType, to: MysqlType, strict: boolean): string | null {
  if (strict) return null
  const bits = (type: MysqlType): number => INTEGER_BITS[type.base] ?? 0
  const fits = from.unsigned
    ? bits(to) > bits(from) || (to.unsigned && bits(to) >= bits(from))
    : !to.unsigned && bits(to) >= bits(from)
  return fits ? null : 'values out of range were clipped'
}

const STRINGS = new Set(['char', 'varchar', 'varbinary', ...Object.keys(TEXT_BYTES)])

/** One type stored as another. */
function otherBase(from: MysqlType, to: MysqlType): string | null {
  if (from.base === 'float' && to.base === 'double') return null
  if (to.base === 'json') return 'documents were written anew'
  if (to.base === 'char') return 'blanks at the end were dropped'
  if (to.base === 'binary') return 'its values were padded'
  if (to.base === 'enum' || to.base === 'set') return 'values became labels'
  if (!STRINGS.has(to.base)) return `values were converted from ${from.base} to ${to.base}`
  // Labels and documents become the text that the lake has of them.
  if (from.base === 'enum' || from.base === 'set' || from.base === 'json') {
    return TEXT_BYTES[to.base] === TEXT_BYTES['longtext'] ? null : 'longer values were cut'
  }
  if (!STRINGS.has(from.base) && from.base !== 'binary') {
    return `values were converted from ${from.base} to ${to.base}`
  }
  return capacity(to) < capacity(from) ? 'longer values were cut' : null
}

/** Characters, bytes or bits that surely fit. */
function capacity({ base, length }: MysqlType): number {
  return TEXT_BYTES[base] ?? length ?? 0
}

/** Bytes of the longest character; 1 in all other charsets. */
const CHARACTER_BYTES: Readonly<Record<string, number>> = {
  big5: 2,
  cp932: 2,
  eucjpms: 3,
  euckr: 2,
  gb18030: 4,
  gb2312: 2,
  gbk: 2,
  sjis: 2,
  ucs2: 2,
  ujis: 3,
  utf16: 4,
  utf16le: 4,
  utf32: 4,
  utf8mb3: 3,
  utf8mb4: 4,
}

const TEXT_SIZES = ['tinytext', 'text', 'mediumtext', 'longtext']

/**
 * The type of a text column after CONVERT TO CHARACTER SET: TEXT grows to hold as many characters.
 */
export function convertedType(type: MysqlType, charset: string): MysqlType {
  const converted = { ...type, charset }
  if (!TEXT_SIZES.includes(type.base)) return converted
  const before = CHARACTER_BYTES[type.charset ?? ''] ?? 1
  const characters = Math.floor((TEXT_BYTES[type.base] ?? 0) / before)
  const bytes = characters * (CHARACTER_BYTES[charset] ?? 1)
  const base = TEXT_SIZES.find((size) => (TEXT_BYTES[size] ?? 0) >= bytes) ?? 'longtext'
  const grows = TEXT_SIZES.indexOf(base) > TEXT_SIZES.indexOf(type.base)
  return grows ? { ...converted, base } : converted
}
