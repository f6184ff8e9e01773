// How much text and how many bytes a column surely takes. Outside of strict mode what does not fit
// is cut, and blanks at the end are cut in strict mode too.

import type { MysqlType } from '../types.ts'

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

/** Bytes of the shortest character; 1 in all other charsets. */
const SHORTEST_BYTES: Readonly<Record<string, number>> = {
  ucs2: 2,
  utf16: 2,
  utf16le: 2,
  utf32: 4,
}

/** Charsets in which the text of `from` has the same bytes. */
const SAME_BYTES: Readonly<Record<string, readonly string[]>> = {
  ascii: ['latin1', 'utf8mb3', 'utf8mb4'],
  utf8mb3: ['utf8mb4'],
}

/** @returns true when every value of the type `from` fits into `to`; both hold text, or bytes */
export function alwaysFits(from: MysqlType, to: MysqlType): boolean {
  const [before, after] = [TEXT_BYTES[from.base], TEXT_BYTES[to.base]]
  const [charset, next] = [from.charset ?? 'binary', to.charset ?? 'binary']
  const sameBytes = charset === next || SAME_BYTES[charset]?.includes(next) === true
  if (before !== undefined && after !== undefined && sameBytes) return before <= after
  const most = before === undefined ? from.length : before / (SHORTEST_BYTES[charset] ?? 1)
  const least = after === undefined ? to.length : after / (CHARACTER_BYTES[next] ?? 1)
  return Math.floor(most ?? 0) <= Math.floor(least ?? 0)
}

const TEXT_SIZES = ['tinytext', 'text', 'mediumtext', 'longtext']
const BLOB_SIZES = ['tinyblob', 'blob', 'mediumblob', 'longblob']

/** TEXT(n) and BLOB(n) are the smallest type that holds so many characters. */
export function sizedType(type: MysqlType): MysqlType {
  const { base, length, charset } = type
  if ((base !== 'text' && base !== 'blob') || length === null) return type
  const bytes = length * (CHARACTER_BYTES[charset ?? 'binary'] ?? 1)
  const sizes = base === 'text' ? TEXT_SIZES : BLOB_SIZES
  const sized = sizes.find((size) => (TEXT_BYTES[size] ?? 0) >= bytes) ?? base
  return { ...type, base: sized, length: null }
}

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
