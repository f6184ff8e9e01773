// Whether a change of a column's type leaves the values of its rows as the lake has them. An ALTER
// TABLE rewrites rows without row events, so a value that it rounds, cuts or pads would stay as it
// was in the lake. Changes of the lake type itself are the runtime's to judge: they are no concern
// here.

import { isDeepStrictEqual } from 'node:util'
import { widens } from '../../../runtime/data/evolution.ts'
import { mapType, type MysqlType } from '../types.ts'
import { alwaysFits, TEXT_BYTES } from './capacity.ts'
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

/** Charsets that hold every character there is. */
const UNICODE = new Set(['utf8mb4', 'utf16', 'utf16le', 'utf32'])

/** What else of the sql_mode decides about values. */
export interface ValueModes {
  /** NO_AUTO_VALUE_ON_ZERO; absent: not known. */
  readonly keepsZero?: boolean
  /** PAD_CHAR_TO_FULL_LENGTH; absent: taken for off, as it hardly is anywhere else. */
  readonly padsChar?: boolean
}

/**
 * @param strict  the statement ran in strict mode: what does not fit made it fail
 * @returns why values may have changed, as the end of a sentence; `null` when they have not
 */
export function keepsValues(
  from: ColumnState,
  to: ColumnState,
  strict: boolean,
  { keepsZero = false, padsChar = false }: ValueModes = {},
): string | null {
  if (from.generated !== to.generated) return 'it changed between stored and generated'
  if (to.autoIncrement && !from.autoIncrement) {
    if (from.nullable) return 'nulls became new numbers'
    if (!keepsZero) return 'zeros became new numbers'
  }
  // MariaDB fills in the time of the statement, in strict mode too.
  const filled = !strict || to.type.base === 'timestamp'
  if (from.nullable && !to.nullable && filled) return 'nulls became the default'
  if (isDeepStrictEqual(from.type, to.type)) return null
  if (padsChar && from.type.base === 'char' && to.type.base !== 'char') {
    return 'blanks were added at the end'
  }
  const before = mapType(from.type, PLAIN).type
  const after = mapType(to.type, PLAIN).type
  // Other types in the lake are refused by the runtime, which sees both.
  if (before === null || after === null || !widens(before, after)) return null
  return convertedValues(from.type, to.type, strict)
}

function convertedValues(from: MysqlType, to: MysqlType, strict: boolean): string | null {
  const reason = from.charset === to.charset ? null : otherCharset(from, to, strict)
  if (reason !== null) return reason
  if (from.base in INTEGER_BITS && to.base in INTEGER_BITS) return integers(from, to, strict)
  if (FLOATS.has(from.base) && FLOATS.has(to.base)) return floats(from, to, strict)
  if (from.base !== to.base) return otherBase(from, to)
  switch (from.base) {
    case 'year':
    case 'json':
    case 'uuid':
      return null
    case 'decimal':
      return decimals(from, to, strict)
    case 'time':
    case 'datetime':
    case 'timestamp':
      return to.scale < from.scale ? 'fractions of seconds were rounded' : null
    case 'enum':
      return from.labels.every((label) => to.labels.includes(label)) ? null : LABELS_GONE
    case 'set':
      return sets(from, to)
    case 'binary':
      return from.length === to.length ? null : 'its values were padded or cut'
    case 'bit':
      return (to.length ?? 0) < (from.length ?? 0) ? CUT : null
    default:
      return alwaysFits(from, to) ? null : CUT
  }
}

const CUT = 'longer values were cut'
const CLIPPED = 'values out of range were clipped'
const LABELS_GONE = 'labels were removed or renamed'

function otherCharset(from: MysqlType, to: MysqlType, strict: boolean): string | null {
  if (!labelsSurvive(from, to)) return 'its labels were written in another charset'
  if (strict || from.labels.length > 0 || UNICODE.has(to.charset ?? '')) return null
  return `characters that ${to.charset} lacks became question marks`
}

/**
 * CONVERT TO CHARACTER SET takes the bytes of labels for text of the new charset: utf16 joins every
 * two characters of MySQL 9.7's, and MariaDB 10.11's become question marks beyond ASCII.
 */
function labelsSurvive({ labels }: MysqlType, to: MysqlType): boolean {
  const ascii = labels.every((label) => /^[ -~]*$/.test(label))
  return labels.length === 0 || (ascii && /^(utf8|latin|ascii)/.test(to.charset ?? ''))
}

/** The text of a value has its labels in the order of the type. */
function sets(from: MysqlType, to: MysqlType): string | null {
  const places = from.labels.map((label) => to.labels.indexOf(label))
  if (places.includes(-1)) return LABELS_GONE
  const ascending = places.every((place, at) => at === 0 || place > (places[at - 1] ?? 0))
  return ascending ? null : 'its labels have another order'
}

function integers(from: MysqlType, to: MysqlType, strict: boolean): string | null {
  return strict || keepsRange(from, to) ? null : CLIPPED
}

/** True when an integer type holds every value of the other. */
export function keepsRange(from: MysqlType, to: MysqlType): boolean {
  const [before, after] = [INTEGER_BITS[from.base] ?? 0, INTEGER_BITS[to.base] ?? 0]
  if (before === 0 || (to.unsigned && !from.unsigned)) return false
  return from.unsigned && !to.unsigned ? after > before : after >= before
}

const FLOATS = new Set(['float', 'double'])

/** FLOAT(M,D) rounds to its digits, and clips. */
function floats(from: MysqlType, to: MysqlType, strict: boolean): string | null {
  const rounded = from.length !== null && from.scale <= to.scale
  if (to.length !== null && !(rounded && from.base === to.base)) return 'values were rounded'
  return strict || keepsDigits(from, to) ? null : CLIPPED
}

/** Decimals of more digits than the lake has are text, with all digits of their scale. */
function decimals(from: MysqlType, to: MysqlType, strict: boolean): string | null {
  if (from.scale !== to.scale) return 'values have other digits behind the point'
  return strict || keepsDigits(from, to) ? null : CLIPPED
}

function keepsDigits(from: MysqlType, to: MysqlType): boolean {
  if (to.unsigned && !from.unsigned) return false
  if (to.length === null) return true
  return from.length !== null && from.length - from.scale <= to.length - to.scale
}

const STRINGS = new Set(['char', 'varchar', 'varbinary', ...Object.keys(TEXT_BYTES)])

/** One type stored as another. */
function otherBase(from: MysqlType, to: MysqlType): string | null {
  if (to.base === 'json') return 'documents were written anew'
  if (to.base === 'char') return 'blanks at the end were dropped'
  if (to.base === 'binary') return 'its values were padded'
  if (to.base === 'enum' || to.base === 'set') return 'values became labels'
  if (!STRINGS.has(to.base)) return `values were converted from ${from.base} to ${to.base}`
  // Labels and documents become the text that the lake has of them.
  if (from.base === 'enum' || from.base === 'set' || from.base === 'json') {
    return TEXT_BYTES[to.base] === TEXT_BYTES['longtext'] ? null : CUT
  }
  if (!STRINGS.has(from.base) && from.base !== 'binary') {
    return `values were converted from ${from.base} to ${to.base}`
  }
  return alwaysFits(from, to) ? null : CUT
}
